import json
import os
import shutil
import stat
import subprocess
import sys
import threading

import pytest
from safetensors.torch import load_file, save, save_file

from app.models.catalog import Catalog
from app.models.importing import conversion
from app.models.importing.importer import ImportRefused, Progress, import_model
from app.models.importing.staging import unfinished_imports
from app.models.manifest import verify_weights


def quietly(progress: Progress) -> None:
    """For imports whose progress is not looked at."""


@pytest.fixture
def unopened(monkeypatch):
    """Fails the test if a model is opened."""

    def refuse(checkpoint, layer):
        raise AssertionError(f"opened {checkpoint.folder}")

    monkeypatch.setattr(conversion, "open_layer", refuse)


def test_facts_and_progress(gpt2_folder, tmp_path):
    steps = []
    manifest = import_model(str(gpt2_folder), tmp_path, report=steps.append)
    facts = (manifest.n_layers, manifest.n_heads, manifest.n_kv_heads, manifest.d_model, manifest.d_head)
    assert facts == (2, 4, 4, 32, 8)
    assert (manifest.d_vocab, manifest.n_ctx, manifest.dtype, manifest.tied) == (304, 32, "float32", True)
    assert (manifest.normalization, manifest.eps, manifest.positions) == ("LN", 1e-5, "learned")
    assert (manifest.name, manifest.source, manifest.revision) == ("tiny", "local folder", None)
    assert len(manifest.fingerprint) == 64
    assert Catalog(tmp_path).entries() == {"tiny": manifest}
    assert [(step.done, step.total) for step in steps] == [(0, 0), (0, 0), (0, 0), (0, 2), (1, 2), (2, 2), (2, 2)]
    assert not [step for step in steps if str(gpt2_folder.parent) in step.message and step.done]


