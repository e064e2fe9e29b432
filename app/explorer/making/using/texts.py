"""Texts in a model that runs: the reference text of its statistics, and what its directions read on any.

The directions are those of the pages. Imports torch late. Knows no prompt, and no statistics.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.core.judging.bootstrap import Estimate
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.library import OpenModel
from app.explorer.making.context import Context
from app.explorer.making.heads import decompose_heads

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition


def assemble(model: OpenModel) -> object:
    """Assemble the model from its imported weights; ComputationFailed, with the reason, if it cannot be run."""
    from app.models.live.assembly import assemble_model
    from app.models.live.families import NotAssembled

    try:
        return assemble_model(model.weights(), model.manifest)
    except NotAssembled as error:
        raise ComputationFailed(f"{model.header.slug} is not run: {error}.") from error


def read_text(context: Context, text: int) -> "Tensor":
    """Read the reference text of statistics of use: token ids [windows tokens]; ComputationFailed where it is not here."""
    import torch

    held = context.store.read(recipes.use(context.model, context.processing, text))
    if held is None:
        slug = context.model.header.slug
        raise ComputationFailed(
            f"The text that {slug} is run on is not here: singular-lens statistics {slug} makes it."
        )
    return torch.from_numpy(held.arrays["ids"].astype(np.int64))


def spell(estimate: Estimate) -> tuple[float, float, float]:
    """Spell an estimate as an array has it: the value and its interval, nan without one."""
    low, high = estimate.interval or (np.nan, np.nan)
    return estimate.value, low, high


def decompose_layer(context: Context, layer: int) -> "list[Decomposition]":
    """Decompose the OV of every head of a layer."""
    heads = range(context.model.manifest.n_heads)
    return [each.terms for each in decompose_heads(context, layer, [(head, "ov") for head in heads])]


def read_layer(
    context: Context, layer: int, stream: "Tensor", pattern: "Tensor", terms: "list[Decomposition]"
) -> "tuple[Tensor, Tensor]":
    """Compute what each direction of a layer's heads reads at each position, and what arrives of it there.

    Both [heads n d_head]; a head of a smaller rank has zeros at their ends.
    """
    import torch

    from app.core.using.coefficients import attend_coefficients, read_coefficients

    seen = norm_for_heads(context, layer, stream)
    read = torch.stack([pad(read_coefficients(seen, one), context.model.manifest.d_head) for one in terms])
    return read, attend_coefficients(pattern, read)


def norm_for_heads(context: Context, layer: int, stream: "Tensor") -> "Tensor":
    """Norm the stream as the directions of a layer's heads read it: without the gain where that is folded into them."""
    from app.core.using.coefficients import norm_stream

    manifest = context.model.manifest
    if not manifest.reads_normed:
        return stream
    stream = norm_stream(stream, manifest.normalization == "LN", manifest.eps)
    if context.processing == "raw":  # folded directions have the gain in them, and the shift is in a head's bias
        norms = context.model.weights().norms(layer, 0)
        stream = stream if norms.gain is None else stream * norms.gain
        stream = stream if norms.shift is None else stream + norms.shift
    return stream


def pad(values: "Tensor", rank: int) -> "Tensor":
    """Pad the last axis with zeros to that length."""
    import torch

    return torch.nn.functional.pad(values, (0, rank - values.shape[-1]))
