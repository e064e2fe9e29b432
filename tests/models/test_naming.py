"""What stands on a command line is compared with what has its name here, and never only its last word."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from safetensors.torch import load_file, save_file

from app.models import naming, origin
from app.models.catalog import Catalog, SlugError
from app.models.importing.importer import import_model
from app.models.manifest import write_manifest
from app.models.naming import Named, name_models
from app.models.refusal import ImportRefused
from tests.models.test_origin import tick

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """The hub is never asked."""

    def refuse(*_, **__):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)


@pytest.fixture
def run(gpt2_folder, tiny_data, tmp_path, monkeypatch) -> Path:
    """A checkpoint, imported under the name of its folder: runs/a/checkpoint-500; its files are at rest."""
    monkeypatch.setattr(origin, "REST_NS", 0)
    folder = Path(shutil.copytree(gpt2_folder, tmp_path / "runs" / "a" / "checkpoint-500"))
    tick()
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    (data / "models" / "tiny.json").unlink()
    import_here(folder, data)
    return folder


@pytest.fixture
def other(run, tmp_path) -> Path:
    """Another one of the same last word and size: runs/b/checkpoint-500."""
    folder = Path(shutil.copytree(run, tmp_path / "runs" / "b" / "checkpoint-500"))
    train(folder)
    return folder


@pytest.fixture
def compared(monkeypatch):
    """The folders of which every byte was read."""
    honest, folders = naming.open_checkpoint, []

    def note(folder):
        folders.append(folder)
        return honest(folder)

    monkeypatch.setattr(naming, "open_checkpoint", note)
    return folders


def import_here(source, data, **more):
    return import_model(str(source), data, report=lambda progress: None, **more)


def train(folder):
    """Other numbers in the same file."""
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.h.1.mlp.c_fc.weight"][0, 0] += 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    tick()


def names(data, *words):
    return name_models(data, [str(word) for word in words], lambda line: None)


def forget(data, slug):
    """The name as it was written before origins were."""
    path = data / "models" / f"{slug}.json"
    path.write_text(json.dumps({"fingerprint": json.loads(path.read_text())["fingerprint"]}))


def test_the_same_folder_is_here_by_whatever_path_and_not_read_again(run, tmp_path, monkeypatch, compared):
    data = tmp_path / "data"
    (tmp_path / "link").symlink_to(run.parent)
    monkeypatch.chdir(run.parent)
    words = ["checkpoint-500", "./checkpoint-500", "checkpoint-500/", "../a/checkpoint-500", str(run)]
    for word in [*words, tmp_path / "link" / "checkpoint-500"]:
        assert names(data, word) == (Named("checkpoint-500", str(word), True),)
    monkeypatch.chdir(run)
    assert names(data, ".") == (Named("checkpoint-500", ".", True),)
    assert compared == []


def test_an_imported_name_is_the_name_and_what_is_missing_is_to_be_imported(run, tmp_path, other, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("checkpoint-500").touch()  # a file is no folder of that name
    assert names(tmp_path / "data", "checkpoint-500", "org/new") == (
        Named("checkpoint-500", "checkpoint-500", True),
        Named("new", "org/new", False),
    )


def test_another_folder_of_the_same_last_word_is_refused(run, other, tmp_path):
    words = r"^'checkpoint-500' already names other weights, [0-9a-f]{12}, .* --name .*serve checkpoint-500 alone shows"
    with pytest.raises(SlugError, match=words):
        names(tmp_path / "data", other)


def test_a_folder_here_that_has_an_imported_name_must_hold_the_same(run, other, tmp_path, monkeypatch):
    monkeypatch.chdir(other.parent)
    with pytest.raises(
        SlugError,
        match=r"already names other weights.*serve checkpoint-500 alone, where there is no folder checkpoint-500, shows",
    ):
        names(tmp_path / "data", "checkpoint-500")
    (other / "config.json").unlink()
    with pytest.raises(ImportRefused, match=r"cannot be compared with: there is no config\.json"):
        names(tmp_path / "data", "checkpoint-500")


def test_a_folder_that_was_trained_further_is_refused(run, tmp_path):
    train(run)
    with pytest.raises(SlugError, match="already names other weights"):
        names(tmp_path / "data", run)


def test_a_folder_that_is_not_there_is_refused(run, tmp_path):
    with pytest.raises(
        ImportRefused, match=r"compared with: there is no folder 'checkpoint-500'.*serve checkpoint-500 alone shows"
    ):
        names(tmp_path / "data", tmp_path / "no" / "checkpoint-500")


def test_a_copy_with_the_same_bytes_is_read_once(run, tmp_path, compared):
    copy = shutil.copytree(run, tmp_path / "copy" / "checkpoint-500")
    tick()
    lines = []
    for _ in range(2):
        assert name_models(tmp_path / "data", (str(copy),), lines.append)[0].is_here
    assert compared == [copy]
    assert lines == [f"comparing {str(copy)!r} with what is imported as checkpoint-500"]


def test_names_that_were_given_before_origins_were_written_down(run, other, tmp_path, compared):
    data = tmp_path / "data"
    forget(data, "checkpoint-500")
    with pytest.raises(SlugError, match="already names other weights"):
        names(data, other)
    for _ in range(2):
        assert names(data, run)[0].is_here
    assert compared == [other, run]
    forget(data, "checkpoint-500")
    assert names(data, "checkpoint-500")[0].is_here


def test_a_data_folder_that_cannot_be_written_is_compared_with_each_time(run, tmp_path, compared, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied")

    forget(tmp_path / "data", "checkpoint-500")
    monkeypatch.setattr(Catalog, "add", fail)
    for _ in range(2):
        assert names(tmp_path / "data", run)[0].is_here
    assert compared == [run, run]


def test_ids_of_the_hub_are_compared_whole(run, tmp_path, monkeypatch):
    data = tmp_path / "data"
    for word in ("somebody-else/checkpoint-500", "Checkpoint-500"):
        with pytest.raises(
            SlugError, match=rf"not known to be those of '{word}': .*serve checkpoint-500 alone shows what is here"
        ):
            names(data, word)
    # The same weights, found under that id: then it is known.
    snapshot = shutil.copytree(run, tmp_path / "models--acme--Checkpoint-500" / "snapshots" / COMMIT)
    with monkeypatch.context() as online:
        online.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))
        import_here("acme/Checkpoint-500", data)
    assert names(data, "acme/Checkpoint-500")[0].is_here
    assert names(data, "ACME/checkpoint-500")[0].is_here
    assert names(data, run)[0].is_here
    with pytest.raises(SlugError, match="not known to be those of 'somebody-else/checkpoint-500'"):
        names(data, "somebody-else/checkpoint-500")


def test_a_snapshot_of_the_hubs_cache_is_the_hubs_model(run, tmp_path):
    """By its path; links lead to the bytes."""
    repository = tmp_path / "hub" / "models--acme--Tiny-Llama"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(run, repository / "blobs")
    snapshot.mkdir(parents=True)
    for file in (repository / "blobs").iterdir():
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    data = tmp_path / "data"
    ((slug, source, is_here),) = [(each.slug, each.source, each.is_here) for each in names(data, snapshot)]
    assert (slug, source, is_here) == ("tiny-llama", str(snapshot), False)
    manifest = import_here(snapshot, data)
    for word in (snapshot, "acme/Tiny-Llama", "tiny-llama"):
        assert names(data, word) == (Named("tiny-llama", str(word), True),)
    forget(data, "tiny-llama")
    with pytest.raises(SlugError, match="not known to be those"):
        names(data, "acme/Tiny-Llama")
    write_manifest(Catalog(data).weights_folder(manifest.fingerprint), replace(manifest, source="acme/Tiny-Llama"))
    assert names(data, "acme/Tiny-Llama")[0].is_here  # as weights say that were imported from there at first
    train(repository / "blobs")
    with pytest.raises(SlugError, match="already names other weights"):
        names(data, snapshot)


def test_two_words_of_one_name_are_refused(run, other, tmp_path):
    with pytest.raises(SlugError, match=r"would both be called checkpoint-500: import one with --name"):
        names(tmp_path / "data", run, other)


def test_the_demo_is_no_folder(run, tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert names(tmp_path / "data", "demo") == (Named("demo", "demo", False),)
    catalog = Catalog(tmp_path / "data")
    manifest = catalog.get("checkpoint-500")
    write_manifest(catalog.weights_folder(manifest.fingerprint), replace(manifest, source="demo"))
    catalog.add("demo", manifest.fingerprint)
    assert names(tmp_path / "data", "demo") == (Named("demo", "demo", True),)
