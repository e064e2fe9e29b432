"""What a model's directions do on text that it writes itself: the statistics of every head's OV, of the whole model.

    ids [windows tokens]             the text, by token ids; each window's first position is counted nowhere
    used, even [layers heads rank]   each direction's share of the variance of its head's output: on the text, and if the
                                     stream were even
    mean, spread [layers heads rank] of what arrives of a direction at a position
    read_spread, positive, skew      of what a direction reads at one: standard deviation, share of positions above 0,
                                     skewness with its interval [… 3]
    first [layers heads 3]           share of the first `count_first` directions, with its interval
    fitted [layers heads rank]       share along the first 1, 2 … axes of the output, fitted on the other half of the text

Heads of a smaller rank have zeros at their ends. Runs in a job's process, which holds the model while it lasts.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.core.judging.bootstrap import Estimate
from app.core.steps import Steps, rescale_steps
from app.core.using import shares
from app.explorer.errors import ComputationFailed
from app.explorer.layout import USE_TOKENS, USE_WINDOWS, count_first
from app.explorer.library import OpenModel
from app.explorer.making import texts
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.recipes import USE_SEED

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.using.statistics import LayerSums

PARTS = (70, 30)
"""Shares of the time that writing the text and running it take, in percent."""


def measure_use(context: Context) -> Steps[ArraysAndFacts]:
    """Let the model write text, run it, and gather what its directions do; ComputationFailed if it cannot be run."""
    import torch

    from app.core.using.statistics import LayerSums
    from app.models.live.forward import run_model
    from app.models.live.sampling import sample_windows

    manifest, vocabulary = context.model.manifest, context.model.vocabulary
    yield 0, sum(PARTS)
    model = texts.assemble(context.model)
    n_tokens = min(USE_TOKENS, manifest.n_ctx)
    n_known = int(np.flatnonzero(vocabulary.known).max()) + 1
    writing = sample_windows(model, _require_start(context.model), USE_WINDOWS, n_tokens, n_known, USE_SEED)
    ids = yield from rescale_steps(0, PARTS[0], sum(PARTS), writing)
    terms = [texts.decompose_layer(context, layer) for layer in range(manifest.n_layers)]
    rank = manifest.d_head
    sums = [LayerSums.empty(manifest.n_heads, rank) for _ in terms]
    for number, window in enumerate(ids):
        yield PARTS[0] + PARTS[1] * number // len(ids), sum(PARTS)
        run = run_model(model, window)
        for layer, of_layer in enumerate(terms):
            stream, pattern = run.streams[layer], run.patterns[layer]
            sums[layer].add_window(number, *texts.read_layer(context, layer, stream, pattern, of_layer))
    strength = torch.stack([torch.stack([texts.pad(one.strength, rank) for one in of_layer]) for of_layer in terms])
    return _sum_up(ids, sums, strength.numpy()), {}


def _require_start(model: OpenModel) -> int:
    start = model.vocabulary.start
    if start is None:
        raise ComputationFailed(f"{model.header.slug} has no token that begins a text: it writes none by itself.")
    return start


def _sum_up(ids: "Tensor", sums: "list[LayerSums]", strength: NDArray[np.float32]) -> Arrays:
    """Sum up what was gathered; `strength` is [layers heads rank]."""
    heads = [
        [_sum_up_head(of_layer, head, strength[layer, head]) for head in range(strength.shape[1])]
        for layer, of_layer in enumerate(sums)
    ]
    names = heads[0][0]
    return {"ids": ids.numpy().astype(np.int32)} | {
        name: np.array([[one[name] for one in of_layer] for of_layer in heads], np.float32) for name in names
    }


def _sum_up_head(sums: "LayerSums", head: int, strength: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    n = sums.positions.double().numpy().ravel()
    attended, squares = (of[:, :, head].flatten(0, 1).numpy() for of in (sums.attended, sums.squares))
    by_group, powers = sums.positions.sum(1).double().numpy(), sums.powers[:, :, head].numpy()
    total, (sum_, square, _) = by_group.sum(), powers.sum(axis=0)
    halves = [
        shares.output_covariance(
            int(sums.positions[:, half].sum()), sums.attended[:, half, head].sum(0).numpy(), products.numpy(), strength
        )
        for half, products in enumerate(sums.products[:, head])
    ]
    first = shares.estimate_first_share(count_first(len(strength)), n, attended, squares, strength)
    skews = [shares.estimate_skew(by_group, powers[:, :, index]) for index in range(len(strength))]
    return {
        "used": shares.used_shares(n, attended, squares, strength),
        "even": shares.weight_shares(strength),
        "mean": attended.sum(axis=0) / n.sum(),
        "spread": np.sqrt(shares.variances(n.sum(), attended.sum(axis=0), squares.sum(axis=0))),
        "read_spread": np.sqrt(shares.variances(total, sum_, square)),
        "positive": sums.positive[:, head].sum(0).numpy() / total,
        "skew": np.array([_spell(skew) for skew in skews]),
        "first": np.array(_spell(first)),
        "fitted": shares.score_fitted_axes(np.array(halves)),
    }


def _spell(estimate: Estimate) -> tuple[float, float, float]:
    low, high = estimate.interval or (np.nan, np.nan)
    return estimate.value, low, high
