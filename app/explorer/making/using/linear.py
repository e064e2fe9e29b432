"""The linear map between two layers' streams on a reference text, in several bases: maker of `linear`.

    whole [3]                          R^2 in all on held-out windows, with its interval
    unmoved [1]                        the same of the identity map
    penalty [1]  positions [2]         the penalty that was chosen; positions of the text, and sinks that are left out
    score_B [terms]                    R^2 along each direction of a basis B
    embedding_B start_B end_B [terms]  share of the variance along each: of the embedding's rows, of either stream
    map_B [blocks blocks]              mean squares of blocks of the map, in units of the mean of all: from (rows) to (columns)
    diagonal_B [1]                     share of the map's squares that stands on its diagonal

The bases are the embedding's PCA and SVD, its frequency basis with as many groups as the stream has coordinates, the
coordinates themselves, random directions, and the atoms of an NMF of the embedding where such a fit is stored. Atoms are
not orthogonal: they have no map. Runs in a job's process, which holds the model meanwhile. Knows no pages.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from app.core.address import Address
from app.core.judging.bootstrap import estimate_statistic
from app.core.steps import Steps, rescale_steps, run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.layout import LINEAR_BLOCKS, LinearBasis
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.subjects import Subject, read_subject
from app.explorer.making.using import texts
from app.explorer.recipes import LINEAR_SEED

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.using.linear import LinearMap

RUNNING = 80
"""The share of the time that running the text takes, in percent."""


def map_streams(context: Context, text: int, start: int, end: int, nmf: Mapping[str, int]) -> Steps[ArraysAndFacts]:
    """Fit the map from the stream that enters layer `start` to the one that enters `end`, n_layers being the last stream.

    `nmf`: the parameters of a stored fit of the embedding; empty: none. ComputationFailed if the model cannot be run, or if
    the text or the fit is not here.
    """
    import torch

    from app.core.using.linear import fit_linear_map

    ids = texts.read_text(context, text)
    yield 0, 100
    streams, windows = yield from rescale_steps(0, RUNNING, 100, _run_windows(context, ids, (start, end)))
    fitted = fit_linear_map(streams[0], streams[1], windows)
    yield 90, 100
    sums = torch.stack([fitted.left, fitted.there], 1).numpy()
    whole = texts.spell(estimate_statistic(sums, lambda totals: 1 - totals[..., 0] / totals[..., 1], LINEAR_SEED))
    arrays: Arrays = {
        "whole": np.array(whole, np.float32),
        "unmoved": np.array([fitted.unmoved], np.float32),
        "penalty": np.array([fitted.penalty]),
        "positions": np.array([len(windows), ids[:, 1:].numel() - len(windows)], np.int32),
    }
    embedding, bases = _find_bases(context)
    for basis, directions in bases.items():
        arrays |= _score_basis(fitted, embedding, basis, directions)
        arrays |= _draw_map(fitted, basis, directions)
    if nmf:
        arrays |= _score_basis(fitted, embedding, "nmf", _read_atoms(context, nmf))
    return arrays, {}


def _run_windows(context: Context, ids: "Tensor", points: tuple[int, int]) -> "Steps[tuple[list[Tensor], Tensor]]":
    """Run the windows and keep the streams at these points, and each position's window; first positions and sinks not."""
    import torch

    from app.core.using.sinks import find_sinks
    from app.models.live.forward import run_model

    model = texts.assemble(context.model)
    kept: list[list[Tensor]] = [[] for _ in points]
    for number, window in enumerate(ids):
        yield number, len(ids)
        streams = run_model(model, window).streams[:, 1:]
        streams = streams[:, ~find_sinks(streams)]
        for point, into in zip(points, kept, strict=True):
            into.append(streams[point].clone())
    counts = torch.tensor([len(each) for each in kept[0]])
    return [torch.cat(each) for each in kept], torch.arange(len(ids)).repeat_interleave(counts)


def _find_bases(context: Context) -> "tuple[Tensor, dict[LinearBasis, Tensor]]":
    """Find the covariance of the embedding's rows, and the directions of each basis but its atoms: [terms d_model]."""
    import torch

    from app.core.bases import frequency, pca, svd
    from app.core.blocks import blocks
    from app.core.decomposition import stream_side_of
    from app.core.gram import mean_of

    d_model = context.model.manifest.d_model
    subject: Subject = run(read_subject(context, Address(context.model.header.slug).at("embed")))
    rows = subject.product.samples()
    covariance = torch.zeros(d_model, d_model, dtype=torch.float64)
    for _, block in blocks(rows, mean_of(rows)):
        covariance += (block.T @ block).cpu() / len(rows)
    made = {
        "pca": run(pca.decompose(subject.product, {})),
        "svd": run(svd.decompose(subject.product, {})),
        "frequency": run(frequency.decompose(subject.product, {"groups": min(d_model, len(rows))})),
    }
    found: dict[LinearBasis, Tensor] = {
        "pca": stream_side_of(subject.product, made["pca"]).cpu(),
        "svd": stream_side_of(subject.product, made["svd"]).cpu(),
        "frequency": stream_side_of(subject.product, made["frequency"]).cpu(),
        "coordinates": torch.eye(d_model),
    }
    generator = torch.Generator().manual_seed(LINEAR_SEED)
    drawn = torch.randn(d_model, d_model, dtype=torch.float64, generator=generator)
    found["random"] = torch.linalg.qr(drawn).Q.T
    return covariance, found


def _read_atoms(context: Context, nmf: Mapping[str, int]) -> "Tensor":
    """Read the atoms of a fit of the embedding: unit rows."""
    import torch

    place = Address(context.model.header.slug).at("embed").in_basis("nmf")
    held = context.store.read(recipes.decomposition(context.model, place, context.processing, nmf))
    if held is None:
        raise ComputationFailed("The NMF of the embedding that was to be compared is not here any more.")
    return torch.from_numpy(np.array(held.arrays["vectors"]))


def _score_basis(fitted: "LinearMap", embedding: "Tensor", basis: LinearBasis, directions: "Tensor") -> Arrays:
    from app.core.using.linear import score_directions, variances_along

    shares = {"embedding": embedding, "start": fitted.start, "end": fitted.end}
    found = {f"score_{basis}": score_directions(fitted, directions)}
    found |= {
        f"{name}_{basis}": variances_along(covariance, directions) / covariance.trace().clamp(min=1e-300)
        for name, covariance in shares.items()
    }
    return {name: values.numpy().astype(np.float32) for name, values in found.items()}


def _draw_map(fitted: "LinearMap", basis: LinearBasis, directions: "Tensor") -> Arrays:
    from app.core.using.linear import average_blocks, diagonal_share, map_in_basis

    matrix = map_in_basis(fitted.matrix, directions)
    squares = matrix.square()
    drawn = average_blocks(squares, LINEAR_BLOCKS) / squares.mean().clamp(min=1e-300)
    return {
        f"map_{basis}": drawn.numpy().astype(np.float32),
        f"diagonal_{basis}": np.array([diagonal_share(matrix)], np.float32),
    }
