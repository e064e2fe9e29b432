"""A GGUF header is read within bounds and believed only where it agrees with itself: whatever stands there, in no time."""

import struct
import time

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models.importing.gguf import header as module
from app.models.importing.gguf.header import KINDS, read_gguf_header
from app.models.refusal import ImportRefused

TENSOR = struct.pack("<Q1sIQQIQ", 1, b"w", 2, 4, 3, 0, 0)
"""Of three rows of four float32."""


def text(word):
    raw = word.encode() if isinstance(word, str) else word
    return struct.pack("<Q", len(raw)) + raw


def fact(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def file_of(*facts, tensors=(), n_facts=None, n_tensors=None, version=3, data=b""):
    n_facts = len(facts) if n_facts is None else n_facts
    n_tensors = len(tensors) if n_tensors is None else n_tensors
    raw = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_facts) + b"".join((*facts, *tensors))
    return raw + bytes(-len(raw) % 32) + data


def tensor(name="w", shape=(3, 4), kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, offset)


def read(tmp_path, raw):
    path = tmp_path / "m.gguf"
    path.write_bytes(raw)
    return read_gguf_header(path)


def test_what_another_program_wrote_is_read(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_block_count(2)
    writer.add_bool("llama.flag", True)
    writer.add_array("llama.list", [1.5, 2.5])
    writer.add_token_list(["a", "ü"])
    writer.add_tensor("one", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.add_tensor("two", np.arange(5, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_gguf_header(tmp_path / "m.gguf")
    assert found.facts["llama.block_count"] == 2
    assert found.facts["llama.flag"] is True
    assert found.facts["llama.list"] == [1.5, 2.5]
    assert found.facts["tokenizer.ggml.tokens"] == ["a", "ü"]
    one, two = found.tensors["one"], found.tensors["two"]
    assert (one.shape, one.kind.name, one.size, one.n_bytes, one.row_bytes) == ((3, 4), "F32", 12, 48, 16)
    raw = (tmp_path / "m.gguf").read_bytes()
    np.testing.assert_array_equal(np.frombuffer(raw[one.start : one.start + one.n_bytes], np.float32), np.arange(12))
    np.testing.assert_array_equal(np.frombuffer(raw[two.start : two.start + two.n_bytes], np.float16), np.arange(5))


def test_kinds_are_those_of_the_format():
    for id_, kind in KINDS.items():
        known = gguf.GGMLQuantizationType(id_)
        assert (kind.name, (kind.numbers, kind.bytes)) == (known.name, gguf.GGML_QUANT_SIZES[known])
    for id_, name in module.UNREAD.items():
        assert gguf.GGMLQuantizationType(id_).name == name


HUGE = 2**63
ATTACKS = {
    # 49 bytes that keep other readers busy for good: a list of so many lists.
    "a list without an end": (file_of(fact("a", 9, struct.pack("<IQ", 9, HUGE)))[:49], "says that it has 9,223"),
    "a list of lists": (file_of(fact("a", 9, struct.pack("<IQ", 9, 1))), "a value of kind 9 for a"),
    "more numbers than bytes": (file_of(fact("a", 9, struct.pack("<IQ", 4, 2**20))), "is cut short: it ends inside"),
    "more texts than bytes": (file_of(fact("a", 9, struct.pack("<IQ", 8, 2**20))), "is cut short: it ends inside"),
    "a text without an end": (file_of(fact("a", 8, struct.pack("<Q", HUGE))), "is cut short: it ends inside"),
    "more facts than bytes": (file_of(n_facts=4000), "is cut short|has a fact named"),
    "too many facts": (file_of(n_facts=HUGE), "says that it has .* facts: at most 4,096 are read"),
    "too many tensors": (file_of(n_tensors=HUGE), "says that it has .* tensors: at most 20,000 are read"),
    "nothing": (b"", "is cut short"),
    "another form": (b"PK\x03\x04" + bytes(60), "is no GGUF file"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "an old version": (file_of(version=1), "is GGUF of version 1: versions 2 and 3 are read"),
    "turned bytes": (file_of(version=3 << 24), "big-endian"),
    "the same twice": (file_of(fact("a", 4, b"\0" * 4), fact("a", 4, b"\0" * 4)), "says a twice"),
    "a name that does not print": (file_of(fact("a\x1b[31m", 4, b"\0" * 4)), r"a fact named 'a\\x1b\[31m', which is no name"),
    "no text": (file_of(fact("a", 8, text(b"\xff\xfe"))), "no text in UTF-8"),
    "no number": (file_of(fact("a", 6, struct.pack("<f", float("nan")))), "that is no number"),
    "an unknown kind of fact": (file_of(fact("a", 77, b"")), "a value of kind 77 for a"),
    "an odd alignment": (file_of(fact("general.alignment", 4, struct.pack("<I", 7))), "aligns its tensors at 7 bytes"),
    "one of several parts": (file_of(fact("split.count", 2, struct.pack("<H", 3))), "is one of 3 parts"),
    "a list of parts": (file_of(fact("split.count", 9, struct.pack("<IQII", 4, 2, 1, 2))), r"is one of \[1, 2\] parts"),
    "no axes": (file_of(tensors=[tensor(shape=())]), "0 axes"),
    "many axes": (file_of(tensors=[tensor(shape=(1,) * 9)]), "9 axes"),
    "an axis of nothing": (file_of(tensors=[tensor(shape=(0, 4))]), r"its shape is \[0, 4\]"),
    "an endless axis": (file_of(tensors=[tensor(shape=(HUGE, 4))]), "which no tensor has"),
    "a kind that is not read": (file_of(tensors=[tensor(kind=6)]), "stores w as Q5_0, which is not read. Those that are"),
    "a kind that nobody knows": (file_of(tensors=[tensor(kind=999)]), "as the format's kind 999, which is not read"),
    "rows that are no blocks": (file_of(tensors=[tensor(kind=8)]), "in blocks of 32, but its rows have 4 numbers"),
    "an odd place": (file_of(tensors=[tensor(offset=8)], data=bytes(64)), "at byte 8, which is no multiple of 32"),
    "the same place": (file_of(tensors=[tensor(), tensor("v")], data=bytes(96)), "v shares bytes with w"),
    "the same name": (file_of(tensors=[tensor(), tensor(offset=64)], data=bytes(128)), "two tensors named w"),
    "beyond the end": (file_of(tensors=[tensor(offset=64)], data=bytes(100)), "is cut short: w ends at byte"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_does_not_agree_is_refused_at_once(tmp_path, attack):
    raw, words = ATTACKS[attack]
    started = time.process_time()
    with pytest.raises(ImportRefused, match=words) as refusal:
        read(tmp_path, raw)
    assert time.process_time() - started < 5  # no count was believed
    assert str(refusal.value).startswith("m.gguf ")
    assert str(tmp_path) not in str(refusal.value)


def test_a_header_is_read_up_to_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_HEADER", 100)
    with pytest.raises(ImportRefused, match=r"a header of more than 0.0001 MB, which no real one has"):
        read(tmp_path, file_of(fact("a", 8, text("x" * 200))))


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "m.gguf")
    with pytest.raises(ImportRefused, match=r"m\.gguf is not a file"):
        read_gguf_header(tmp_path / "m.gguf")


@given(st.binary(max_size=400), st.integers(0, 300))
@settings(max_examples=200)
def test_no_bytes_break_it(tmp_path_factory, noise, at):
    whole = file_of(fact("general.alignment", 4, struct.pack("<I", 32)), tensors=[tensor()], data=bytes(64))
    raw = whole[:at] + noise + whole[at + len(noise) :]
    try:
        found = read(tmp_path_factory.mktemp("x"), raw)
    except ImportRefused:
        return
    for each in found.tensors.values():
        assert each.start + each.n_bytes <= len(raw)
