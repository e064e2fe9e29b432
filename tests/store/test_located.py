"""A sealed file read in parts: proven like the whole, and never believed once it is another."""

import os

import numpy as np
import pytest

from app.store.located import Changed, locate_arrays, open_file
from app.store.sealed import Contents, Damaged, seal_contents, unseal_contents

ARRAYS = {
    "vectors": np.arange(24, dtype=np.float32).reshape(6, 4),
    "halves": np.arange(6, dtype=np.float16).reshape(3, 2),
    "flags": np.array([[True, False], [False, True]]),
    "kind": np.arange(5, dtype=np.int8),
    "head": np.arange(5, dtype=np.int16),
    "none": np.zeros((0, 2, 3), np.int32),
    "one": np.arange(3),
}
CONTENTS = Contents('{"subject": "bank"}', '{"sha256":"no", "rank": 2}', ARRAYS)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "one.safetensors"
    path.write_bytes(seal_contents(CONTENTS))
    return path


def found_at(path, *, proven=False):
    handle = open_file(path)
    try:
        return locate_arrays(path, handle, proven=proven)
    finally:
        os.close(handle)


def test_every_array_is_read_as_it_was_written(path):
    found = found_at(path)
    assert (found.recipe, found.facts) == (CONTENTS.recipe, {"sha256": "no", "rank": 2})
    assert set(found.stretches) == set(ARRAYS)
    for name, array in ARRAYS.items():
        read = found.read(name)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


def test_rows_are_read_by_their_places(path):
    found, room = found_at(path), np.full((2, 4), np.nan, np.float32)
    with found.open_handle() as handle:
        found.read_into(handle, "vectors", 3, room)
    np.testing.assert_array_equal(room, ARRAYS["vectors"][3:5])


def test_it_is_proven_as_the_whole_is(path):
    """Every byte counts, every other length is noticed: what `unseal` refuses, this refuses."""
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(Damaged):
            unseal_contents(path.read_bytes())
        with pytest.raises(Damaged):
            found_at(path)
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(Damaged):
            found_at(path)


def test_what_was_proven_is_not_read_again(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert set(found_at(path, proven=True).stretches) == set(ARRAYS)


@pytest.mark.parametrize("proven", [True, False])
def test_a_header_that_names_more_than_there_is_is_refused(path, proven):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(Damaged):
        found_at(path, proven=proven)


@pytest.mark.parametrize("how", ["shortened", "deleted", "replaced", "a pipe"])
def test_a_file_that_is_another_by_now_is_noticed(path, how):
    found = found_at(path)
    if how == "shortened":
        os.truncate(path, path.stat().st_size - 1)
    else:
        path.rename(path.with_suffix(".old"))  # whose inode stays taken
    if how == "replaced":
        path.write_bytes(seal_contents(CONTENTS))
    if how == "a pipe":
        os.mkfifo(path)
    with pytest.raises(Changed):
        found.read("vectors")


def test_a_file_that_is_cut_short_while_it_is_open_costs_an_error(path):
    found, room = found_at(path), np.zeros((6, 4), np.float32)
    with found.open_handle() as handle:
        os.truncate(path, found.stretches["vectors"].start + 10)
        with pytest.raises(Changed):
            found.read_into(handle, "vectors", 0, room)
