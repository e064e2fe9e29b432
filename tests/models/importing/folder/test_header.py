import json
import math
import os
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save

from app.models.importing.folder.header import BITS, LONGEST_HEADER, read_header
from app.models.refusal import ImportRefused

A = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
B = {"dtype": "U8", "shape": [8], "data_offsets": [24, 32]}


def write(path, header, data=b"\1" * 32):
    """A file with that header (an object or bytes) before the data."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.safetensors"


shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(st.dictionaries(st.text("ab.0", min_size=1), shapes, max_size=5), st.sampled_from(["<f4", "<f2", "u1", "<i8"]))
def test_what_the_library_writes_is_read(tmp_path_factory, wanted, dtype):
    arrays = {name: np.arange(math.prod(shape)).astype(dtype).reshape(shape) for name, shape in wanted.items()}
    file = tmp_path_factory.getbasetemp() / "written.safetensors"
    file.write_bytes(save(arrays, metadata={"format": "pt"}))
    tensors = {tensor.name: tensor for tensor in read_header(file)}
    assert tensors.keys() == arrays.keys()
    for name, tensor in tensors.items():
        assert (tensor.shape, tensor.size) == (arrays[name].shape, arrays[name].size)
        assert b"".join(tensor.pieces(7)) == arrays[name].tobytes()


@pytest.mark.parametrize("dtype", BITS)
def test_the_library_knows_the_same_dtypes(file, dtype):
    write(file, {"x": {"dtype": dtype, "shape": [8], "data_offsets": [0, BITS[dtype]]}}, bytes(BITS[dtype]))
    assert read_header(file)[0].dtype == dtype
    with safe_open(file, "np") as opened:
        assert opened.get_slice("x").get_dtype() == dtype


def nested(levels):
    return b"[" * levels + b"]" * levels


def named(facts):
    return {"a": A | facts, "b": B}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"{", "is not JSON"),
        (b"\xff{}", "UTF-8"),
        (b"[]", "expected|should be a JSON object"),
        (b"null", "should be a JSON object"),
        (b'{"x": ' + nested(10_000) + b"}", "nested deeper"),
        (b'{"x": ' + nested(100) + b"}", "nested deeper"),
        (nested(700_000), "more parts"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
        (json.dumps({"a": A, "b": B}).replace('"b"', '"a"').encode(), "'a' twice"),
        (b'{"a": {"dtype": "F32", "dtype": "F32"}}', "'dtype' twice"),
        ({f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(20_001)}, "20,001 tensors"),
        ({"": A, "b": B}, "is no name"),
        ({"a\n": A, "b": B}, "is no name"),
        ({"é": A, "b": B}, "is no name"),
        ({"\ud800": A, "b": B}, r"'\\ud800', which is no name"),
        ({"x" * 257: A, "b": B}, "is no name"),
        ({"a": None, "b": B}, "expected a dtype"),
        ({"a": {"dtype": "F32", "shape": [2, 3]}, "b": B}, "expected a dtype"),
        ({"a": A | {"more": 1}, "b": B}, "expected a dtype"),
        (named({"dtype": "F33"}), "'F33', which is none"),
        (named({"dtype": ["F32"]}), "which is none"),
        (named({"shape": [-2, -3]}), r"\[-2, -3\], which no tensor has"),
        (named({"shape": [2.0, 3]}), r"\[2.0, 3\], which no tensor has"),
        (named({"shape": [True, 6]}), "which no tensor has"),
        (named({"shape": [10**30, 0]}), "which no tensor has"),
        (named({"shape": "23"}), "which no tensor has"),
        (named({"shape": 6}), "which no tensor has"),
        (named({"shape": [1] * 9}), "which no tensor has"),
        (named({"shape": [2**39] * 8}), "do not agree"),
        (named({"shape": [2, 4]}), "do not agree"),
        (named({"dtype": "F16"}), "do not agree"),
        (named({"data_offsets": [24, 0]}), "do not agree"),
        (named({"data_offsets": [0, 24, 24]}), "but the file has 32"),
        (named({"data_offsets": [-24, 0]}), "but the file has 32"),
        (named({"data_offsets": [10**30, 10**30 + 24]}), "but the file has 32"),
        (named({"data_offsets": [16, 40]}), "but the file has 32"),
        (named({"data_offsets": [0.0, 24]}), "but the file has 32"),
        (named({"data_offsets": {"0": 24}}), "but the file has 32"),
        (named({"data_offsets": [8, 32]}), "no tensor owns|shares bytes"),
        ({"a": A}, "ends with 8 bytes that no tensor owns"),
        ({"b": B}, "b follows bytes that no tensor owns"),
        ({"a": A, "b": B, "c": B}, "c shares bytes"),
        ({"a": A, "b": B, "c": {"dtype": "F32", "shape": [0], "data_offsets": [8, 8]}}, "shares bytes"),
        ({}, "ends with 32 bytes"),
    ],
)
def test_a_header_that_lies_is_refused(file, header, words):
    with pytest.raises(ImportRefused, match=words) as refusal:
        read_header(write(file, header))
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400
    assert str(file.parent) not in str(refusal.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is empty"),
        (b"\1\2\3", "is cut short"),
        ((10).to_bytes(8, "little") + b"{}", "ends inside its header"),
        ((2**64 - 1).to_bytes(8, "little") + b"{}", "says that its header has 18,446,744,073,709,551,615 bytes"),
        ((LONGEST_HEADER + 1).to_bytes(8, "little"), "at most 10,000,000"),
    ],
)
def test_a_length_that_lies_is_refused(file, raw, words):
    file.write_bytes(raw)
    with pytest.raises(ImportRefused, match=words):
        read_header(file)


def test_a_header_that_is_too_long_is_refused_even_if_it_is_all_there(file):
    padding = b" " * LONGEST_HEADER
    with pytest.raises(ImportRefused, match="at most 10,000,000"):
        read_header(write(file, b"{}" + padding, b""))
    assert read_header(write(file, b"{}" + padding[2:], b"")) == []


def test_what_is_no_file_is_not_waited_for(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name, words in (
        ("folder", "is not a file"),
        ("pipe", "is not a file"),
        ("device", "is not a file"),
        ("loop", "cannot be opened: Too many levels"),
        ("gone", "there is no gone"),
    ):
        with pytest.raises(ImportRefused, match=words):
            read_header(tmp_path / name)


def test_bytes_that_go_while_they_are_read_are_noticed(file):
    (tensor,) = read_header(write(file, {"a": A}, b"\1" * 24))
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(OSError, match=re.escape("model.safetensors was cut short")):
        list(tensor.pieces(1000))
