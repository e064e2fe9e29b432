"""Changes as plain data: what a recipe holds of them is what they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.explorer.changes import (
    ENDS,
    KINDS,
    HeadEdit,
    Steering,
    read_change,
    read_edits,
    spell_amount,
    write_change,
    write_edits,
)

EDITS = st.builds(
    HeadEdit,
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(0, 255),
    st.sampled_from(KINDS),
    st.integers(-1_000, 10_000).map(lambda thousandths: thousandths / 1_000),
    st.sampled_from(ENDS),
)


@given(st.lists(EDITS, max_size=12))
def test_what_is_written_is_read(edits):
    assert read_edits({"at": 3, "seed": 0} | write_edits(edits)) == edits


@given(EDITS, st.integers(0, 200), st.integers(-5_000, 5_000))
def test_a_push_is_read_as_it_was_written(of, layer, thousandths):
    change = Steering(layer, of, thousandths / 1_000)
    assert read_change({"at": 3} | write_change(change)) == change
    assert read_change({"at": 3} | write_change([of])) == [of]


@pytest.mark.parametrize(
    ("kind", "amount", "spelt"),
    [("scale", -1.0, "-1"), ("scale", 0.5, "0.5"), ("scale", 10.0, "10"), ("mean", 0.0, "mean"), ("only", 0.0, "only")],
)
def test_an_amount_is_spelt_as_a_link_has_it(kind, amount, spelt):
    assert spell_amount(kind, amount) == spelt
