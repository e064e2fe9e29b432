"""Statistics of use on the pages of a direction, a matrix and a head."""

import itertools
import math
import shutil
import time

import numpy as np
import pytest

from app.core.address import parse
from app.core.judging.rays import ALPHA, HEADLINE
from app.core.steps import run
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption
from app.explorer.layout import USE_FIRST, count_first
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.reading.using import OVERUSE, read_direction_use, read_head_use, read_model_use, read_overuse
from app.explorer.visits import browse, census

HEAD = parse("tiny/L1/H2")
DIRECTION = parse("tiny/L1/H2/ov/svd/3")


@pytest.fixture(scope="module")
def used(open_explorer, tiny_data, tmp_path_factory):
    """An explorer whose model's statistics were computed, in folded weights, and their arrays."""
    r = open_explorer(shutil.copytree(tiny_data, tmp_path_factory.mktemp("used") / "data"))
    model = r.library.model("tiny")
    recipe = recipes.use(model, "folded")
    made = run(run_maker(recipe, MakerInputs(Tables("cpu"), model, r.store)))
    r.store.write(recipe, *made)
    return r, made[0]


def test_a_direction_says_what_it_does_once_that_is_computed(used, explorer, patiently):
    r, arrays = used
    page = patiently(browse.visit_direction, r, DIRECTION, Options())
    assert page.use.used_share == pytest.approx(float(arrays["used"][1, 2, 3]))
    assert page.use.skew.interval.low <= page.use.skew.value <= page.use.skew.interval.high
    assert 0 < page.use.positive < 1
    assert patiently(browse.visit_direction, explorer, DIRECTION, Options()).use is None


@pytest.mark.parametrize("place", ["L1/H2/qk/svd/3", "L1/H2/ov/neuron/3", "L1/mlp-in/svd/3", "embed/svd/0"])
def test_other_matrices_and_bases_say_nothing_of_it(used, patiently, place):
    r, _ = used
    assert patiently(browse.visit_direction, r, parse(f"tiny/{place}"), Options()).use is None


def test_other_weights_have_other_statistics(used, patiently):
    r, _ = used
    assert patiently(browse.visit_direction, r, DIRECTION, Options(weights="raw")).use is None


def test_a_head_says_how_its_first_directions_share_it_out(used, patiently):
    r, arrays = used
    head = patiently(browse.visit_head, r, HEAD, Options())
    alone = patiently(browse.visit_matrix, r, HEAD.at("ov"), Options())
    assert head.qk.use is None
    use = head.ov.use
    assert use == alone.use
    rank = head.ov.rank
    assert use.first == count_first(rank) < rank
    assert use.fitted == pytest.approx(float(arrays["fitted"][1, 2, use.first - 1]))
    assert use.even == pytest.approx(
        sum(value**2 for value in head.ov.singular_values[: use.first])
        / sum(value**2 for value in head.ov.singular_values),
        rel=1e-4,
    )
    assert use.random == use.first / rank
    assert use.used_curve[use.first] == pytest.approx(arrays["used"][1, 2, : use.first].sum(), rel=1e-5)
    assert (use.used_curve[0], use.fitted_curve[0], len(use.used_curve)) == (0, 0, rank + 1)
    assert use.n_tokens == arrays["ids"].shape[0] * (arrays["ids"].shape[1] - 1)


def test_what_does_not_vary_says_nothing(used):
    _, arrays = used
    still = arrays | {name: np.full_like(arrays[name], np.nan) for name in ("used", "fitted", "skew")}
    assert read_direction_use(still, "own", DIRECTION, None) is None
    assert read_head_use(still, "own", HEAD, 8) is None
    assert read_head_use(arrays, "own", HEAD, 0) is None
    assert read_model_use(still | {"first": np.full_like(arrays["first"], np.nan)}, "own") is None


def make_statistics(*, used, low, high, strength):
    """Make statistics of one layer of heads: the share of the first directions with its interval, and all strengths."""
    squares = np.square(np.array(strength, np.float32))
    first = np.stack([np.array(each, np.float32) for each in (used, low, high)], axis=-1)
    ratio = np.array([1.1, 0.9, 1.3], np.float32)
    even = (squares / squares.sum(-1, keepdims=True))[None]
    return {"first": first[None], "even": even, "ids": np.zeros((4, 11)), "ratio": ratio}


