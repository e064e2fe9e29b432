"""What a model says where it is changed, read for its page. Knows no torch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    Likeness,
    LogOdds,
    RankPoint,
    Study,
    StudyPoint,
)
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

TINY = 1e-30
"""The least chance that is told of a token."""
SCORE_BINS = 20
PAIRS = ("own and attract", "own and repel", "attract and repel")
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
            amount=edit.amount if edit.kind == "scale" else None,
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


def split_swapped(arrays: Arrays) -> tuple[Arrays, Arrays]:
    """Split off the last row, where the roles of two prompts are swapped: the other rows, and that one."""
    rows = ("chance", "set_chance", "named_chance", "divergence")
    rest = {name: array[:-1] if name in rows else array for name, array in arrays.items()}
    return rest, {name: arrays[name][-1] for name in rows}


def read_odds(arrays: Arrays, swapped: Arrays) -> LogOdds:
    """Read the log-odds of the first named token against the second."""
    odds = [math.log(max(row[0], TINY) / max(row[1], TINY)) for row in arrays["named_chance"].tolist()]
    other = swapped["named_chance"].tolist()
    return LogOdds(odds[0], odds[1], math.log(max(other[0], TINY) / max(other[1], TINY)), tuple(odds[2:]))


def count_scores(scores: NDArray[np.floating[Any]]) -> tuple[tuple[int, ...], tuple[float, float]]:
    """Count coordinates by their score, in equal bins between the least and the largest, and return these."""
    counts, edges = np.histogram(scores, SCORE_BINS)
    return tuple(counts.tolist()), (float(edges[0]), float(edges[-1]))


def read_likeness(arrays: Arrays) -> tuple[Likeness, ...]:
    """Read how alike the three histories are, two by two."""
    values = zip(PAIRS, arrays["rv"].tolist(), arrays["overlap"].tolist(), strict=True)
    return tuple(Likeness(*each) for each in values)


def read_kept(arrays: Arrays) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read the share of energy that the first columns of a history keep, with and without its first position."""
    with_first, behind = (tuple(row[np.isfinite(row)].tolist()) for row in arrays["kept"])
    return with_first, behind


def read_study(arrays: Arrays) -> Study:
    """Read what a contrast does by its amount and by what is kept."""
    before = float(arrays["before"][0])
    gains = arrays["odds"] - before
    rows = (zip(*each, strict=True) for each in zip(arrays["amount"], arrays["divergence"], gains, strict=True))
    fixed, last, front = (tuple(StudyPoint(*map(float, point)) for point in row) for row in rows)
    columns = (arrays[name].tolist() for name in ("rank", "kept", "likeness", "rank_divergence"))
    gained = (arrays["rank_odds"] - before).tolist()
    return Study(fixed, last, front, tuple(RankPoint(*point) for point in zip(*columns, gained, strict=True)))


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
