"""Standing: one token's score and rank among all that a table holds, in the exact order of a readout.

A quick product in float64 decides which side most tokens are on; those too near are scored in the exact order's way.
Knows no tokens' texts.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from app.core.exact.products import BLOCK_BYTES, exact_products, near_error
from app.core.exact.readout import TokenTable


class Standing(NamedTuple):
    """Scores and ranks of one token for n vectors."""

    scores: Float64[Tensor, " n"]
    ranks: Int64[Tensor, " n"]
    """1 for the token that scores most; ties by smaller id, as in a readout."""


def rank_token(table: TokenTable, vectors: Float[Tensor, "n d_model"], id_: int) -> Standing:
    """Rank one token for each vector; ValueError if the table has no such token."""
    row = int(torch.searchsorted(table.ids, id_))
    if row == len(table.ids) or int(table.ids[row]) != id_:
        raise ValueError(f"token {id_} is not in a table of {len(table.ids)} tokens")
    own = exact_products(vectors, table.vectors, torch.full((len(vectors), 1), row, device=table.ids.device))
    error = near_error(vectors, table.norms.max())[:, None]
    ahead = torch.zeros(len(vectors), dtype=torch.int64, device=table.ids.device)
    size = max(1, BLOCK_BYTES[table.vectors.device.type] // (8 * max(1, table.vectors.shape[1])))
    for start in range(0, len(table.ids), size):
        near = vectors.double() @ table.vectors[start : start + size].double().T
        ahead += (near > own + error).sum(dim=1)
        close = (near - own).abs() <= error
        for i in close.any(dim=1).nonzero().flatten().tolist():
            rows = close[i].nonzero().T + start
            exact = exact_products(vectors[i : i + 1], table.vectors, rows)
            ahead[i] += ((exact > own[i]) | ((exact == own[i]) & (rows < row))).sum()
    return Standing(own[:, 0], ahead + 1)
