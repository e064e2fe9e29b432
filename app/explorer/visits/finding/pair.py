"""Two heads of one model: directions that one writes beside those that the other reads with. Knows no HTTP, no torch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, SIGNS, Address, AddressError, Kind, Ray, parse
from app.core.finding.coupling import specificities, together
from app.core.finding.expectation import SURELY, expected, spread
from app.core.finding.precedence import read_at, written_at
from app.explorer.asking.jump import jump
from app.explorer.asking.places import check_place
from app.explorer.asking.views import Options, visited
from app.explorer.asking.walk import read_way
from app.explorer.errors import BadOption, NotBuilt, UnknownAddress
from app.explorer.layout import BANK_ENDS, PARTS, Part
from app.explorer.library import OpenModel
from app.explorer.pages.circuitry import PairCell, PairPage, Passage
from app.explorer.pages.directions import Hop
from app.explorer.reading.finding.around import entries
from app.explorer.reading.finding.bank import Bank, open_bank
from app.explorer.reading.finding.parts import not_built
from app.explorer.reading.finding.readings import open_pairs
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits.jobs import unbuilt

DRAWN = 24
"""Directions of each head on the map."""
MOST = 20
"""Cells that are told one by one."""
MOST_OF_ROW = 6
"""And of a direction that a visitor came from, at most."""
SIDES: dict[Part, tuple[Kind, int]] = {"value": ("ov", 0), "query": ("qk", 0), "key": ("qk", 1)}
"""What each part reads with: the matrix and its side."""
TOKENS = 5


@dataclass(frozen=True)
class Sheaf:
    """The directions of one side of a head's matrix, the strongest first."""

    at: NDArray[np.intp]
    """Rows of the bank."""
    vectors: NDArray[np.float32]
    strength: NDArray[np.float32]
    """Their singular values."""


def pair(r: Resources, a: str, b: str, options: Options, part: Part, path: str = "") -> PairPage:
    """The OV of the head at a beside the part of the head at b; BadOption unless both are heads of one model.

    A name without a model is of the one that the server has alone, that of b of a's. `path`: how a visitor came to a
    direction of a. Where the bank is not there, the page says so.
    """
    one = _head(r, "a", a, Address(r.slugs[0]) if len(r.slugs) == 1 else None)
    other = _head(r, "b", b, one)
    if (one.model, one.pin) != (other.model, other.pin):
        raise BadOption(f"a and b must be heads of one model, not of {one.model} and {other.model}.")
    if part not in PARTS:
        raise BadOption(f"part must be one of {', '.join(PARTS)}.")
    opened, view = visited(r, one, options)
    check_place(opened, other)
    hops = read_way(opened, one.at("ov"), path)
    try:
        return _built(r, opened, view, one, other, part, hops)
    except NotBuilt as error:
        return PairPage(
            one,
            other,
            opened.header,
            view,
            part,
            (),
            (),
            (),
            (),
            0.0,
            (),
            0,
            is_later=False,
            chance=0.0,
            unbuilt=unbuilt(r, one.model, error),
            path=hops,
        )


def _built(
    r: Resources, opened: OpenModel, view: View, one: Address, other: Address, part: Part, hops: tuple[Hop, ...]
) -> PairPage:
    bank = open_bank(r, opened, view.weights)
    kind, side = SIDES[part]
    written, read = _sheaf(opened, bank, one, "ov", 1), _sheaf(opened, bank, other, kind, side)
    if written is None or read is None:
        raise not_built(opened, view.weights)
    cosines = (written.vectors @ read.vectors.T).astype(np.float64)
    own = specificities(cosines, read.strength, opened.header.d_model)
    spreads = _spreads(bank, read, written)
    far = expected(cosines / spreads[:, None], cosines.size)
    assert one.layer is not None
    assert other.layer is not None
    told = Cells(opened, bank, written, read, cosines, far, one.pin, hops[-1].ray if hops else None)
    passage = None
    if hops:
        n = hops[-1].ray.address.index or 0
        passage = Passage(
            hops[-1].ray,
            float(own[n]),
            _taken_in(r, opened, view, hops[-1].ray.address, other, part),
            tuple(told.of_row(n)),
        )
    return PairPage(
        one,
        other,
        opened.header,
        view,
        part,
        rows=tuple(bank.address(int(row), one.pin) for row in written.at[:DRAWN]),
        columns=tuple(bank.address(int(row), one.pin) for row in read.at[:DRAWN]),
        cosines=tuple(tuple(row) for row in cosines[:DRAWN, :DRAWN].tolist()),
        specificities=tuple(own[:DRAWN].tolist()),
        whole=together(own, written.strength),
        strongest=tuple(told.strongest()),
        n_beyond=int((far < SURELY).sum()),
        is_later=written_at("ov", one.layer) <= read_at(kind, other.layer, opened.header.n_layers),
        chance=float(np.sqrt(np.square(spreads).mean())),
        path=hops,
        passage=passage,
    )


