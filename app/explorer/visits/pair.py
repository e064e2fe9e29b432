"""Two heads of one model: directions that one writes beside those that the other reads with. Knows no HTTP, no torch."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, Address, AddressError, Kind, Ray, parse
from app.core.coupling import specificities, together
from app.core.expectation import SURELY, expected, spread
from app.core.precedence import read_at, written_at
from app.explorer.circuitry import PairCell, PairPage
from app.explorer.errors import BadOption, NotBuilt
from app.explorer.layout import BANK_ENDS, PARTS, Part
from app.explorer.library import OpenModel
from app.explorer.pages import View
from app.explorer.places import check_place
from app.explorer.reading.around import SIGNS, entries
from app.explorer.reading.bank import Bank, open_bank
from app.explorer.reading.parts import not_built
from app.explorer.resources import Resources
from app.explorer.views import Options, visited

DRAWN = 24
"""Directions of each head on the map."""
MOST = 20
"""Cells that are told one by one."""
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


def pair(r: Resources, a: str, b: str, options: Options, part: Part) -> PairPage:
    """The OV of the head at a beside the part of the head at b; BadOption unless both are heads of one model.

    Where the bank is not there, the page says so.
    """
    one, other = (_head(name, text) for name, text in (("a", a), ("b", b)))
    if (one.model, one.pin) != (other.model, other.pin):
        raise BadOption(f"a and b must be heads of one model, not of {one.model} and {other.model}.")
    if part not in PARTS:
        raise BadOption(f"part must be one of {', '.join(PARTS)}.")
    opened, view = visited(r, one, options)
    check_place(opened, other)
    try:
        return _built(r, opened, view, one, other, part)
    except NotBuilt as missing:
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
            missing=str(missing),
        )


def _built(r: Resources, opened: OpenModel, view: View, one: Address, other: Address, part: Part) -> PairPage:
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
    return PairPage(
        one,
        other,
        opened.header,
        view,
        part,
        rows=tuple(bank.address(int(row)) for row in written.at[:DRAWN]),
        columns=tuple(bank.address(int(row)) for row in read.at[:DRAWN]),
        cosines=tuple(tuple(row) for row in cosines[:DRAWN, :DRAWN].tolist()),
        specificities=tuple(own[:DRAWN].tolist()),
        whole=together(own, written.strength),
        strongest=tuple(_cells(opened, bank, written, read, cosines, far)),
        n_beyond=int((far < SURELY).sum()),
        is_later=written_at("ov", one.layer) <= read_at(kind, other.layer, opened.header.n_layers),
        chance=float(np.sqrt(np.square(spreads).mean())),
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


def _cells(
    model: OpenModel,
    bank: Bank,
    written: Sheaf,
    read: Sheaf,
    cosines: NDArray[np.float64],
    far: NDArray[np.float64],
) -> list[PairCell]:
    order = np.argsort(-np.abs(cosines), axis=None, kind="stable")[:MOST]
    cells: list[PairCell] = []
    for row, column in zip(*np.unravel_index(order, cosines.shape), strict=True):
        cosine, at = float(cosines[row, column]), (int(written.at[row]), int(read.at[column]))
        signs = 0, int(cosine < 0)
        rays = [Ray(bank.address(place), SIGNS[sign]) for place, sign in zip(at, signs, strict=True)]
        tokens = [
            entries(model.vocabulary, bank.rows.ids[place, sign], TOKENS) for place, sign in zip(at, signs, strict=True)
        ]
        cells.append(PairCell(rays[0], rays[1], cosine, float(far[row, column]), tokens[0], tokens[1]))
    return cells


def _sheaf(model: OpenModel, bank: Bank, head: Address, kind: Kind, side: int) -> Sheaf | None:
    rows = bank.rows
    is_own = (rows.layer == head.layer) & (rows.head == head.head) & (rows.side == side)
    (at,) = np.nonzero(is_own & (rows.kind == KINDS.index(kind)) & ~rows.is_neuron)
    if not len(at):
        return None
    at = at[np.argsort(rows.index[at], kind="stable")]
    return Sheaf(at, bank.vectors(at), rows.strength[at])


def _head(name: str, text: str) -> Address:
    try:
        address = parse(text)
    except AddressError as error:
        raise BadOption(f"{name} is a head, such as gpt2/L5/H3: {error}") from error
    if address.depth != "head":
        raise BadOption(f"{name} is a head, such as gpt2/L5/H3: {address} is none.")
    return address
