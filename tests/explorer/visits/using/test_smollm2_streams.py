"""What is linear between SmolLM2's layers, and what its streams hold of unlikely tokens, beside figures measured before.

Marked, since the model has to be there: `make test-smollm2`. Those of unlikely tokens were measured by another program on
Wikipedia. Those of the linear map depend on how much text there is to fit on: here they are this program's own, so that a
change is noticed.
"""

import os
from pathlib import Path

import pytest

from app.core.address import parse
from app.core.steps import run
from app.explorer import recipes
from app.explorer.asking.streams import list_recipes
from app.explorer.asking.views import Options
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.visits.using.streams import visit_linear, visit_unlikely

pytestmark = pytest.mark.smollm2

MODEL = parse("smollm2")


@pytest.fixture(scope="module")
def r(open_explorer, request):
    """An explorer of SmolLM2 with its text, from the data folder SMOLLM2_BANK or else computed; what is missing is made."""
    built = os.environ.get("SMOLLM2_BANK")
    data = Path(built) if built else request.getfixturevalue("smollm2_data")
    found = open_explorer(data, models=("smollm2",))
    model = found.library.model("smollm2")
    inputs = MakerInputs(Tables("cpu"), model, found.store)
    for needed in (
        lambda: [recipes.use(model, "folded")],
        lambda: list_recipes(found.store, model, "folded", "linear-12-30"),
        lambda: list_recipes(found.store, model, "folded", "unlikely"),
    ):
        for recipe in needed():
            if found.store.read(recipe) is None:
                found.store.write(recipe, *run(run_maker(recipe, inputs)))
    return found


def test_no_basis_makes_the_map_simple_and_random_directions_are_no_worse(r):
    page = visit_linear(r, MODEL, Options(), 12, 30)
    assert page.whole.value == pytest.approx(0.51, abs=0.03)
    assert page.unmoved == pytest.approx(0.01, abs=0.02)
    assert [part.score for part in page.shown.quarters] == pytest.approx([0.37, 0.24, 0.25, 0.36], abs=0.03)
    assert page.random.score == pytest.approx(0.45, abs=0.03)
    assert max(one.score for one in page.bases if one.basis != "random") < page.random.score
    assert max(one.diagonal for one in page.bases if one.diagonal) < 0.04


def test_what_the_embedding_cares_little_about_is_used(r):
    last = visit_linear(r, MODEL, Options(), 12, 30).shown.quarters[-1]
    assert (last.embedding, last.start) == pytest.approx((0.11, 0.25), abs=0.03)
    assert last.end == pytest.approx(0.6, abs=0.06)


def test_unlikely_tokens_are_not_put_to_another_use(r):
    page = visit_unlikely(r, MODEL, Options())
    assert page.verdict == "absent"
    assert (page.naive.value, page.control.value) == pytest.approx((1.21, 1.01), abs=0.03)
    by_layer = {one.layer: one.control.value for one in page.streams}
    assert [by_layer[layer] for layer in (24, 26, 28)] == pytest.approx([1.06, 1.11, 1.17], abs=0.04)
    assert page.streams[-1].control.interval.low > 1.2
    assert page.streams[-1].signed.interval.high < 0
