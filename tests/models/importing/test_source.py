import os
from pathlib import Path

import httpx2
import huggingface_hub
import pytest
from huggingface_hub.errors import (
    DisabledRepoError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from app.models import demo
from app.models.importing.source import default_slug, find_source
from app.models.refusal import ImportRefused

COMMIT = "c" * 40


@pytest.fixture
def hub(monkeypatch):
    """Stands in for the hub: a list of what was asked for, and what it answers."""

    class Hub:
        asked: list[tuple[str, dict]] = []
        answer: str | Exception = f"/cache/snapshots/{COMMIT}"

    def snapshot_download(repo_id, **options):
        Hub.asked.append((repo_id, options))
        if isinstance(Hub.answer, Exception):
            raise Hub.answer
        return Hub.answer

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return Hub


def test_the_demo_is_here():
    source = find_source("demo")
    assert (source.path, source.origin, source.revision) == (demo.FOLDER, "demo", None)


def test_a_folder_is_named_but_never_its_path(tmp_path, monkeypatch):
    folder = tmp_path / "My Model"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    for word in (str(folder), "My Model", "./My Model"):
        source = find_source(word)
        assert (source.path, source.name, source.origin) == (folder, "My Model", "local folder")


@pytest.mark.parametrize(
    ("repository", "hub_id"),
    [("models--acme--Tiny-Llama", "acme/Tiny-Llama"), ("models--gpt2", "gpt2"), ("models--a.b--c_d", "a.b/c_d")],
)
def test_a_snapshot_of_the_hubs_cache_is_told_by_its_path(tmp_path, monkeypatch, repository, hub_id):
    folder = tmp_path / repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    for word in (str(folder), f"{folder}/", ".", str(tmp_path / "link")):
        source = find_source(word)
        assert (source.path, source.name) == (folder, hub_id.rpartition("/")[2])
        assert (source.origin, source.revision) == (hub_id, COMMIT)
        assert default_slug(word) == source.name.lower()


@pytest.mark.parametrize(
    "path", ["models--a--b/refs/" + COMMIT, "models--a--b/snapshots/main", "a/snapshots/" + COMMIT]
)
def test_what_only_looks_like_a_snapshot_is_a_folder(tmp_path, path):
    (tmp_path / path).mkdir(parents=True)
    source = find_source(str(tmp_path / path))
    assert (source.name, source.origin, source.revision) == (path.rpartition("/")[2], "local folder", None)


@pytest.mark.parametrize(
    ("name", "known", "slug"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct", "smollm2-135m-instruct.q4_1"),
        ("Qwen3-0.6B-Q4_K_M.gguf", "Qwen3-0.6B", "qwen3-0.6b-q4_k_m"),
        ("gemma-3-1b-it-IQ3_XXS.gguf", "gemma-3-1b-it", "gemma-3-1b-it-iq3_xxs"),
        ("phi-f16.gguf", "phi", "phi-f16"),
        ("f16.gguf", "f16", "f16"),
        ("BF16-tests.gguf", "BF16-tests", "bf16-tests"),
    ],
)
def test_a_gguf_file_is_found_by_its_path_or_by_its_folder(tmp_path, name, known, slug):
    (tmp_path / name).write_bytes(b"GGUF")
    (tmp_path / "README.md").touch()
    (tmp_path / "mmproj-model.gguf").write_bytes(b"GGUF")
    for word in (str(tmp_path / name), str(tmp_path)):
        source = find_source(word)
        assert (source.path, source.name, source.origin) == (tmp_path / name, known, "local file")
        assert source.is_file
    assert default_slug(str(tmp_path / name)) == slug


def test_a_gguf_file_needs_no_ending(tmp_path):
    (tmp_path / "sha256-0123").write_bytes(b"GGUF" + bytes(20))
    assert find_source(str(tmp_path / "sha256-0123")).is_file


def test_of_several_gguf_files_one_is_to_be_named(tmp_path):
    for name in ("b-Q8_0.gguf", "a-Q4_0.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(
        ImportRefused, match=r"holds 2 GGUF files \('a-Q4_0.gguf', 'b-Q8_0.gguf'\): give the path of one"
    ):
        find_source(str(tmp_path))
    (tmp_path / "model.safetensors").touch()  # what the folder is about
    assert not find_source(str(tmp_path)).is_file


@pytest.mark.parametrize(
    "word", ["/not/there", "./gone", "~nobody-of-that-name/x", "a/b/c", "m.gguf", "a/m.safetensors"]
)
def test_a_folder_that_is_not_there_is_not_asked_of_the_hub(hub, word):
    with pytest.raises(ImportRefused, match=r"no (folder|file) '"):
        find_source(word)
    assert hub.asked == []


def test_what_is_neither_file_nor_folder_is_told(hub, tmp_path):
    os.mkfifo(tmp_path / "x.gguf")
    (tmp_path / "y.gguf").symlink_to("nowhere")
    for name in ("x.gguf", "y.gguf"):
        with pytest.raises(ImportRefused, match=f"'{name}' is neither a folder nor a file"):
            find_source(str(tmp_path / name))


def test_the_hub_gives_a_commit_and_no_pickles(hub):
    source = find_source("openai-community/gpt2", "main")
    assert source.path == Path(hub.answer)
    assert (source.name, source.origin, source.revision) == ("gpt2", "openai-community/gpt2", COMMIT)
    ((repo_id, options),) = hub.asked
    assert (repo_id, options["revision"]) == ("openai-community/gpt2", "main")
    assert not [pattern for pattern in options["allow_patterns"] if not pattern.endswith((".json", ".safetensors"))]


def answered(kind, status):
    """An error of the hub's library; its own words hold a path of this machine, as they may."""
    return kind("/a/path/here", response=httpx2.Response(status, request=httpx2.Request("GET", "https://hub")))


def wrapped(cause):
    """As the library says it when it has nothing in its cache either."""
    error = LocalEntryNotFoundError("An error happened, see /a/path/here")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (answered(RepositoryNotFoundError, 404), "neither a folder here nor a public model"),
        (answered(RevisionNotFoundError, 404), "has no revision 'v9'"),
        (answered(GatedRepoError, 403), "is gated on the hub: accept its terms"),
        (wrapped(answered(GatedRepoError, 403)), "is gated on the hub: accept its terms"),
        (answered(DisabledRepoError, 403), "has been disabled by the hub"),
        (answered(HfHubHTTPError, 503), "the hub answered 503. Try again later"),
        (wrapped(answered(HfHubHTTPError, 429)), "the hub answered 429. Try again later"),
        (answered(RemoteEntryNotFoundError, 404), "the hub answered 404"),
        (wrapped(None), "the hub cannot be reached"),
        (wrapped(httpx2.ConnectError("no")), "the hub cannot be reached"),
        (httpx2.ConnectError("/a/path/here"), r"the hub cannot be reached \(ConnectError\)"),
        (httpx2.ReadTimeout("no"), "the hub cannot be reached"),
        (httpx2.ProxyError("no"), "the hub cannot be reached"),
        (OfflineModeIsEnabled("no"), "the hub cannot be reached"),
        (ConnectionResetError(104, "Connection reset by peer"), "the hub cannot be reached"),
        (TimeoutError(110, "Connection timed out"), "the hub cannot be reached"),
        (FileMetadataError("no"), "the hub cannot be reached"),
        (RuntimeError("/a/path/here"), r"the hub cannot be reached \(RuntimeError\)"),
        (OSError(28, "No space left on device", "/a/path/here"), "on this machine: No space left on device$"),
        (PermissionError(13, "Permission denied", "/a/path/here"), "on this machine: Permission denied$"),
    ],
)
def test_the_hubs_errors_are_refusals(hub, error, words):
    hub.answer = error
    with pytest.raises(ImportRefused, match=words) as refusal:
        find_source("a/model", "v9")
    assert str(refusal.value).startswith("'a/model' ")
    assert "path" not in str(refusal.value)


