"""The comparison of two matrices or two directions: spectra, angles between spans, partners, common tokens.

A direction's sides flip together, so one sign is chosen for all of them. Imports no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address, Sign
from app.core.finding.haar import SEED, random_cosines, random_orthonormal_rows
from app.core.finding.matching import best_partners
from app.explorer.library import OpenModel
from app.explorer.pages.contrast import ContrastEnd, ContrastPlace, ContrastSpan, Match
from app.explorer.pages.directions import Direction, SideReadout, Vectors
from app.explorer.pages.rays import Token
from app.explorer.reading.directions import read_directions
from app.explorer.reading.matrices import canonical_address
from app.store.artifacts import Arrays

STREAM_SIDES = {"read", "write", "query", "key"}
MOST_MATCHED = 64
"""First directions of each matrix that are matched."""
MOST_SPANNED = 128
"""First directions of each matrix whose spans are compared, at most a quarter of the space."""
TOKENS, SHOWN_TOKENS = 20, 8
"""Tokens of an end that are compared, and those shown of a matrix's directions."""

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Half:
    """One of the two places: its terms, their vectors and their readouts."""

    model: OpenModel
    address: Address
    """The address of the matrix in its basis, or of the direction."""
    found: Vectors
    arrays: Arrays
    """The arrays of the decomposition."""

    @property
    def sides(self) -> dict[str, Rows]:
        """Vectors of the residual stream by the name of their side, left before right."""
        named = zip(("left", "right"), self.found.names, strict=True)
        return {
            name: np.asarray(self.found.sides[at])
            for at, name in named
            if name in STREAM_SIDES and at in self.found.sides
        }

    def place(self) -> ContrastPlace:
        """Describe the place for the page."""
        strength = np.array(self.arrays["strength"], np.float64)
        norm = float(np.linalg.norm(strength))
        gains = strength * np.sqrt(len(strength)) / norm if norm else strength
        return ContrastPlace(
            self.address if self.address.index is not None else canonical_address(self.address),
            self.model.header,
            self.found.view,
            tuple(gains.tolist()),
            norm,
        )

    def rows(self, rows: Sequence[int]) -> tuple[Direction, ...]:
        """Read these terms with their first tokens."""
        matrix = self.address.in_basis(self.address.basis or "svd")
        at = np.array(rows, np.intp)
        return read_directions(self.arrays, at, matrix, self.found.names, TOKENS, self.model.vocabulary)


