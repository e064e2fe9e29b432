"""Which statistics of use pages show."""

import shutil

import numpy as np
import pytest

from app.explorer import recipes
from app.explorer.visits.using.statistics import find_statistics, load_statistics
from app.store.artifacts import ArtifactStore


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path, 10**9)


@pytest.fixture(scope="module")
def model(explorer):
    return explorer.library.model("tiny")


ARRAYS = {"ratio": np.ones(3, np.float32)}


def test_there_are_none_at_first(store, model):
    assert find_statistics(store, model, "folded") is None
    assert load_statistics(store, model, "folded") is None


def test_those_of_the_operators_text_come_first(store, model):
    own, given = recipes.use(model, "folded"), recipes.use(model, "folded", 77)
    store.write(own, ARRAYS, {})
    assert load_statistics(store, model, "folded").text == "own"
    store.write(given, ARRAYS, {})
    found = load_statistics(store, model, "folded")
    assert (found.text, found.name) == ("given", given.hash[:12])
    assert load_statistics(store, model, "raw") is None
    store.remove(given)
    assert load_statistics(store, model, "folded").text == "own"


def test_parts_and_texts_are_none(store, model):
    store.write(recipes.use_text(model, 5), {"ids": np.zeros((1, 2), np.int32)}, {})
    for part in recipes.use_parts(model, "folded", 0):
        store.write(part, ARRAYS, {})
    assert find_statistics(store, model, "folded") is None
    shutil.rmtree(store.root)