def test_who_forbade_the_network_is_told(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    hub.answer = wrapped(OfflineModeIsEnabled("no"))
    with pytest.raises(ImportRefused, match="not in the hub's cache on this machine, and HF_HUB_OFFLINE forbids"):
        find_source("a/model")


def test_a_word_that_is_no_hub_id():
    with pytest.raises(ImportRefused, match="neither a folder here nor a public model"):
        find_source("no such--model")


def test_only_the_hub_has_revisions(tmp_path):
    for word in ("demo", str(tmp_path)):
        with pytest.raises(ImportRefused, match="--revision"):
            find_source(word, "main")


@pytest.mark.parametrize(
    ("word", "slug"),
    [
        ("demo", "demo"),
        ("gpt2", "gpt2"),
        ("openai-community/gpt2", "gpt2"),
        ("org/GPT2 (old)", "gpt2-old"),
        ("/data/My Model", "my-model"),
        ("/data/model/", "model"),
        ("./_x", "x"),
        ("org/" + "a" * 100, "a" * 64),
    ],
)
def test_default_slug(word, slug):
    assert default_slug(word) == slug


@pytest.mark.parametrize("word", ["org/api", "org/---", "./ä", "/"])
def test_words_that_make_no_slug(word):
    with pytest.raises(ImportRefused, match="--name"):
        default_slug(word)
