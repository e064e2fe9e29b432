"""The rows of one token in a head's full circuits: in `W_E W_V W_O W_U`, and in `W_E W_Q W_K^T W_E^T` its row and its
column.

The token's vector x goes through the head's factors in float64 and is read out as any other vector, so that no matrix
of vocabulary x vocabulary is ever formed. x is the token's row of the table that read sides are read with: for folded
weights, its embedding behind the norm. Biases and the model's scale are left out. (Elhage et al. 2021.)

Runs in a worker's process. Artifacts have, for each role (`ov`, `query`, `key`):

    {role}_top_ids {role}_top_scores   largest first          [1 k]
    {role}_bottom_ids {role}_bottom_scores   smallest first   [1 k]
    {role}_own_score {role}_own_rank   of the token itself    [1]

Knows no pages.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.explorer.layout import FULL_TOKENS, ROLE_SIDES, Role
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.heads import read_head_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.circuits import Head

ENDS = ("top_ids", "top_scores", "bottom_ids", "bottom_scores")


def read_rows(context: Context, layer: int, head: int, token: int, distance: int = 0) -> ArraysAndFacts:
    """Read both ends of the token's three rows; the distance rotates queries, and so not OV."""
    tensors = read_head_tensors(context, layer, head, distance)
    vectors = _role_vectors(_read_embedding(context, token), tensors)
    arrays: Arrays = {}
    for role, vector in vectors.items():
        arrays |= _read_role(context, role, vector, token)
    known = context.tables.table(context.model, context.processing, "read").ids
    return arrays, {"n_tokens": len(known), "has_bias": False}


def _read_embedding(context: Context, token: int) -> "Tensor":
    """Return the token's row [1 d_model] of the table that read sides are read with, float64."""
    import torch

    table = context.tables.table(context.model, context.processing, "read")
    return table.rows(torch.tensor([[token]], device=table.ids.device))[0].cpu().double()


def _role_vectors(x: "Tensor", head: "Head") -> "dict[Role, Tensor]":
    """Compute the token's output where it is attended to, the vector its query is compared with, and its key: [1
    d_model] each.
    """
    W_Q, W_K, W_V, W_O = (each.double() for each in (head.W_Q, head.W_K, head.W_V, head.W_O))
    products: dict[Role, Tensor] = {"ov": x @ W_V @ W_O, "query": x @ W_Q @ W_K.T, "key": x @ W_K @ W_Q.T}
    return {role: product.float() for role, product in products.items()}


def _read_role(context: Context, role: Role, vector: "Tensor", token: int) -> Arrays:
    from app.core.exact.standing import rank_token

    readout = context.tables.read(context.model, context.processing, ROLE_SIDES[role], vector, FULL_TOKENS)
    table = context.tables.table(context.model, context.processing, ROLE_SIDES[role])
    own = rank_token(table, vector.to(table.vectors.device), token)
    arrays = {f"{role}_{end}": readout[end] for end in ENDS}
    arrays[f"{role}_own_score"] = own.scores.cpu().numpy().astype(np.float32)
    arrays[f"{role}_own_rank"] = own.ranks.cpu().numpy().astype(np.int32)
    return arrays
