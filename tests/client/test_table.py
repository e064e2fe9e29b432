"""Tables: every column of one kind, and nothing of a token lost on the way."""

import json
import sys

import pytest

from app.client.table import read_csv, read_rows
from app.explorer.pages.rays import Token
from app.web.api.sheet import _join_tokens, _write_csv
from tests.conftest import HOSTILE

FORMS = ("to_pandas", "to_polars", "to_arrow")


def test_columns_have_the_kind_of_their_values():
    content = b"direction,prompt,n,z,unit,letterless,only,plus\r\n1e5,0123,1,2,a,True,,\r\n7,4567,2,,b,False,,\r\n"
    table = read_csv(content)
    assert table.columns == {
        "direction": ["1e5", "7"],
        "prompt": ["0123", "4567"],
        "n": [1, 2],
        "z": [2.0, None],
        "unit": ["a", "b"],
        "letterless": [True, False],
        "only": [None, None],
        "plus": [[], []],
    }
    assert dict(table.kinds) | {"n": "whole", "z": "number", "letterless": "flag", "only": "number"} == dict(
        table.kinds
    )
    for form in FORMS:
        getattr(table, form)()


def test_every_token_comes_back():
    tokens = tuple(Token(n, text, text, "text", 0.0) for n, text in enumerate([*HOSTILE, "5", "", 'a" "b', "=1+1"]))
    table = read_csv(_write_csv([("plus", "n"), (_join_tokens(tokens), 1)]).encode())
    assert table.columns["plus"] == [[token.text for token in tokens]]
    for form in FORMS:
        getattr(table, form)()


def test_half_a_character_is_replaced_where_it_cannot_be_stored():
    table = read_csv(b'token,plus\r\n"""\\ud800a""","""\\udc00"" ""b"""\r\n')
    assert table.columns == {"token": ["?a"], "plus": [["?", "b"]]}
    assert table.to_arrow()["token"].to_pylist() == ["?a"]


def test_a_table_without_rows_has_its_columns():
    for table in (read_csv(b"direction,z\r\n"), read_csv(b"direction,z")):
        assert [list(table.to_pandas()), table.to_polars().columns, table.to_arrow().column_names] == [
            ["direction", "z"]
        ] * 3


def test_objects_are_spelt_with_dots_and_what_differs_becomes_text():
    rows = [
        {"a": {"b": 1, "c": {"d": [1, 2.5]}}, "e": [{"token": " x"}], "f": 1, "g": True, "h": 2**70},
        {"a": {"b": 2.5, "c": {"d": []}}, "e": [{"id": 1}], "f": "one", "g": None, "h": 1},
        3,
    ]
    table = read_rows(rows)
    assert table.columns == {
        "a.b": [1.0, 2.5, None],
        "a.c.d": [[1.0, 2.5], [], None],
        "e": [[" x"], [json.dumps({"id": 1})], None],
        "f": ["1", "one", None],
        "g": [True, None, None],
        "h": [2.0**70, 1.0, None],
        "value": [None, None, 3.0],
    }
    for form in FORMS:
        getattr(table, form)()


@pytest.mark.parametrize(
    ("form", "library"), [("to_pandas", "pandas"), ("to_polars", "polars"), ("to_arrow", "pyarrow")]
)
def test_a_library_that_is_missing_is_named(monkeypatch, form, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"this needs {library}, which is not installed: pip install {library}"):
        getattr(read_csv(b"a\r\n1\r\n"), form)()
