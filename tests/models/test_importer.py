import json
import shutil
import stat
import subprocess
import sys

import pytest

from app.models import bridge
from app.models.catalog import Catalog
from app.models.importer import ImportRefused, Progress, import_model


def quietly(progress: Progress) -> None:
    """For imports whose progress is not looked at."""


@pytest.fixture
def unopened(monkeypatch):
    """Fails the test if a model is opened."""

    def refuse(checkpoint):
        raise AssertionError(f"opened {checkpoint.folder}")

    monkeypatch.setattr(bridge, "open_bridge", refuse)


def test_facts_and_progress(gpt2_folder, tmp_path):
    steps = []
    manifest = import_model(str(gpt2_folder), tmp_path, report=steps.append)
    facts = (manifest.n_layers, manifest.n_heads, manifest.n_kv_heads, manifest.d_model, manifest.d_head)
    assert facts == (2, 4, 4, 32, 8)
    assert (manifest.d_vocab, manifest.n_ctx, manifest.dtype, manifest.tied) == (304, 32, "float32", True)
    assert (manifest.normalization, manifest.eps, manifest.has_positions) == ("LN", 1e-5, True)
    assert (manifest.name, manifest.source, manifest.revision) == ("tiny", "local folder", None)
    assert len(manifest.fingerprint) == 64
    assert Catalog(tmp_path).entries() == {"tiny": manifest}
    assert [step.done for step in steps] == [0, 1, 2, 3, 4]
    assert {step.total for step in steps} == {4}
    assert not [step for step in steps if str(gpt2_folder.parent) in step.message and step.done]


def test_the_weights_folder_holds_nothing_else(tiny_data):
    (folder,) = (tiny_data / "weights").iterdir()
    assert {file.name for file in folder.iterdir()} == {
        "embeddings.safetensors",
        "layer-000.safetensors",
        "layer-001.safetensors",
        "manifest.json",
        "tokenizer.json",
    }
    # Whoever may read new files may read these: the server need not be the user who imported.
    probe = tiny_data / "probe"
    probe.touch()
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {stat.S_IMODE(probe.stat().st_mode)}


def test_what_is_here_is_not_opened_again(gpt2_folder, tiny_data, tmp_path, unopened):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    first = Catalog(data).get("tiny")
    assert import_model(str(gpt2_folder), data, slug="tiny", report=quietly) == first
    assert import_model(str(gpt2_folder), data, slug="second", report=quietly) == first
    assert Catalog(data).entries() == {"second": first, "tiny": first}


def test_the_command_prints_nothing_but_its_progress(gpt2_folder, tmp_path):
    """Its standard output is read by the server, a line of JSON at a time."""
    command = [sys.executable, "-m", "app", "import", str(gpt2_folder), "--data", str(tmp_path), "--progress", "json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [line["done"] for line in lines] == [0, 1, 2, 3, 4]
    assert answer.stderr == ""


def test_a_model_that_is_here_needs_no_torch(gpt2_folder, tiny_data):
    script = (
        "import sys; from pathlib import Path; from app.models.importer import import_model;"
        f"import_model({str(gpt2_folder)!r}, Path({str(tiny_data)!r}), report=print);"
        "print([name for name in ('torch', 'transformers', 'transformer_lens') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


def test_a_name_that_is_taken_is_refused_before_the_work(hostile_folder, tiny_data, unopened):
    with pytest.raises(ImportRefused, match="already names other weights"):
        import_model(str(hostile_folder), tiny_data, slug="tiny", report=quietly)


@pytest.mark.parametrize("slug", ["api", "A", "", "../x"])
def test_a_name_that_is_none_is_refused_before_the_work(gpt2_folder, tmp_path, unopened, slug):
    with pytest.raises(ImportRefused):
        import_model(str(gpt2_folder), tmp_path, slug=slug, report=quietly)


def test_a_refusal_leaves_nothing_behind(gpt2_folder, tmp_path, monkeypatch):
    def fail(checkpoint):
        raise ImportRefused("the logits differ")

    monkeypatch.setattr(bridge, "open_bridge", fail)
    with pytest.raises(ImportRefused, match="the logits differ"):
        import_model(str(gpt2_folder), tmp_path, report=quietly)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_full_disk_is_a_refusal_and_leaves_nothing_behind(gpt2_folder, tmp_path, monkeypatch):
    from app.models import weights

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "_sync", full)
    with pytest.raises(ImportRefused, match="No space left on device"):
        import_model(str(gpt2_folder), tmp_path, report=quietly)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_damaged_weights_are_written_anew(gpt2_folder, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    catalog = Catalog(data)
    before = catalog.get("tiny")
    folder = catalog.weights_folder(before.fingerprint)
    (folder / "manifest.json").write_text("{}")
    (folder / "layer-000.safetensors").unlink()
    assert import_model(str(gpt2_folder), data, slug="tiny", report=quietly) == before
    assert (folder / "layer-000.safetensors").is_file()
    assert [path.name for path in (data / "weights").iterdir()] == [before.fingerprint]


def test_hostile_vocabulary_is_imported_as_it_is(hostile_data, hostile_folder):
    catalog = Catalog(hostile_data)
    folder = catalog.weights_folder(catalog.get("hostile").fingerprint)
    assert (folder / "tokenizer.json").read_bytes() == (hostile_folder / "tokenizer.json").read_bytes()