def test_the_weights_folder_holds_nothing_else(tiny_data):
    (folder,) = (tiny_data / "weights").iterdir()
    assert {file.name for file in folder.iterdir()} == {
        "config.json",
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


def test_a_model_that_is_here_needs_no_torch(gpt2_folder, tiny_data):
    script = (
        "import sys; from pathlib import Path; from app.models.importing.importer import import_model;"
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
    honest = conversion.open_layer

    def fail(checkpoint, layer):
        if layer == 1:
            raise ImportRefused("the logits differ")
        return honest(checkpoint, layer)

    monkeypatch.setattr(conversion, "open_layer", fail)
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


@pytest.fixture
def opened_layers(monkeypatch):
    """The layers that were opened, in order."""
    honest, layers = conversion.open_layer, []

    def note(checkpoint, layer):
        layers.append(layer)
        return honest(checkpoint, layer)

    monkeypatch.setattr(conversion, "open_layer", note)
    return layers


@pytest.fixture
def interrupted(gpt2_folder, tmp_path, monkeypatch):
    """A data folder where an import was stopped in its second layer."""
    honest = conversion.open_layer

    def stop(checkpoint, layer):
        if layer == 1:
            raise KeyboardInterrupt
        return honest(checkpoint, layer)

    monkeypatch.setattr(conversion, "open_layer", stop)
    with pytest.raises(KeyboardInterrupt):
        import_model(str(gpt2_folder), tmp_path / "data", slug="tiny", report=quietly)
    monkeypatch.setattr(conversion, "open_layer", honest)
    return tmp_path / "data"


def test_an_interrupted_import_goes_on_where_it_was(gpt2_folder, tiny_data, interrupted, opened_layers):
    assert Catalog(interrupted).entries() == {}
    assert [path.name for path in unfinished_imports(interrupted)]
    manifest = import_model(str(gpt2_folder), interrupted, slug="tiny", report=quietly)
    assert opened_layers == [1]
    undisturbed = Catalog(tiny_data).get("tiny")
    assert manifest.files == undisturbed.files
    assert manifest.checks == pytest.approx(undisturbed.checks, rel=1, abs=1e-6)
    assert list(unfinished_imports(interrupted)) == []


@pytest.mark.parametrize(("file", "again"), [("layer-000.safetensors", [0, 1]), ("embeddings.safetensors", [0, 1])])
def test_what_was_damaged_meanwhile_is_done_again(gpt2_folder, tiny_data, interrupted, opened_layers, file, again):
    (staging,) = unfinished_imports(interrupted)
    whole = bytearray((staging / file).read_bytes())
    whole[-1] ^= 1
    (staging / file).write_bytes(whole)
    manifest = import_model(str(gpt2_folder), interrupted, slug="tiny", report=quietly)
    assert opened_layers == again
    assert manifest.files == Catalog(tiny_data).get("tiny").files


@pytest.mark.parametrize("fault", ["manifest", "gone", "flipped", "tokenizer"])
def test_damaged_weights_are_written_anew(gpt2_folder, tiny_data, tmp_path, fault):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    catalog = Catalog(data)
    before = catalog.get("tiny")
    folder = catalog.weights_folder(before.fingerprint)
    if fault == "manifest":
        (folder / "manifest.json").write_text("{}")
    elif fault == "gone":
        (folder / "layer-000.safetensors").unlink()
    else:
        file = folder / ("tokenizer.json" if fault == "tokenizer" else "embeddings.safetensors")
        whole = bytearray(file.read_bytes())
        whole[len(whole) // 2] ^= 4
        file.write_bytes(whole)
    assert import_model(str(gpt2_folder), data, slug="tiny", report=quietly).files == before.files
    assert {fault for _name, fault in verify_weights(folder)} == {None}
    assert [path.name for path in (data / "weights").iterdir()] == [before.fingerprint]


def test_a_damaged_name_is_not_looked_for_elsewhere_unsaid(tiny_data, tmp_path, monkeypatch):
    """The name of weights that were a folder's may be a model of the hub as well."""
    from app.models.importing import importer

    def offline(*_):
        raise ImportRefused("the hub cannot be reached")

    monkeypatch.setattr(importer, "find_source", offline)
    data = shutil.copytree(tiny_data, tmp_path / "data")
    (folder,) = (data / "weights").iterdir()
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ImportRefused, match=r"called 'tiny' are damaged, .*: import them again .* \(the hub cannot"):
        import_model("tiny", data, report=quietly)


def test_other_weights_do_not_take_the_name_of_damaged_ones(hostile_folder, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    (folder,) = (data / "weights").iterdir()
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ImportRefused, match="already names other weights"):
        import_model(str(hostile_folder), data, slug="tiny", report=quietly)
    assert json.loads((data / "models" / "tiny.json").read_text())["fingerprint"] == folder.name


def test_two_imports_at_once_do_the_work_once(gpt2_folder, tmp_path, opened_layers):
    manifests, steps = [], []

    def run(slug):
        manifests.append(import_model(str(gpt2_folder), tmp_path, slug=slug, report=steps.append))

    threads = [threading.Thread(target=run, args=(slug,)) for slug in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert manifests[0] == manifests[1]
    assert opened_layers == [0, 1]
    assert list(Catalog(tmp_path).entries()) == ["one", "two"]
    assert "another import of this model is running" in {step.message for step in steps}


def test_values_that_are_no_numbers_are_refused_wherever_they_are(gpt2_folder, tmp_path):
    """In a row of the embedding that no layer is run with."""
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.wte.weight"][300, 3] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ImportRefused, match=r"wte\.weight holds values that are no numbers"):
        import_model(str(folder), tmp_path / "data", report=quietly)
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def test_hostile_vocabulary_is_imported_as_it_is(hostile_data, hostile_folder):
    catalog = Catalog(hostile_data)
    folder = catalog.weights_folder(catalog.get("hostile").fingerprint)
    assert (folder / "tokenizer.json").read_bytes() == (hostile_folder / "tokenizer.json").read_bytes()


def rewrite(folder, change):
    """Change one tensor of the checkpoint in place, bytes and sizes and times being what they were."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    times = path.stat()
    change(tensors)
    whole = save(tensors, {"format": "pt"})
    with path.open("r+b") as file:
        file.write(whole)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def nudge(name):
    def change(tensors):
        tensors[name].view(-1)[-1] += 1

    return change


LAST_LAYER, TOKENS, LAST_NORM = "transformer.h.1.mlp.c_fc.weight", "transformer.wte.weight", "transformer.ln_f.weight"


@pytest.mark.parametrize("name", [LAST_LAYER, TOKENS, LAST_NORM])
def test_a_tensor_that_is_changed_meanwhile_is_not_imported_under_the_fingerprint_of_what_it_was(
    gpt2_folder, tmp_path, monkeypatch, name
):
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    honest = conversion.n_layers_of

    def change(checkpoint):
        rewrite(folder, nudge(name))
        return honest(checkpoint)

    monkeypatch.setattr(conversion, "n_layers_of", change)
    words = rf"^model\.safetensors was changed while it was imported \({name} is not what it was"
    with pytest.raises(ImportRefused, match=words):
        import_model(str(folder), tmp_path / "data", report=quietly)
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def test_what_was_written_of_a_tensor_that_was_changed_and_put_back_is_not_taken_up_again(
    gpt2_folder, tiny_data, tmp_path, monkeypatch
):
    """An import that was interrupted goes on with files of which each was held to the fingerprint by itself."""
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    honest = conversion.open_layer

    def change(checkpoint, layer):
        if layer == 1:
            raise KeyboardInterrupt
        rewrite(folder, nudge("transformer.h.0.mlp.c_fc.weight"))
        return honest(checkpoint, layer)

    monkeypatch.setattr(conversion, "open_layer", change)
    with pytest.raises((KeyboardInterrupt, ImportRefused)):
        import_model(str(folder), tmp_path / "data", slug="tiny", report=quietly)
    shutil.copy(gpt2_folder / "model.safetensors", folder)
    monkeypatch.setattr(conversion, "open_layer", honest)
    manifest = import_model(str(folder), tmp_path / "data", slug="tiny", report=quietly)
    assert manifest.files == Catalog(tiny_data).get("tiny").files


@pytest.mark.parametrize("left", [100, 60_000])
def test_a_file_that_is_cut_short_meanwhile_is_refused_and_ends_no_process(gpt2_folder, tmp_path, monkeypatch, left):
    """A file that is written anew is cut short first; one that was mapped would end the process."""
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    honest = conversion.n_layers_of

    def cut(checkpoint):
        os.truncate(folder / "model.safetensors", left)
        return honest(checkpoint)

    monkeypatch.setattr(conversion, "n_layers_of", cut)
    with pytest.raises(ImportRefused, match=r"model\.safetensors was cut short while it was read"):
        import_model(str(folder), tmp_path / "data", report=quietly)
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []
