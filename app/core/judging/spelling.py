"""Spelling likeness: how alike the forms of a ray's tokens are spelt, a measure that does not use the model.

Forms (`app.core.judging.forms`) are compared, each once: `my`, ` My` and ` MY` are one word, and not three that share
their letters. Two forms share a trait if they have the same value of it. A shared value is worth its surprise in bits,
`-log2(share of the vocabulary's forms with that value)`, so that agreeing in what most have counts for next to nothing.
Traits are added as if they were independent, which they are not: forms that share three letters share two. So the sum
is no probability; it orders rays, and means something only beside a control's. (Counting for nested affixes only what
each letter adds was tried on a small trained model: it told fewer rays from random ones.)

Beginnings and endings are those of words: a form of fewer than three letters has none. Knows no tokens, only the
numbers of their forms.
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from torch import Tensor

TRAITS = ("prefix 1", "prefix 2", "prefix 3", "suffix 1", "suffix 2", "suffix 3", "script", "digits")
AFFIXES = (1, 2, 3)
"""Lengths of prefixes and suffixes, in letters."""
WORD = 3
"""Letters of the shortest form that has prefixes and suffixes."""
LONGEST = (TRAITS.index("prefix 3"), TRAITS.index("suffix 3"))
MOST_BITS = 8.0
"""Largest worth of one trait: a value of fewer than 1 in 256 forms is worth no more, however large the vocabulary."""
ROWS = 1_024
"""Rays compared at a time: what is needed in between stays in the cache."""

Value = str | None


class Traits(NamedTuple):
    """The trait values of each form, in the order of TRAITS."""

    codes: Int32[Tensor, "n_forms n_traits"]
    """Equal for equal values of one trait; -1 where a form has none, as `to` has no prefix."""
    worths: Float32[Tensor, "n_forms n_traits"]
    """Bits that agreement in the value is worth, at most MOST_BITS; 0 where the form has none."""


def traits(forms: Sequence[str]) -> Traits:
    """Compute the traits of all forms of a vocabulary, each given once.

    Example: "singing" has the prefixes s, si, sin, the suffixes g, ng, ing, and is latin, without digits.
    """
    rows = [_trait_values(form) for form in forms]
    codes = torch.tensor([_encode_values(column) for column in zip(*rows, strict=True)], dtype=torch.int32)
    codes = codes.view(len(TRAITS), len(forms)).T.contiguous()
    shares = torch.stack([_count_holders(column) for column in codes.T], dim=1) / max(1, len(forms))
    return Traits(codes, torch.where(codes >= 0, -shares.log2(), 0.0).clamp(0.0, MOST_BITS))


def likeness(traits: Traits, forms: Int64[Tensor, "n k"]) -> Float32[Tensor, " n"]:
    """Compute the mean bits that a pair of each ray's forms shares, whatever their order.

    -1 stands for no form. A ray of fewer than 2 has no pairs, and its likeness is nan.
    """
    parts = [_shared_bits(traits, some) for some in torch.split(forms, ROWS)]
    present = (forms >= 0).sum(dim=1)
    return (torch.cat(parts) / (present * (present - 1) / 2)).float()


def is_apart(traits: Traits, forms: Int64[Tensor, "n k"]) -> Bool[Tensor, "n k"]:
    """Return which forms neither begin nor end with the same three letters as one before them; never a -1."""
    codes = [torch.where(forms >= 0, traits.codes[:, trait][forms.clamp(min=0)], -1) for trait in LONGEST]
    return (forms >= 0) & ~torch.stack([is_repeated(each) for each in codes]).any(dim=0)


def is_repeated(codes: Int64[Tensor, "n k"] | Int32[Tensor, "n k"]) -> Bool[Tensor, "n k"]:
    """Return which codes occur before in their row; -1 is no code, and is never repeated."""
    # A row's places lie along the first axis, so that comparing all rows' i-th and j-th reads consecutive memory.
    here = codes.T.contiguous()
    repeated = torch.zeros(here.shape, dtype=torch.bool, device=codes.device)
    for apart in range(1, len(here)):
        repeated[apart:] |= here[apart:] == here[:-apart]
    return (repeated & (here >= 0)).T


def _shared_bits(traits: Traits, forms: Int64[Tensor, "n k"]) -> Float64[Tensor, " n"]:
    """Sum the bits over each row's pairs: a form's worth as often as one before it has its code.

    Forms lie along the first axis, so that comparing all rays' i-th and j-th reads consecutive memory.
    """
    gone = (forms.T < 0)[:, :, None]
    here = forms.T.clamp(min=0).contiguous()
    codes = traits.codes[here].masked_fill_(gone, -1).flatten(1)
    worths = traits.worths[here].masked_fill_(gone, 0).flatten(1)
    agreeing = torch.zeros(codes.shape, dtype=torch.int16, device=forms.device)
    for apart in range(1, len(codes)):
        agreeing[apart:] += codes[apart:] == codes[:-apart]
    # In float64 no sum is rounded, so that the order of forms does not matter.
    return (agreeing * worths).sum(dim=0, dtype=torch.float64).view(len(forms), len(TRAITS)).sum(dim=1)


def _count_holders(codes: Int32[Tensor, " n_forms"]) -> Int64[Tensor, " n_forms"]:
    """Count the forms that have each form's value."""
    return torch.bincount(codes.long() + 1)[codes.long() + 1]


def _encode_values(values: Sequence[Value]) -> list[int]:
    """Number the values by first appearance."""
    seen: dict[str, int] = {}
    return [-1 if value is None else seen.setdefault(value, len(seen)) for value in values]


def _trait_values(form: str) -> tuple[Value, ...]:
    """List the form's value of each trait."""
    letters = "".join(filter(str.isalpha, form))
    is_word = len(letters) >= WORD
    prefixes = [letters[:n] if is_word else None for n in AFFIXES]
    suffixes = [letters[-n:] if is_word else None for n in AFFIXES]
    return (*prefixes, *suffixes, _script(letters), "some" if any(map(str.isdecimal, form)) else "none")


def _script(letters: str) -> str:
    """Return the script of the letters, mixed if they have several."""
    scripts = {_script_of(letter) for letter in letters}
    return scripts.pop() if len(scripts) == 1 else "mixed"


@lru_cache(maxsize=2**14)
def _script_of(letter: str) -> str:
    """Return the first word of the letter's name in Unicode: latin, cyrillic, greek, cjk, arabic …"""
    return unicodedata.name(letter, "unnamed").split()[0].lower()
