"""The visit to two heads of one model: directions that one writes and the other reads. Knows no HTTP, no torch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, SIGNS, Address, AddressError, Kind, Ray, parse
from app.core.finding.coupling import combine_specificities, specificities
from app.core.finding.expectation import SURELY, cosine_spread, expected_count
from app.core.finding.precedence import read_time, write_time
from app.explorer.asking.jump import jump
from app.explorer.asking.places import check_place
from app.explorer.asking.views import Options, resolve_view
from app.explorer.asking.walk import read_path_to_matrix
from app.explorer.errors import BadOption, NotBuilt, UnknownAddress
from app.explorer.layout import BANK_ENDS, PARTS, Part
from app.explorer.library import OpenModel
from app.explorer.pages.circuitry import PairCell, PairPage, Passage
from app.explorer.pages.directions import Hop
from app.explorer.reading.finding.around import look_up_entries
from app.explorer.reading.finding.bank import Bank, open_bank
from app.explorer.reading.finding.parts import not_built_error
from app.explorer.reading.finding.readings import open_pairs
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits.jobs import describe_unbuilt

MOST_DRAWN = 24
"""Directions of each head that the map shows."""
MOST = 20
"""Cells that are listed one by one."""
MOST_OF_ROW = 6
"""Cells listed of the direction that a visitor came from, at most."""
READING_SIDES: dict[Part, tuple[Kind, int]] = {"value": ("ov", 0), "query": ("qk", 0), "key": ("qk", 1)}
"""The matrix and the side that each part reads with."""
TOKENS = 5


@dataclass(frozen=True)
class Sheaf:
    """The directions of one side of a head's matrix, the strongest first."""

    at: NDArray[np.intp]
    """Rows of the bank."""
    vectors: NDArray[np.float32]
    strength: NDArray[np.float32]
    """Their singular values."""


def visit_pair(r: Resources, a: str, b: str, options: Options, part: Part, path: str = "") -> PairPage:
    """Compare the OV of head a with the query, key or value of head b; BadOption unless both are of one model.

    A name without a model means the server's only one, or for b that of a. `path`: the rays by which a visitor came to
    a direction of a. Where the bank was not built, the page says so.
    """
    one = _parse_head(r, "a", a, Address(r.slugs[0]) if len(r.slugs) == 1 else None)
    other = _parse_head(r, "b", b, one)
    if (one.model, one.pin) != (other.model, other.pin):
        raise BadOption(f"a and b must be heads of one model, not of {one.model} and {other.model}.")
    if part not in PARTS:
        raise BadOption(f"part must be one of {', '.join(PARTS)}.")
    opened, view = resolve_view(r, one, options)
    check_place(opened, other)
    hops = read_path_to_matrix(opened, one.at("ov"), path)
    try:
        return _make_page(r, opened, view, one, other, part, hops)
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
            later=False,
            chance=0.0,
            unbuilt=describe_unbuilt(r, one.model, error),
            path=hops,
        )


def _make_page(
    r: Resources, opened: OpenModel, view: View, one: Address, other: Address, part: Part, hops: tuple[Hop, ...]
) -> PairPage:
    bank = open_bank(r, opened, view.weights)
    kind, side = READING_SIDES[part]
    written, read = _read_sheaf(opened, bank, one, "ov", 1), _read_sheaf(opened, bank, other, kind, side)
    if written is None or read is None:
        raise not_built_error(opened, view.weights)
    cosines = (written.vectors @ read.vectors.T).astype(np.float64)
    own = specificities(cosines, read.strength, opened.header.d_model)
    spreads = _compute_spreads(bank, read, written)
    far = expected_count(cosines / spreads[:, None], cosines.size)
    assert one.layer is not None
    assert other.layer is not None
    cells = Cells(opened, bank, written, read, cosines, far, one.pin, hops[-1].ray if hops else None)
    passage = None
    if hops:
        n = hops[-1].ray.address.index or 0
        passage = Passage(
            hops[-1].ray,
            float(own[n]),
            _find_specificity(r, opened, view, hops[-1].ray.address, other, part),
            tuple(cells.list_row(n)),
        )
    return PairPage(
        one,
        other,
        opened.header,
        view,
        part,
        rows=tuple(bank.address(int(row), one.pin) for row in written.at[:MOST_DRAWN]),
        columns=tuple(bank.address(int(row), one.pin) for row in read.at[:MOST_DRAWN]),
        cosines=tuple(tuple(row) for row in cosines[:MOST_DRAWN, :MOST_DRAWN].tolist()),
        specificities=tuple(own[:MOST_DRAWN].tolist()),
        whole=combine_specificities(own, written.strength),
        strongest=tuple(cells.strongest()),
        n_beyond=int((far < SURELY).sum()),
        later=write_time("ov", one.layer) <= read_time(kind, other.layer, opened.header.n_layers),
        chance=float(np.sqrt(np.square(spreads).mean())),
        path=hops,
        passage=passage,
    )


