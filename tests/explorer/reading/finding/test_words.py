"""Tables of words beside the artifacts they are made of, in memory and read from disk."""

import os

import numpy as np
import pytest

from app.explorer import bank, recipes
from app.explorer.errors import ComputationFailed, NotBuilt
from app.explorer.reading.finding import streams
from app.explorer.reading.finding.words import open_words
from tests.explorer.banks import build_bank


@pytest.fixture(params=["held", "streamed", "halved"])
def way(request, monkeypatch, reader, model, exact):
    if request.param != "held":
        monkeypatch.setattr(bank, "WORDS_BYTES", 0)
        monkeypatch.setattr(streams, "BLOCK_BYTES", 5_000)
    if request.param == "halved":
        for end in ("read", "write"):
            recipe = recipes.words(model, end, 0, "folded")
            reader.store.write(recipe, {"halves": exact(recipe)["unit"].astype(np.float16)}, {})
    return request.param


@pytest.mark.parametrize("end", ["read", "write"])
def test_rows_and_similarities_are_those_of_the_file(reader, model, exact, way, end):
    (unit,) = exact(recipes.words(model, end, 0, "folded")).values()
    assert (unit.dtype == np.float16) == (way == "halved")
    words, query = open_words(reader, model, "folded", end), np.random.default_rng(0).normal(size=32)
    ids = np.array([5, 299, 5, 0])
    np.testing.assert_array_equal(words.rows(ids), unit[ids])
    np.testing.assert_allclose(words.similarities(query), unit.astype(np.float64) @ query, atol=1e-5)
    assert open_words(reader, model, "folded", end) is words


def test_a_table_that_changes_under_its_reader_costs_one_answer(reader, model, monkeypatch):
    monkeypatch.setattr(bank, "WORDS_BYTES", 0)
    words = open_words(reader, model, "folded", "read")
    os.truncate(reader.store.path(recipes.words(model, "read", 0, "folded")), 5_000)
    with pytest.raises(ComputationFailed):
        words.similarities(np.ones(32))
    with pytest.raises(ComputationFailed):
        words.rows(np.array([1]))
    with pytest.raises(NotBuilt):
        open_words(reader, model, "folded", "read")
    open_words(reader, model, "folded", "write")


def test_both_ends_of_raw_tied_weights_are_one(reader, model):
    with pytest.raises(NotBuilt):
        open_words(reader, model, "raw", "write")
    build_bank(reader, "tiny", "raw", kinds=("words",))
    assert open_words(reader, model, "raw", "write") is open_words(reader, model, "raw", "read")
