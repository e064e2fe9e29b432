"""What a model's directions do on a reference text: the statistics of every head's OV, of the whole model, and of its stream.

The text is what the model writes by itself, or the operator's. It is run in parts, each an artifact of its own, so that an
interruption costs one part. From the parts three artifacts are made.

`use`:
    ids [windows tokens]             the text, by token ids; each window's first position is counted nowhere
    used, even [layers heads rank]   each direction's share of the variance of its head's output: on the text, and if the
                                     stream were even
    mean, spread [layers heads rank] of what arrives of a direction at a position
    read_spread, positive, skew      of what a direction reads at one: standard deviation, share of positions above 0,
                                     skewness with its interval [… 3]
    first [layers heads 3]           share of the first `count_first` directions, with its interval
    ratio [3]                        the median over heads of that share by the one of an even stream, with its interval
    stream [layers]                  what the norm before each layer's heads divides the stream by: the median over positions
    peaks, peaks_at [layers heads rank 2 3]  the most that arrives of a direction at its + and its - end, and where: window times
                                     tokens plus position; each in another window
    fitted [layers heads rank]       share along the first 1, 2 … axes of the output, fitted on the other half of the text
`use-outputs`:
    covariance [2 layers heads rank rank]  of what a head writes, along its directions, on either half of the windows
`use-streams`:
    mean [layers and one, d_model]   of the stream that enters each layer, and of the one that the final norm reads
    chance [d_vocab]                 the mean chance of each token to come next; sinks are in neither

Heads of a smaller rank have zeros at their ends. Runs in a job's process, which holds the model while a part lasts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.core.judging.bootstrap import Estimate
from app.core.steps import Steps, rescale_steps
from app.core.using import shares
from app.explorer.errors import ComputationFailed
from app.explorer.layout import USE_PARTS, USE_PEAKS, USE_TOKENS, USE_WINDOWS, count_first
from app.explorer.library import OpenModel
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.using import texts
from app.explorer.recipes import USE_SEED, use_parts, use_text

if TYPE_CHECKING:
    from torch import Tensor


WRITING = 70
"""The share of the time of a part that writing its text takes, in percent."""


def measure_use(context: Context, text: int) -> Steps[ArraysAndFacts]:
    """Sum up what directions do on a text, from parts in the store or made now; ComputationFailed if the model cannot be
    run, or the operator's text is gone.
    """
    parts = yield from _gather_parts(context, text)
    return _sum_up(parts, _measure_strength(context)), {}


def measure_outputs(context: Context, text: int) -> Steps[ArraysAndFacts]:
    """Sum up how what each head writes varies on a text; else as `measure_use`."""
    parts = yield from _gather_parts(context, text)
    strength = _measure_strength(context)
    n = np.sum([part["positions"][0].sum(axis=0) for part in parts], axis=0)  # of either half
    sums = np.sum([part["attended"].sum(axis=1) for part in parts], axis=0)
    products = np.sum([part["products"] for part in parts], axis=0)
    found = [
        shares.output_covariance(int(n[half]), sums[:, half], products[:, half], strength) for half in range(len(n))
    ]
    return {"covariance": np.array(found, np.float32)}, {}


def measure_streams(context: Context, text: int) -> Steps[ArraysAndFacts]:
    """Sum up the mean of the stream on a text, and of what the model expects next; else as `measure_use`."""
    parts = yield from _gather_parts(context, text)
    sums, chances, n = (np.sum([part[name] for part in parts], axis=0) for name in ("streams", "chances", "counted"))
    mean, chance = sums / n, chances / n
    return {"mean": mean.astype(np.float32), "chance": chance.astype(np.float32)}, {}


def _gather_parts(context: Context, text: int) -> Steps[list[Mapping[str, NDArray[Any]]]]:
    """Gather the parts, from the store or made now."""
    parts: list[Mapping[str, NDArray[Any]]] = []
    for number, recipe in enumerate(use_parts(context.model, context.processing, text)):
        held = context.store.read(recipe)
        making = measure_part(context, text, number)
        parts.append((yield from rescale_steps(number, 1, USE_PARTS, making))[0] if held is None else held.arrays)
    return parts


def _measure_strength(context: Context) -> NDArray[np.float32]:
    """Measure the singular values of every head's OV: [layers heads rank]."""
    import torch

    rank = context.model.manifest.d_head
    terms = [texts.decompose_layer(context, layer) for layer in range(context.model.manifest.n_layers)]
    strength = torch.stack([torch.stack([texts.pad(one.strength, rank) for one in of_layer]) for of_layer in terms])
    found: NDArray[np.float32] = strength.numpy()
    return found


