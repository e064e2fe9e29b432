"""Edits as a visitor spells them, and what is said of those that mean nothing."""

import pytest

from app.core.address import Address
from app.explorer.asking.changes import MOST_EDITS, parse_edits, spell_edits
from app.explorer.changes import HeadEdit
from app.explorer.errors import BadOption, UnknownAddress

HERE = Address("tiny")


@pytest.fixture(scope="module")
def model(explorer):
    return explorer.library.model("tiny")


def parse(model, text, weights="folded"):
    return parse_edits(model, HERE, text, weights)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("L1H2.ov.3:-1", [HeadEdit(1, 2, 3, "scale", -1.0)]),
        ("L1H2.ov.3n:0.25", [HeadEdit(1, 2, 3, "scale", 0.25, "n")]),
        ("l1h2.OV.3+:10, L0H0.ov.0:−0.5", [HeadEdit(1, 2, 3, "scale", 10.0, "p"), HeadEdit(0, 0, 0, "scale", -0.5)]),
        ("tiny/L1/H2/ov/svd/3:2", [HeadEdit(1, 2, 3, "scale", 2.0)]),
        ("L1H2.ov.svd.3:mean", [HeadEdit(1, 2, 3, "mean")]),
        ("L1H2.ov.3:only L1H2.ov.0p:only", [HeadEdit(1, 2, 3, "only"), HeadEdit(1, 2, 0, "only", 0.0, "p")]),
        ("L1H2.ov.3:mean,L1H2.ov.4:2", [HeadEdit(1, 2, 3, "mean"), HeadEdit(1, 2, 4, "scale", 2.0)]),
    ],
)
def test_edits_are_read_in_their_order(model, text, plain):
    edits = parse(model, text)
    assert [edit.plain for edit in edits] == plain
    assert [edit.plain for edit in parse(model, spell_edits(edits))] == plain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Name what is changed: edit names a singular direction of a head's OV"),
        (" , ", "Name what is changed"),
        ("L1H2.ov.3", "a colon and an amount"),
        ("L1H2.ov.3:", "no amount of an edit"),
        ("L1H2.ov.3:-1.1", "from -1 (delete) to 10"),
        ("L1H2.ov.3:10.01", "from -1 (delete) to 10"),
        ("L1H2.ov.3:1e1", "no amount"),
        ("L1H2.ov.3:nan", "no amount"),
        ("L1H2.ov.3:0.0001", "no amount"),
        ("L1H2.qk.3:-1", "writes nothing: directions of OV are written"),
        ("L1H2.ov.pca.3:-1", "edit names a singular direction"),
        ("L1.mlp-in.3:-1", "edit names a singular direction"),
        ("embed.3:-1", "edit names a singular direction"),
        ("other/L1/H2/ov/svd/3:-1", "is of another model"),
        ("other/L1H2.ov.3:-1", "edit names a singular direction"),
        ("L1H2.ov.3~raw:-1", "by weights=raw"),
        ("L1H2.ov.3:-1,L1H2.ov.3n:2", "stands in edit twice"),
        ("L1H2.ov.3:only,L1H2.ov.4:2", "leaves nothing else of L1H2"),
        (",".join(f"L{n // 8}H1.ov.{n % 8}:-1" for n in range(MOST_EDITS + 1)), "These are 13 edits"),
    ],
)
def test_what_means_nothing_is_said_with_what_would_do(model, text, said):
    with pytest.raises(BadOption) as refused:
        parse(model, text)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["L99H2.ov.3:-1", "L1H99.ov.3:-1", "L1H2.ov.99:-1"])
def test_a_place_that_is_not_there_is_named_with_the_range(model, text):
    with pytest.raises(UnknownAddress, match=r"0 to|to L"):
        parse(model, text)


def test_raw_directions_may_be_named_where_weights_are_raw(model):
    assert [edit.plain for edit in parse(model, "L1H2.ov.3~raw:-1", "raw")] == [HeadEdit(1, 2, 3, "scale", -1.0)]
