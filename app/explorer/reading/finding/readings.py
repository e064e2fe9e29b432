"""The pairs of a direction and a head that reads it, over a whole model, with the share of false ones.

Knows how the artifacts are laid out (`app.explorer.making.finding.readings`), and no page. Imports no torch.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, Address
from app.core.finding.reversal import BINS, bin_of, false_shares
from app.explorer.layout import PARTS, Part
from app.explorer.library import OpenModel
from app.explorer.reading.finding.parts import get_or_build, not_built_error, recipes_for
from app.explorer.recipes import layer_of
from app.explorer.resources import Resources
from app.explorer.view import Processing
from app.store.artifacts import Artifact

LEAST_SPECIFICITY = 3.0
"""Least CS of a listed pair."""
MOST_FALSE = 0.35
"""Largest share of false pairs at which one is still listed."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of a direction and a head that reads it, with a CS of at least `reversal.FLOOR`."""

    writer: NDArray[np.int16]
    """[n]: the layer that writes."""
    kind: NDArray[np.int8]
    head: NDArray[np.int16]
    index: NDArray[np.int32]
    """[n] each: the direction, as in the bank."""
    part: NDArray[np.int8]
    """[n]: index into PARTS."""
    layer: NDArray[np.int16]
    reader: NDArray[np.int16]
    """[n] each: the layer that reads, and the head, or the number of its key/value group."""
    specificity: NDArray[np.float32]
    false_share: NDArray[np.float32]
    """[n]: largest share of such pairs that may be false; nan where it is not known."""

    def where(self, is_wanted: NDArray[np.bool_]) -> "Pairs":
        """Select pairs, the most specific first."""
        rows = np.flatnonzero(is_wanted)
        rows = rows[np.argsort(-self.specificity[rows], kind="stable")]
        return Pairs(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def of_writer(self, address: Address) -> "Pairs":
        """Select the pairs of the direction at the address."""
        assert address.kind is not None
        head = -1 if address.head is None else address.head
        is_own = (self.writer == address.layer) & (self.head == head) & (self.index == address.index)
        return self.where(is_own & (self.kind == KINDS.index(address.kind)))

    def of_reader(self, part: Part, layer: int, reader: int) -> "Pairs":
        """Select the pairs of a head's query, or of a group's key or value."""
        return self.where((self.part == PARTS.index(part)) & (self.layer == layer) & (self.reader == reader))

    def mask_listed(self) -> NDArray[np.bool_]:
        """Mask the pairs that are listed [n]."""
        is_listed: NDArray[np.bool_] = (self.specificity >= LEAST_SPECIFICITY) & (self.false_share <= MOST_FALSE)
        return is_listed


def open_pairs(r: Resources, model: OpenModel, processing: Processing) -> Pairs:
    """Open the pairs of all layers, cached for the next request; NotBuilt until all layers are there.

    A part of them could tell neither the false share, nor that a direction is read by no head.
    """
    parts = [part for part in recipes_for(model, processing) if part.kind == "readings"]

    def build() -> Pairs:
        if not all(map(r.store.exists, parts)):  # read nothing in vain
            raise not_built_error(model, processing)
        found = {layer_of(part) or 0: artifact for part in parts if (artifact := r.store.read(part))}
        if len(found) < len(parts):
            raise not_built_error(model, processing)
        return _join_layers(found, model.header.n_layers)

    return get_or_build(r, model, processing, "readings", parts, build, _count_bytes)


def _join_layers(found: dict[int, Artifact], n_layers: int) -> Pairs:
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
    share = shares[columns["part"], distance - 1, bin_of(columns["specificity"])]
    return Pairs(writer=writer, **columns, false_share=share.astype(np.float32))


def _count_bytes(pairs: Pairs) -> int:
    return sum(getattr(pairs, field.name).nbytes for field in fields(Pairs))