def _compute_spreads(bank: Bank, read: Sheaf, written: Sheaf) -> NDArray[np.float64]:
    """Compute the standard deviation of each written direction's cosines with all rows that read the stream.

    Without the bank's moments, as if these were uniform on the sphere.
    """
    n, d = written.vectors.shape
    end = BANK_ENDS[bank.rows.end[read.at[0]]]
    if bank.moments is None or end not in bank.moments:
        return np.full(n, 1 / math.sqrt(d))
    return cosine_spread(written.vectors, bank.moments[end])


def _find_specificity(
    r: Resources, opened: OpenModel, view: View, writer: Address, reader: Address, part: Part
) -> float | None:
    """Look up the CS of a direction with the reader's query, key or value matrix; None where it is not known."""
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
    """The map of two heads, and the description of its cells."""

    model: OpenModel
    bank: Bank
    written: Sheaf
    read: Sheaf
    cosines: NDArray[np.float64]
    far: NDArray[np.float64]
    """How many cells would be so far out by chance, for each cell."""
    pin: str | None
    """The pin of every address."""
    start: Ray | None
    """The ray that the visitor came from; other directions are described by their + end."""

    def strongest(self) -> Iterator[PairCell]:
        """Yield the cells with the largest cosines."""
        order = np.argsort(-np.abs(self.cosines), axis=None, kind="stable")[:MOST]
        for row, column in zip(*np.unravel_index(order, self.cosines.shape), strict=True):
            yield self._cell(int(row), int(column))

    def list_row(self, row: int) -> Iterator[PairCell]:
        """Yield the farthest cell of one written direction, and its others beyond chance."""
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
            look_up_entries(self.model.vocabulary, self.bank.rows.ids[place, SIGNS.index(ray.sign)], TOKENS)
            for place, ray in zip(at, (writer, reader), strict=True)
        )
        return PairCell(writer, reader, cosine, float(self.far[row, column]), written, read)


def _read_sheaf(model: OpenModel, bank: Bank, head: Address, kind: Kind, side: int) -> Sheaf | None:
    rows = bank.rows
    is_own = (rows.layer == head.layer) & (rows.head == head.head) & (rows.side == side)
    (at,) = np.nonzero(is_own & (rows.kind == KINDS.index(kind)) & ~rows.is_neuron)
    if not len(at):
        return None
    at = at[np.argsort(rows.index[at], kind="stable")]
    return Sheaf(at, bank.vectors(at), rows.strength[at])


def _parse_head(r: Resources, name: str, text: str, beside: Address | None) -> Address:
    """Parse a head; BadOption for anything else. `beside`: a place whose model is meant where the text names none."""
    try:
        address = _parse_name(r, text, beside)
    except (AddressError, UnknownAddress) as error:
        raise BadOption(f"{name} is a head, such as gpt2/L5/H3: {error}") from error
    if address.depth != "head":
        raise BadOption(f"{name} is a head, such as gpt2/L5/H3: {address} is none.")
    return address


def _parse_name(r: Resources, text: str, beside: Address | None) -> Address:
    try:
        return parse(text.strip().strip("/"))
    except AddressError:
        if beside is None or not text.strip():
            raise
        return jump(r, beside.model, text).address.with_pin(beside.pin)
