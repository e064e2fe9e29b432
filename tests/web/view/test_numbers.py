import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.view.numbers import (
    cell,
    chance,
    count,
    four_digits,
    heat,
    ordinal,
    percent,
    percentile,
    power_of_ten,
    scored,
    short_decimal,
    signed_decimal,
    signed_number,
)


def read(text):
    return float(text.replace("−", "-").replace(",", ""))


@given(st.floats(1e-9, 1e9) | st.floats(-1e9, -1e-9))
def test_four_significant_digits_are_the_number_to_a_thousandth(value):
    assert read(four_digits(value)) == pytest.approx(value, rel=5.01e-4)
    assert "e" not in four_digits(value)


@given(st.floats(0, 1))
def test_a_percentage_is_the_share(value):
    assert read(percent(value).removesuffix("%")) == pytest.approx(100 * value, abs=0.0501)


@given(st.floats(0, 1))
def test_a_chance_is_near_the_value_or_said_to_be_small(value):
    shown = chance(value)
    assert (shown == "< .001") == (value < 0.001)
    assert value < 0.001 or read(shown) == pytest.approx(value, abs=0.00051)
    assert shown[0] != "0"


@given(st.floats(-900, 900))
def test_a_cell_is_short_and_near_the_value(value):
    shown = cell(value)
    assert len(shown) <= 5
    assert read(shown) == pytest.approx(value, abs=0.51 if abs(value) > 90 else 0.051 if abs(value) > 9 else 0.0051)


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (1024, "1,024"), (1_234_567, "1.2M"), (124_439_808, "124M")])
def test_counts_are_written_as_people_do(value, shown):
    assert count(value) == shown


@given(st.floats(-1, 1))
def test_colours_of_two_sides_are_symmetric(value):
    side, step = heat(value, -1, 1)[0], int(heat(value, -1, 1)[1:])
    assert step == pytest.approx(10 * abs(value), abs=0.5001)
    assert side == "n" if value < -0.05 else step == 0 or side == "p"


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0, 1))
def test_colours_of_one_side_go_from_none_to_full(low, span, part):
    high = low + span
    step = int(heat(low + part * span, low, high).removeprefix("p"))
    assert 0 <= step <= 10
    if span > 1e-6:
        assert heat(low, low, high) == "p0"
        assert heat(high, low, high) == "p10"


@given(st.floats(1e-30, 1e3))
def test_an_error_keeps_its_power_of_ten(value):
    assert float(power_of_ten(value)) == pytest.approx(value, rel=0.5)
    assert "e-0" not in power_of_ten(value)
    assert power_of_ten(0.0) == "0"


@given(st.floats(-50, 50))
def test_odds_are_two_digits(value):
    assert read(short_decimal(value)) == pytest.approx(value, rel=0.051, abs=0.00001)
    assert "e" not in short_decimal(value)
    assert not short_decimal(value).startswith(("0.", "−0"))


@given(st.floats(-50, 50))
def test_a_z_has_one_decimal_and_no_sign_at_nothing(value):
    assert read(signed_decimal(value)) == pytest.approx(value, abs=0.0501)
    assert signed_decimal(value) != "−0.0"


@given(st.floats(-1_000, 1_000))
def test_a_signed_number_has_its_sign_unless_it_is_nothing(value):
    shown = signed_number(value)
    assert shown == "0" if abs(value) < 0.0005 else shown[0] == ("−" if value < 0 else "+")
    assert read(shown.lstrip("+")) == pytest.approx(value, abs=0.00501)


def test_what_is_not_known_is_a_dash():
    assert short_decimal(None) == signed_decimal(None) == scored(None) == "–"
    assert scored(0.3) == ".30"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (50, "50th"),
    ],
)
def test_a_place_in_an_order(value, text):
    assert ordinal(value) == text


def test_nearly_all_is_not_all():
    assert [percentile(value) for value in (0, 99.5, 99.97, 100)] == ["0.0%", "99.5%", "> 99.9%", "> 99.9%"]