def measure_part(context: Context, text: int, part: int) -> Steps[ArraysAndFacts]:
    """Run a part of the text's windows, which the model writes first where there is no text, and gather what directions do."""
    import torch

    from app.core.using.statistics import LayerSums, StreamSums
    from app.models.live.forward import run_model

    manifest = context.model.manifest
    yield 0, 100
    model = texts.assemble(context.model)
    start = 0 if text else WRITING
    ids = _read_windows(context, text, part) if text else (yield from _write_windows(context, model, part))
    terms = [texts.decompose_layer(context, layer) for layer in range(manifest.n_layers)]
    sums = [LayerSums.empty(manifest.n_heads, manifest.d_head) for _ in terms]
    of_streams = StreamSums.empty(manifest.n_layers, manifest.d_model, manifest.d_vocab)
    stream: list[Tensor] = []
    peaks: list[list[tuple[Tensor, Tensor]]] = [[] for _ in terms]
    for number, window in enumerate(ids):
        yield start + (100 - start) * number // len(ids), 100
        run = run_model(model, window)
        stream.append(_measure_norms(context, run.streams[:-1, 1:]))
        assert run.logits is not None
        of_streams.add_window(run.streams, run.logits)
        for layer, of_layer in enumerate(terms):
            read, arrived = texts.read_layer(context, layer, run.streams[layer], run.patterns[layer], of_layer)
            sums[layer].add_window(part * len(ids) + number, read, arrived)
            peaks[layer].append(_find_peaks(arrived))
    values, at = (torch.stack([torch.stack([one[n] for one in of]) for of in peaks]) for n in (0, 1))
    arrays = {
        field.name: torch.stack([getattr(one, field.name) for one in sums]).numpy() for field in fields(LayerSums)
    }
    arrays |= {field.name: getattr(of_streams, field.name).numpy() for field in fields(StreamSums)}
    found = {"stream": torch.cat(stream, 1).numpy(), "peaks": values.numpy(), "peaks_at": at.numpy().astype(np.int32)}
    return {"ids": ids.numpy().astype(np.int32), **found, **arrays}, {}


def _find_peaks(arrived: "Tensor") -> "tuple[Tensor, Tensor]":
    """Find the largest and the smallest value of each direction in a window, and their positions: [heads rank 2]."""
    import torch

    behind = arrived[:, 1:]
    most, least = behind.max(dim=1), behind.min(dim=1)
    return torch.stack([most.values, least.values], -1), torch.stack([most.indices, least.indices], -1) + 1


def _measure_norms(context: Context, streams: "Tensor") -> "Tensor":
    """Measure what the norm before each layer's heads divides the stream by at each position: 1 where there is none."""
    from app.core.using.coefficients import norm_scales

    manifest = context.model.manifest
    if not manifest.reads_normed:
        return streams.new_ones(streams.shape[:-1])
    return 1 / norm_scales(streams, manifest.normalization == "LN", manifest.eps)