def _spreads(bank: Bank, read: Sheaf, written: Sheaf) -> NDArray[np.float64]:
    """What the cosines of each direction that is written deviate by, with all that reads the stream; while that is not known,
    as if these lay evenly.
    """
    n, d = written.vectors.shape
    end = BANK_ENDS[bank.rows.end[read.at[0]]]
    if bank.moments is None or end not in bank.moments:
        return np.full(n, 1 / math.sqrt(d))
    return spread(written.vectors, bank.moments[end])


def _taken_in(
    r: Resources, opened: OpenModel, view: View, writer: Address, reader: Address, part: Part
) -> float | None:
    """CS of that direction with the matrix that the head's part takes the stream in by."""
    try:
        pairs = open_pairs(r, opened, view.weights).of_writer(writer)
    except NotBuilt:
        return None
    assert reader.layer is not None
    assert reader.head is not None
    size = 1 if part == "query" else opened.header.n_heads // opened.header.n_kv_heads
    is_it = (pairs.part == PARTS.index(part)) & (pairs.layer == reader.layer) & (pairs.reader == reader.head // size)
    (at,) = np.nonzero(is_it)
    return float(pairs.specificity[at[0]]) if len(at) else None


@dataclass(frozen=True)
class Cells:
    """The map of two heads, whose cells are told in words."""

    model: OpenModel
    bank: Bank
    written: Sheaf
    read: Sheaf
    cosines: NDArray[np.float64]
    far: NDArray[np.float64]
    """Of each cell, how many would be so far out by chance."""
    pin: str | None
    """Of every address."""
    start: Ray | None
    """Which end of its direction is told of; the + end of all others."""

    def strongest(self) -> Iterator[PairCell]:
        """Of all."""
        order = np.argsort(-np.abs(self.cosines), axis=None, kind="stable")[:MOST]
        for row, column in zip(*np.unravel_index(order, self.cosines.shape), strict=True):
            yield self._cell(int(row), int(column))

    def of_row(self, row: int) -> Iterator[PairCell]:
        """Of that direction of the first head: the farthest, and what else is beyond chance."""
        for n, column in enumerate(np.argsort(-np.abs(self.cosines[row]), kind="stable")[:MOST_OF_ROW]):
            if n == 0 or self.far[row, column] < SURELY:
                yield self._cell(row, int(column))

    def _cell(self, row: int, column: int) -> PairCell:
        cosine, at = float(self.cosines[row, column]), (int(self.written.at[row]), int(self.read.at[column]))
        writer = Ray(self.bank.address(at[0], self.pin), "p")
        if self.start and writer.address.index == self.start.address.index:
            writer = self.start
        is_turned = writer.sign == "n"
        reader = Ray(self.bank.address(at[1], self.pin), SIGNS[(cosine < 0) != is_turned])
        written, read = (
            entries(self.model.vocabulary, self.bank.rows.ids[place, SIGNS.index(ray.sign)], TOKENS)
            for place, ray in zip(at, (writer, reader), strict=True)
        )
        return PairCell(writer, reader, cosine, float(self.far[row, column]), written, read)


def _sheaf(model: OpenModel, bank: Bank, head: Address, kind: Kind, side: int) -> Sheaf | None:
    rows = bank.rows
    is_own = (rows.layer == head.layer) & (rows.head == head.head) & (rows.side == side)
    (at,) = np.nonzero(is_own & (rows.kind == KINDS.index(kind)) & ~rows.is_neuron)
    if not len(at):
        return None
    at = at[np.argsort(rows.index[at], kind="stable")]
    return Sheaf(at, bank.vectors(at), rows.strength[at])


def _head(r: Resources, name: str, text: str, beside: Address | None) -> Address:
    """The head of that name; `beside`: a place of the model that is meant where it names none."""
    try:
        address = _named(r, text, beside)
    except (AddressError, UnknownAddress) as error:
        raise BadOption(f"{name} is a head, such as gpt2/L5/H3: {error}") from error
    if address.depth != "head":
        raise BadOption(f"{name} is a head, such as gpt2/L5/H3: {address} is none.")
    return address


def _named(r: Resources, text: str, beside: Address | None) -> Address:
    try:
        return parse(text.strip().strip("/"))
    except AddressError:
        if beside is None or not text.strip():
            raise
        return jump(r, beside.model, text).address.pinned(beside.pin)
