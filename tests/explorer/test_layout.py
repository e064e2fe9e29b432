import re

import numpy as np
import pytest

from app.explorer.layout import LAYOUT, Mislaid, check_layout


def arrays_of(kind, sizes):
    """Arrays of every name that the kind may have, with these sizes of the axes that have words."""
    made = {}
    for name, form in LAYOUT[kind].items():
        dtype, *words = form.split()
        made[name] = np.zeros([int(word) if word.isdecimal() else sizes.setdefault(word, 3) for word in words], dtype)
    return made


@pytest.mark.parametrize("kind", LAYOUT)
def test_every_array_of_a_kind_may_stand_beside_every_other(kind):
    check_layout(kind, arrays_of(kind, {"n": 5}))
    check_layout(kind, {})


@pytest.mark.parametrize("kind", LAYOUT)
def test_forms_are_a_type_and_axes(kind):
    for form in LAYOUT[kind].values():
        assert re.fullmatch(r"(bool|float16|float32|float64|int8|int16|int32|int64)( (\d+|[a-z_]+))+", form)


def test_another_type_is_refused():
    arrays = arrays_of("decomposition", {})
    arrays["strength"] = arrays["strength"].astype(np.float64)
    with pytest.raises(Mislaid, match="strength is float64"):
        check_layout("decomposition", arrays)


def test_another_number_of_axes_is_refused():
    with pytest.raises(Mislaid, match="z is float32"):
        check_layout("census", {"z": np.zeros(4, np.float32)})


def test_one_word_is_one_number():
    arrays = {"z": np.zeros((4, 2), np.float32), "index": np.zeros(5, np.int32)}
    with pytest.raises(Mislaid, match=r"index is int32 \(5,\) where int32 n belongs; others have \{'n': 4"):
        check_layout("census", arrays)


def test_a_number_is_that_number():
    with pytest.raises(Mislaid, match="left_coherence"):
        check_layout("rotation", {"left_coherence": np.zeros((255, 2), np.float32)})


def test_what_no_page_expects_is_refused():
    with pytest.raises(Mislaid, match="no array surprise"):
        check_layout("vectors", {"surprise": np.zeros(1, np.float32)})
