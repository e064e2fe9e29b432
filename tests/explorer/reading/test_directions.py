"""Rows as directions; sorting, searching and paging are tested where pages are."""

import numpy as np
import pytest

from app.explorer.pages.directions import Determinacy, Rest
from app.explorer.reading.directions import read_determinacy


def turned(*degrees: float) -> dict[str, np.ndarray]:
    """So far on the left side, and half as far on the right."""
    rest = np.linspace(0.99, 0.9, len(degrees), dtype=np.float32)
    left = np.array(degrees, np.float32)
    return {"turn_left": left, "turn_right": left / 2, "rest_left": rest, "rest_right": rest - 0.5}


@pytest.mark.parametrize(
    ("degrees", "first", "most", "later"),
    [
        ((3, 9, 16, 40), 2, 9, 0),
        ((9, 3, 16, 12, 40, 14), 2, 9, 2),
        ((3, 9, 14), 3, 14, 0),
        ((16, 9, 14), 0, None, 2),
        ((20,), 0, None, 0),
    ],
)
def test_the_first_directions_are_determined_or_not(degrees, first, most, later):
    arrays = turned(*degrees)
    found = read_determinacy(arrays)
    assert (found.first, found.degrees, found.later) == (first, most, later)
    if first == len(degrees):
        assert found.rest is None
    else:
        assert found.rest == Rest(arrays["rest_left"][first], arrays["rest_right"][first])


def test_the_side_that_turns_more_decides():
    arrays = turned(1, 20, 1)
    sides = {
        name.replace("left", "right") if "left" in name else name.replace("right", "left"): array
        for name, array in arrays.items()
    }
    assert read_determinacy(sides).first == read_determinacy(arrays).first == 1


def test_nothing_is_said_where_nothing_is_known():
    assert read_determinacy({}) is None
    assert read_determinacy(turned()) is None
    assert read_determinacy(turned(float("nan"), float("nan"))) is None
    assert isinstance(read_determinacy(turned(1)), Determinacy)
