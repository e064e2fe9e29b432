"""A table of columns, out of a CSV or of a list in JSON, for pandas, polars or Arrow, none of which it needs itself.

A column holds one kind of value: text, whole numbers, numbers, flags, lists of texts or of numbers; None where there is
nothing. Knows no server and no page.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from .text import mend

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Kind = Literal["text", "whole", "number", "flag", "texts", "numbers"]

TEXTS = {"direction", "basis", "unit", "side", "class", "ray", "reading", "mixture", "prompt", "writer", "reader"}
"""Columns of a CSV that are text whatever stands there: a key may look like a number."""
TOKENS = {"token", "text", "before", "after"}
"""Columns of a CSV whose values are a JSON string each."""
TOKEN_LISTS = {"plus", "minus", "tokens"}
"""And those whose values are JSON strings with spaces between them."""
FLAGS = {"True": True, "False": False}
_DECODE = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, each with its kind."""

    columns: Mapping[str, Sequence[Any]]
    kinds: Mapping[str, Kind]

    def to_pandas(self) -> "pandas.DataFrame":
        """Make a pandas.DataFrame: missing numbers are NaN; ImportError."""
        pandas = require("pandas")
        nan = float("nan")
        filled = {
            name: [nan if one is None else one for one in column] if self.kinds[name] == "number" else list(column)
            for name, column in self.columns.items()
        }
        return pandas.DataFrame(filled)

    def to_polars(self) -> "polars.DataFrame":
        """Make a polars.DataFrame: missing values are null; ImportError."""
        pl = require("polars")
        types = {
            "text": pl.String,
            "whole": pl.Int64,
            "number": pl.Float64,
            "flag": pl.Boolean,
            "texts": pl.List(pl.String),
            "numbers": pl.List(pl.Float64),
        }
        schema = {name: types[kind] for name, kind in self.kinds.items()}
        return pl.DataFrame(dict(self.columns), schema=schema)

    def to_arrow(self) -> "pyarrow.Table":
        """Make a pyarrow.Table: missing values are null; ImportError."""
        pa = require("pyarrow")
        types = {
            "text": pa.string(),
            "whole": pa.int64(),
            "number": pa.float64(),
            "flag": pa.bool_(),
            "texts": pa.list_(pa.string()),
            "numbers": pa.list_(pa.float64()),
        }
        return pa.table({name: pa.array(own, types[self.kinds[name]]) for name, own in self.columns.items()})


def require(library: str) -> Any:
    """Import a library that only some need; ImportError that says how to get it."""
    try:
        return import_module(library)
    except ImportError:
        raise ImportError(f"this needs {library}, which is not installed: pip install {library}") from None


def read_csv(content: bytes) -> Table:
    """Read a CSV of the server's; ValueError where it is none.

    Tokens are JSON strings there, so that a line is a line and no spreadsheet takes one for a formula: here they are texts.
    """
    try:
        names, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    read = {name: _read_column(name, column) for name, column in zip(names, columns, strict=True)}
    return _make_table(read)


def read_rows(rows: Iterable[Any]) -> Table:
    """Make a table of a list in JSON: a row for each object, the fields of objects in it as `left.side`.

    A list of tokens becomes the list of their texts, and any other list of objects its JSON.
    """
    flat = [_flatten(row if isinstance(row, dict) else {"value": row}) for row in rows]
    names = dict.fromkeys(name for row in flat for name in row)
    return _make_table({name: [row.get(name) for row in flat] for name in names})


def _read_column(name: str, column: Sequence[str]) -> list[Any]:
    if name in TEXTS:
        return [one or None for one in column]
    if name in TOKENS:
        return [json.loads(one) if one else None for one in column]
    if name in TOKEN_LISTS:
        return list(map(_split_tokens, column))
    readers: tuple[Callable[[str], Any], ...] = (FLAGS.__getitem__, int, float)
    for read in readers:
        try:
            return [read(one) if one else None for one in column]
        except (ValueError, KeyError):
            continue
    return [one or None for one in column]


def _split_tokens(joined: str) -> list[str]:
    """Split JSON strings with spaces between them.

    Example: _split_tokens('" a" "b"') -> [" a", "b"]
    """
    found, at = [], 0
    while at < len(joined):
        token, at = _DECODE(joined, at)
        found.append(token)
        at += 1
    return found


def _flatten(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, own in value.items():
        if isinstance(own, dict):
            flat |= _flatten(own, f"{before}{name}.")
        else:
            flat[before + name] = _flatten_list(own) if isinstance(own, list) else own
    return flat


def _flatten_list(own: list[Any]) -> list[Any]:
    if all(isinstance(one, dict) and isinstance(one.get("token"), str) for one in own):
        return [one["token"] for one in own]
    return [json.dumps(one) if isinstance(one, dict | list) else one for one in own]


def _make_table(columns: Mapping[str, Sequence[Any]]) -> Table:
    """Settle the kind of each column, and make its values that."""
    kinds: dict[str, Kind] = {name: _kind_of(name, column) for name, column in columns.items()}
    made = {name: [_MAKE[kinds[name]](one) for one in column] for name, column in columns.items()}
    return Table(made, kinds)


def _kind_of(name: str, column: Sequence[Any]) -> Kind:
    there = [one for one in column if one is not None]
    if not there:
        return "text" if name in TEXTS | TOKENS else "texts" if name in TOKEN_LISTS else "number"
    if all(isinstance(one, bool) for one in there):
        return "flag"
    if all(_is_number(one) for one in there):
        is_whole = len(there) == len(column) and all(isinstance(one, int) and abs(one) < 2**63 for one in there)
        return "whole" if is_whole else "number"
    if all(isinstance(one, list) for one in there):
        items = [item for one in there for item in one]
        return "numbers" if items and all(map(_is_number, items)) else "texts"
    return "text"


def _is_number(one: Any) -> bool:
    return isinstance(one, int | float) and not isinstance(one, bool)


def _make_text(one: Any) -> str | None:
    return None if one is None else mend(one if isinstance(one, str) else json.dumps(one))


def _make_list(make: Callable[[Any], Any], one: Any) -> list[Any] | None:
    return None if one is None else [make(item) for item in one]


def _make_number(one: Any) -> float | None:
    return None if one is None else float(one)


def _keep(one: Any) -> Any:
    return one


_MAKE: dict[Kind, Callable[[Any], Any]] = {
    "text": _make_text,
    "whole": _keep,
    "number": _make_number,
    "flag": _keep,
    "texts": partial(_make_list, _make_text),
    "numbers": partial(_make_list, _make_number),
}
