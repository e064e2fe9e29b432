"""The page of composition scores: the pairs of heads that stand out, and how far they may be chance.

Pairs in the wrong order (written later, read earlier) cannot compose: their scores are the control. Keys and values
are read by a key/value group: its heads are one column, named by the strongest of them. Imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address
from app.explorer.header import Model
from app.explorer.layout import COMPOSED, Composed
from app.explorer.options import LISTED
from app.explorer.pages.composition import (
    COLOURED,
    COUNTED,
    ComposedPair,
    CompositionCell,
    CompositionPage,
    CompositionStep,
)
from app.explorer.view import View
from app.store.artifacts import Artifact

MOST_CELLS = 8_000
"""Cells of one map: the largest models have more than anybody sees."""


@dataclass(frozen=True)
class HeadScores:
    """The composition scores of one kind in one model, with their control."""

    address: Address
    """The model's address."""
    model: Model
    kind: Composed
    of_heads: NDArray[np.float32]
    """[writer reader]: heads numbered over layers."""

    @property
    def group(self) -> int:
        """Heads that share a column."""
        return 1 if self.kind == "q" else self.model.n_heads // self.model.n_kv_heads

    def max_over_groups(self) -> NDArray[np.float32]:
        """Take the largest score of each group of readers: [heads columns]."""
        n, group = len(self.of_heads), self.group
        grouped: NDArray[np.float32] = self.of_heads.reshape(n, -1, group).max(axis=2)
        return grouped

    def keep_in_order(
        self, columns: NDArray[np.float32], writer: int | None, reader: int | None
    ) -> NDArray[np.float32]:
        """Keep the scores of pairs that can compose, of these layers; 0 for all others."""
        heads = self.model.n_heads
        writes = np.arange(columns.shape[0]) // heads
        reads = np.arange(columns.shape[1]) // (heads // self.group)
        wanted = writes[:, None] < reads[None, :]
        if writer is not None:
            wanted &= (writes == writer)[:, None]
        if reader is not None:
            wanted &= (reads == reader)[None, :]
        found: NDArray[np.float32] = np.where(wanted, columns, np.float32(0))
        return found

    def rates(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Estimate the false discovery rate of the pairs in order with each score or more, by pairs in the wrong order.

        At most 1, and never larger for a higher score: it is the smallest rate of all lists that end lower.
        """
        right, wrong, least = self._curve
        n_right, n_wrong = (len(some) - np.searchsorted(some, scores) for some in (right, wrong))
        lower = np.searchsorted(right, scores, side="right")
        found: NDArray[np.float64] = np.minimum(n_wrong / np.maximum(n_right, 1), np.append(1.0, least)[lower])
        return found

    @cached_property
    def _curve(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
        """Sorted scores of pairs in order and in the wrong order; for each of the former the smallest rate so far."""
        columns = self.max_over_groups()
        writes = np.arange(columns.shape[0])[:, None] // self.model.n_heads
        reads = np.arange(columns.shape[1])[None, :] // (self.model.n_heads // self.group)
        right, wrong = np.sort(columns[writes < reads]), np.sort(columns[writes > reads])
        rates = (len(wrong) - np.searchsorted(wrong, right)) / (len(right) - np.searchsorted(right, right))
        return right, wrong, np.minimum.accumulate(np.minimum(rates, 1.0))

    def steps(self) -> tuple[CompositionStep, ...]:
        """Count the pairs in order from each score in COUNTED on."""
        right, _, _ = self._curve
        least = np.array(COUNTED, np.float32)
        numbers = zip(COUNTED, np.searchsorted(right, least).tolist(), self.rates(least).tolist(), strict=True)
        return tuple(
            CompositionStep(start, len(right) - below, rate if below < len(right) else 1.0)
            for start, below, rate in numbers
        )

    def head(self, number: int) -> Address:
        """Return the address of a head by its number over layers."""
        layer, head = divmod(int(number), self.model.n_heads)
        return self.address.at_layer(layer).at_head(head)

    def pair(self, row: int, column: int, fdr: float) -> ComposedPair:
        """Pair a writer with the strongest head of a group of readers."""
        group = self.group
        own = self.of_heads[row, column * group : (column + 1) * group]
        best = int(own.argmax())
        others = tuple(self.head(column * group + at) for at in range(group) if at != best)
        return ComposedPair(self.head(row), self.head(column * group + best), float(own[best]), fdr, others)


def read_scores(address: Address, model: Model, kind: Composed, artifact: Artifact) -> HeadScores:
    """Read the scores of one kind."""
    return HeadScores(Address(address.model, address.pin), model, kind, artifact.arrays["cs"][COMPOSED.index(kind)])


def make_composition_page(
    found: HeadScores, view: View, writer: int | None, reader: int | None, n: int = LISTED
) -> CompositionPage:
    """Make the page of these layers: the map, and the n strongest pairs."""
    columns = found.max_over_groups()
    shown = found.keep_in_order(columns, writer, reader)
    return CompositionPage(
        address=found.address,
        model=found.model,
        view=view,
        kind=found.kind,
        writer=writer,
        reader=reader,
        steps=found.steps(),
        n_pairs=int(np.count_nonzero(shown)),
        pairs=_list_strongest(found, shown, n),
        cells=tuple(_list_cells(shown)) if writer is None or reader is None else (),
        per_layer=found.model.n_heads // found.group,
        table=_make_table(found, shown, writer, reader),
        n_listed=n,
    )


def add_strengths(page: CompositionPage, norms: NDArray[np.float64], stream: NDArray[np.float32]) -> CompositionPage:
    """Add how strongly each listed pair composes, in units of the stream.

    `norms` [layers heads]: the Frobenius norm of each head's OV; `stream` [layers]: what the norm before each layer divides
    the stream by.
    """

    def measure(pair: ComposedPair) -> float:
        written = float(norms[pair.writer.layer or 0, pair.writer.head or 0])
        return pair.cs * written / float(stream[pair.reader.layer or 0])

    return replace(page, pairs=tuple(replace(pair, strength=measure(pair)) for pair in page.pairs))


def list_pairs(found: HeadScores, writer: int | None, reader: int | None) -> Iterator[list[ComposedPair]]:
    """Yield all pairs in order, writer by writer, by the order of readers."""
    shown = found.keep_in_order(found.max_over_groups(), writer, reader)
    there = np.nonzero(shown)
    rates = found.rates(shown[there])
    for row in np.unique(there[0]).tolist():
        own = there[0] == row
        numbers = zip(there[1][own].tolist(), rates[own].tolist(), strict=True)
        yield [found.pair(row, column, fdr) for column, fdr in numbers]


def _list_strongest(found: HeadScores, shown: NDArray[np.float32], n: int) -> tuple[ComposedPair, ...]:
    best = _find_strongest(shown, n)
    rates = found.rates(shown[best])
    return tuple(
        found.pair(row, column, fdr)
        for row, column, fdr in zip(best[0].tolist(), best[1].tolist(), rates.tolist(), strict=True)
    )


def _find_strongest(shown: NDArray[np.float32], n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the rows and columns of the n largest scores above 0, falling; ties in their order."""
    flat = shown.ravel()
    least = np.partition(flat, -n)[-n] if n < len(flat) else 0.0
    (some,) = np.nonzero((flat >= least) & (flat > 0))
    some = some[np.argsort(-flat[some], kind="stable")][:n]
    row, column = np.unravel_index(some, shown.shape)
    return row, column


def _list_cells(shown: NDArray[np.float32]) -> Iterator[CompositionCell]:
    row, column = np.nonzero(shown >= COLOURED[0])
    values = shown[row, column]
    if len(values) > MOST_CELLS:
        most = np.argsort(-values, kind="stable")[:MOST_CELLS]
        row, column, values = row[most], column[most], values[most]
    yield from map(CompositionCell, row.tolist(), column.tolist(), values.tolist())


def _make_table(
    found: HeadScores, shown: NDArray[np.float32], writer: int | None, reader: int | None
) -> tuple[tuple[ComposedPair, ...], ...]:
    if writer is None or reader is None or writer >= reader:
        return ()
    heads, per_layer = found.model.n_heads, found.model.n_heads // found.group
    block = shown[writer * heads : (writer + 1) * heads, reader * per_layer : (reader + 1) * per_layer]
    rates = found.rates(block.ravel()).reshape(block.shape)
    return tuple(
        tuple(
            found.pair(writer * heads + row, reader * per_layer + column, float(rates[row, column]))
            for column in range(per_layer)
        )
        for row in range(heads)
    )
