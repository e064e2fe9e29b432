from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.store.account import UsedBytes, open_account
from app.store.artifacts import ARTIFACT_FORMAT, ArtifactStore, Recipe
from app.store.leftovers import delete_leftovers, remove_path
from app.store.shelf import walk_files, write_unfinished

HERE, ELSEWHERE = "f" * 64, "e" * 64
RECIPE = Recipe(HERE, "decomposition", "L0/H0/ov", "folded", "svd")


@pytest.fixture
def store(tmp_path):
    """One good artifact, and one of each kind that nobody needs."""
    store = ArtifactStore(tmp_path, 10**9)
    damaged = replace(RECIPE, subject="L0/H1/ov")
    for recipe in (
        RECIPE,
        replace(RECIPE, format=ARTIFACT_FORMAT - 1),
        replace(RECIPE, fingerprint=ELSEWHERE),
        damaged,
    ):
        store.save(recipe, {"left": np.eye(3)}, {})
    store.path(damaged).write_bytes(b"damaged")
    assert ArtifactStore(tmp_path, 10**9).load(damaged) is None
    (store.path(RECIPE).parent / f".{RECIPE.hash}.0123abcd.tmp").write_bytes(bytes(100))
    (tmp_path / "empty/folder").mkdir(parents=True)
    return store


def kinds(store, quota=10**9):
    return Counter(removed.kind for removed in delete_leftovers(store.root, quota, {HERE}))


def test_what_nobody_needs_is_deleted_and_the_rest_stays(store):
    before = sum(path.stat().st_size for path in walk_files(store.root))
    removed = list(delete_leftovers(store.root, 10**9, {HERE}))
    assert Counter(each.kind for each in removed) == {
        "artifacts of an older format": 1,
        "artifacts of weights that are not here": 1,
        "damaged artifacts": 1,
        "unfinished files": 1,
    }
    left = list(walk_files(store.root))
    assert [path.name for path in left] == [".used", f"{RECIPE.hash}.safetensors"]
    assert before - sum(path.stat().st_size for path in left) == sum(each.size for each in removed)
    with open_account(store.root) as account:
        assert account.read() == UsedBytes(visits=store.path(RECIPE).stat().st_size)
    assert [path for path in store.root.rglob("*") if path.is_dir() and not any(path.iterdir())] == []
    assert ArtifactStore(store.root, 10**9).load(RECIPE) is not None
    assert kinds(store) == {}


def test_a_newer_format_and_what_is_not_ours_stay(store):
    newer = replace(RECIPE, format=ARTIFACT_FORMAT + 1)
    store.save(newer, {"left": np.eye(3)}, {})
    ours, notes = store.path(newer), store.root / "README.txt"
    notes.write_text("mine")
    kinds(store)
    assert ours.exists()
    assert notes.exists()


def test_the_quota_is_applied(store):
    kinds(store)
    assert kinds(store, quota=10) == {"artifacts beyond the quota": 1}
    assert not store.path(RECIPE).exists()


def test_what_is_being_written_stays(store, start):
    script = """
import sys
from pathlib import Path
from app.store.shelf import write_unfinished
with write_unfinished(Path(sys.argv[1])) as (temporary, file):
    print(temporary, flush=True)
    sys.stdin.read()
"""
    other = start(script, store.root / "some/place/x.safetensors")
    temporary = Path(other.stdout.readline().strip())
    with write_unfinished(store.root / "here/x.safetensors") as (mine, _):
        assert kinds(store)["unfinished files"] == 1
        assert mine.exists()
    assert temporary.exists()
    other.kill()
    other.wait()
    assert kinds(store) == {"unfinished files": 1}
    assert not temporary.parent.exists()


def test_a_folder_that_was_set_aside_is_deleted_whole(store):
    store.path(RECIPE).unlink()
    (store.path(RECIPE) / "inside").mkdir(parents=True)
    assert ArtifactStore(store.root, 10**9).load(RECIPE) is None
    assert kinds(store)["damaged artifacts"] == 2
    assert list(store.root.rglob("inside")) == []


def test_links_are_deleted_and_not_what_they_lead_to(store, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").touch()
    (store.root / "x.damaged").symlink_to(elsewhere)
    (store.root / "y.damaged").symlink_to(store.root / "y.damaged")
    assert kinds(store)["damaged artifacts"] == 3
    assert [path for path in store.root.iterdir() if path.is_symlink()] == []
    assert (elsewhere / "file").exists()


def test_removing_says_what_it_freed(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_bytes(bytes(7))
    (tmp_path / "a/d").write_bytes(bytes(5))
    assert remove_path(tmp_path / "a") == 12
    assert remove_path(tmp_path / "a") == 0


def test_no_folder_has_no_leftovers(tmp_path):
    assert list(delete_leftovers(tmp_path / "nowhere", 1, set())) == []
    assert not (tmp_path / "nowhere").exists()


def test_tidying_disturbs_nobody_who_writes(start, tmp_path):
    """Each file is the only one of its folder, so that folders are empty again and again."""
    script = """
import sys
from pathlib import Path
from app.store.shelf import Shelf
shelf = Shelf(Path(sys.argv[1]), 10**9)
for i in range(300):
    path = shelf.root / sys.argv[2] / f"H{i % 7}" / "x.safetensors"
    shelf.write(path, bytes(100))
    if shelf.read(path).data != bytes(100):
        sys.exit(1)
    path.unlink()
"""
    (tmp_path / HERE).mkdir()
    writers = [start(script, tmp_path, f"{HERE}/{name}") for name in "ab"]
    while any(writer.poll() is None for writer in writers):
        list(delete_leftovers(tmp_path, 10**9, {HERE}))
    assert [writer.returncode for writer in writers] == [0, 0]
    list(delete_leftovers(tmp_path, 10**9, {HERE}))
    assert [path.name for path in tmp_path.rglob("*")] == [".used"]
