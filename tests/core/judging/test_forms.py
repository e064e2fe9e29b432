import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.judging.forms import form_of, forms_of


@pytest.mark.parametrize("text", ["black", " black", "Black", " BLACK", "ｂｌａｃｋ", "\u00a0black\n"])
def test_one_word_in_any_case_width_and_space_is_one_form(text):
    assert form_of(text) == "black"


@pytest.mark.parametrize("text", ["", " ", ' "', "”", "123", "\n\n", "_(", "<", "<0xE2>", "<0xE2><0x80>"])
def test_what_has_no_letter_has_no_form(text):
    assert form_of(text) is None


def test_what_differs_in_letters_differs():
    assert len({form_of(text) for text in ("black", "blacks", "blàck", "re-do", "redo", "c++", "c")}) == 7


@given(st.text(st.characters(codec="ascii")))
def test_of_plain_letters_case_and_space_around_never_matter(text):
    assert form_of(f"  {text.swapcase()}\n") == form_of(text)


def test_tokens_of_one_form_have_its_number():
    found = forms_of([" Black", "", "white", "BLACK", " (", "black", "<0xAB>", "white "])
    assert found.texts == ("black", "white")
    assert found.codes.tolist() == [0, -1, 1, 0, -1, 0, -1, 1]


@given(st.lists(st.text(max_size=3)))
def test_every_token_finds_its_form_again(texts):
    found = forms_of(texts)
    assert [found.texts[code] if code >= 0 else None for code in found.codes.tolist()] == [*map(form_of, texts)]
    assert len(set(found.texts)) == len(found.texts)
