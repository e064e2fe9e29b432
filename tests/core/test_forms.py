import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.forms import form_of


@pytest.mark.parametrize("text", ["black", " black", "Black", " BLACK", "ｂｌａｃｋ", "\u00a0black\n"])
def test_one_word_in_any_case_width_and_space_is_one_form(text):
    assert form_of(text) == "black"


@pytest.mark.parametrize("text", ["", " ", ' "', "”", "123", "\n\n", "_(", "<"])
def test_what_has_no_letter_has_no_form(text):
    assert form_of(text) is None


def test_what_differs_in_letters_differs():
    assert len({form_of(text) for text in ("black", "blacks", "blàck", "re-do", "redo", "c++", "c")}) == 7


@given(st.text(st.characters(codec="ascii")))
def test_of_plain_letters_case_and_space_around_never_matter(text):
    assert form_of(f"  {text.swapcase()}\n") == form_of(text)
