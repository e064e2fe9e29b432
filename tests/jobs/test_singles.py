import os

import pytest

from app.core.address import parse
from app.explorer.library import Library
from app.jobs import singles as module
from app.jobs.singles import claim_singles
from app.models.catalog import Catalog
from app.models.weights import EMBEDDINGS_FILE, layer_file
from app.store.locks import claim_file

IN, OUT, EMBED = (("raw", parse(f"tiny/{path}")) for path in ("L0/mlp-in", "L1/mlp-out", "embed"))


@pytest.fixture
def model(fresh_data, monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.0)
    return Library(Catalog(fresh_data)).model("tiny")


@pytest.fixture
def is_free(model):
    """Whether another process could have that file to itself."""

    def look(file):
        handle = claim_file(model.folder / file)
        if handle is not None:
            os.close(handle)
        return handle is not None

    return look


def test_each_comes_once_while_its_weights_are_held(model, is_free):
    files = {IN: layer_file(0), OUT: layer_file(1), EMBED: EMBEDDINGS_FILE}
    seen = []
    for single in claim_singles(model, [IN, OUT, EMBED]):
        seen.append(single)
        assert [is_free(files[each]) for each in (IN, OUT, EMBED)] == [each != single for each in (IN, OUT, EMBED)]
    assert seen == [IN, OUT, EMBED]
    assert all(is_free(file) for file in files.values())


def test_what_another_process_is_at_comes_again_later(model):
    handle = claim_file(model.folder / layer_file(0))
    found = claim_singles(model, [IN, OUT, EMBED])
    assert [next(found), next(found)] == [OUT, EMBED]
    assert [next(found), next(found)] == [None, None]
    os.close(handle)
    assert list(found) == [IN]


def test_both_weights_of_one_matrix_wait_for_the_same_file(model):
    folded = ("folded", IN[1])
    handle = claim_file(model.folder / layer_file(0))
    found = claim_singles(model, [IN, folded])
    assert next(found) is None
    os.close(handle)
    assert sorted(found) == sorted([IN, folded])


def test_one_that_is_left_in_the_middle_is_free_again(model, is_free):
    found = claim_singles(model, [IN, OUT])
    assert next(found) == IN
    assert not is_free(layer_file(0))
    found.close()
    assert is_free(layer_file(0))


def test_one_that_fails_is_free_again(model, is_free):
    found = claim_singles(model, [IN, OUT])
    next(found)
    with pytest.raises(RuntimeError):
        found.throw(RuntimeError)
    assert is_free(layer_file(0))


def test_weights_that_are_gone_are_left_to_who_reads_them(model):
    (model.folder / layer_file(0)).unlink()
    assert list(claim_singles(model, [IN, EMBED])) == [IN, EMBED]


def test_of_nothing_there_is_nothing(model):
    assert list(claim_singles(model, [])) == []
