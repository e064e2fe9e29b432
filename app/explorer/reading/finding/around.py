"""The surroundings of a bank's row: the directions that it is like, that read it and that write it.

A cosine is measured in root mean squares of those of all candidate rows, which gives how many would be so large by
chance (`app.core.finding.expectation`). Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, SIGNS, Address, Ray, Sign
from app.core.finding.expectation import expected_count, threshold_z
from app.explorer.inventory import stream_side_of
from app.explorer.layout import PARTS, Part
from app.explorer.library import OpenModel
from app.explorer.pages.circuitry import Aligned, Alignments, Reading, Readings, Surroundings
from app.explorer.reading.finding.bank import Bank
from app.explorer.reading.finding.order import Precedence
from app.explorer.reading.finding.readings import Pairs
from app.models.vocabulary import TokenEntry, Vocabulary

MOST = 10
"""Rows of each list that are shown."""
MOST_READINGS = 16
TOKENS = 6
"""Tokens shown of each ray, at most."""
SHARED_SPANS = {("ov", 0), ("qk", 1)}
"""Sides, by kind and number, whose span all heads of a key/value group share."""

Mask = NDArray[np.bool_]


def read_surroundings(
    model: OpenModel,
    bank: Bank,
    order: Precedence,
    rows: Sequence[int],
    pairs: Pairs | None,
    sign: Sign = "p",
    pin: str | None = None,
    stream: NDArray[np.float32] | None = None,
) -> tuple[Surroundings, ...]:
    """Read the surroundings of one end of each of these rows.

    `pairs`: the model's readings, where they were computed; `pin`: the pin of every address; `stream`: what the norm before
    each layer divides the stream by on the reference text, where that is known.
    """
    sides = [Around(model, bank, order, row, pin, stream) for row in rows]
    # One pass over all candidate rows.
    vectors = bank.vectors(np.array(rows, np.intp)) * np.float32(1 if sign == "p" else -1)
    cosines = bank.products(vectors.T, np.logical_or.reduce([side.wanted for side in sides]))
    return tuple(side.describe(own, pairs) for side, own in zip(sides, cosines.T, strict=True))


class Around:
    """One row of a bank and the rows that it is compared with."""

    def __init__(
        self,
        model: OpenModel,
        bank: Bank,
        order: Precedence,
        row: int,
        pin: str | None,
        stream: NDArray[np.float32] | None,
    ) -> None:
        self._model, self._bank, self._row, self._pin, self._stream = model, bank, row, pin, stream
        rows = bank.rows
        self.writes = bool(order.writes[row])
        of_svd = ~rows.is_neuron & order.is_used
        like = of_svd & (order.writes == self.writes) & ~self._mask_siblings()
        partner = order.is_used & (order.writes != self.writes)
        partner &= order.at >= order.at[row] if self.writes else order.at <= order.at[row]
        partner &= ~self._mask_own_matrix()
        self._lists = {"like": like, "others": partner & ~rows.is_neuron, "neurons": partner & rows.is_neuron}
        self.wanted: Mask = like | partner
        """Rows that it is compared with."""

    def describe(self, cosines: NDArray[np.float32], pairs: Pairs | None) -> Surroundings:
        """Describe the surroundings by the cosines of one of its ends with all wanted rows."""
        rows, row = self._bank.rows, self._row
        place = self._bank.address(row, self._pin)
        assert place.kind is not None
        like, others, neurons = (self._find_alignments(name, cosines) for name in ("like", "others", "neurons"))
        reader = None if self.writes else reader_of(self._model, place, int(rows.side[row]))
        readings = None
        if pairs is not None and self.writes and place.kind in {"ov", "mlp-out"} and place.basis == "svd":
            readings = self._list_readings(pairs.of_writer(place))
        elif pairs is not None and reader is not None and place.basis == "svd":
            assert place.layer is not None
            readings = self._list_readings(pairs.of_reader(reader[0], place.layer, reader[1]), cosines)
        return Surroundings(
            stream_side_of(place.kind, rows.side[row]),
            self.writes,
            name_both_ends(self._model.vocabulary, self._bank, row),
            like,
            others,
            neurons,
            readings,
            None
            if reader is None
            else (reader[0], heads_of(self._model, place.at_layer(place.layer or 0), reader[0], reader[1])),
        )

    def _mask_own_matrix(self) -> Mask:
        rows, row = self._bank.rows, self._row
        own: Mask = (rows.layer == rows.layer[row]) & (rows.kind == rows.kind[row]) & (rows.head == rows.head[row])
        return own

    def _mask_siblings(self) -> Mask:
        """Mask the rows of its own matrix, and of matrices that share its side's span by construction."""
        rows, row, model = self._bank.rows, self._row, self._model.header
        same: Mask = (rows.layer == rows.layer[row]) & (rows.kind == rows.kind[row])
        is_shared = (KINDS[rows.kind[row]], int(rows.side[row])) in SHARED_SPANS
        size = model.n_heads // model.n_kv_heads if is_shared else 1
        same &= rows.head // size == rows.head[row] // size
        return same

    def _find_alignments(self, name: str, of_all: NDArray[np.float32]) -> Alignments:
        (at,) = np.nonzero(self._lists[name])
        cosines = of_all[at].astype(np.float64)
        spread = float(np.sqrt(np.square(cosines).mean())) if len(at) else 0.0
        if spread == 0.0:
            return Alignments((), 0, len(at))
        z = cosines / spread
        (beyond,) = np.nonzero(np.abs(z) >= threshold_z(len(at)))
        first = beyond[np.argsort(-np.abs(z[beyond]), kind="stable")][:MOST]
        found = [
            self._describe_row(row, c, own, len(at))
            for row, c, own in zip(at[first], cosines[first], z[first], strict=True)
        ]
        return Alignments(tuple(found), len(beyond), len(at))

    def _describe_row(self, row: int, cosine: float, z: float, n: int) -> Aligned:
        return describe_row(self._model.vocabulary, self._bank, int(row), float(cosine), float(z), n, pin=self._pin)

    def _list_readings(self, pairs: Pairs, of_writers: NDArray[np.float32] | None = None) -> Readings:
        """List the readings; `of_writers`: the cosines of all rows, where the row reads and its writers are listed."""
        passing = pairs.mask_listed()
        (at,) = np.nonzero(passing)
        listed = [self._describe_reading(pairs, one) for one in at[:MOST_READINGS].tolist()]
        found = listed if of_writers is None else [self._add_writer(one, of_writers) for one in listed]
        return Readings(tuple(found), len(at), len(passing) - len(at))

    def _describe_reading(self, pairs: Pairs, one: int) -> Reading:
        head, model = int(pairs.head[one]), Address(self._model.header.slug, self._pin)
        writer, layer = int(pairs.writer[one]), int(pairs.layer[one])
        part = PARTS[pairs.part[one]]
        kind = KINDS[pairs.kind[one]]
        above = model.at_layer(writer) if head < 0 else model.at_layer(writer).at_head(head)
        address = above.at(kind).in_basis("svd").direction(int(pairs.index[one]))
        return Reading(
            address,
            part,
            heads_of(self._model, model.at_layer(layer), part, int(pairs.reader[one])),
            float(pairs.specificity[one]),
            float(pairs.false_share[one]),
            layer - writer,
            strength=self._measure_strength(address, float(pairs.specificity[one]), layer),
        )

    def _measure_strength(self, writer: Address, specificity: float, layer: int) -> float | None:
        """Measure how strongly a layer reads what a direction writes, in units of the stream; None where that is not known."""
        row = None if self._stream is None else self._bank.find(writer, 1)
        if self._stream is None or row is None:
            return None
        return float(self._bank.rows.strength[row]) * specificity / float(self._stream[layer])

    def _add_writer(self, reading: Reading, cosines: NDArray[np.float32]) -> Reading:
        row = self._bank.find(reading.writer, 1)
        if row is None:
            return reading
        gain, tokens = float(self._bank.rows.gain[row]), name_both_ends(self._model.vocabulary, self._bank, row)
        # A writer that was not compared has the cosine nan, which is not below 0 either.
        return replace(reading, ray="n" if cosines[row] < 0 else "p", gain=gain, tokens=tokens)


