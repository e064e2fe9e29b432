"""Blocks and pieces by transformers' own reader of GGUF, a private module that any release may change.

The one file that knows it (run tests/models/importing/gguf first when transformers is upgraded). Only what turns bytes
into numbers and pieces into a tokenizer is taken: its reader of headers believes every count, its loader holds the whole
model in memory, and its `dequantize_blocks` would ask the hub for a kernel. Imported late: it takes seconds.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from app.models.importing.gguf.header import KINDS, Packed
from app.models.refusal import ImportRefused

PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
IDS = {kind.name: id_ for id_, kind in KINDS.items()}


class Levels(NamedTuple):
    """The bytes of a block that hold each number's level."""

    first: int
    last: int
    """Bytes from `first` to before `last`; the rest of a block holds the distance of levels."""
    most: int
    """The level of bytes with all bits set, above that of bytes with none."""


LEVELS = {
    "Q4_0": Levels(2, 18, 15),
    "Q4_1": Levels(4, 20, 15),
    "Q8_0": Levels(2, 34, -1),  # a signed number: all bits set is the level below
    "Q2_K": Levels(16, 80, 3),
    "Q4_K": Levels(16, 144, 15),
    "Q5_K": Levels(16, 176, 31),
    "Q6_K": Levels(0, 192, 63),
    "Q3_K": Levels(0, 96, 7),
}
"""Levels of each kind whose levels are evenly spaced."""
PLACES_OF_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
"""llama.cpp's words for pre-tokenizers that split every digit off, which the library does not support."""


def unpack_rows(raw: UInt8[Tensor, " bytes"], tensor: Packed) -> Float32[Tensor, "rows columns"]:
    """Unpack the numbers of some of a tensor's rows from their bytes, float32."""
    columns = tensor.shape[-1]
    if tensor.kind.name in PLAIN:
        return raw.view(PLAIN[tensor.kind.name]).float().reshape(-1, columns)
    return _dequantize(raw, tensor.kind.name).reshape(-1, columns)


def step_sizes(raw: UInt8[Tensor, " bytes"], tensor: Packed) -> Float32[Tensor, "rows columns"] | None:
    """Compute the distance of the levels of each number's block; None if levels are uneven, 0 if numbers are exact."""
    name, columns = tensor.kind.name, tensor.shape[-1]
    if name in PLAIN:
        return torch.zeros(len(raw) // tensor.row_bytes, columns)
    if name not in LEVELS:
        return None
    first, last, most = LEVELS[name]
    ends = []
    for byte in (0, 255):
        blocks = raw.reshape(-1, tensor.kind.bytes).clone()
        blocks[:, first:last] = byte
        ends.append(_dequantize(blocks.reshape(-1), name))
    return ((ends[1] - ends[0]) / most).abs_().reshape(-1, columns)


def tokenizer_of(facts: dict[str, Any]) -> str:
    """Convert a file's tokenizer to a `tokenizer.json`; ImportRefused if there is none, or it cannot be converted."""
    from transformers.integrations.gguf import gguf_tokenizer_mapping as library

    pieces = facts.get("tokenizer.ggml.tokens")
    if not (isinstance(pieces, list) and pieces and all(isinstance(piece, str) for piece in pieces)):
        raise ImportRefused("the file has no vocabulary (tokenizer.ggml.tokens): it holds no whole language model")
    names = library.GGUF_TOKENIZER_MAPPING["tokenizer"]
    described = {name: facts[f"tokenizer.{key}"] for key, name in names.items() if f"tokenizer.{key}" in facts}
    try:
        tokenizer, _ = library.convert_gguf_tokenizer(facts["general.architecture"], described)
        if described.get("pre_tokenizer_type") in PLACES_OF_DIGITS:
            _cut_digits(tokenizer)
        return str(tokenizer.to_str())
    except Exception as error:  # whatever libraries raise at facts that make no sense
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise ImportRefused(f"no tokenizer can be made of what the file says: {words}") from error


def _cut_digits(tokenizer: Any) -> None:
    from tokenizers import pre_tokenizers

    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def _dequantize(raw: UInt8[Tensor, " bytes"], kind: str) -> Float32[Tensor, " numbers"]:
    from transformers.integrations.gguf.dequant import dequantize

    numbers: Float32[Tensor, " numbers"] = dequantize(raw, IDS[kind])
    return numbers
