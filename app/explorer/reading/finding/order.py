"""Which rows of a bank write to the stream, which read it, and when: what can have to do with what.

Knows the bank's numbers, and none of its vectors. Imports no torch.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS
from app.core.finding.precedence import READERS, read_at, written_at
from app.explorer.library import OpenModel
from app.explorer.reading.finding.bank import Bank

HARDLY_USED = 0.1
"""Gain below which a matrix hardly uses a direction: it is a unit vector as any other, which fills a basis up, and says nothing."""
SIDE_BY_SIDE = frozenset({"GPTNeoXForCausalLM"})
"""Architectures whose MLP mostly runs beside attention though it has a norm of its own: of others the norm says so."""
RIGHT = 1

_known: WeakKeyDictionary[Bank, "Precedence"] = WeakKeyDictionary()


@dataclass(frozen=True)
class Precedence:
    """Of all rows of a bank."""

    writes: NDArray[np.bool_]
    """[n]: else it reads."""
    at: NDArray[np.int16]
    """[n]: when it does, as `app.core.finding.precedence` counts."""
    is_used: NDArray[np.bool_]
    """[n]: not hardly."""


def order_of(model: OpenModel, bank: Bank) -> Precedence:
    """Made once for each bank."""
    if bank not in _known:
        _known[bank] = _made(model, bank)
    return _known[bank]


def _made(model: OpenModel, bank: Bank) -> Precedence:
    rows, n_layers = bank.rows, model.header.n_layers
    side_by_side = model.header.mlp_reads == "ln1" or model.header.architecture in SIDE_BY_SIDE
    writing, reading = (np.zeros((len(KINDS), n_layers + 1), np.int16) for _ in range(2))
    for number, kind in enumerate(KINDS):
        for layer in range(-1, n_layers):  # -1, the model's ends, is the last column
            if kind in {"ov", "mlp-out", "embed"}:
                writing[number, layer] = written_at(kind, layer)
            if kind in READERS:
                reading[number, layer] = read_at(kind, layer, n_layers, side_by_side=side_by_side)
    writes = (rows.side == RIGHT) & (rows.kind != KINDS.index("qk"))
    at = np.where(writes, writing[rows.kind, rows.layer], reading[rows.kind, rows.layer])
    return Precedence(writes, at.astype(np.int16), rows.gain >= HARDLY_USED)