def test_a_model_says_how_many_heads_use_their_first_directions_more_and_less():
    """Sixteen even directions: the first eight have one half by the weights."""
    arrays = make_statistics(
        used=[0.9, 0.55, 0.25, np.nan],
        low=[0.8, 0.45, 0.2, np.nan],
        high=[1.0, 0.65, 0.4, np.nan],
        strength=np.ones((4, 16)),
    )
    use = read_model_use(arrays, "given")
    assert (use.first, use.n_heads, use.n_tokens) == (USE_FIRST, 3, 40)
    assert (use.used, use.even, *use.ratio.interval) == pytest.approx((0.55, 0.5, 0.9, 1.3))
    assert (use.above, use.below) == pytest.approx((1 / 3, 1 / 3))
    assert read_overuse(arrays)[0].tolist() == pytest.approx([math.log2(1.8), math.log2(1.1), -1, 0], abs=1e-6)


@pytest.mark.parametrize(("d_head", "first"), [(1, 1), (2, 1), (8, 4), (16, 8), (64, 8)])
def test_the_first_directions_are_never_all_that_a_head_has(d_head, first):
    assert count_first(d_head) == first


def test_the_map_of_a_model_is_coloured_by_it_once_it_is_there(used, open_explorer, explorer, patiently, tmp_path):
    """Shares are made up, so that heads differ much."""
    own, arrays = used
    r = open_explorer(shutil.copytree(own.store.root.parent, tmp_path / "data"))
    shares = np.random.default_rng(0).uniform(0.2, 0.9, arrays["first"].shape[:2]).astype(np.float32)
    arrays = arrays | {"first": arrays["first"] * shares[..., None]}
    r.store.write(recipes.use(r.library.model("tiny"), "folded"), arrays, {})
    model = parse("tiny")
    page = patiently(browse.visit_model, r, model, Options(), OVERUSE)
    expected = np.log2(arrays["first"][..., 0] / arrays["even"][..., :4].sum(-1))
    found = [[cell.value for cell in row] for row in page.map.rows]
    assert found == [pytest.approx(row, rel=1e-4) for row in expected.tolist()]
    assert (page.use.used, page.use.below) == (pytest.approx(np.median(arrays["first"][..., 0])), 1)
    assert page.use == read_model_use(arrays, "own")
    assert patiently(browse.visit_model, explorer, model, Options()).use is None
    with pytest.raises(BadOption, match="singular-lens statistics tiny --weights folded computes it"):
        browse.visit_model(explorer, model, Options(), OVERUSE)
    assert OVERUSE not in patiently(browse.visit_model, r, model, Options(weights="raw")).map.scores


def test_the_census_asks_whether_what_is_readable_is_used(used, explorer, patiently):
    """Ends at p < .01 are counted by hand, from each head's own page."""
    r, arrays = used
    for _ in range(2_000):
        page = patiently(census.visit_census, r, parse("tiny"), Options())
        if page.is_whole:
            break
        time.sleep(0.01)
    assert page.is_whole
    write = next(use for use in page.uses if use.kind == "ov-write")
    same = []
    for layer, head in itertools.product(range(arrays["skew"].shape[0]), range(arrays["skew"].shape[1])):
        matrix = parse(f"tiny/L{layer}/H{head}/ov")
        for row in patiently(browse.visit_matrix, r, matrix, Options(whole=True)).directions:
            skew = arrays["skew"][layer, head, row.address.index, 0]
            for ray, sign in ((row.right.rays.plus, 1), (row.right.rays.minus, -1)):
                same += [sign * skew > 0] if ray.p[HEADLINE] < ALPHA else []
    assert write.rays == len(same)
    assert write.same_side is None if not same else write.same_side.value == pytest.approx(np.mean(same))
    assert write.correlation.interval is None  # of two layers nothing is claimed
    (finding,) = (one for one in page.findings if one.about == "use")
    assert "nothing is claimed" in finding.answer
    assert patiently(census.visit_census, explorer, parse("tiny"), Options()).uses == ()
