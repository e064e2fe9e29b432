"""What a model's stream says at every layer of a prompt, and how much of it lies in a basis of the embedding.

`lens`, at every point of the stream (where each layer begins, and the end) and every position:
    top, top_chance          the token that would be likeliest there, and its chance
    rank, chance             the place, and the chance, of the token that is likeliest in the end
    divergence               KL of the end's chances from those there, in nats
    constant [n]             the same from the mean chances on the reference text; nan where there is none
    attention, mlp [layers n]  what each layer's heads and MLP add to that token's logit above the mean of all
    embedding [n]            what the embedding and all biases of the end add to it
`spans`:
    size, random [spans]     numbers of first terms, and the share that as many random directions have on average
    share [points n spans]   of the stream's energy, less its mean where that is known, in their span

Runs in the live process, which has the mean stream from the store. Knows no page.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from app.explorer.errors import ComputationFailed
from app.explorer.layout import LENS_SPANS
from app.explorer.making.context import Arrays, Context
from app.explorer.recipes import basis_of_spans, number_in, use_streams
from app.store.artifacts import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from app.explorer.view import Processing
    from app.models.live.forward import TextRun
    from app.models.weights import Embeddings


def read_prompt_lens(context: Context, network: Any, run: "TextRun", recipe: Recipe) -> Arrays:
    """Read the stream at every point; ComputationFailed where the mean stream is gone."""
    import torch

    from app.core.using.lens import read_lens
    from app.models.live.forward import read_logits

    mean = _read_streams(context, recipe)
    streams = run.streams
    shift, everywhere = torch.zeros_like(streams[:, 0]), None
    if mean is not None:
        everywhere = torch.from_numpy(mean["chance"]).to(streams.device)
        if number_in(recipe, "shifted"):
            means = torch.from_numpy(mean["mean"]).to(streams.device)
            shift = means[-1] - means
    found = read_lens(streams, shift, lambda stream: read_logits(network, stream), everywhere)
    arrays: Arrays = {name: array.cpu().numpy() for name, array in found._asdict().items()}
    return arrays | {name: arrays[name].astype(np.int32) for name in ("top", "rank")}


def attribute_layers(
    context: Context, ends: "Embeddings", mean_column: "Tensor", run: "TextRun", tokens: Sequence[int]
) -> Arrays:
    """Split the logit of a token at each position into what each layer's heads and MLP, and all else, add to it."""
    from app.core.using.attribution import logit_direction
    from app.core.using.coefficients import norm_scales

    manifest = context.model.manifest
    center = manifest.normalization == "LN"
    # One row a position: each has a token of its own.
    columns = ends.W_U.T[list(tokens)]
    vectors = logit_direction(columns, mean_column, ends.final_gain, center)
    vectors = vectors * norm_scales(run.streams[-1].cpu(), center, manifest.eps)[:, None]
    embedding = (run.streams[0].cpu() * vectors).sum(-1)
    if ends.final_shift is not None:
        embedding = embedding + (columns - mean_column) @ ends.final_shift
    if ends.b_U is not None:
        embedding = embedding + ends.b_U[list(tokens)] - ends.b_U.mean()
    return {
        "embedding": embedding.numpy(),
        **{
            name: (writes.cpu() * vectors).sum(-1).numpy()
            for name, writes in (("attention", run.attention), ("mlp", run.mlp))
        },
    }


def measure_spans(context: Context, run: "TextRun", recipe: Recipe) -> Arrays:
    """Measure how much of the stream lies in the first terms of a basis; ComputationFailed where its vectors are gone."""
    import torch

    from app.core.using.lens import share_in_spans

    held = context.store.read(basis_of_spans(recipe, context.model))
    if held is None:
        raise ComputationFailed(f"The vectors of the basis {recipe.basis} are not on this server's disk.")
    vectors = torch.from_numpy(held.arrays["vectors" if "vectors" in held.arrays else "right"])
    streams, mean = run.streams.cpu(), _read_streams(context, recipe)
    if mean is not None and number_in(recipe, "shifted"):
        streams = streams - torch.from_numpy(mean["mean"])[:, None]
    sizes = [size for size in LENS_SPANS if size <= min(vectors.shape)]
    share = share_in_spans(streams, vectors, sizes)
    return {
        "size": np.array(sizes, np.int32),
        "share": share.float().numpy(),
        "random": np.array(sizes, np.float32) / vectors.shape[1],
    }


def _read_streams(context: Context, recipe: Recipe) -> Arrays | None:
    """Read the mean stream that a recipe names; None where it names none."""
    named = number_in(recipe, "streams")
    if not named:
        return None
    processing: Processing = "folded" if number_in(recipe, "folded") else "raw"
    held = context.store.read(use_streams(context.model, processing, number_in(recipe, "text")))
    if held is None:
        raise ComputationFailed("The statistics that this lens needs are not here any more.")
    return cast("Arrays", held.arrays)
