"""The shadow of the bank: random directions read as the bank's are, a third as many at each end, for a search's chance
level.

    ids [m 2 k]    the tokens of + and of - of each

Runs in the worker's process or a job's. Knows no pages.
"""

import numpy as np

from app.core.steps import Steps
from app.explorer.bank import count_shadow
from app.explorer.layout import BANK_ENDS, BANK_TOKENS
from app.explorer.making.context import ArraysAndFacts, Context
from app.explorer.recipes import SHADOW_SEED
from app.explorer.view import End

DIRECTIONS_AT_ONCE = 4_096
"""Directions read in one step."""


def read_shadow(context: Context, end: End) -> Steps[ArraysAndFacts]:
    """Read random directions as the tokens of one end of the model."""
    import torch

    n, d = count_shadow(context.model, context.processing, end), context.model.header.d_model
    generator = torch.Generator().manual_seed(SHADOW_SEED + BANK_ENDS.index(end))
    found = []
    for start in range(0, n, DIRECTIONS_AT_ONCE):
        yield start, n
        vectors = torch.randn(min(DIRECTIONS_AT_ONCE, n - start), d, generator=generator)
        vectors = torch.nn.functional.normalize(vectors, dim=1)
        found.append(context.tables.first_tokens(context.model, context.processing, end, vectors, BANK_TOKENS))
    return {"ids": np.concatenate(found)}, {}
