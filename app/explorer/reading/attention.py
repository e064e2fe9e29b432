"""Why a head looks from one position of a prompt at another, read for its page. Knows no torch."""

import math
from collections.abc import Sequence

import numpy as np

from app.core.address import Address
from app.explorer.pages.using.attention import (
    BiasParts,
    MadePair,
    PairTerm,
    PlacedToken,
    PlaneTerm,
    QueryTerm,
    SeenToken,
)
from app.models.vocabulary import TokenEntry, Vocabulary
from app.store.artifacts import Arrays

TOKENS = 6
"""Tokens told of an end."""


def read_seen_tokens(arrays: Arrays, ids: Sequence[int], vocabulary: Vocabulary) -> tuple[SeenToken, ...]:
    """Read the prompt's tokens as the head sees them from the position."""
    pattern, score, first = arrays["pattern"].tolist(), arrays["score"].tolist(), int(arrays["first"][0])
    return tuple(
        SeenToken(
            position,
            vocabulary.entry(id_),
            pattern[position] if position < len(pattern) else None,
            score[position] if first <= position < len(score) else None,
        )
        for position, id_ in enumerate(ids)
    )


def read_pair_terms(arrays: Arrays, readout: Arrays, vocabulary: Vocabulary, qk: Address) -> tuple[PairTerm, ...]:
    """Read the terms of a pair, the largest first; `readout`: the tokens of the QK at the pair's distance."""
    read, held = arrays["read"].astype(np.float64), arrays["held"].astype(np.float64)
    return tuple(
        PairTerm(
            qk.direction(index),
            float(read[index]),
            float(held[index]),
            float(read[index] * held[index]),
            _read_end(readout, "left", index, read[index], vocabulary),
            _read_end(readout, "right", index, held[index], vocabulary),
        )
        for index in _order(read * held)
    )


def read_query_terms(arrays: Arrays, readout: Arrays, vocabulary: Vocabulary, qk: Address) -> tuple[QueryTerm, ...]:
    """Read the terms of a row, the largest first; `readout`: the tokens of the QK at distance 0."""
    read, held, others = (arrays[f"row_{name}"].astype(np.float64) for name in ("read", "held", "other"))
    terms = read * (held - others)
    return tuple(
        QueryTerm(
            qk.direction(index),
            float(read[index]),
            float(held[index]),
            float(others[index]),
            float(terms[index]),
            _read_end(readout, "left", index, read[index], vocabulary),
        )
        for index in _order(terms)
    )


def read_plane_terms(arrays: Arrays, frequencies: Sequence[float]) -> tuple[PlaneTerm, ...]:
    """Read the terms by rotary planes, the largest first; `frequencies`: radians per position."""
    size, angle = arrays["size"].astype(np.float64), arrays["angle"].astype(np.float64)
    terms = size * np.cos(angle)
    return tuple(
        PlaneTerm(
            plane,
            2 * math.pi / frequencies[plane],
            float(size[plane]),
            math.degrees(angle[plane]),
            float(terms[plane]),
        )
        for plane in _order(terms)
    )


def read_pairs(arrays: Arrays, index: int, key: str, text: str, tokens: tuple[TokenEntry, ...]) -> list[MadePair]:
    """Read what a direction adds to each pair of a prompt."""
    if index >= arrays["term"].shape[1]:
        return []
    columns = (arrays[name].tolist() for name in ("to", "source", "score", "attention"))
    return [
        MadePair(
            key, text, tokens, PlacedToken(to, tokens[to]), PlacedToken(source, tokens[source]), term, score, attention
        )
        for to, source, score, attention, term in zip(*columns, arrays["term"][:, index].tolist(), strict=True)
    ]


def read_biases(arrays: Arrays) -> BiasParts | None:
    """Read what biases add to the score; None where the head has none."""
    return BiasParts(*arrays["bias"].tolist()) if arrays["bias"].any() else None


def _order(terms: np.ndarray) -> list[int]:
    order: list[int] = np.argsort(-np.abs(terms), kind="stable").tolist()
    return order


def _read_end(
    readout: Arrays, side: str, index: int, coefficient: float, vocabulary: Vocabulary
) -> tuple[TokenEntry, ...]:
    """Read the first tokens of the end of a direction along which a coefficient lies."""
    ids = readout[f"{side}_{'top' if coefficient >= 0 else 'bottom'}_ids"]
    return tuple(vocabulary.entry(int(id_)) for id_ in ids[index][:TOKENS] if id_ >= 0) if index < len(ids) else ()