def compare_spans(first: Half, second: Half) -> tuple[ContrastSpan, ...]:
    """Compare the spans of each side that is in the residual stream in both."""
    d = first.model.header.d_model
    most = min(d // 4, MOST_SPANNED) or 1
    return tuple(
        _compare_span(side, _orthonormal_basis(first, side, most), _orthonormal_basis(second, side, most), d)
        for side, rows in first.sides.items()
        if side in second.sides and len(rows) and len(second.sides[side])
    )


def _orthonormal_basis(half: Half, side: str, most: int) -> NDArray[np.float64]:
    """Compute an orthonormal basis of the first vectors of one side [k d]."""
    rows = half.sides[side][:most].astype(np.float64)
    # Singular vectors are orthonormal, those of other bases need not be.
    return rows if half.address.basis == "svd" else np.linalg.qr(rows.T)[0].T


def _compare_span(side: str, one: NDArray[np.float64], other: NDArray[np.float64], d: int) -> ContrastSpan:
    cosines = np.minimum(np.linalg.svd(one @ other.T, compute_uv=False), 1)
    random = random_cosines(len(one), len(other), d)
    return ContrastSpan(
        side,
        (len(one), len(other)),
        tuple(cosines.tolist()),
        random,
        share=float(np.square(cosines).mean()),
        chance=max(len(one), len(other)) / d,
    )


def match_directions(
    first: Half, second: Half, *, is_one_space: bool
) -> tuple[tuple[Match, ...], float | None, float | None]:
    """Match directions one to one, the most alike first.

    With the mean size of the partners' cosines, and that of random directions matched the same way. Without a common
    space they are matched by their tokens alone, and both means are None.
    """
    if is_one_space:
        cosines = _compute_cosines(first, second)
        mean = np.mean(list(cosines.values()), axis=0)
        gains = np.abs(mean)
    else:
        cosines, mean = {}, _share_tokens(first, second)
        gains = np.abs(mean)
    partners = best_partners(gains)
    found_pairs = [(row, int(column)) for row, column in enumerate(partners.tolist()) if column >= 0]
    pairs = sorted(found_pairs, key=lambda pair: -gains[pair])
    ours, theirs = first.rows([row for row, _ in pairs]), second.rows([column for _, column in pairs])
    found = tuple(
        _make_match(
            one, other, float(mean[pair]), {side: float(of[pair]) for side, of in cosines.items()}, SHOWN_TOKENS
        )
        for one, other, pair in zip(ours, theirs, pairs, strict=True)
    )
    if not is_one_space:
        return found, None, None
    matched = float(np.mean([gains[pair] for pair in pairs])) if pairs else None
    chance = _mean_random_match(*gains.shape, first.model.header.d_model, len(cosines)) if pairs else None
    return found, matched, chance


def match_pair(first: Half, second: Half, *, is_one_space: bool) -> Match:
    """Compare two directions."""
    ((one,), (other,)) = first.rows([_row_of(first)]), second.rows([_row_of(second)])
    cosines = {}
    if is_one_space:
        rows, others = first.sides, second.sides
        cosines = {side: float(rows[side][0] @ others[side][0]) for side in rows if side in others}
    mean = float(np.mean(list(cosines.values()))) if cosines else float(_token_overlap(one, other))
    return _make_match(one, other, mean, cosines, TOKENS)


def _row_of(half: Half) -> int:
    (rows,) = np.nonzero(half.arrays["unit" if "unit" in half.arrays else "index"] == half.address.index)
    return int(rows[0])


def _compute_cosines(first: Half, second: Half) -> dict[str, NDArray[np.float64]]:
    rows, others = first.sides, second.sides
    return {
        side: rows[side][:MOST_MATCHED].astype(np.float64) @ others[side][:MOST_MATCHED].T.astype(np.float64)
        for side in rows
        if side in others
    }


@lru_cache(maxsize=64)
def _mean_random_match(n: int, m: int, d: int, n_sides: int) -> float:
    """Compute the mean cosine of matched random directions, of one draw: means of many cosines scatter little."""
    drawn = [
        random_orthonormal_rows(min(n, d), d, SEED + 2 * side).astype(np.float64)
        @ random_orthonormal_rows(min(m, d), d, SEED + 2 * side + 1).T
        for side in range(n_sides)
    ]
    gains = np.abs(np.mean(drawn, axis=0))
    partners = best_partners(gains)
    rows = np.flatnonzero(partners >= 0)
    return float(gains[rows, partners[rows]].mean())


def _share_tokens(first: Half, second: Half) -> NDArray[np.float64]:
    """Compute the share of common first tokens of each two directions, negative where + is like the other's -."""
    n, m = (min(len(half.arrays["strength"]), MOST_MATCHED) for half in (first, second))
    ours, theirs = first.rows(range(n)), second.rows(range(m))
    return np.array([[_token_overlap(one, other) for other in theirs] for one in ours]).reshape(n, m)


def _token_overlap(one: Direction, other: Direction) -> float:
    ends = _ends_of(one), _ends_of(other)
    same, crossed = (sum(len(ends[0][at] & ends[1][at ^ flip]) for at in range(len(ends[0]))) for flip in (0, 1))
    total = sum(map(len, ends[0])) or 1
    return same / total if same >= crossed else -crossed / total


def _ends_of(one: Direction) -> list[set[int]]:
    """Collect the token ids of both ends of each side in the residual stream, + before -."""
    return [{token.id for token in end} for side in _stream_sides(one) for end in (side.plus, side.minus)]


def _stream_sides(one: Direction) -> list[SideReadout]:
    return [side for side in (one.left, one.right) if side.side in STREAM_SIDES]


def _make_match(one: Direction, other: Direction, mean: float, cosines: Mapping[str, float], most: int) -> Match:
    sides = list(zip(_stream_sides(one), _stream_sides(other), strict=True))
    if most == SHOWN_TOKENS:  # a table shows the last side alone: what is written, or the key
        sides = sides[-1:]
    is_turned = mean < 0
    ends = [end for ours, theirs in sides for end in _compare_ends(ours, theirs, most, is_turned=is_turned)]
    return Match(one.address, other.address, mean if cosines else None, tuple(cosines.items()), tuple(ends))


def _compare_ends(ours: SideReadout, theirs: SideReadout, most: int, *, is_turned: bool) -> list[ContrastEnd]:
    other: dict[Sign, Any] = {
        "p": theirs.minus if is_turned else theirs.plus,
        "n": theirs.plus if is_turned else theirs.minus,
    }
    turned: dict[Sign, Sign] = {"p": "n", "n": "p"} if is_turned else {"p": "p", "n": "n"}
    own: dict[Sign, tuple[Token, ...]] = {"p": ours.plus, "n": ours.minus}
    found = []
    for ray, tokens in own.items():
        there, here = {token.id for token in other[ray]}, {token.id for token in tokens}
        both = tuple(token for token in tokens if token.id in there)
        first = tuple(token for token in tokens if token.id not in there)
        second = tuple(token for token in other[ray] if token.id not in here)
        if tokens or other[ray]:
            end = ContrastEnd(
                ours.side, (ray, turned[ray]), both[:most], first[:most], second[:most], len(both), len(tokens)
            )
            found.append(end)
    return found
