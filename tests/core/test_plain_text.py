from hypothesis import given
from hypothesis import strategies as st

from app.core.plain_text import spell_out


@given(st.text())
def test_everything_prints_and_nothing_is_spelt_out_twice(text):
    shown = spell_out(text)
    assert shown.isprintable()
    shown.encode("utf-8")  # does not raise
    assert spell_out(shown) == shown
    assert (shown == text) == text.isprintable()


def test_what_does_not_print_is_an_escape():
    assert spell_out("a\x1b[31m\r\n\u202eb\x9b\udcff é漢👩") == r"a\x1b[31m\r\n\u202eb\x9b\udcff é漢👩"
