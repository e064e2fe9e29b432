import os

import numpy as np
import pytest

from app.store import grounds
from app.store.artifacts import ArtifactStore, Recipe
from app.store.grounds import GROUNDS, Grounds
from app.store.jobs import JobStore

RECIPE = Recipe("0123abcd", "decomposition", "L5/H3/ov", "folded", "svd")
OTHER = Recipe("0123abcd", "decomposition", "L5/H3/ov", "raw", "svd")
LONG_AGO = 10**18


@pytest.fixture
def noted():
    """What is noted in this test."""
    token = GROUNDS.set(Grounds())
    yield GROUNDS.get()
    GROUNDS.reset(token)


@pytest.fixture
def store(tmp_path):
    """With one artifact, written long ago."""
    store = ArtifactStore(tmp_path / "artifacts", 10**9)
    store.save(RECIPE, {"a": np.arange(3)}, {})
    os.utime(store.path(RECIPE).parent, ns=(LONG_AGO, LONG_AGO))
    return store


def test_what_is_read_stays_as_it_is(store, noted):
    again = ArtifactStore(store.root, 10**9)
    again.load(RECIPE)
    again.load(RECIPE)  # from memory
    assert noted.artifacts == {store.path(RECIPE)}
    store.path(RECIPE).unlink()
    assert noted.hold()


def test_what_is_not_there_may_come(store, noted):
    assert store.load(OTHER) is None
    assert not noted.hold()


@pytest.mark.parametrize(
    "look",
    [
        lambda store: store.exists(OTHER),
        lambda store: store.exists(RECIPE),
        lambda store: list(store.recipes(RECIPE.fingerprint, RECIPE.subject)),
    ],
)
def test_which_files_are_there_holds_until_one_comes_or_goes(store, noted, look):
    look(store)
    assert noted.hold()
    store.path(RECIPE).touch()  # as whoever reads it does
    assert noted.hold()
    store.save(OTHER, {"a": np.arange(3)}, {})
    assert not noted.hold()


def test_a_folder_that_is_not_there_may_come(store, noted):
    elsewhere = Recipe("0123abcd", "decomposition", "L6/H3/ov", "raw", "svd")
    assert not store.exists(elsewhere)
    assert noted.hold()
    store.save(elsewhere, {"a": np.arange(3)}, {})
    assert not noted.hold()


def test_a_folder_that_changed_a_moment_ago_may_change_unseen(tmp_path, noted):
    store = ArtifactStore(tmp_path / "artifacts", 10**9)
    store.save(RECIPE, {"a": np.arange(3)}, {})
    assert store.exists(RECIPE)
    assert not noted.hold()


def test_many_folders_are_not_looked_at_again(store, noted):
    for layer in range(grounds.MOST_FOLDERS + 1):
        assert noted.hold()
        store.exists(Recipe("0123abcd", "decomposition", f"L{layer}/census", "raw", "svd"))
    assert not noted.hold()


def test_jobs_are_of_the_moment_but_for_whether_there_is_any(tmp_path, noted):
    jobs = JobStore(tmp_path / "jobs")
    jobs.is_empty()
    assert noted.seen_empty == {True}
    assert noted.hold()
    jobs.all()
    assert not noted.hold()
    noted.clear()
    assert noted.hold()
    jobs.get("0123456789ab")
    assert not noted.hold()


def test_nobody_has_to_want_to_know(store):
    assert GROUNDS.get() is None
    assert store.load(RECIPE) is not None
    assert not store.exists(OTHER)
