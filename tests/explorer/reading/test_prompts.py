"""Which directions a prompt's page lists, in numbers made by hand."""

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.reading.prompts import (
    Reference,
    choose_directions,
    read_course,
    read_direction,
    read_parts,
    read_sources,
)

SHAPE = (2, 2, 3)


def arrays(**changed):
    made = {
        "attended": np.zeros(SHAPE, np.float32),
        "strength": np.ones(SHAPE, np.float32),
        "weight": np.ones(SHAPE, np.float32),
    }
    for name, cells in changed.items():
        for place, value in cells.items():
            made[name][place] = value
    return made


def reference(mean=(), spread=1.0):
    means = np.zeros(SHAPE)
    for place, value in mean:
        means[place] = value
    return Reference("stats", "own", means, np.full(SHAPE, spread), 100)


def test_what_a_direction_always_adds_does_not_count():
    """The constant one adds most, and nothing beyond its usual."""
    made = arrays(attended={(0, 0, 0): 9.0, (1, 1, 2): -2.0, (0, 1, 1): 1.0})
    usual = reference([((0, 0, 0), 9.0)])
    assert choose_directions(made, usual, "speaks", None)[:2] == [(1, 1, 2), (0, 1, 1)]
    assert choose_directions(made, None, "speaks", None)[:2] == [(0, 0, 0), (1, 1, 2)]
    found = read_direction(made, usual, parse("m/L0/H0/ov/svd/0"))
    assert (found.direct, found.beyond, found.z) == (9.0, 0.0, 0.0)


def test_the_strongest_writes_are_those_of_heads_that_write_much_by_few():
    """Shares of a head's energy times its size: one direction of norm 3 before two of norm 3 together."""
    half = 3 / np.sqrt(2)
    made = arrays(attended={(0, 0, 1): 3.0, (1, 0, 0): half, (1, 0, 1): half, (1, 1, 0): 0.5})
    assert choose_directions(made, None, "writes", None)[:3] == [(0, 0, 1), (1, 0, 0), (1, 0, 1)]


def test_one_head_has_all_its_directions_by_size_and_none_that_is_not_there():
    made = arrays(attended={(1, 0, 0): 0.5, (1, 0, 1): -2.0}, strength={(1, 0, 2): 0.0})
    assert choose_directions(made, None, "head", (1, 0)) == [(1, 0, 1), (1, 0, 0)]


def test_a_row_says_the_end_the_share_and_what_it_adds():
    made = arrays(attended={(0, 1, 0): -3.0, (0, 1, 1): 4.0}, weight={(0, 1, 0): 0.5}, strength={(0, 1, 1): 2.0})
    found = read_direction(made, reference([((0, 1, 0), 1.0)], spread=2.0), parse("m/L0/H1/ov/svd/0"))
    assert (found.ray, found.direct, found.beyond, found.z) == ("n", -1.5, -2.0, -2.0)
    assert found.head_share == pytest.approx(9 / (9 + 64))
    still = read_direction(made, reference(spread=0.0), parse("m/L0/H1/ov/svd/0"))
    assert still.z is None


def test_a_logit_is_the_sum_of_its_parts():
    parts = read_parts(
        {
            "logit": np.array([6.0]),
            "attention": np.array([1.0, 2.0]),
            "mlp": np.array([-1.0, 3.0]),
            "embedding": np.array([0.5]),
            "constant": np.array([0.5]),
        }
    )
    assert (parts.logit, parts.heads, parts.mlps, parts.embedding, parts.constant) == (6.0, 3.0, 2.0, 0.5, 0.5)


def test_a_course_says_from_where_it_comes(explorer):
    vocabulary = explorer.library.model("tiny").vocabulary
    pattern = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]], np.float32)
    read = np.array([1.0, -4.0, 2.0], np.float32)
    made = {"read": read, "attended": pattern @ read, "pattern": pattern}
    ids, place = [70, 71, 72], parse("tiny/L0/H0/ov/svd/0")
    tokens = read_course(made, ids, vocabulary, reference([((0, 0, 0), 0.5)], spread=0.5), place)
    assert [one.attended for one in tokens] == pytest.approx([1.0, -1.5, 0.0])
    assert tokens[0].z is None  # the reference text leaves the first position out
    assert [one.z for one in tokens[1:]] == pytest.approx([-4.0, -1.0])
    assert [position for position, _ in tokens[2].sources] == [1, 2, 0]
    sources = read_sources(made, ids, vocabulary, 2)
    assert [(one.position, one.id) for one in sources] == [(1, 71), (2, 72), (0, 70)]
    assert [one.brought for one in sources] == pytest.approx([-1.2, 1.0, 0.2])
    assert sum(one.brought for one in sources) == pytest.approx(tokens[2].attended, abs=1e-6)
    assert [one.position for one in read_sources(made, ids, vocabulary, 0)] == [0]
