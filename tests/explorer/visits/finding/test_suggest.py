"""What is suggested while somebody types."""

import pytest

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption
from app.explorer.visits.finding.suggest import MOST, suggest

HERE = parse("tiny")


def found(explorer, text):
    return [
        f"{one.address.path or one.address}{f'/{one.address.index}' if one.address.index is not None else ''}"
        + (f" {one.under}" if one.under else "")
        for one in suggest(explorer, HERE, Options(), text).places
    ]


def test_with_nothing_typed_there_is_where_to_begin(explorer):
    places = found(explorer, "")
    assert {"embed", "unembed", "pos", "tiny census"} <= set(places)
    assert len(places) <= MOST


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("l1", ["L1", "L1/mlp-in", "L1/mlp-out", "L1/H0"]),
        ("L1H3", ["L1/H3", "L1/H3/ov", "L1/H3/qk", "L1/H3/ov/0"]),
        ("L1H3 qk", ["L1/H3/qk", "L1/H3/qk/0", "L1/H3/qk/1"]),
        ("blocks.1.mlp.W_in", ["L1/mlp-in", "L1/mlp-in/0"]),
        ("cen", ["tiny census"]),
        ("heads", ["tiny composition"]),
    ],
)
def test_a_place_comes_first_and_then_what_is_in_it(explorer, text, places):
    assert found(explorer, text)[: len(places)] == places


def test_a_word_is_its_tokens(explorer):
    model = explorer.library.model("tiny")
    (spaced, bare) = [
        one for one in suggest(explorer, HERE, Options(), "that").places if one.under.startswith("token/")
    ]
    assert (spaced.shown, bare.shown) == ("·that", "that")
    assert spaced.under == f"token/{model.vocabulary.find(' that').id}"


def test_what_was_named_is_kept(explorer):
    first = suggest(explorer, HERE, Options(), "L1H3.ov.2n~raw").places[0]
    assert (first.address, first.ray, first.weights) == (parse("tiny/L1/H3/ov/svd/2"), "n", "raw")
    pinned = parse(f"tiny@{explorer.library.model('tiny').fingerprint[:8]}")
    assert suggest(explorer, pinned, Options(), "L1").places[0].address == pinned.at_layer(1)


@pytest.mark.parametrize("text", ["L99", "L1H99", "x" * 1_000, "<script>", "\x00", "\ud800", "#999999999", "tiny/L0/"])
def test_nothing_that_is_not_there_is_suggested(explorer, text):
    for one in suggest(explorer, HERE, Options(), text).places:
        assert one.address in {HERE, parse("tiny/L0")} or one.address.parent == parse("tiny/L0")


def test_weights_that_are_none_are_refused(explorer):
    with pytest.raises(BadOption):
        suggest(explorer, HERE, Options(weights="cooked"), "L1")
