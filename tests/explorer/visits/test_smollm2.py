"""What was measured of SmolLM2 by other means (its 4-bit copy, folded): who reads whom, and who is like whom."""

import numpy as np
import pytest

from app.core.address import parse
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.bank import parts_of
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.reading.finding.readings import open_pairs
from app.explorer.visits.finding.around import visit_around
from app.explorer.visits.finding.pair import visit_pair
from app.explorer.visits.finding.token import find_token, visit_token
from tests.explorer.steps import run_steps

pytestmark = pytest.mark.smollm2
LAYERS = (8, 10, 16, 19, 24, 28)


@pytest.fixture(scope="module")
def smollm2(open_explorer, smollm2_data):
    """With the bank of a few layers only: all of it takes minutes."""
    r = open_explorer(smollm2_data, models=("smollm2",))
    model, tables = r.library.model("smollm2"), Tables("cpu")
    wanted = {recipes.bank(model, layer, "folded") for layer in LAYERS}
    wanted |= {recipes.bank(model, 29, "folded", "neuron")}
    for recipe in parts_of(model, "folded"):
        if (recipe in wanted or recipe.kind in {"words", "tokens"}) and not r.store.exists(recipe):
            r.store.write(recipe, *run_steps(run_maker(recipe, MakerInputs(tables, model, r.store))))
    return r


@pytest.mark.parametrize(
    ("a", "row", "b", "part", "expected"),
    [
        ("L16/H6", 1, "L19/H0", "query", 8.54),
        ("L16/H6", 1, "L19/H0", "key", 7.80),
        ("L8/H8", 3, "L10/H0", "query", 8.05),
        ("L24/H1", 0, "L28/H6", "value", 12.82),
    ],
)
def test_these_directions_are_read_so_specifically(smollm2, a, row, b, part, expected):
    page = visit_pair(smollm2, f"smollm2/{a}", f"smollm2/{b}", Options(), part)
    assert page.specificities[row] == pytest.approx(expected, abs=0.02)
    assert page.later


@pytest.mark.parametrize(
    ("a", "b", "part", "expected"), [("L16/H6", "L19/H0", "query", 3.20), ("L24/H1", "L28/H6", "value", 5.43)]
)
def test_heads_compose_so(smollm2, a, b, part, expected):
    assert visit_pair(smollm2, f"smollm2/{a}", f"smollm2/{b}", Options(), part).whole == pytest.approx(
        expected, abs=0.01
    )


def test_a_direction_that_writes_quotation_marks_is_like_two_that_read_it(smollm2):
    _, written = visit_around(smollm2, parse("smollm2/L24/H1/ov/svd/0"), Options()).sides
    like = {str(one.end.address): one for one in written.neighbours.found}
    assert like["smollm2/L28/H6/ov/svd/0"].value == pytest.approx(0.95, abs=0.01)
    assert like["smollm2/L28/H7/ov/svd/1"].value == pytest.approx(0.88, abs=0.01)
    read = {(str(one.end.address), one.side): one for one in written.others.found}
    assert read["smollm2/L28/H6/ov/svd/0", "read"].value == pytest.approx(0.95, abs=0.01)
    assert read["smollm2/L28/H7/ov/svd/1", "read"].value == pytest.approx(0.89, abs=0.01)
    assert all(one.end.sign == "p" for one in (*like.values(), *read.values()) if one.value > 0)


def test_keys_and_values_of_a_group_are_read_once(smollm2_bank):
    pairs = open_pairs(smollm2_bank, smollm2_bank.library.model("smollm2"), "folded")
    assert pairs.reader[pairs.part > 0].max() <= 2
    assert (pairs.layer > pairs.writer).all()
    assert np.isfinite(pairs.specificity).all()


def test_paris_has_its_answer_on_one_page(smollm2):
    page = visit_token(smollm2, parse("smollm2"), Options(), find_token(smollm2, parse("smollm2"), Options(), " Paris"))
    assert {"·London", "·France", "·French"} <= {one.entry.shown for one in page.near}
    written = next(group for group in page.groups if group.does == "neurons-write")
    assert written.rays[0].end.address == parse("smollm2/L29/mlp-out/neuron/864")
    assert written.rays[0].expected < 1e-6
    assert "·French" in [entry.shown for entry in written.rays[0].tokens]
