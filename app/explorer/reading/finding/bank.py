"""The bank of a model, opened: numbers of every row in memory, and vectors where they are small; else read on demand.

Files are read into buffers, never mapped: one that is cut short or deleted costs one answer. Missing or damaged parts
are left out, and `share` says so. Knows no query and no page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, Address
from app.explorer.bank import count_rows
from app.explorer.layout import BANK_ENDS
from app.explorer.library import OpenModel
from app.explorer.reading.finding.parts import get_or_build, locate_parts, not_built_error, recipes_for, report_changes
from app.explorer.reading.finding.streams import multiply_rows, read_parts, read_rows, run_in_parallel
from app.explorer.recipes import layer_of
from app.explorer.resources import Resources
from app.explorer.view import End, Processing
from app.store.artifacts import Located, Recipe
from app.store.located import Changed

HELD_BYTES = 2**25
"""Bytes of vectors up to which they are in memory: reading them for each answer takes longer than multiplying them."""
CACHED_ROW_BYTES = 12
"""Bytes a row of what is cached with the bank once an order or a token is asked for."""


@dataclass(frozen=True)
class Rows:
    """The numbers of a bank's rows, one available part after the other.

    A row is one side of one direction, at unit length; it has two rays, + and -. Within a part the rows of the read end
    come first, then by kind, head, index and side.
    """

    layer: NDArray[np.int16]
    """[n]; -1 for the model's ends."""
    kind: NDArray[np.int8]
    """[n]: which matrix, in `app.core.address.KINDS`."""
    head: NDArray[np.int16]
    """[n]; -1 where the matrix belongs to no head."""
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
    """[n 2], for both rays, as the direction's page has it; nan where nothing was judged."""
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
        """The name of the array of vectors: `halves` in float16, else `vectors`."""
        return "halves" if "halves" in self.place.stretches else "vectors"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the vectors: n, d_model."""
        return self.place.stretches[self.array].shape

    @property
    def stop(self) -> int:
        """The row after its last."""
        return self.start + self.shape[0]


class Bank:
    """The available parts of a model's bank in one weight processing; immutable."""

    def __init__(
        self,
        model: OpenModel,
        rows: Rows,
        parts: Sequence[BankPart],
        n_rows: int,
        moments: Mapping[End, NDArray[np.float32]] | None,
        shadow: Mapping[End, NDArray[np.int32]] | None,
        held: NDArray[np.float32] | None,
    ) -> None:
        self._model, self._parts = model, tuple(parts)
        self.held = held
        """The rows' vectors [n d], where they are in memory."""
        self._of_layer: dict[tuple[int, bool], list[BankPart]] = {}
        for part in parts:
            self._of_layer.setdefault((part.layer, part.is_neuron), []).append(part)
        self.rows = rows
        self.n_rows = n_rows
        """Singular rows of the whole model, estimated while parts are missing."""
        self.moments = None if moments is None else dict(moments)
        """Mean of `v v^T` over the singular rows of each end, [d d], trace 1; None until all rows are there."""
        self.shadow = None if shadow is None else dict(shadow)
        """Tokens of random directions by end, [m 2 k]; None until all are there."""
        self.share = (len(rows.layer) - int(rows.is_neuron.sum())) / max(1, n_rows)
        """Share of the model's singular rows that are here: 1.0 for a whole bank."""

    def vectors(self, at: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the unit vectors of these rows [k d]; ComputationFailed where a file has changed under a bank that reads."""
        at = np.asarray(at, np.intp)
        if self.held is not None:
            held: NDArray[np.float32] = self.held[at]
            return held
        found = np.empty((len(at), self._model.header.d_model), np.float32)
        order = np.argsort(at, kind="stable")
        ends = np.searchsorted(at[order], [part.stop for part in self._parts])
        with report_changes(self._model):
            for part, own in zip(self._parts, np.split(order, ends[:-1]), strict=True):
                if len(own):
                    _gather_vectors(part, at[own] - part.start, found, own)
            _check_numbers(found)
        return found

    def products(self, vector: NDArray[np.floating], where: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Compute the dot product of every row with the vector [n], nan outside `where` [n].

        For several vectors [d k] at once: [n k]. Reads block by block what is not in memory; ComputationFailed where a file
        has changed under the bank.
        """
        query = np.ascontiguousarray(vector, np.float32)
        found = np.full((len(self.rows.layer), *query.shape[1:]), np.nan, np.float32)

        def multiply_part(part: BankPart) -> None:
            own = slice(part.start, part.stop)
            if self.held is None:
                multiply_rows(part.place, part.array, query, found[own], None if where is None else where[own])
            elif where is None or where[own].any():
                np.dot(self.held[own], query, out=found[own])

        with report_changes(self._model):
            run_in_parallel(multiply_part, self._parts)
            _check_numbers(found if where is None else found[where])
        if where is not None:
            found[~where] = np.nan
        return found

    def bytes_of(self, where: NDArray[np.bool_]) -> int:
        """Count the bytes that are read for the products of these rows [n], at most."""
        parts = [part for part in self._parts if where[part.start : part.stop].any()]
        return sum(part.shape[0] * part.place.stretches[part.array].row_bytes for part in parts)

    def find(self, address: Address, side: int) -> int | None:
        """Find the row of one side (0 left, 1 right) of the direction at the address; None if it is not here."""
        if address.basis not in {None, "svd", "neuron"}:
            return None
        rows, layer = self.rows, -1 if address.layer is None else address.layer
        head, kind = -1 if address.head is None else address.head, KINDS.index(address.kind) if address.kind else -1
        for part in self._of_layer.get((layer, address.basis == "neuron"), ()):
            own = slice(part.start, part.stop)
            # Few rows have the number: all else is checked on these.
            (at,) = np.nonzero((rows.unit if part.is_neuron else rows.index)[own] == address.index)
            at += part.start
            at = at[(rows.side[at] == side) & (rows.head[at] == head) & (rows.kind[at] == kind)]
            if len(at):
                return int(at[0])
        return None

    def address(self, row: int, pin: str | None = None) -> Address:
        """Return the address of the direction that the row is a side of, at the pin of the visitor's address."""
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
    """Open the available parts of the model's bank, cached for the next request; NotBuilt where there are none."""
    parts = _list_parts(model, processing)
    return get_or_build(
        r, model, processing, "bank", parts, lambda: _open_parts(r, model, processing, parts), _count_bytes
    )


def _list_parts(model: OpenModel, processing: Processing) -> list[Recipe]:
    return [part for part in recipes_for(model, processing) if part.kind in {"bank", "moments", "shadow"}]


def _open_parts(r: Resources, model: OpenModel, processing: Processing, parts: Sequence[Recipe]) -> Bank:
    of_rows = [part for part in parts if part.kind == "bank"]
    # Singular directions before neurons, the model's ends before its layers.
    of_rows.sort(key=lambda part: (part.basis == "neuron", -1 if (layer := layer_of(part)) is None else layer))
    found = locate_parts(r, of_rows)
    if all(recipe.basis == "neuron" for recipe, _ in found):
        raise not_built_error(model, processing)
    here = {recipe: place.stretches["index"].shape[0] for recipe, place in found}
    n_rows = sum(here.get(recipe, count_rows(model, processing, recipe)) for recipe in of_rows if recipe.basis == "svd")
    opened = list(_place_parts(found))
    rows = _read_rows(opened)
    if rows.ids.size and not -1 <= rows.ids.min() <= rows.ids.max() < model.header.d_vocab:
        raise Changed("there is no such token")
    is_small = 4 * opened[-1].stop * model.header.d_model <= HELD_BYTES
    held = _read_vectors(opened) if is_small else None
    return Bank(model, rows, opened, n_rows, _read_moments(r, parts), _read_shadow(r, parts), held)


def _place_parts(found: Sequence[tuple[Recipe, Located]]) -> Iterator[BankPart]:
    start = 0
    for recipe, place in found:
        layer = layer_of(recipe)
        part = BankPart(-1 if layer is None else layer, recipe.basis == "neuron", start, place)
        yield part
        start = part.stop


def _read_rows(parts: Sequence[BankPart]) -> Rows:
    """Read the numbers of all parts straight into one array each, so that nothing is in memory twice."""
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
        with part.place.open_handle() as handle:
            for name in set(arrays) - own:
                part.place.read_into(handle, name, 0, arrays[name][rows])
    return Rows(**arrays)


def _read_vectors(parts: Sequence[BankPart]) -> NDArray[np.float32]:
    vectors = np.empty((parts[-1].stop, parts[0].shape[1]), np.float32)
    read_parts(((part.place, part.array) for part in parts), vectors)
    _check_numbers(vectors)
    return vectors


def _read_moments(r: Resources, parts: Sequence[Recipe]) -> dict[End, NDArray[np.float32]] | None:
    found = locate_parts(r, [part for part in parts if part.kind == "moments"])
    return {end: place.read(end) for _, place in found for end in BANK_ENDS if end in place.stretches} or None


def _read_shadow(r: Resources, parts: Sequence[Recipe]) -> dict[End, NDArray[np.int32]] | None:
    wanted = [part for part in parts if part.kind == "shadow"]
    found = locate_parts(r, wanted)
    if len(found) < len(wanted):
        return None
    return {end: place.read("ids") for recipe, place in found for end in BANK_ENDS if recipe.subject == f"shadow/{end}"}


def _check_numbers(found: NDArray[np.float32]) -> None:
    """Raise Changed where vectors are not finite: the file is not proven yet, or was written into since."""
    if not np.isfinite(found).all():
        raise Changed("its vectors are no numbers")


def _gather_vectors(
    part: BankPart, own: NDArray[np.intp], found: NDArray[np.float32], places: NDArray[np.intp]
) -> None:
    """Read these rows of a part, rising, into their places of `found`; consecutive rows are read in one go."""
    breaks = np.flatnonzero(np.diff(own) > 1) + 1
    with part.place.open_handle() as handle:
        for run, run_places in zip(np.split(own, breaks), np.split(places, breaks), strict=True):
            block = np.empty((int(run[-1] - run[0]) + 1, part.shape[1]), np.float32)
            read_rows(part.place, handle, part.array, int(run[0]), block)
            found[run_places] = block[run - run[0]]


def _count_bytes(bank: Bank) -> int:
    """Count the bytes of a bank and of what is cached with it (`reading.finding.order`, `reading.finding.token`)."""
    arrays = [getattr(bank.rows, field.name) for field in fields(Rows)]
    arrays += [*(bank.moments or {}).values(), *(bank.shadow or {}).values()]
    arrays += [] if bank.held is None else [bank.held]
    total: int = sum(array.nbytes for array in arrays) + CACHED_ROW_BYTES * len(bank.rows.layer)
    return total
