"""The bank of a model, open: numbers of every row in memory, vectors read from disk as they are asked for.

Read into buffers, never mapped: a file that is cut short or deleted costs one answer. What is not there yet, or is damaged,
is left out, and `share` says so. Knows no query and no page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, Address
from app.explorer.bank import count_rows
from app.explorer.layout import BANK_ENDS
from app.explorer.library import OpenModel
from app.explorer.reading.finding.parts import change_told, held, located, not_built, recipes_for
from app.explorer.reading.finding.streams import multiply, read_rows, side_by_side
from app.explorer.recipes import layer_of
from app.explorer.resources import Resources
from app.explorer.view import End, Processing
from app.store.artifacts import Located, Recipe
from app.store.located import Changed

BESIDES = 12
"""Bytes of each row that are made when somebody first asks for an order or a token, and kept as long as the bank."""


@dataclass(frozen=True)
class Rows:
    """What is known of the vectors of a bank: those of all parts that are there, one part after the other.

    A row is one side of one direction, at unit length; it has two rays, + and -. Within a part the rows of the read end come
    first, then by kind, head, index and side.
    """

    layer: NDArray[np.int16]
    """[n]; -1 for the model's ends."""
    kind: NDArray[np.int8]
    """[n]: which matrix, in `app.core.address.KINDS`."""
    head: NDArray[np.int16]
    """[n]; -1 where the matrix is no head's."""
    index: NDArray[np.int32]
    """[n]: which direction of the matrix, in its basis."""
    side: NDArray[np.int8]
    """[n]: 0 the left side (read, query), 1 the right one (write, key)."""
    end: NDArray[np.int8]
    """[n]: whose tokens the rays are read as, 0 the embedding's (read), 1 the unembedding's (write)."""
    strength: NDArray[np.float32]
    """[n]: the singular value; the length of a neuron's weights."""
    gain: NDArray[np.float32]
    """[n]: strength in root mean squares of its matrix's: 1 for an average direction."""
    spread: NDArray[np.float32]
    """[n]: standard deviation of the row's scores over all tokens of its end."""
    z: NDArray[np.float32]
    """[n 2]: of both rays, as the direction's page has it; nan where nothing was judged."""
    p: NDArray[np.float32]
    """[n 2]; nan where nothing was judged."""
    reading: NDArray[np.int8]
    """[n 2]: in `app.core.judging.rays.READINGS`; 0 where nothing was judged."""
    letterless: NDArray[np.bool_]
    """[n 2]: most tokens have no letter."""
    ids: NDArray[np.int32]
    """[n 2 k]: the tokens of + and of -, best first."""
    unit: NDArray[np.int32]
    """[n]: which neuron of its MLP; -1 for a singular direction."""
    is_neuron: NDArray[np.bool_]
    """[n]."""


