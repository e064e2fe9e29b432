"""The ways to read out heads, ours and the peers', in one form: prepared once a model, then called layer by layer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch

from app.core.bases.svd import decompose_all
from app.core.circuits import CIRCUITS, Head
from app.core.decomposition import Decomposition
from app.core.exact.proposal import proposing_dtype
from app.core.exact.readout import Readout, TokenTable, read, token_table
from benchmarks.peers import K, interpret_head, read_head_as_notebook, read_layer_expertly
from benchmarks.shapes import Ends


class Done(NamedTuple):
    """The work that one call did."""

    sides: int
    """Direction-sides that were read out, both rays each."""
    unsettled: int = 0
    """Rays, two a side, whose readout was not settled by the first candidates."""


SIDES = {
    "reading": (("ov", "left"), ("qk", "left"), ("qk", "right")),
    "writing": (("ov", "right"),),
}
"""Sides that each table reads, in this order; each side with its heads one after the other."""

Work = Callable[[list[Head]], Done]


@dataclass(frozen=True)
class Way:
    """One way to read out heads."""

    what: str
    """Description for the table."""
    ready: Callable[[Ends], Work]
    """Preparation, once a model, before any head."""
    n_heads: int | None = None
    """Heads of a layer that it is measured on; None: all, since it takes them together."""


class Layer(NamedTuple):
    """A layer computed by us: decompositions by circuit, and the readouts of all their vectors, one for each table."""

    terms: dict[str, list[Decomposition]]
    reading: Readout
    writing: Readout


def compute_layer(heads: list[Head], reading: TokenTable, writing: TokenTable, k: int = K) -> Layer:
    """Decompose every matrix of the layer, and read every vector out exactly."""
    terms = {name: decompose_all([circuit(head) for head in heads]) for name, circuit in CIRCUITS.items()}
    readouts = {}
    for name, table in (("reading", reading), ("writing", writing)):
        vectors = torch.cat([getattr(one, side) for circuit, side in SIDES[name] for one in terms[circuit]])
        readouts[name] = read(table, vectors.to(table.vectors.device), k)
    return Layer(terms, **readouts)


def make_tables(ends: Ends, proposing: torch.dtype) -> tuple[TokenTable, TokenTable]:
    """Prepare our tables, once a model: for read and for write sides."""
    return token_table(ends.W_E, proposing=proposing), token_table(ends.W_U.T, proposing=proposing)


def _make_ours(ends: Ends, fast: bool) -> Work:
    proposing = proposing_dtype(str(ends.W_E.device)) if fast else torch.float32
    reading, writing = make_tables(ends, proposing)

    def work(heads: list[Head]) -> Done:
        layer = compute_layer(heads, reading, writing)
        n_sides = len(layer.reading.top_ids) + len(layer.writing.top_ids)
        return Done(n_sides, layer.reading.unsettled + layer.writing.unsettled)

    return work


def _make_expert(ends: Ends) -> Work:
    def work(heads: list[Head]) -> Done:
        read_layer_expertly(heads, ends, K)
        return Done(4 * len(heads) * heads[0].W_O.shape[0])

    return work


def _make_by_head(ends: Ends, one_head: Callable[[Head, Ends, int], None], sides: int) -> Work:
    """Make a way out of a function that takes one head at a time, of which it reads so many sides."""

    def work(heads: list[Head]) -> Done:
        for head in heads:
            one_head(head, ends, K)
        return Done(sides * len(heads) * heads[0].W_O.shape[0])

    return work


OURS, PLAIN = "ours", "plain"
WAYS = {
    OURS: Way("singular-lens", partial(_make_ours, fast=True)),
    PLAIN: Way("the same, fast path off", partial(_make_ours, fast=False)),
    "expert": Way("an expert's batched loop", _make_expert),
    "interpreter": Way(
        "SVDInterpreter, top-k (OV's write side only)", partial(_make_by_head, one_head=interpret_head, sides=1), 4
    ),
    "notebook": Way(
        "the notebook's dense SVD, top-k", partial(_make_by_head, one_head=read_head_as_notebook, sides=4), 1
    ),
}
PEERS = [name for name in WAYS if name not in {OURS, PLAIN}]
