"""What a model says where it is changed, read for its page. Knows no torch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.core.address import Address
from app.explorer.asking.changes import Edit, spell_direction
from app.explorer.pages.using.changes import (
    ChangedDirection,
    ChangedToken,
    Continuation,
    ContinuedText,
    CurvePoint,
    FollowedSet,
    FollowedToken,
)
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

TOKENS = 6
"""Tokens shown of a direction's set."""


def read_followed(arrays: Arrays, ids: Sequence[int], vocabulary: Vocabulary) -> tuple[FollowedToken, ...]:
    """Read the prompt's tokens, each with how much the change matters behind it."""
    divergence = arrays["course"].tolist()
    return tuple(FollowedToken(at, vocabulary.entry(id_), divergence[at]) for at, id_ in enumerate(ids))


def read_next(arrays: Arrays, vocabulary: Vocabulary) -> tuple[ChangedToken, ...]:
    """Read the likeliest next tokens, in the order of their larger chance."""
    tokens = _read_chances(arrays["top"].tolist(), arrays["chance"].T.tolist(), vocabulary)
    return tuple(sorted(tokens, key=lambda token: -max(token.before, token.after)))


def read_named(arrays: Arrays, ids: Sequence[int], vocabulary: Vocabulary) -> tuple[ChangedToken, ...]:
    """Read the tokens that were asked about."""
    return _read_chances(ids, arrays["named_chance"].T.tolist(), vocabulary)


def read_directions(arrays: Arrays, edits: Sequence[Edit], vocabulary: Vocabulary) -> tuple[ChangedDirection, ...]:
    """Read each edited direction with the chances of its own tokens."""
    return tuple(
        ChangedDirection(
            address=edit.address,
            kind=edit.kind,
            amount=edit.amount,
            named=spell_direction(edit),
            **_read_set(arrays, number, vocabulary),
        )
        for number, edit in enumerate(edits)
    )


def read_followed_set(arrays: Arrays, address: Address, vocabulary: Vocabulary) -> FollowedSet:
    """Read the chances of the own tokens of the one direction of a push."""
    return FollowedSet(address=address, **_read_set(arrays, 0, vocabulary))


def _read_set(arrays: Arrays, number: int, vocabulary: Vocabulary) -> dict[str, Any]:
    before, after, *random = arrays["set_chance"][:, number].tolist()
    return {
        "ray": "p" if arrays["set_sign"][number] > 0 else "n",
        "tokens": tuple(vocabulary.entry(int(id_)) for id_ in arrays["set_ids"][number, :TOKENS] if id_ >= 0),
        "before": before,
        "after": after,
        "random": tuple(random),
    }


def read_curve(arrays: Arrays) -> tuple[CurvePoint, ...]:
    """Read the curve, with the point at which nothing is changed."""
    columns = (arrays[name].tolist() for name in ("amount", "divergence", "random", "set_chance"))
    points = [CurvePoint(*row) for row in zip(*columns, strict=True)]
    return tuple(sorted(points, key=lambda point: point.amount))


def read_continuation(arrays: Arrays, asked: int, seed: int | None, vocabulary: Vocabulary) -> Continuation:
    """Read how the prompt goes on."""
    perplexities = [math.exp(float(np.nanmean(row, dtype=np.float64))) for row in arrays["surprise"]]
    return _build_continuation(arrays["ids"].tolist(), perplexities, asked, seed, vocabulary, is_done=True)


def read_so_far(so_far: Sequence[int], asked: int, seed: int | None, vocabulary: Vocabulary) -> Continuation:
    """Read how far the texts have come: the tokens of the plain one, then those of the other."""
    half = len(so_far) // 2
    rows = [list(so_far[:half]), list(so_far[half:])]
    return _build_continuation(rows, [None, None], asked, seed, vocabulary, is_done=False)


def _build_continuation(
    rows: Sequence[Sequence[int]],
    perplexities: Sequence[float | None],
    asked: int,
    seed: int | None,
    vocabulary: Vocabulary,
    *,
    is_done: bool,
) -> Continuation:
    texts = [[id_ for id_ in row if id_ >= 0] for row in rows]
    same = next((n for n, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), min(map(len, texts)))
    plain, changed = (
        ContinuedText(tuple(map(vocabulary.entry, text)), perplexity, same)
        for text, perplexity in zip(texts, perplexities, strict=True)
    )
    return Continuation(asked, seed, plain, changed, is_done)


def _read_chances(
    ids: Sequence[int], chances: Sequence[Sequence[float]], vocabulary: Vocabulary
) -> tuple[ChangedToken, ...]:
    return tuple(
        ChangedToken(vocabulary.entry(id_), before, after, tuple(random))
        for id_, (before, after, *random) in zip(ids, chances, strict=True)
    )