@dataclass(frozen=True)
class BankPart:
    """Rows of one layer in one basis, and where their vectors lie."""

    layer: int
    is_neuron: bool
    start: int
    """Its first row in the bank."""
    place: Located

    @property
    def array(self) -> str:
        """What the vectors are called there: `halves` in float16, else `vectors`."""
        return "halves" if "halves" in self.place.stretches else "vectors"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the vectors: n, d_model."""
        return self.place.stretches[self.array].shape

    @property
    def stop(self) -> int:
        """The row after its last."""
        return self.start + self.shape[0]


class Bank:
    """What is there of a model's bank in one weight processing; never changes."""

    def __init__(
        self,
        model: OpenModel,
        rows: Rows,
        parts: Sequence[BankPart],
        n_rows: int,
        moments: Mapping[End, NDArray[np.float32]] | None,
        shadow: Mapping[End, NDArray[np.int32]] | None,
    ) -> None:
        self._model, self._parts = model, tuple(parts)
        self._of_layer: dict[tuple[int, bool], list[BankPart]] = {}
        for part in parts:
            self._of_layer.setdefault((part.layer, part.is_neuron), []).append(part)
        self.rows = rows
        self.n_rows = n_rows
        """Singular rows of the whole model, as far as can be told while parts are missing."""
        self.moments = None if moments is None else dict(moments)
        """Of each end: mean of `v v^T` over its singular rows, [d d], trace 1; None until all of them are there."""
        self.shadow = None if shadow is None else dict(shadow)
        """Of each end: the tokens of random directions, [m 2 k]; None until all of them are there."""
        self.share = (len(rows.layer) - int(rows.is_neuron.sum())) / max(1, n_rows)
        """Of the model's singular rows, those that are here: 1.0 for a whole bank."""

    def vectors(self, at: NDArray[np.intp]) -> NDArray[np.float32]:
        """The unit vectors of these rows [k d]; ComputationFailed where a file has changed under the bank."""
        at = np.asarray(at, np.intp)
        found = np.empty((len(at), self._model.header.d_model), np.float32)
        order = np.argsort(at, kind="stable")
        ends = np.searchsorted(at[order], [part.stop for part in self._parts])
        with change_told(self._model):
            for part, own in zip(self._parts, np.split(order, ends[:-1]), strict=True):
                if len(own):
                    _gather(part, at[own] - part.start, found, own)
            _check_numbers(found)
        return found

    def products(self, vector: NDArray[np.floating], where: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """The dot product of every row with the vector [n], nan outside `where` [n]: all vectors are read, block by block.

        Of several vectors [d k] at once: [n k]. ComputationFailed where a file has changed under the bank.
        """
        query = np.ascontiguousarray(vector, np.float32)
        found = np.full((len(self.rows.layer), *query.shape[1:]), np.nan, np.float32)

        def of_part(part: BankPart) -> None:
            own = slice(part.start, part.stop)
            multiply(part.place, part.array, query, found[own], None if where is None else where[own])

        with change_told(self._model):
            side_by_side(of_part, self._parts)
            _check_numbers(found if where is None else found[where])
        if where is not None:
            found[~where] = np.nan
        return found

    def bytes_of(self, where: NDArray[np.bool_]) -> int:
        """How much is read for the products of these rows [n], at most."""
        parts = [part for part in self._parts if where[part.start : part.stop].any()]
        return sum(part.shape[0] * part.place.stretches[part.array].row_bytes for part in parts)

    def find(self, address: Address, side: int) -> int | None:
        """The row of that side, 0 left and 1 right, of the direction at the address; None if it is not here."""
        if address.basis not in {None, "svd", "neuron"}:
            return None
        rows, layer = self.rows, -1 if address.layer is None else address.layer
        head, kind = -1 if address.head is None else address.head, KINDS.index(address.kind) if address.kind else -1
        for part in self._of_layer.get((layer, address.basis == "neuron"), ()):
            own = slice(part.start, part.stop)
            # Few rows have the number; all else is asked of these.
            (at,) = np.nonzero((rows.unit if part.is_neuron else rows.index)[own] == address.index)
            at += part.start
            at = at[(rows.side[at] == side) & (rows.head[at] == head) & (rows.kind[at] == kind)]
            if len(at):
                return int(at[0])
        return None

    def address(self, row: int, pin: str | None = None) -> Address:
        """The direction that the row is a side of, at the pin that the visitor's address has."""
        rows = self.rows
        layer, head = int(rows.layer[row]), int(rows.head[row])
        return Address(
            self._model.header.slug,
            pin,
            None if layer < 0 else layer,
            None if head < 0 else head,
            KINDS[rows.kind[row]],
            "neuron" if rows.is_neuron[row] else "svd",
            int(rows.unit[row] if rows.is_neuron[row] else rows.index[row]),
        )


def open_bank(r: Resources, model: OpenModel, processing: Processing) -> Bank:
    """What is there of the model's bank in that processing, kept for the next request; NotBuilt where nothing is."""
    parts = _parts(model, processing)
    return held(r, model, processing, "bank", parts, lambda: _opened(r, model, processing, parts), _size)


def _parts(model: OpenModel, processing: Processing) -> list[Recipe]:
    return [part for part in recipes_for(model, processing) if part.kind in {"bank", "moments", "shadow"}]


def _opened(r: Resources, model: OpenModel, processing: Processing, parts: Sequence[Recipe]) -> Bank:
    of_rows = [part for part in parts if part.kind == "bank"]
    # Singular directions before neurons, the model's ends before its layers.
    of_rows.sort(key=lambda part: (part.basis == "neuron", -1 if (layer := layer_of(part)) is None else layer))
    found = located(r, of_rows)
    if all(recipe.basis == "neuron" for recipe, _ in found):
        raise not_built(model, processing)
    here = {recipe: place.stretches["index"].shape[0] for recipe, place in found}
    n_rows = sum(here.get(recipe, count_rows(model, processing, recipe)) for recipe in of_rows if recipe.basis == "svd")
    opened = list(_in_order(found))
    rows = _rows(opened)
    if rows.ids.size and not -1 <= rows.ids.min() <= rows.ids.max() < model.header.d_vocab:
        raise Changed("there is no such token")
    return Bank(model, rows, opened, n_rows, _moments(r, parts), _shadow(r, parts))


def _in_order(found: Sequence[tuple[Recipe, Located]]) -> Iterator[BankPart]:
    start = 0
    for recipe, place in found:
        layer = layer_of(recipe)
        part = BankPart(-1 if layer is None else layer, recipe.basis == "neuron", start, place)
        yield part
        start = part.stop


def _rows(parts: Sequence[BankPart]) -> Rows:
    """The numbers of all parts, each in one array from the start, so that nothing is in memory twice."""
    own = {"layer", "is_neuron"}
    n = parts[-1].stop
    first = parts[0].place.stretches
    arrays = {
        field.name: np.empty((n, *first[field.name].shape[1:]), first[field.name].dtype)
        for field in fields(Rows)
        if field.name not in own
    }
    arrays |= {"layer": np.empty(n, np.int16), "is_neuron": np.empty(n, np.bool_)}
    for part in parts:
        rows = slice(part.start, part.stop)
        arrays["layer"][rows], arrays["is_neuron"][rows] = part.layer, part.is_neuron
        with part.place.opened() as handle:
            for name in set(arrays) - own:
                part.place.read_into(handle, name, 0, arrays[name][rows])
    return Rows(**arrays)


def _moments(r: Resources, parts: Sequence[Recipe]) -> dict[End, NDArray[np.float32]] | None:
    found = located(r, [part for part in parts if part.kind == "moments"])
    return {end: place.read(end) for _, place in found for end in BANK_ENDS if end in place.stretches} or None


def _shadow(r: Resources, parts: Sequence[Recipe]) -> dict[End, NDArray[np.int32]] | None:
    wanted = [part for part in parts if part.kind == "shadow"]
    found = located(r, wanted)
    if len(found) < len(wanted):
        return None
    return {end: place.read("ids") for recipe, place in found for end in BANK_ENDS if recipe.subject == f"shadow/{end}"}


def _check_numbers(found: NDArray[np.float32]) -> None:
    """Changed where a file has other bytes than it was written with: one that is not proven yet, or was written into since."""
    if not np.isfinite(found).all():
        raise Changed("its vectors are no numbers")


def _gather(part: BankPart, own: NDArray[np.intp], found: NDArray[np.float32], places: NDArray[np.intp]) -> None:
    """Vectors of those rows of the part, rising, put where they belong; rows that follow each other are read in one go."""
    breaks = np.flatnonzero(np.diff(own) > 1) + 1
    with part.place.opened() as handle:
        for run, run_places in zip(np.split(own, breaks), np.split(places, breaks), strict=True):
            block = np.empty((int(run[-1] - run[0]) + 1, part.shape[1]), np.float32)
            read_rows(part.place, handle, part.array, int(run[0]), block)
            found[run_places] = block[run - run[0]]


def _size(bank: Bank) -> int:
    """Of all that it holds, and of what is kept with it (`app.explorer.reading.finding.order`, `app.explorer.reading.finding.token`)."""
    arrays = [getattr(bank.rows, field.name) for field in fields(Rows)]
    arrays += [*(bank.moments or {}).values(), *(bank.shadow or {}).values()]
    total: int = sum(array.nbytes for array in arrays) + BESIDES * len(bank.rows.layer)
    return total
