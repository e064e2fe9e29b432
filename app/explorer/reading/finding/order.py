"""The order in which rows of a bank write to the residual stream and read it.

Knows the bank's numbers, and none of its vectors. Imports no torch.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS
from app.core.finding.precedence import READERS, read_time, write_time
from app.explorer.library import OpenModel
from app.explorer.reading.finding.bank import Bank

HARDLY_USED = 0.1
"""Gain below which a matrix hardly uses a direction: a unit vector that only fills up the basis."""
PARALLEL_MLP = frozenset({"GPTNeoXForCausalLM"})
"""Architectures whose MLP runs in parallel with attention though it has its own norm; elsewhere the norm tells."""
RIGHT = 1

_known_orders: WeakKeyDictionary[Bank, "Precedence"] = WeakKeyDictionary()


@dataclass(frozen=True)
class Precedence:
    """The place of all rows of a bank in the order of computation."""

    writes: NDArray[np.bool_]
    """[n]: True for a row that writes; else it reads."""
    at: NDArray[np.int16]
    """[n]: when it does, as `app.core.finding.precedence` counts."""
    is_used: NDArray[np.bool_]
    """[n]: True if its gain is at least HARDLY_USED."""


def order_of(model: OpenModel, bank: Bank) -> Precedence:
    """Return the precedence of a bank's rows, computed once for each bank."""
    if bank not in _known_orders:
        _known_orders[bank] = _compute_precedence(model, bank)
    return _known_orders[bank]


def _compute_precedence(model: OpenModel, bank: Bank) -> Precedence:
    rows, n_layers = bank.rows, model.header.n_layers
    side_by_side = model.header.mlp_reads == "ln1" or model.header.architecture in PARALLEL_MLP
    writing, reading = (np.zeros((len(KINDS), n_layers + 1), np.int16) for _ in range(2))
    for number, kind in enumerate(KINDS):
        for layer in range(-1, n_layers):  # -1, the model's ends, is the last column
            if kind in {"ov", "mlp-out", "embed"}:
                writing[number, layer] = write_time(kind, layer)
            if kind in READERS:
                reading[number, layer] = read_time(kind, layer, n_layers, side_by_side=side_by_side)
    writes = (rows.side == RIGHT) & (rows.kind != KINDS.index("qk"))
    at = np.where(writes, writing[rows.kind, rows.layer], reading[rows.kind, rows.layer])
    return Precedence(writes, at.astype(np.int16), rows.gain >= HARDLY_USED)
