"""How alike the top tokens of a ray are spelt: a measure that knows tokens' texts and nothing of the model's geometry.

Two tokens share a trait if they have the same value of it. What that is worth is its surprise in bits,
`-log2(share of the vocabulary with that value)`, so that agreeing in what most tokens have counts for next to nothing.
Traits are added as if they were independent, which they are not: who shares three letters shares two, and digits have
no capitals. So the sum is no probability; it orders rays, and means something only beside a control's. (Counting of
nested affixes only what each letter adds was tried on a small trained model: it told fewer rays from random ones.)

Letters are compared after NFKC and without case: full-width, ligature and mathematical forms are those of plain letters.
Knows no ids beyond the place of a text in a list, and no spans of bytes: `<0xE2>` is a byte, not four letters.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float32, Float64, Int32, Int64
from torch import Tensor

TRAITS = (
    *("prefix 1", "prefix 2", "prefix 3"),
    *("suffix 1", "suffix 2", "suffix 3"),
    *("capitalisation", "script", "digits", "leading space"),
)
AFFIXES = (1, 2, 3)
"""Letters of a prefix or suffix."""
MOST_BITS = 8.0
"""Of one trait: a value of fewer than 1 in 256 tokens is worth no more, however large the vocabulary."""
BYTES = re.compile(r"(?:<0x[0-9A-Fa-f]{2}>)+")
ROWS = 1_024
"""Rays compared at a time: what is needed in between stays in the cache."""

Value = str | None


class Traits(NamedTuple):
    """What each token's text is like; traits in the order of TRAITS."""

    codes: Int32[Tensor, "n_tokens n_traits"]
    """Equal for equal values of one trait; -1 where a text has none, as `a` has no prefix of two letters."""
    worths: Float32[Tensor, "n_tokens n_traits"]
    """Bits that agreement in that value is worth, at most MOST_BITS; 0 where there is none."""


def traits(texts: Sequence[str]) -> Traits:
    """The traits of all tokens of a vocabulary, by id.

    An empty text stands for an id that is no token: it has no traits, and no share of the vocabulary.

    Example: " Singing" has the prefixes s, si, sin, the suffixes g, ng, ing, and is Title, latin, without digits, with a
    leading space.
    """
    rows = [_values(text) for text in texts]
    codes = torch.tensor([_codes(column) for column in zip(*rows, strict=True)], dtype=torch.int32)
    codes = codes.view(len(TRAITS), len(texts)).T.contiguous()
    shares = torch.stack([_holders(column) for column in codes.T], dim=1) / max(1, sum(map(bool, texts)))
    return Traits(codes, torch.where(codes >= 0, -shares.log2(), 0.0).clamp(0.0, MOST_BITS))


def likeness(traits: Traits, ids: Int64[Tensor, "n k"]) -> Float32[Tensor, " n"]:
    """Bits that a pair of each ray's tokens share, the mean over its pairs, whatever their order.

    An id of -1 stands for no token. A ray of fewer than 2 tokens has no pairs, and its likeness is nan.
    """
    parts = [_shared_bits(traits, some) for some in torch.split(ids, ROWS)]
    present = (ids >= 0).sum(dim=1)
    return (torch.cat(parts) / (present * (present - 1) / 2)).float()


def _shared_bits(traits: Traits, ids: Int64[Tensor, "n k"]) -> Float64[Tensor, " n"]:
    """The sum over each row's pairs: a token's worth as often as one before it has its code.

    Tokens lie along the first axis, so that all rays' i-th and j-th are compared in one go along the memory.
    """
    gone = (ids.T < 0)[:, :, None]
    here = ids.T.clamp(min=0).contiguous()
    codes = traits.codes[here].masked_fill_(gone, -1).flatten(1)
    worths = traits.worths[here].masked_fill_(gone, 0).flatten(1)
    agreeing = torch.zeros(codes.shape, dtype=torch.int16, device=ids.device)
    for apart in range(1, len(codes)):
        agreeing[apart:] += codes[apart:] == codes[:-apart]
    # In float64 no sum is rounded, so that the order of tokens does not matter.
    return (agreeing * worths).sum(dim=0, dtype=torch.float64).view(len(ids), len(TRAITS)).sum(dim=1)


def _holders(codes: Int32[Tensor, " n_tokens"]) -> Int64[Tensor, " n_tokens"]:
    """How many tokens have each token's value."""
    return torch.bincount(codes.long() + 1)[codes.long() + 1]


def _codes(values: Sequence[Value]) -> list[int]:
    """A number for each value, by first appearance."""
    seen: dict[str, int] = {}
    return [-1 if value is None else seen.setdefault(value, len(seen)) for value in values]


def _values(text: str) -> tuple[Value, ...]:
    """The text's value of each trait."""
    if not text:
        return (None,) * len(TRAITS)
    if BYTES.fullmatch(text):
        return (*[None] * 2 * len(AFFIXES), "none", "byte", "none", "none")
    plain = unicodedata.normalize("NFKC", text)
    letters = "".join(filter(str.isalpha, plain.casefold()))
    prefixes = [letters[:n] if len(letters) >= n else None for n in AFFIXES]
    suffixes = [letters[-n:] if len(letters) >= n else None for n in AFFIXES]
    space = "space" if text.startswith(" ") else "none"
    return (*prefixes, *suffixes, _capitalisation(plain), _script(plain), _digits(plain), space)


def _capitalisation(plain: str) -> str:
    """One of lower, title (a single capital, too), upper, mixed; none without letters that have a case."""
    capitals = [character.isupper() for character in plain if character.isupper() or character.islower()]
    if not capitals:
        return "none"
    if not any(capitals):
        return "lower"
    if not any(capitals[1:]):
        return "title"
    return "upper" if all(capitals) else "mixed"


def _script(plain: str) -> str:
    """The script of the letters, mixed if they have several; without letters: digits, invisible, or punctuation."""
    scripts = {_script_of(character) for character in plain if character.isalpha()}
    if scripts:
        return scripts.pop() if len(scripts) == 1 else "mixed"
    if any(map(str.isdecimal, plain)):
        return "digits"
    # C*: control, format, surrogate, private, unassigned. Z*: spaces. What is left is punctuation, symbols and marks.
    return "invisible" if all(unicodedata.category(each)[0] in "CZ" for each in plain) else "punctuation"


@lru_cache(maxsize=2**14)
def _script_of(letter: str) -> str:
    """The first word of its name in Unicode: latin, cyrillic, greek, cjk, arabic …"""
    return unicodedata.name(letter, "unnamed").split()[0].lower()


def _digits(plain: str) -> str:
    """None, mixed with something else than spaces, or the number of digits that it is made of."""
    bare = plain.strip()
    if not any(map(str.isdecimal, bare)):
        return "none"
    return str(len(bare)) if bare.isdecimal() else "mixed"