def reader_of(model: OpenModel, place: Address, side: int) -> tuple[Part, int] | None:
    """Return which part of a head reads the stream on this side, and its number; None for a matrix of no head."""
    if place.head is None:
        return None
    if place.kind == "qk" and side == 0:
        return "query", place.head
    group = place.head // (model.header.n_heads // model.header.n_kv_heads)
    return ("key" if place.kind == "qk" else "value"), group


def heads_of(model: OpenModel, layer: Address, part: Part, reader: int) -> tuple[Address, ...]:
    """List the heads of a reader: one for a query, a group for a key or a value."""
    size = 1 if part == "query" else model.header.n_heads // model.header.n_kv_heads
    return tuple(layer.at_head(head) for head in range(reader * size, (reader + 1) * size))


def name_both_ends(
    vocabulary: Vocabulary, bank: Bank, row: int
) -> tuple[tuple[TokenEntry, ...], tuple[TokenEntry, ...]]:
    """Name the first tokens of both rays of a row."""
    plus, minus = (look_up_entries(vocabulary, bank.rows.ids[row, sign]) for sign in (0, 1))
    return plus, minus


def look_up_entries(
    vocabulary: Vocabulary, ids: NDArray[np.int32] | Sequence[int], most: int = TOKENS
) -> tuple[TokenEntry, ...]:
    """Look up the first tokens, without the -1 that fills up a small vocabulary."""
    return tuple(vocabulary.entry(int(id_)) for id_ in ids[:most] if id_ >= 0)


def describe_row(
    vocabulary: Vocabulary,
    bank: Bank,
    row: int,
    value: float,
    z: float,
    n: int,
    sign: Sign | None = None,
    pin: str | None = None,
) -> Aligned:
    """Describe a row compared with something, as the ray on whose side it lies, at that pin."""
    place = bank.address(row, pin)
    assert place.kind is not None
    sign = sign or ("p" if z >= 0 else "n")
    rows = bank.rows
    return Aligned(
        Ray(place, sign),
        stream_side_of(place.kind, rows.side[row]),
        value,
        z,
        float(expected_count(np.array([z]), n)[0]),
        float(rows.gain[row]),
        look_up_entries(vocabulary, rows.ids[row, SIGNS.index(sign)]),
    )
