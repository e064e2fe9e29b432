"""What edits and contrasts do to SmolLM2 on prompts, beside figures that were measured by another program.

Marked, since the model has to be there: `make test-smollm2`.
"""

from itertools import product
from statistics import median

import pytest

from app.core.address import parse
from app.explorer.asking.prompts import PromptWish
from app.explorer.asking.views import Options
from app.explorer.visits.using.changes import (
    EditInquiry,
    SaraInquiry,
    SaraWish,
    SteerInquiry,
    keep_three,
    visit_edit,
    visit_sara,
    visit_steering,
)
from app.explorer.visits.using.prompts import keep_prompt
from tests.explorer.visits.using.test_smollm2_prompts import EDITOR, PAINTER, PHONE, r  # noqa: F401 (a fixture)

pytestmark = pytest.mark.smollm2

MODEL = parse("smollm2")
LOVE = ("I love you so much, you are wonderful and I adore", "I hate you so much, you are terrible and I despise")
HOT = ("The weather is hot and sunny in the summer", "The weather is cold and snowy in the winter")
CELLS = [
    *product(
        [LOVE], [("love", "hate")], ["When I see my neighbour, I", "I think dogs are animals that I"], [12, 20, 27]
    ),
    *product([HOT], [("hot", "cold")], ["In this season the air is", "The soup that she served was"], [16, 20, 27]),
]


@pytest.fixture(scope="module")
def edited(r, patiently):  # noqa: F811
    """Return edited(text, edit): the page of a prompt where heads are edited."""

    def ask(text, edit, **how):
        key = keep_prompt(r, MODEL, PromptWish(text))
        return patiently(visit_edit, r, MODEL, Options(), key, EditInquiry(edit=edit, **how))

    return ask


@pytest.mark.parametrize(
    ("text", "of", "gone", "factor", "fourfold", "elevenfold"),
    [
        (PHONE, "L25H6.ov.0", 4.6e-2, 0.72, (0.17, 1.48), 0.85),
        (PAINTER, "L29H7.ov.0", 2.8e-3, 0.95, (0.022, 1.11), 0.33),
        (EDITOR, "L27H0.ov.0n", 8.4e-4, 0.89, (0.007, 1.37), 0.066),
    ],
)
def test_named_directions_do_what_was_measured(edited, text, of, gone, factor, fourfold, elevenfold):
    page = edited(text, f"{of}:-1", draws=8)
    (own,) = page.edits
    assert page.divergence == pytest.approx(gone, rel=0.05)
    assert own.after / own.before == pytest.approx(factor, abs=0.01)
    # Random directions of the head's span do far less.
    assert median(page.random) < page.divergence / 4
    assert max(page.random) < page.divergence
    more = edited(text, f"{of}:3")
    assert more.divergence == pytest.approx(fourfold[0], rel=0.1)
    assert more.edits[0].after / more.edits[0].before == pytest.approx(fourfold[1], abs=0.02)
    assert edited(text, f"{of}:10").divergence == pytest.approx(elevenfold, rel=0.05)


def test_a_push_along_modals_is_eight_of_their_strength_and_makes_them_likely(r, patiently):  # noqa: F811
    key = keep_prompt(r, MODEL, PromptWish(PHONE))
    inquiry = SteerInquiry(of="L27H8.ov.4p", layer=28, amount=0.2, draws=8)
    page = patiently(visit_steering, r, MODEL, Options(), key, inquiry)
    assert page.units == pytest.approx(8, abs=1)
    assert page.direction.after > 5 * page.direction.before
    assert median(page.direction.random) < page.direction.after / 5


def test_the_fixed_rule_draws_to_what_attracts_and_swapped_to_the_other(r, patiently):  # noqa: F811
    gains = []
    for pair, (token, against), text, layer in CELLS:
        key, attract, repel = keep_three(r, MODEL, SaraWish(text, *pair))
        how = {"attract": attract, "repel": repel, "layer": layer, "amount": 0.3, "token": token, "against": against}
        page = patiently(visit_sara, r, MODEL, Options(), key, SaraInquiry(**how))
        gains.append((page.gain, page.swapped_gain))
    assert len(gains) == 12
    assert all(gain > 0 > swapped for gain, swapped in gains)


def test_the_sink_is_the_history(r, patiently):  # noqa: F811
    """One singular value keeps nearly all of a history's energy, by its first position alone."""
    key, attract, repel = keep_three(r, MODEL, SaraWish(PHONE, *LOVE))
    page = patiently(visit_sara, r, MODEL, Options(), key, SaraInquiry(attract=attract, repel=repel, layer=16))
    assert page.kept[0] > 0.99
    assert 0.4 < page.kept_behind[0] < 0.9
    assert page.sink > 30
