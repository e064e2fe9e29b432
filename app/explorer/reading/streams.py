"""The streams of the reference text as their pages read them: the linear map between two, and unlikely tokens in them.

Knows no torch.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.core.judging.bootstrap import Estimate, Interval
from app.explorer.layout import LINEAR_BASES, LinearBasis
from app.explorer.pages.using.streams import (
    QUARTERS,
    BasisScore,
    Repurposed,
    TermQuarter,
    UnlikelyExample,
    UnlikelyStream,
)
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays

MUCH = 1.1
"""A ratio to the control from which on a stream holds more than the control would: a tenth."""
EXAMPLES, SHOWN, BEFORE = 3, 8, 12
"""Positions that are shown as examples, the tokens of each, and those before it."""


def read_bases(arrays: Arrays) -> tuple[BasisScore, ...]:
    """Read how each basis's directions are predicted; atoms only where they were compared."""
    return tuple(_read_basis(arrays, basis) for basis in LINEAR_BASES if f"score_{basis}" in arrays)


def read_scores(arrays: Arrays, basis: LinearBasis) -> tuple[float | None, ...]:
    """Read R^2 along each direction of a basis; None where the later stream does not vary."""
    return tuple(value if math.isfinite(value) else None for value in arrays[f"score_{basis}"].tolist())


def read_map(arrays: Arrays, basis: LinearBasis) -> tuple[tuple[float, ...], ...]:
    """Read the blocks of the map in a basis; empty for atoms."""
    return tuple(tuple(row) for row in arrays[f"map_{basis}"].tolist()) if f"map_{basis}" in arrays else ()


def read_estimate(values: NDArray[np.float32]) -> Estimate:
    """Read a number with its interval."""
    value, low, high = values.tolist()
    return Estimate(value, Interval(low, high) if math.isfinite(low) and math.isfinite(high) else None, 0)


def read_unlikely(arrays: Arrays) -> tuple[UnlikelyStream, ...]:
    """Read what each stream holds of unlikely tokens."""
    names = ("naive", "control", "without", "signed", "signed_others", "undone")
    return tuple(
        UnlikelyStream(
            layer,
            **{name: read_estimate(arrays[name][layer]) for name in names},
            share=float(arrays["share"][layer]),
            chance=float(arrays["chance"][layer]),
        )
        for layer in range(len(arrays["share"]))
    )


def judge_unlikely(control: Estimate, without: Estimate, signed: Sequence[Estimate]) -> Repurposed:
    """Judge whether the middle holds more of unlikely tokens than the control; `signed`: its streams' cosines with their
    mean.
    """
    if control.interval is None or without.interval is None:
        return "unsettled"
    if control.interval.low > MUCH and without.interval.low > MUCH:
        return "found"
    if control.interval.high < MUCH:
        return "absent"
    is_against = all(one.interval is not None and one.interval.high < 0 for one in signed)
    return "against" if is_against and control.interval.low > MUCH else "unsettled"


def read_examples(arrays: Arrays, text: NDArray[np.int32], vocabulary: Vocabulary) -> tuple[UnlikelyExample, ...]:
    """Read the first positions of the text [windows tokens], with the least likely tokens of each."""
    found = []
    for (window, at), ids in zip(arrays["at"].tolist()[:EXAMPLES], arrays["ids"].tolist(), strict=False):
        before = text[window, max(0, at + 1 - BEFORE) : at + 1].tolist()
        entries = (tuple(vocabulary.entry(id_) for id_ in some) for some in (before, ids[:SHOWN]))
        found.append(UnlikelyExample(*entries))
    return tuple(found)


def _read_basis(arrays: Arrays, basis: LinearBasis) -> BasisScore:
    scores = arrays[f"score_{basis}"].astype(np.float64)
    parts = [part for part in np.array_split(np.arange(len(scores)), QUARTERS) if len(part)]
    diagonal = arrays.get(f"diagonal_{basis}")
    return BasisScore(
        basis=basis,
        terms=len(scores),
        score=_average(scores),
        weighted=_average(scores, arrays[f"end_{basis}"].astype(np.float64)),
        quarters=tuple(
            TermQuarter(
                int(part[0]),
                int(part[-1]),
                _average(scores[part]),
                *(
                    float(arrays[f"{name}_{basis}"][part].sum(dtype=np.float64))
                    for name in ("embedding", "start", "end")
                ),
            )
            for part in parts
        ),
        diagonal=None if diagonal is None or not np.isfinite(diagonal[0]) else float(diagonal[0]),
    )


def _average(scores: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float | None:
    known = np.isfinite(scores)
    return (
        float(np.average(scores[known], weights=None if weights is None else weights[known])) if known.any() else None
    )
