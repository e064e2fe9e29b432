"""Continuations as pages tell them: where two texts part, and whether the changed one is still a text."""

import numpy as np
import pytest

from app.explorer.reading.changes import read_continuation, read_so_far


class Vocabulary:
    """As much of one as reading needs: its entries are the ids themselves."""

    def entry(self, id_):
        return Entry(id_)


class Entry:
    def __init__(self, id_):
        self.id = id_


def continued(plain, changed, surprise=1.0, other=1.0):
    ids = np.array([plain, changed], np.int32)
    values = np.where(ids >= 0, np.array([[surprise], [other]]), np.nan).astype(np.float32)
    return read_continuation({"ids": ids, "surprise": values}, len(plain), None, Vocabulary())


def ids_of(text):
    return [token.id for token in text.tokens]


def test_texts_part_at_the_first_different_token():
    found = continued([1, 2, 3, 4], [1, 2, 9, 4])
    assert (found.plain.same, found.changed.same) == (2, 2)
    assert continued([1, 2], [1, 2]).plain.same == 2


def test_behind_its_end_a_text_has_no_tokens():
    found = continued([1, 2, -1, -1], [1, 2, 3, 4])
    assert ids_of(found.plain) == [1, 2]
    assert found.plain.same == 2


def test_perplexity_is_that_of_the_mean_surprise():
    found = continued([1, 2], [3, 4], 1.0, 3.0)
    assert found.plain.perplexity == pytest.approx(np.e)
    assert found.times == pytest.approx(np.exp(2))
    assert found.is_broken
    assert not continued([1, 2], [3, 4], 1.0, 2.0).is_broken


def test_a_text_that_repeats_itself_is_broken_however_likely_it_is():
    varied, same = [*range(16)], [7] * 16
    assert continued(varied, same, 2.0, 0.1).is_repeating
    assert continued(varied, same, 2.0, 0.1).is_broken
    assert not continued(same, same, 2.0, 0.1).is_repeating  # the model does so by itself
    assert not continued(varied, varied[::-1]).is_repeating
    assert not continued(varied[:6], same[:6]).is_repeating  # too short to say


def test_what_there_is_so_far_is_the_plain_text_and_the_changed_one():
    found = read_so_far((1, 2, 3, 1, 5, 6), 8, 4, Vocabulary())
    assert (ids_of(found.plain), ids_of(found.changed)) == ([1, 2, 3], [1, 5, 6])
    assert (found.plain.same, found.is_done, found.seed, found.plain.perplexity) == (1, False, 4, None)
    assert ids_of(read_so_far((), 8, None, Vocabulary()).plain) == []
