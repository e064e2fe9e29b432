from hashlib import sha256

import pytest

from app.models.importing.folder.fingerprint import take_fingerprint
from app.models.importing.folder.header import Stored
from app.models.refusal import ImportRefused

BYTES = bytes(range(200))


@pytest.fixture
def tensors(tmp_path):
    """Two tensors with bytes, and one without between them."""
    file = tmp_path / "model.safetensors"
    file.write_bytes(BYTES)
    places = {"a": (0, 120), "b": (120, 120), "c": (120, 200)}
    return [Stored(name, "U8", (end - start,), file, start, end) for name, (start, end) in places.items()]


def taken(tensors, facts=None, tokenizer=b"{}"):
    return take_fingerprint(facts or {}, tokenizer, tensors)


def test_it_is_one_hash_over_everything(tensors):
    parts = [b'{"n_layer": 2}', sha256(b"{}").digest(), b'["a", "U8", [120]]', BYTES[:120], b'["b", "U8", [0]]']
    expected = sha256(b"".join([*parts, b'["c", "U8", [80]]', BYTES[120:]]))
    assert taken(tensors, {"n_layer": 2}).digits == expected.hexdigest()


@pytest.mark.parametrize("size", [1, 7, 120, 1000])
def test_pieces_are_the_bytes_whatever_their_size(tensors, size):
    fingerprint = taken(tensors)
    for tensor in tensors:
        pieces = list(fingerprint.pieces(tensor, size))
        assert b"".join(pieces) == BYTES[tensor.start : tensor.end]
        assert all(0 < len(piece) <= size for piece in pieces)


def test_a_changed_tensor_is_refused_behind_its_last_piece_and_others_are_not(tensors):
    fingerprint = taken(tensors)
    tensors[0].file.write_bytes(b"\xff" + BYTES[1:])
    pieces = fingerprint.pieces(tensors[0], 50)
    assert [len(next(pieces)) for _ in range(3)] == [50, 50, 20]
    with pytest.raises(ImportRefused, match=r"model\.safetensors was changed while it was imported \(a is not what"):
        next(pieces)
    assert b"".join(fingerprint.pieces(tensors[2])) == BYTES[120:]


def test_a_tensor_that_was_cut_short_is_an_error_of_files(tensors):
    fingerprint = taken(tensors)
    tensors[0].file.write_bytes(BYTES[:150])
    with pytest.raises(OSError, match="cut short while it was read"):
        list(fingerprint.pieces(tensors[2]))