def _write_windows(context: Context, model: object, part: int) -> "Steps[Tensor]":
    """Let the model write the windows of a part."""
    from app.models.live.sampling import sample_windows

    vocabulary = context.model.vocabulary
    n_tokens = min(USE_TOKENS, context.model.manifest.n_ctx)
    n_known = int(np.flatnonzero(vocabulary.known).max()) + 1
    seed = USE_PARTS * USE_SEED + part
    writing = sample_windows(model, _require_start(context.model), USE_WINDOWS // USE_PARTS, n_tokens, n_known, seed)
    return (yield from rescale_steps(0, WRITING, 100, writing))


def _read_windows(context: Context, text: int, part: int) -> "Tensor":
    """Read the windows of a part of the operator's text."""
    import torch

    held = context.store.read(use_text(context.model, text))
    if held is None:
        raise ComputationFailed("The text is not here any more: name its file again with --text.")
    size = USE_WINDOWS // USE_PARTS
    return torch.from_numpy(held.arrays["ids"][part * size : (part + 1) * size].astype(np.int64))


def _require_start(model: OpenModel) -> int:
    start = model.vocabulary.start
    if start is None:
        raise ComputationFailed(f"{model.header.slug} has no token that begins a text: it writes none by itself.")
    return start


def _sum_up(parts: list[Mapping[str, NDArray[Any]]], strength: NDArray[np.float32]) -> Arrays:
    """Sum up what was gathered; `strength` is [layers heads rank]."""
    from app.core.using.statistics import LayerSums

    summed = {field.name: np.sum([part[field.name] for part in parts], axis=0) for field in fields(LayerSums)}
    n_layers, n_heads = strength.shape[:2]
    layers = [LayerTotals(**{name: array[layer] for name, array in summed.items()}) for layer in range(n_layers)]
    heads = [[_sum_up_head(of, head, strength[n, head]) for head in range(n_heads)] for n, of in enumerate(layers)]
    names = heads[0][0]
    found = {name: np.array([[one[name] for one in of] for of in heads], np.float32) for name in names}
    return {
        "ids": np.concatenate([part["ids"] for part in parts]),
        "stream": np.median(np.concatenate([part["stream"] for part in parts], axis=1), axis=1),
        **_choose_peaks(parts),
        "ratio": np.array(texts.spell(_estimate_ratio(layers, found, strength)), np.float32),
        **found,
    }


def _choose_peaks(parts: list[Mapping[str, NDArray[Any]]]) -> Arrays:
    """Choose the places where most arrives of each direction at either end, each in another window."""
    values = np.concatenate([part["peaks"] for part in parts], axis=1)  # [layers windows heads rank 2]
    places = np.concatenate([part["peaks_at"] for part in parts], axis=1)
    n_windows, n_tokens = values.shape[1], parts[0]["ids"].shape[1]
    places = places + n_tokens * np.arange(n_windows, dtype=np.int32)[:, None, None, None]
    order = np.argsort(-values * np.array([1, -1], np.float32), axis=1, kind="stable")[:, :USE_PEAKS]
    chosen = (np.moveaxis(np.take_along_axis(one, order, axis=1), 1, -1) for one in (values, places))
    return dict(zip(("peaks", "peaks_at"), map(np.ascontiguousarray, chosen), strict=True))


def _estimate_ratio(layers: "list[LayerTotals]", found: Arrays, strength: NDArray[np.float32]) -> Estimate:
    """Estimate the median over heads of what the first directions make on the text, by what they would on an even stream."""
    n_layers, n_heads, rank = strength.shape
    first = count_first(rank)
    n = layers[0].positions.astype(np.float64).ravel()
    draws = np.array(
        [
            shares.resample_first_share(first, n, *layers[layer].of_clusters(head), strength[layer, head])
            for layer in range(n_layers)
            for head in range(n_heads)
        ]
    )
    even = found["even"][..., :first].sum(axis=-1, dtype=np.float64).ravel()
    return shares.estimate_median_ratio(found["first"][..., 0].ravel().astype(np.float64), even, draws, len(n))


@dataclass(frozen=True)
class LayerTotals:
    """The sums of one layer over the whole text, as `LayerSums` has them."""

    attended: NDArray[np.float64]
    squares: NDArray[np.float64]
    products: NDArray[np.float64]
    powers: NDArray[np.float64]
    positive: NDArray[np.int64]
    positions: NDArray[np.int64]

    def of_clusters(self, head: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the sums of a and of its squares, a row for each cluster of windows."""
        attended, squares = (of[:, :, head].reshape(-1, of.shape[-1]) for of in (self.attended, self.squares))
        return attended, squares


def _sum_up_head(sums: LayerTotals, head: int, strength: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    n = sums.positions.astype(np.float64).ravel()
    attended, squares = sums.of_clusters(head)
    by_group, powers = sums.positions.sum(1).astype(np.float64), sums.powers[:, :, head]
    total, (sum_, square, _) = by_group.sum(), powers.sum(axis=0)
    halves = [
        shares.output_covariance(
            int(sums.positions[:, half].sum()), sums.attended[:, half, head].sum(0), products, strength
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
        "positive": sums.positive[:, head].sum(0) / total,
        "skew": np.array([texts.spell(skew) for skew in skews]),
        "first": np.array(texts.spell(first)),
        "fitted": shares.score_fitted_axes(np.array(halves)),
    }
