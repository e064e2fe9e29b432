import json
import os
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models.importing.folder.document import parse, quote_word, read_bytes, read_document
from app.models.refusal import ImportRefused

LIMIT = 10_000
numbers = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), values, max_size=3))
def test_what_json_writes_is_read(value):
    assert parse(json.dumps(value).encode(), "some.json", 1_000_000) == value


@given(st.binary(max_size=200) | st.text('[]{}:,"\\u0dE+-. 1aN', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_refused(raw):
    with suppress(ImportRefused):
        assert isinstance(parse(raw, "some.json", LIMIT), dict)


def test_sizes_are_bounded_while_they_are_read(tmp_path):
    file = tmp_path / "large.json"
    file.touch()
    os.truncate(file, 2**40)  # a hole: it takes no room until somebody reads it
    with pytest.raises(ImportRefused, match=r"large.json is larger than 0.01 MB"):
        read_bytes(file, LIMIT)
    file.write_bytes(b"x" * LIMIT)
    assert read_bytes(file, LIMIT) == b"x" * LIMIT


def test_depth_is_bounded_below_what_recursion_bears():
    deepest = b'{"a":' * 64 + b"1" + b"}" * 64
    assert parse(deepest, "some.json", LIMIT)
    for raw in (b'{"a":' + deepest + b"}", b'{"a":' * 20_000):
        with pytest.raises(ImportRefused, match="nested deeper than 64"):
            parse(raw, "some.json", 1_000_000)


def test_a_key_may_be_there_once_at_any_depth():
    with pytest.raises(ImportRefused, match="'b' twice"):
        parse(b'{"a": [{"b": 1, "c": 2, "b": 1}]}', "some.json", LIMIT)


def test_links_are_followed(tmp_path):
    (tmp_path / "blob").write_text('{"a": 1}')
    (tmp_path / "config.json").symlink_to("blob")
    assert read_document(tmp_path / "config.json", LIMIT) == {"a": 1}


@given(st.text())
def test_a_quoted_word_can_stand_in_any_message(text):
    word = quote_word(text)
    assert word.isprintable()
    assert len(word) <= 61
    assert len(text) > 50 or word.rstrip("…") in ascii(text)
