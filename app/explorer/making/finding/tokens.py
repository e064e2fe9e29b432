"""The numbers that give back each token's own vector from the unit vector that a search compares.

A token's vector is `mean + coordinates components + rest unit`, `unit` being its row of the artifacts of words. Tokens
without a unit vector, since they were never trained, have their own vectors here:

    centre [d_model]                  mean of the vectors of all tokens that the tokenizer knows
    mean [d_model]                    of those that were trained
    components [m d_model]            what a search removes from them
    coordinates [d_vocab m]  rest [d_vocab]
    odd [o]  vectors [o d_model]      ids of tokens without a unit vector, rising, and their vectors
    length [d_vocab]                  of each token's row of the embedding, or column of the unembedding, as it is stored

0 for ids that the tokenizer does not know. The fact `variance` is the sum of the variances of all numbers: the mean square
distance from the centre. Runs in the worker's process or a job's. Knows no pages.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.core.steps import Steps
from app.explorer.making.context import ArraysAndFacts, Context
from app.explorer.making.finding.words import count_removed
from app.explorer.making.judging.controls import make_control

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_TOKENS = 8_192
"""Tokens converted to float64 at a time."""


def compute_token_parts(context: Context, end: str) -> Steps[ArraysAndFacts]:
    """Compute the numbers of every token at that end."""
    import torch

    from app.core.gram import mean_of

    shared, _ = yield from make_control(context, end)
    table, n = context.tables.table(context.model, context.processing, end), context.model.manifest.d_vocab
    ids = table.ids.cpu()
    trained = torch.from_numpy(shared["trained"].copy())[ids]
    mean = torch.from_numpy(shared["mean"].copy()).double()
    components = torch.from_numpy(shared["components"].copy()).double()
    components = components[len(components) - count_removed(context.model.header.d_model, len(components)) :]
    centre = mean_of(table.vectors).cpu()
    coordinates, rest, squares = mean.new_zeros(n, len(components)), mean.new_zeros(n), 0.0
    for rows, own in zip(torch.split(table.vectors, BLOCK_TOKENS), torch.split(ids, BLOCK_TOKENS), strict=True):
        exact = rows.cpu().double()
        squares += (exact - centre).square().sum().item()
        coordinates[own] = (exact - mean) @ components.T
        rest[own] = torch.linalg.vector_norm(exact - mean - coordinates[own] @ components, dim=1)
    rest[ids[~trained]] = 0
    arrays = {
        "centre": centre,
        "mean": mean,
        "components": components,
        "coordinates": coordinates,
        "rest": rest,
        "vectors": table.vectors.cpu()[~trained],
        "length": _row_lengths(context, end),
    }
    found = {name: np.ascontiguousarray(each.float().numpy()) for name, each in arrays.items()}
    return found | {"odd": ids[~trained].int().numpy()}, {"variance": squares / len(ids)}


def _row_lengths(context: Context, end: str) -> "Tensor":
    import torch

    ends = context.model.weights().embeddings()
    rows = ends.W_E if end == "read" else ends.W_U.T
    lengths = torch.cat([torch.linalg.vector_norm(some.double(), dim=1) for some in torch.split(rows, BLOCK_TOKENS)])
    lengths[~torch.from_numpy(context.model.vocabulary.known)] = 0
    return lengths
