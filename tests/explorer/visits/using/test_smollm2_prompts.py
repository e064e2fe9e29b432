"""What named directions of SmolLM2 do on prompts, beside figures that were measured by another program on another text.

Marked, since the model has to be there: `make test-smollm2`. The reference text of those figures was Wikipedia, here it is the
model's own, so that z are near each other, and everything without statistics is equal.
"""

import os
from pathlib import Path

import pytest

from app.core.address import parse
from app.core.steps import run
from app.explorer import recipes
from app.explorer.asking.prompts import PromptWish
from app.explorer.asking.views import Options
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.running.prompts import Limits
from app.explorer.visits.using.attention import WhyInquiry, visit_why
from app.explorer.visits.using.lens import LensInquiry, visit_lens
from app.explorer.visits.using.prompts import PromptInquiry, keep_prompt, visit_course, visit_prompt

pytestmark = pytest.mark.smollm2

MODEL = parse("smollm2")
COMPARATIVES, MODALS, COLOURS, WRITING = "L25H6.ov.0", "L27H8.ov.4", "L29H7.ov.0", "L27H0.ov.0"
PHONE = "The new phone is faster, lighter and"
STEEL = "Everybody knows that steel is stronger than wood but much"
RAIN = "She said that it might rain tomorrow, so they"
PAINTER = "The painter mixed red and blue to get a deep shade of"
EDITOR = "He sat at his desk and wrote a letter to the editor of the"


@pytest.fixture(scope="module")
def r(open_explorer, request):
    """An explorer of SmolLM2 that runs prompts, with its statistics: from the data folder SMOLLM2_BANK, or else computed."""
    built = os.environ.get("SMOLLM2_BANK")
    data = Path(built) if built else request.getfixturevalue("smollm2_data")
    found = open_explorer(data, models=("smollm2",), prompts=Limits(256, 4096))
    model = found.library.model("smollm2")
    wholes = recipes.use_wholes(model, "folded")
    if any(found.store.read(whole) is None for whole in wholes):
        for recipe in (*recipes.use_parts(model, "folded", 0), *wholes):
            found.store.write(recipe, *run(run_maker(recipe, MakerInputs(Tables("cpu"), model, found.store))))
    return found


@pytest.fixture(scope="module")
def seen(r, patiently):
    """Return seen(text): the page of a prompt at its last position."""

    def ask(text, **how):
        key = keep_prompt(r, MODEL, PromptWish(text))
        return patiently(visit_prompt, r, MODEL, Options(), key, PromptInquiry(**how))

    return ask


@pytest.fixture(scope="module")
def course(r, patiently):
    def ask(text, of):
        return patiently(visit_course, r, MODEL, Options(), keep_prompt(r, MODEL, PromptWish(text)), of)

    return ask


def row(page, of):
    label = of.replace(".ov.", " OV ")
    return next(one for one in page.directions if one.label == label)


@pytest.mark.parametrize(
    ("text", "token", "chance", "of", "share", "direct"),
    [
        (PHONE, " more", 0.33, COMPARATIVES, 0.46, 1.79),
        (RAIN, "'ll", None, MODALS, 0.22, 1.09),
        (PAINTER, " blue", 0.30, COLOURS, 0.54, 0.77),
    ],
)
def test_named_directions_speak_for_the_predicted_token(seen, text, token, chance, of, share, direct):
    page = seen(text)
    assert page.asked.entry.text == token
    assert chance is None or page.asked.chance == pytest.approx(chance, abs=0.01)
    found = row(page, of)
    assert found.head_share == pytest.approx(share, abs=0.01)
    assert found.direct == pytest.approx(direct, abs=0.01)
    assert page.directions.index(found) < 2  # by what is beyond its usual


@pytest.mark.parametrize(
    ("text", "of", "z"),
    [(PHONE, COMPARATIVES, 10.2), (RAIN, MODALS, 4.9), (PAINTER, COLOURS, 3.0), (EDITOR, WRITING, -1.6)],
)
def test_z_on_the_models_own_text_is_near_that_on_wikipedia(course, text, of, z):
    # Two texts of the model and one of another kind gave 12.0, 13.4 and 12.7 for the first: the spread is the text's.
    assert course(text, of).tokens[-1].z == pytest.approx(z, abs=1.3, rel=0.35)


def test_writing_arrives_where_one_writes_and_a_modal_before_it(course):
    tokens = course(EDITOR, WRITING).tokens
    by_text = {one.entry.text: one.z for one in tokens}
    assert max(by_text[" a"], by_text[" letter"], by_text[" editor"]) < -2.5
    cake = course("In the kitchen I had baked a cake and you could", MODALS).tokens
    assert cake[-2].z > 2.5 > abs(cake[-1].z)  # at " you", not at " could"


def test_unrelated_prompts_leave_the_named_ones_alone(course):
    for text in ("The capital city of France is called", "Two plus two makes exactly"):
        for of in (COMPARATIVES, MODALS, COLOURS, WRITING):
            assert abs(course(text, of).tokens[-1].z) < 2.5


def test_taking_the_direction_away_does_more_than_random_ones(seen):
    found = row(seen(PHONE, draws=8), COMPARATIVES)
    assert found.total > 3 * max(map(abs, found.random))
    assert found.total < found.direct  # a share is no effect


def test_why_a_head_looks_at_the_name_that_is_to_come(r, patiently):
    """Beside figures of another program: score 3.530, singular values 3.109 2.826 2.523, terms 9, 0, 1, 29, 14."""
    key = keep_prompt(r, MODEL, PromptWish("When Mary and John went to the store, John gave a drink to"))
    page = patiently(visit_why, r, MODEL, Options(), key, WhyInquiry("L24H4", to=13))
    assert (page.source, page.tokens[1].token, page.distance) == (1, " Mary", 12)
    assert page.tokens[1].attention == pytest.approx(0.81, abs=0.005)
    assert page.score == pytest.approx(3.530, abs=0.01)
    assert [one.address.index for one in page.terms[:5]] == [9, 0, 1, 29, 14]
    assert [one.term for one in page.terms[:5]] == pytest.approx([1.51, -1.17, -0.83, 0.59, 0.50], abs=0.03)
    assert page.settled < page.settled_random


def test_the_mean_shifted_lens_is_nearer_and_the_raw_one_worse_than_none_before_layer_27(r, patiently):
    """As another program found on another text, where 22% of the raw lens's first tokens end beyond place 1,000."""
    key = keep_prompt(r, MODEL, PromptWish("When Mary and John went to the store, John gave a drink to"))
    shifted = patiently(visit_lens, r, MODEL, Options(), key, LensInquiry())
    raw = patiently(visit_lens, r, MODEL, Options(), key, LensInquiry(raw=True))
    assert shifted.end.token == raw.end.token == " Mary"
    for layer in (6, 12, 18, 24):
        assert shifted.points[layer].divergence < raw.points[layer].divergence - 3
        assert raw.points[layer].divergence > raw.constant
    assert shifted.points[29].divergence < shifted.constant
    assert max(range(30), key=lambda layer: shifted.points[layer].attention) == 23
