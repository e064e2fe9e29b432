"""The ways to read out heads, ours and the peers', in one form: made ready once a model, then called a layer at a time."""

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
from benchmarks.peers import K, expert_layer, interpreter_head, notebook_head
from benchmarks.shapes import Ends


class Done(NamedTuple):
    """What one call did."""

    sides: int
    """Direction-sides that were read out, each at both ends."""
    unsettled: int = 0
    """Rays, two a side, that the first candidates did not settle."""


SIDES = {
    "reading": (("ov", "left"), ("qk", "left"), ("qk", "right")),
    "writing": (("ov", "right"),),
}
"""What each table reads, in this order; each side with its heads one after the other."""

Work = Callable[[list[Head]], Done]


@dataclass(frozen=True)
class Way:
    """One way, and what it covers."""

    what: str
    """For the table."""
    ready: Callable[[Ends], Work]
    """What is done once a model, before any head."""
    n_heads: int | None = None
    """How many heads of a layer it is measured on; None: all, since it takes them together."""


class Layer(NamedTuple):
    """A layer computed by us: decompositions by circuit, and the readouts of all their vectors, one for each table."""

    terms: dict[str, list[Decomposition]]
    reading: Readout
    writing: Readout


def our_layer(heads: list[Head], reading: TokenTable, writing: TokenTable, k: int = K) -> Layer:
    """Every matrix of the layer decomposed, every vector read out exactly."""
    terms = {name: decompose_all([circuit(head) for head in heads]) for name, circuit in CIRCUITS.items()}
    readouts = {}
    for name, table in (("reading", reading), ("writing", writing)):
        vectors = torch.cat([getattr(one, side) for circuit, side in SIDES[name] for one in terms[circuit]])
        readouts[name] = read(table, vectors.to(table.vectors.device), k)
    return Layer(terms, **readouts)


def our_tables(ends: Ends, proposing: torch.dtype) -> tuple[TokenTable, TokenTable]:
    """What we prepare once a model: for reading, for writing."""
    return token_table(ends.W_E, proposing=proposing), token_table(ends.W_U.T, proposing=proposing)


def _ours(ends: Ends, fast: bool) -> Work:
    proposing = proposing_dtype(str(ends.W_E.device)) if fast else torch.float32
    reading, writing = our_tables(ends, proposing)

    def work(heads: list[Head]) -> Done:
        layer = our_layer(heads, reading, writing)
        n_sides = len(layer.reading.top_ids) + len(layer.writing.top_ids)
        return Done(n_sides, layer.reading.unsettled + layer.writing.unsettled)

    return work


def _expert(ends: Ends) -> Work:
    def work(heads: list[Head]) -> Done:
        expert_layer(heads, ends, K)
        return Done(4 * len(heads) * heads[0].W_O.shape[0])

    return work


def _by_head(ends: Ends, one_head: Callable[[Head, Ends, int], None], sides: int) -> Work:
    """A way that takes a head at a time, of which it reads so many sides."""

    def work(heads: list[Head]) -> Done:
        for head in heads:
            one_head(head, ends, K)
        return Done(sides * len(heads) * heads[0].W_O.shape[0])

    return work


OURS, PLAIN = "ours", "plain"
WAYS = {
    OURS: Way("singular-lens", partial(_ours, fast=True)),
    PLAIN: Way("the same, fast path off", partial(_ours, fast=False)),
    "expert": Way("an expert's batched loop", _expert),
    "interpreter": Way(
        "SVDInterpreter, top-k (OV's write side only)", partial(_by_head, one_head=interpreter_head, sides=1), 4
    ),
    "notebook": Way("the notebook's dense SVD, top-k", partial(_by_head, one_head=notebook_head, sides=4), 1),
}
PEERS = [name for name in WAYS if name not in {OURS, PLAIN}]
