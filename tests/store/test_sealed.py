import re

import numpy as np
import pytest

from app.store.sealed import Contents, Damaged, read_recipe, seal_contents, unseal_contents

CONTENTS = Contents(
    '{"subject": "L0/H0/ov"}', '{"sha256":"no", "rank": 2}', {"left": np.eye(2, 3, dtype=np.float32), "n": np.arange(3)}
)


def assert_same(found):
    assert (found.recipe, found.facts) == (CONTENTS.recipe, CONTENTS.facts)
    assert {name: array.tolist() for name, array in found.arrays.items()} == {
        name: array.tolist() for name, array in CONTENTS.arrays.items()
    }


def test_what_is_sealed_is_unsealed():
    assert_same(unseal_contents(seal_contents(CONTENTS)))


@pytest.mark.parametrize("bit", [1, 128, 255])
def test_a_change_of_any_byte_is_noticed(bit):
    data = seal_contents(CONTENTS)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
        with pytest.raises(Damaged):
            unseal_contents(changed)


def test_every_other_length_is_noticed():
    data = seal_contents(CONTENTS)
    for length in range(len(data)):
        with pytest.raises(Damaged):
            unseal_contents(data[:length])
    for more in (b"\x00", b" ", data):
        with pytest.raises(Damaged):
            unseal_contents(data + more)


def test_another_spelling_of_the_same_header_is_noticed():
    """The header is proven, not only what it says."""
    data = seal_contents(CONTENTS)
    assert b'"left"' in data
    with pytest.raises(Damaged):
        unseal_contents(data.replace(b'"left"', b'"lefT"'))


def test_the_recipe_is_read_without_the_arrays(tmp_path):
    file = tmp_path / "file"
    data = seal_contents(CONTENTS)
    length = 8 + int.from_bytes(data[:8], "little")
    file.write_bytes(data[:length])
    assert read_recipe(file) == CONTENTS.recipe


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, b"\x02" + b"\x00" * 7 + b"[]", b"\x04" + b"\x00" * 7 + b"null"])
def test_a_header_that_is_none_is_damaged(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(Damaged):
        read_recipe(tmp_path / "file")
    with pytest.raises(Damaged):
        unseal_contents(data)


def test_the_digits_of_the_checksum_have_one_spelling():
    data = seal_contents(CONTENTS)
    (digits,) = re.findall(rb'"sha256":"([0-9a-f]{64})"', data)
    if digits.upper() != digits:
        with pytest.raises(Damaged):
            unseal_contents(data.replace(digits, digits.upper()))
