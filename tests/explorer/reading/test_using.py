"""Statistics of use on the pages of a direction, a matrix and a head."""

import shutil

import numpy as np
import pytest

from app.core.address import parse
from app.core.steps import run
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.layout import USE_FIRST
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.reading.using import read_direction_use, read_head_use
from app.explorer.visits import browse

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
    assert use.first == min(USE_FIRST, rank)
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
    assert read_direction_use(still, DIRECTION) is None
    assert read_head_use(still, HEAD, 8) is None
    assert read_head_use(arrays, HEAD, 0) is None
