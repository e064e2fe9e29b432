"""The tokens as a search compares them: unit vectors without the mean and the first principal components of all tokens.

The components are the control's, of which a search removes half: they hold what most tokens share, such as how frequent
they are. Tokens that were never trained, or that the tokenizer does not know, are rows of zeros:

    unit [n d_model]    of the tokens of that part of the vocabulary; `halves` where the table is large

Runs in the worker's process or a job's. Knows no pages.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.core.steps import Steps, rescale_steps
from app.explorer.bank import are_words_halved, word_ids
from app.explorer.layout import WORDS_PART
from app.explorer.making.context import ArraysAndFacts, Context
from app.explorer.making.judging.controls import make_control
from app.explorer.recipes import WORDS_REMOVED

if TYPE_CHECKING:
    import torch


def compute_words(context: Context, end: str, part: int) -> Steps[ArraysAndFacts]:
    """Compute the unit vectors of that part's tokens."""
    from torch.nn.functional import normalize

    yield 0, 100
    shared, _ = yield from rescale_steps(0, 50, 100, make_control(context, end))
    yield 50, 100
    table = context.tables.table(context.model, context.processing, end)
    ids = table.ids.cpu().numpy()
    own = word_ids(context.model, part)
    rows = slice(*np.searchsorted(ids, [own.start, own.stop]).tolist())
    trained = shared["trained"][ids[rows]]
    mean, components = (_to_float64(shared[name]) for name in ("mean", "components"))
    # They stand by rising variance.
    components = components[len(components) - count_removed(context.model.header.d_model, len(components)) :]
    centred = table.vectors[rows].cpu()[trained].double() - mean
    unit = np.zeros((len(own), context.model.header.d_model), np.float32)
    unit[ids[rows][trained] - part * WORDS_PART] = normalize(centred - (centred @ components.T) @ components, dim=1)
    return {"halves": unit.astype(np.float16)} if are_words_halved(context.model) else {"unit": unit}, {}


def count_removed(d_model: int, most: int) -> int:
    """Count the principal components that are removed: one for each WORDS_REMOVED dimensions, and at least one where
    there are any.
    """
    return min(most, max(1, d_model // WORDS_REMOVED))


def _to_float64(array: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> "torch.Tensor":
    import torch

    return torch.from_numpy(array.copy()).double()
