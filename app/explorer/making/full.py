"""One token's rows of a head's full circuits: the row of `W_E W_V W_O W_U`, the row and the column of `W_E W_Q W_K^T W_E^T`.

The token's vector x goes through the head's factors in float64 and is read out as any other vector, so that no matrix
of vocabulary x vocabulary is ever formed. x is the token's row of what the read sides are read with: for folded
weights, its embedding behind the norm. Biases are left out, and the model's scale. (Elhage et al. 2021.)

Runs in a worker's process. Artifacts have, for each role (`ov`, `query`, `key`):

    {role}_top_ids {role}_top_scores   largest first          [1 k]
    {role}_bottom_ids {role}_bottom_scores   smallest first   [1 k]
    {role}_own_score {role}_own_rank   of the token itself    [1]

Knows no pages.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.explorer.layout import FULL_TOKENS, ROLE_SIDES, Role
from app.explorer.making.context import Arrays, Baked, Bench
from app.explorer.making.heads import head_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.circuits import Head

ENDS = ("top_ids", "top_scores", "bottom_ids", "bottom_scores")


def read_rows(bench: Bench, layer: int, head: int, token: int, distance: int = 0) -> Baked:
    """Both ends of the token's three rows; the distance turns queries, and so no OV."""
    tensors = head_tensors(bench, layer, head, distance)
    vectors = _vectors(_embedding(bench, token), tensors)
    arrays: Arrays = {}
    for role, vector in vectors.items():
        arrays |= _read(bench, role, vector, token)
    known = bench.tables.table(bench.model, bench.processing, "read").ids
    return arrays, {"n_tokens": len(known), "has_bias": False}


def _embedding(bench: Bench, token: int) -> "Tensor":
    """The token's row [1 d_model] of what the read sides are read with, float64."""
    import torch

    table = bench.tables.table(bench.model, bench.processing, "read")
    return table.rows(torch.tensor([[token]], device=table.ids.device))[0].cpu().double()


def _vectors(x: "Tensor", head: "Head") -> "dict[Role, Tensor]":
    """What the token writes where it is attended to, what its query is compared with, and its key: [1 d_model] each."""
    W_Q, W_K, W_V, W_O = (each.double() for each in (head.W_Q, head.W_K, head.W_V, head.W_O))
    products: dict[Role, Tensor] = {"ov": x @ W_V @ W_O, "query": x @ W_Q @ W_K.T, "key": x @ W_K @ W_Q.T}
    return {role: product.float() for role, product in products.items()}


def _read(bench: Bench, role: Role, vector: "Tensor", token: int) -> Arrays:
    from app.core.exact.standing import standing

    readout = bench.tables.read(bench.model, bench.processing, ROLE_SIDES[role], vector, FULL_TOKENS)
    table = bench.tables.table(bench.model, bench.processing, ROLE_SIDES[role])
    own = standing(table, vector.to(table.vectors.device), token)
    arrays = {f"{role}_{end}": readout[end] for end in ENDS}
    arrays[f"{role}_own_score"] = own.scores.cpu().numpy().astype(np.float32)
    arrays[f"{role}_own_rank"] = own.ranks.cpu().numpy().astype(np.int32)
    return arrays
