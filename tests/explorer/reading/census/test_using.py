"""Whether what is readable is used: relations that were put there, and sentences that say no more than intervals allow."""

import numpy as np
import pytest

from app.core.judging.bootstrap import Estimate, Interval
from app.explorer.pages.census import CensusUse
from app.explorer.reading.census.counts import Group, MatrixRays
from app.explorer.reading.census.using import answer_use, describe_use, measure_uses

N_LAYERS, N_HEADS, N = 12, 3, 24
MORE = Estimate(0.3, Interval(0.2, 0.4), 12)
LESS = Estimate(-0.3, Interval(-0.4, -0.2), 12)
FAINT = Estimate(0.04, Interval(0.02, 0.06), 12)
OPEN = Estimate(0.1, Interval(-0.2, 0.4), 12)
ALONE = Estimate(0.1, None, 2)


def make_group(z, p, name="ov-write"):
    """Make a group of heads from [layers heads n 2]."""
    layers = {
        layer: tuple(MatrixRays(layer, head, z[layer, head], p[layer, head]) for head in range(z.shape[1]))
        for layer in range(len(z))
    }
    return {name: Group(name, layers, z.shape[0] * z.shape[1], 0)}


def make_statistics(overuse, skew):
    """Make statistics whose used shares are so many times those of falling weights, as log2; [layers heads n]."""
    strength = np.geomspace(3, 0.3, overuse.shape[-1])
    even = np.broadcast_to(strength**2 / (strength**2).sum(), overuse.shape)
    used = even * 2.0**overuse
    return {"used": used, "even": even, "skew": np.stack([skew, skew - 0.1, skew + 0.1], axis=-1)}


@pytest.fixture
def z():
    return np.random.default_rng(3).normal(size=(N_LAYERS, N_HEADS, N, 2))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_relation_that_was_put_there_is_found(z, sign):
    noise = np.random.default_rng(4).normal(size=z.shape[:-1])
    statistics = make_statistics(sign * z.max(axis=-1) + 0.5 * noise, np.ones(z.shape[:-1]))
    (use,) = measure_uses(make_group(z, np.full(z.shape, 0.5)), statistics)
    low, high = use.correlation.interval
    assert low * sign > 0.5
    assert high * sign > 0.5
    assert (use.rays, use.same_side) == (0, None)


def test_what_the_place_alone_brings_is_no_relation(z):
    """Weak directions read worse and are used more: place explains both."""
    noise = np.random.default_rng(5).normal(size=z.shape[:-1])
    place = np.linspace(0, 4, N)
    statistics = make_statistics(place + noise, np.ones(z.shape[:-1]))
    (use,) = measure_uses(make_group(z - place[:, None], np.full(z.shape, 0.5)), statistics)
    assert use.correlation.interval.low < 0 < use.correlation.interval.high
    raw = np.corrcoef((z - place[:, None]).max(-1).ravel(), (place + noise).ravel())[0, 1]
    assert raw < -0.5


def test_readable_ends_are_compared_with_the_side_of_the_skew():
    p = np.full((N_LAYERS, 1, N, 2), 0.5)
    p[:, 0, 0, 0] = p[:, 0, 1, 1] = p[:, 0, 2, 0] = p[:, 0, 3, 1] = 0.001  # +, −, + and −
    skew = np.zeros((N_LAYERS, 1, N))
    skew[:, 0, :4] = 1.0, -1.0, -1.0, np.nan  # the same side, the same, the other, not known
    (use,) = measure_uses(make_group(np.zeros(p.shape), p), make_statistics(np.zeros(skew.shape), skew))
    assert use.rays == 3 * N_LAYERS
    assert use.same_side.value == pytest.approx(2 / 3)
    assert use.correlation is None  # all z are equal


def test_heads_that_could_not_be_judged_or_write_nothing_count_nowhere(z):
    z = z.copy()
    z[0, 0], z[1, 1, :, 0] = np.nan, np.nan
    overuse = np.random.default_rng(6).normal(size=z.shape[:-1])
    statistics = make_statistics(overuse, np.ones(z.shape[:-1]))
    statistics["used"] = statistics["used"].copy()
    statistics["used"][2, 2] = np.nan
    (use,) = measure_uses(make_group(z, np.full(z.shape, 0.5)), statistics)
    assert np.isfinite(use.correlation.value)


def test_other_kinds_are_not_told(z):
    statistics = make_statistics(np.zeros(z.shape[:-1]), np.ones(z.shape[:-1]))
    assert measure_uses(make_group(z, np.full(z.shape, 0.5), "qk-key"), statistics) == ()


@pytest.mark.parametrize(
    ("correlation", "said"),
    [
        (MORE, "used more than"),
        (LESS, "used less than"),
        (FAINT, "used a little more than"),
        (OPEN, "neither more nor less"),
        (ALONE, "nothing is claimed"),
    ],
)
def test_an_answer_claims_what_its_interval_allows(correlation, said):
    assert answer_use([CensusUse("ov-write", correlation, 0, None)]).startswith("OV write: ")
    assert said in answer_use([CensusUse("ov-write", correlation, 0, None)])


def test_kinds_of_one_answer_share_a_sentence_and_sides_have_their_own():
    uses = [
        CensusUse("ov-read", OPEN, 100, Estimate(0.54, Interval(0.52, 0.56), 12)),
        CensusUse("ov-write", OPEN, 200, Estimate(0.51, Interval(0.48, 0.54), 12)),
    ]
    assert answer_use(uses) == (
        "OV read, OV write: directions that read better are used neither more nor less than their weights let expect, as far "
        "as can be told. Readable ends of OV read: on the side of the longer tail of what is read a little more often than "
        "not. Readable ends of OV write: as often on the one side of what is read as on the other, as far as can be told."
    )
    assert describe_use(uses[0], 64) == (
        "OV read: within a head the rank correlation of z and of use beyond weights is 0.10 (−0.20 to 0.40); of 100 OV read "
        "ends with p < .01, 54.0% (52.0% to 56.0%) lie on the side of the longer tail of what the direction reads; 50% do by "
        "chance."
    )
    nothing = CensusUse("ov-read", None, 0, None)
    assert answer_use([nothing]) == describe_use(nothing, 64) == ""
