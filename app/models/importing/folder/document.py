"""Untrusted JSON files, read within bounds on size, number of parts and depth.

Knows nothing of what the file is about. Messages go to visitors: they hold the file's name, never its path.
"""

import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from app.models.refusal import ImportRefused

DEEPEST = 64
"""Most levels of lists and objects; a model's own files have a handful."""
MOST_DIGITS = 40
LONGEST_QUOTE = 60
POINTER = b"version https://git-lfs.github.com/spec/"
"""The beginning of a file that git-lfs has not fetched."""
GGUF = b"GGUF"


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """Open the file for reading, links followed (the hub's cache is made of them); ImportRefused if it is no plain
    file.

    A pipe or a device is never waited for.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ImportRefused(f"there is no {path.name}") from error
    except OSError as error:
        raise ImportRefused(f"{path.name} cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ImportRefused(f"{path.name} is not a file: a folder, a pipe or a device has its name")
    with os.fdopen(handle, "rb") as file:
        yield file


def read_bytes(path: Path, limit: int) -> bytes:
    """Read all of a file of at most that many bytes; ImportRefused if it is longer."""
    with open_plain(path) as file:
        raw = file.read(limit + 1)
    refuse_other_form(raw[: len(POINTER)], path.name)
    if len(raw) > limit:
        raise ImportRefused(f"{path.name} is larger than {limit / 1e6:g} MB, which no real one is")
    return raw


def refuse_other_form(first: bytes, name: str) -> None:
    """Raise ImportRefused if a file begins like another form that people have under such a name."""
    refuse_pointer(first, name)
    if first.startswith(GGUF):
        raise ImportRefused(
            f"{name} is a GGUF file under another name: give the file itself, by its path, or rename it"
        )


def refuse_pointer(first: bytes, name: str) -> None:
    """Raise ImportRefused if the beginning shows a git-lfs pointer in place of the file."""
    if first.startswith(POINTER):
        raise ImportRefused(f"{name} is a Git LFS pointer, which only stands for the file: run git lfs pull")


def read_document(path: Path, limit: int) -> dict[str, Any]:
    """Read the object in a JSON file of at most that many bytes; ImportRefused if it is none."""
    return parse(read_bytes(path, limit), path.name, limit)


def parse(raw: bytes, name: str, limit: int) -> dict[str, Any]:
    """Parse the bytes of a JSON object; ImportRefused, naming the file, if they are none or beyond the bounds.

    No key may occur twice, no number may be NaN or infinite, and there may be one part for every 16 bytes of the limit:
    Python needs some 60 bytes for a part, and so never more than a few times the limit.
    """
    if sum(raw.count(mark) for mark in b"[{,") > limit // 16:
        raise ImportRefused(f"{name} has more parts than any real one")
    try:
        value = DECODER.decode(raw.decode("utf-8"))
        if _is_deeper(value, DEEPEST):
            raise RecursionError
    except RecursionError as error:
        raise ImportRefused(f"{name} is nested deeper than {DEEPEST} levels, which no real one is") from error
    except UnicodeDecodeError as error:
        raise ImportRefused(f"{name} is not JSON: it is not text in UTF-8") from error
    except ValueError as error:
        raise ImportRefused(f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ImportRefused(f"{name} holds no settings: it should be a JSON object")
    return value


def quote_word(text: object) -> str:
    """Quote an untrusted word for a message: escaped, and cut if it is long."""
    word = ascii(text)
    return word if len(word) <= LONGEST_QUOTE else word[:LONGEST_QUOTE] + "…"


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a mapping from the pairs; ValueError if a key is there twice."""
    value = dict(pairs)
    if len(value) != len(pairs):
        key, _times = Counter(key for key, _value in pairs).most_common(1)[0]
        raise ValueError(f"it says {quote_word(key)} twice")
    return value


def _parse_integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)


def _parse_finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"it holds {quote_word(digits)}, which is too large for a number")
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which is no number")


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether lists and objects are nested deeper than that, found without recursion."""
    row = [value]
    for _ in range(levels + 1):
        row = [part for each in row if isinstance(each, dict | list) for part in _parts(each)]
    return bool(row)


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_doubles,
    parse_int=_parse_integer,
    parse_float=_parse_finite,
    parse_constant=_refuse_constant,
)
"""Strict JSON: Python's own reader also takes NaN and a key that is there twice."""
