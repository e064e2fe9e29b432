"""What is taken from the library's private module does what the `gguf` package does, for every kind that is read."""

import json
import math

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers.integrations.gguf.dequant import GGML_BLOCK

from app.models.importing.gguf.header import KINDS, Packed
from app.models.importing.gguf.library import LEVELS, PLAIN, step_sizes, tokenizer_of, unpack_rows
from app.models.refusal import ImportRefused

UNEVEN = {"IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M", "IQ4_NL", "IQ4_XS"}


def of_kind(name, n_rows=6, seed=0):
    """Random rows of that kind: (their bytes, the tensor). Scales are numbers, whatever the rest says."""
    (id_,) = (id_ for id_, kind in KINDS.items() if kind.name == name)
    kind, columns = KINDS[id_], 512
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (n_rows, columns // kind.numbers * kind.bytes), np.uint8)
    if name in PLAIN:
        numbers = rng.standard_normal((n_rows, columns)).astype(np.float32)
        raw = gguf.quants.quantize(numbers, gguf.GGMLQuantizationType(id_)).view(np.uint8).reshape(n_rows, -1)
    else:
        # No scale is NaN or infinite: the exponents of all 16-bit numbers that might be one lose their highest bit.
        blocks = raw.reshape(-1, kind.bytes)
        for at in range(1, kind.bytes, 2):
            blocks[:, at] &= 0xBF
    return torch.from_numpy(raw.reshape(-1).copy()), Packed("w", (n_rows, columns), kind, 0), id_


def test_the_library_knows_the_kinds_that_are_read():
    blocks = {id_: (kind.numbers, kind.bytes) for id_, kind in KINDS.items() if kind.name not in PLAIN}
    assert blocks == GGML_BLOCK
    assert LEVELS.keys() | PLAIN.keys() | UNEVEN == {kind.name for kind in KINDS.values()}


@pytest.mark.parametrize("name", [kind.name for kind in KINDS.values()])
def test_numbers_are_those_of_the_gguf_package(name):
    raw, tensor, id_ = of_kind(name)
    expected = gguf.quants.dequantize(raw.numpy().reshape(tensor.shape[0], -1), gguf.GGMLQuantizationType(id_))
    np.testing.assert_array_equal(unpack_rows(raw, tensor).numpy(), expected.reshape(tensor.shape))


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_steps_are_what_lies_between_a_blocks_levels(name):
    raw, tensor, _ = of_kind(name)
    numbers, steps = unpack_rows(raw, tensor).double(), step_sizes(raw, tensor).double()
    apart = []
    for row in range(tensor.shape[0]):
        for start in range(0, tensor.shape[1], 16):  # of one scale in every kind
            part, step = numbers[row, start : start + 16], steps[row, start]
            assert (steps[row, start : start + 16] == step).all()
            if step == 0:
                assert len(part.unique()) == 1
                continue
            levels = (part - part[0]) / step
            torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-2)
            apart.append(math.gcd(*levels.round().int().tolist()))
    assert apart.count(1) > len(apart) / 3  # no finer grid is claimed than there is


@pytest.mark.parametrize("name", sorted(UNEVEN))
def test_uneven_levels_have_no_step(name):
    raw, tensor, _ = of_kind(name)
    assert step_sizes(raw, tensor) is None


def test_what_is_kept_as_it_is_has_steps_of_nothing():
    raw, tensor, _ = of_kind("F16")
    assert not step_sizes(raw, tensor).any()


BYTES = {
    "general.architecture": "llama",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["<|end|>", "a", "b", "ab", "Ġ", "1", "2", "12", "<think>"],
    "tokenizer.ggml.token_type": [3, 1, 1, 1, 1, 1, 1, 1, 4],
    "tokenizer.ggml.merges": ["a b", "1 2"],
}
PIECES = {
    "general.architecture": "llama",
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": ["<s>", "<0x0A>", "▁", "a", "b", "ab", "▁ab"],
    "tokenizer.ggml.token_type": [3, 6, 1, 1, 1, 1, 1],
    "tokenizer.ggml.scores": [0.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0],
}


@pytest.mark.parametrize("facts", [BYTES, PIECES], ids=["bytes", "pieces"])
def test_every_piece_keeps_its_id(facts):
    tokenizer = Tokenizer.from_str(tokenizer_of(facts))
    pieces = facts["tokenizer.ggml.tokens"]
    assert [tokenizer.id_to_token(id_) for id_ in range(len(pieces))] == pieces


def test_special_tokens_are_those_that_the_file_marks():
    added = {token["content"]: token["special"] for token in json.loads(tokenizer_of(BYTES))["added_tokens"]}
    assert (added["<|end|>"], added["<think>"]) == (True, False)
    assert "a" not in added


def test_digits_stand_alone_where_the_files_way_of_cutting_has_it():
    together = Tokenizer.from_str(tokenizer_of(BYTES))
    alone = Tokenizer.from_str(tokenizer_of(BYTES | {"tokenizer.ggml.pre": "smollm"}))
    assert together.encode("ab 12").tokens[-1] == "12"
    assert alone.encode("ab 12").tokens == ["ab", "Ġ", "1", "2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokenizer.ggml.tokens": []}, "no vocabulary"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "no vocabulary"),
        ({"tokenizer.ggml.model": "rwkv"}, "no tokenizer can be made of what the file says: .*'rwkv'"),
        ({"tokenizer.ggml.merges": ["nothing of these"]}, "no tokenizer can be made"),
        ({"tokenizer.ggml.merges": 7}, "no tokenizer can be made"),
        ({"tokenizer.ggml.token_type": ["x"]}, None),
    ],
)
def test_what_makes_no_tokenizer_is_refused(change, words):
    if words is None:
        assert tokenizer_of(BYTES | change)
        return
    with pytest.raises(ImportRefused, match=words):
        tokenizer_of(BYTES | change)
