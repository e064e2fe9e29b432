"""Damaged weights: noticed, told in a sentence that names the file, never shown, never kept; and repaired at last."""

import json
import logging
import random
import shutil
from dataclasses import replace

import pytest

from app.core.address import parse
from app.explorer.errors import ComputationFailed
from app.explorer.library import OpenModel
from app.explorer.running import queue
from app.explorer.visits import browse
from app.explorer.visits.browse import Options

HEAD = parse("tiny/L1/H2")
FILES = ("embeddings.safetensors", "layer-001.safetensors", "tokenizer.json")
REPAIR = "Whoever runs this server can repair it with singular-lens import, from where the model came and under the same name."


@pytest.fixture
def impatient(monkeypatch):
    """A failure is no answer for later: what failed is tried again at once."""
    monkeypatch.setattr(queue, "FAILURE_SECONDS", 0.0)


def weights_of(data):
    (folder,) = (data / "weights").iterdir()
    return folder


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << random.Random(at).randrange(8)
    path.write_bytes(data)


def flip_read(path):
    """A byte that every head's page depends on."""
    data = path.read_bytes()
    if path.suffix == ".json":
        flip(path, len(data) // 2)
        return
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    name = "embed.W_E" if "embed.W_E" in header else "blocks.1.attn.b_O"
    flip(path, 8 + size + header[name]["data_offsets"][0] + 3)


def harmless_or_told(r, name, expected):
    """Whether the head's page is the sentence that names the file; else it must be the page that is expected."""
    try:
        page = browse.visit_head(r, HEAD, Options())
    except ComputationFailed as failure:
        sentence = str(failure)
    else:
        assert page == expected
        return False
    assert sentence.startswith(f"{name} of these weights ")
    assert sentence.endswith(REPAIR)
    # What rays are judged by comes first, and is of the embeddings alone.
    kept = [path for path in (r.data / "artifacts").rglob("*.safetensors") if "control" not in path.parts]
    assert kept == []
    return True


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_noticed_or_harmless(
    open_explorer, explorer, fresh_data, monkeypatch, caplog, impatient, long, name
):
    path = weights_of(fresh_data) / name
    whole = path.read_bytes()
    expected = browse.visit_head(explorer, HEAD, Options())
    told = 0
    # Half of them in what describes the numbers, where a lie is worse than noise.
    places = random.Random(name)
    n = 300 if long else 8
    header = min(len(whole), 3000)
    caplog.set_level(logging.CRITICAL)
    for at in [places.randrange(header) for _ in range(n)] + [places.randrange(len(whole)) for _ in range(n)]:
        flip(path, at)
        r = open_explorer(shutil.copytree(fresh_data, fresh_data.parent / f"{name}-{at}", dirs_exist_ok=True))
        told += harmless_or_told(r, name, expected)
        path.write_bytes(whole)
        shutil.rmtree(r.data)
    assert told  # many bytes belong to other heads and to the MLP


@pytest.mark.parametrize("name", FILES)
def test_a_server_works_again_once_the_import_has_repaired_the_files(
    open_explorer, explorer, fresh_data, caplog, impatient, name
):
    path = weights_of(fresh_data) / name
    whole = path.read_bytes()
    r = open_explorer(fresh_data)
    for damage in (lambda: flip_read(path), lambda: path.write_bytes(whole[:100]), path.unlink):
        damage()
        with caplog.at_level(logging.ERROR), pytest.raises(ComputationFailed, match=f"^{name} of these weights"):
            browse.visit_head(r, HEAD, Options())
        assert name in caplog.text
        assert str(fresh_data) not in caplog.text
        path.write_bytes(whole)
    assert browse.visit_head(r, HEAD, Options()) == browse.visit_head(explorer, HEAD, Options())


def test_work_in_steps_tells_damage_too(open_explorer, fresh_data, caplog):
    flip_read(weights_of(fresh_data) / "layer-001.safetensors")
    r = open_explorer(fresh_data)
    with caplog.at_level(logging.CRITICAL), pytest.raises(ComputationFailed, match=r"^layer-001\.safetensors"):
        browse.visit_model(r, parse("tiny"), Options())
    with caplog.at_level(logging.CRITICAL):
        page = browse.visit_gallery(r, parse("tiny"), Options())
    assert (page.layers, page.whole) == (1, False)
    assert page.failure.startswith("layer-001.safetensors")
    assert browse.visit_head(r, parse("tiny/L0/H0"), Options()).ov.rank == 8


def test_a_damaged_manifest_is_told(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    flip(weights_of(fresh_data) / "manifest.json", 40)
    with pytest.raises(ComputationFailed, match=f"The files of tiny are missing or damaged. {REPAIR}"):
        browse.visit_head(r, HEAD, Options())


def test_what_is_kept_is_shown_while_tensors_are_damaged(open_explorer, fresh_data, caplog):
    expected = browse.visit_head(open_explorer(fresh_data), HEAD, Options())
    (weights_of(fresh_data) / "layer-001.safetensors").unlink()
    assert browse.visit_head(open_explorer(fresh_data), HEAD, Options()) == expected


def test_a_damaged_layer_is_told_at_a_distance_that_nobody_asked_for_yet(
    open_explorer, families_data, tmp_path, caplog
):
    data = shutil.copytree(families_data, tmp_path / "data")
    r, address = open_explorer(data, models=("llama",)), parse("llama/L1/H2/qk")
    expected = browse.visit_matrix(r, address, Options())
    (r.library.model("llama").folder / "layer-001.safetensors").write_bytes(b"cut short")
    with caplog.at_level(logging.CRITICAL), pytest.raises(ComputationFailed, match=r"^layer-001\.safetensors"):
        browse.visit_matrix(r, address, Options(distance=5))
    assert browse.visit_matrix(r, address, Options()) == expected


def test_a_models_name_is_printable_whatever_was_imported(explorer):
    """Every page, card and citation says the name that stands here."""
    manifest = replace(explorer.library.model("tiny").manifest, name="a\x1b[31m\u202e\nb\udcff")
    assert OpenModel("tiny", manifest, explorer.data).header.name == r"a\x1b[31m\u202e\nb\udcff"
