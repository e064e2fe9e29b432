"""Which heads read which directions, of a whole model: what is there of it, with the share of such pairs that mean nothing.

Knows how the artifacts stand (`app.explorer.making.finding.readings`), and no page. Imports no torch.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, Address
from app.core.finding.reversal import BINS, false_shares, place
from app.explorer.layout import PARTS, Part
from app.explorer.library import OpenModel
from app.explorer.reading.finding.parts import held, not_built, recipes_for
from app.explorer.recipes import layer_of
from app.explorer.resources import Resources
from app.explorer.view import Processing
from app.store.artifacts import Artifact

LEAST = 3.0
"""CS from which a pair is listed."""
MOST_FALSE = 0.35
"""Share of pairs that may mean nothing, up to which one is listed."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of a direction and a head that reads it, from `reversal.FLOOR` on; all of a model's or some."""

    writer: NDArray[np.int16]
    """[n]: the layer that writes."""
    kind: NDArray[np.int8]
    head: NDArray[np.int16]
    index: NDArray[np.int32]
    """[n] each: which of its directions, as in the bank."""
    part: NDArray[np.int8]
    """[n]: of PARTS."""
    layer: NDArray[np.int16]
    reader: NDArray[np.int16]
    """[n] each: who reads it: the head, or the number of its group."""
    specificity: NDArray[np.float32]
    false_share: NDArray[np.float32]
    """[n]: at most; nan where it is not known."""

    def where(self, is_wanted: NDArray[np.bool_]) -> "Pairs":
        """Those, the most specific first."""
        rows = np.flatnonzero(is_wanted)
        rows = rows[np.argsort(-self.specificity[rows], kind="stable")]
        return Pairs(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def of_writer(self, address: Address) -> "Pairs":
        """Those of that direction."""
        assert address.kind is not None
        head = -1 if address.head is None else address.head
        is_own = (self.writer == address.layer) & (self.head == head) & (self.index == address.index)
        return self.where(is_own & (self.kind == KINDS.index(address.kind)))

    def of_reader(self, part: Part, layer: int, reader: int) -> "Pairs":
        """Those of that query's head, or that group's key or value."""
        return self.where((self.part == PARTS.index(part)) & (self.layer == layer) & (self.reader == reader))

    def passing(self) -> NDArray[np.bool_]:
        """Which of them are listed."""
        is_listed: NDArray[np.bool_] = (self.specificity >= LEAST) & (self.false_share <= MOST_FALSE)
        return is_listed


def open_pairs(r: Resources, model: OpenModel, processing: Processing) -> Pairs:
    """Of all layers, kept for the next request; NotBuilt until they are all there: of some nothing could be said of how many
    pairs mean nothing, nor that a direction is read by no head.
    """
    parts = [part for part in recipes_for(model, processing) if part.kind == "readings"]

    def opened() -> Pairs:
        if not all(map(r.store.exists, parts)):  # nothing is read in vain
            raise not_built(model, processing)
        found = {layer_of(part) or 0: artifact for part in parts if (artifact := r.store.read(part))}
        if len(found) < len(parts):
            raise not_built(model, processing)
        return _joined(found, model.header.n_layers)

    return held(r, model, processing, "readings", parts, opened, _size)


def _joined(found: dict[int, Artifact], n_layers: int) -> Pairs:
    own = ("kind", "head", "index", "part", "layer", "reader", "specificity")
    columns = {name: np.concatenate([each.arrays[name] for each in found.values()]) for name in own}
    sizes = [len(each.arrays["index"]) for each in found.values()]
    writer = np.repeat(np.array(list(found), np.int16), sizes)
    counts = np.zeros((len(PARTS), n_layers, n_layers, BINS), np.int64)
    pairs = np.zeros((len(PARTS), n_layers, n_layers), np.int64)
    for layer, each in found.items():
        counts[:, layer], pairs[:, layer] = each.arrays["counts"], each.arrays["pairs"]
    shares = np.stack([false_shares(*own_part) for own_part in zip(counts, pairs, strict=True)])
    distance = columns["layer"] - writer
    share = shares[columns["part"], distance - 1, place(columns["specificity"])]
    return Pairs(writer=writer, **columns, false_share=share.astype(np.float32))


def _size(pairs: Pairs) -> int:
    return sum(getattr(pairs, field.name).nbytes for field in fields(Pairs))
