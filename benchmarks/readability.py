"""The AUC of readability measures between trained and random rays, and the cost of judging by one.

    python -m benchmarks.readability [measures|noise|cost …] [--pairs N]

measures: the demo model's OV write rays, the four strongest directions of each head, against 2,000 random directions and
against the same heads with the entries of W_V and of W_O shuffled. AUC: how often a trained ray has the larger number.
Even layers and odd ones apart, so that a choice made on one half can be checked on the other.

noise: planted directions (`benchmarks/planted.py`) against random ones, as noise is added.

cost: readouts of all heads of a layer of GPT-2 small's shape with and without judging, in pairs, in one process.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import gelu, normalize

from app.core.bases.svd import decompose_all
from app.core.circuits import Head, ov
from app.core.exact.readout import TokenTable, read, token_table
from app.core.folding import fold_head, fold_mlp
from app.core.judging.coherence import coherence, lexicon, shared_components
from app.core.judging.collapse import is_trained
from app.core.judging.rays import ALPHA, LENGTHS
from app.core.judging.significance import compare_to_control
from app.explorer.library import Library, OpenModel
from app.explorer.making import heads
from app.explorer.making.context import Context
from app.explorer.making.judging import readability
from app.explorer.making.judging.controls import load_control
from app.explorer.making.tables import Tables
from app.explorer.view import PROCESSINGS, Processing
from app.models.catalog import Catalog
from app.models.importing.importer import import_model
from app.store.artifacts import ArtifactStore
from benchmarks.memory import read_anonymous, sample_peak
from benchmarks.planted import ALIKE, CLUSTERED, D_MODEL, N_TOKENS, RANK, draw_vocabulary, plant_matrix
from benchmarks.synthetic import write_gpt2_small

STRONGEST = 4
RANDOM = 2_000
SEEDS = 5
NOISES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
NEAREST = 10
"""Number of neighbours that local scaling averages over."""
MIB = 2**20

Rays = dict[str, Tensor]
"""Origin (even, odd, shuffled, random) -> token ids [n k]."""


class RaySets(NamedTuple):
    """The rays and token vectors that measures are compared on, for one weight processing."""

    table: TokenTable
    trained: Tensor
    every: Rays
    """The tokens of each ray, including never-trained ones."""
    own: Rays
    """The trained tokens of each ray."""
    activations: Tensor
    """Activations of the first MLP on single tokens [n_tokens d_mlp]."""


@dataclass(frozen=True)
class Measure:
    """A measure of coherence: mean cosine of pairs of a ray's first tokens."""

    what: str
    k: int
    removed: int | None = None
    """Dimensions for each principal component that is removed; None: none is removed."""
    weighted: bool = False
    """True if pairs are weighted by their ranks."""
    only_trained: bool = True
    activations: bool = False
    scaled: bool = False
    """True if each cosine is reduced by the mean around its tokens (CSLS, Conneau et al. 2018)."""


MEASURES = (
    *(Measure("plain", k, only_trained=False) for k in (10, 20)),
    *(Measure("trained tokens", k) for k in LENGTHS),
    *(
        Measure(f"… without d/{removed} components{', weighted' * weighted}", k, removed, weighted)
        for removed in (32, 16, 8)
        for weighted in (False, True)
        for k in LENGTHS
    ),
    *(Measure("… without d/16, local scaling", k, 16, scaled=True) for k in (20, 50)),
    *(Measure("first MLP's activations, without d/16, weighted", k, 16, True, activations=True) for k in (20, 50)),
)


def compare_measures(model: OpenModel) -> Iterator[str]:
    """Compare the measures: lines of Markdown, a table for each weight processing."""
    for processing in PROCESSINGS:
        stand = _read_ray_sets(model, processing)
        lost = int((~stand.trained).sum())
        yield f"**{processing}**, {lost} of {len(stand.trained):,} tokens never trained:"
        yield ""
        yield "| measure | tokens | even: random | shuffled | p < .01 | odd: random | shuffled | p < .01 |"
        yield "|---|---|---|---|---|---|---|---|"
        for measure in MEASURES:
            yield f"| {measure.what} | {measure.k} | {_format_cells(_apply_measure(measure, stand))} |"
        for at, length in enumerate(LENGTHS):
            yield f"| **as pages have it** | {length} | {_format_cells(_app_coherence(stand, at))} |"
        yield ""


def measure_noise() -> Iterator[str]:
    """Compute the AUC as noise grows: lines of Markdown, the median of several seeds and the worst."""
    yield f"{N_TOKENS:,} tokens in {D_MODEL} dimensions, clusters of {CLUSTERED} with a cosine of {ALIKE}; matrices of"
    yield f"rank {RANK}; AUC of the planted rays against {2 * RANDOM:,} random ones, median of {SEEDS} seeds (worst)."
    yield ""
    yield (
        "| noise, in lengths of the direction | cosine of found and planted | "
        + " | ".join(f"{length} tokens" for length in LENGTHS)
        + " |"
    )
    yield "|---|---|" + "---|" * len(LENGTHS)
    worlds = [_PlantedWorld(seed) for seed in range(SEEDS)]
    for noise in NOISES:
        found = [world.found(noise) for world in worlds]
        cosine = statistics.median(each[0] for each in found)
        areas = np.array([each[1] for each in found])
        cells = (f"{np.median(column):.3f} ({column.min():.3f})" for column in areas.T)
        yield f"| {noise} | {cosine:.2f} | {' | '.join(cells)} |"


def measure_cost(context: Context, n_pairs: int) -> Iterator[str]:
    """Measure readouts with and without judging: lines of Markdown."""
    yield "| what | without | with | ratio, median of pairs | of the shortest of each | memory at most, without | with |"
    yield "|---|---|---|---|---|---|---|"
    matrices = heads.decompose_heads(context, 0, heads.list_matrices(context.model))
    for side in ("read", "write"):
        started = time.perf_counter()
        context.tables.table(context.model, context.processing, side)
        ready = time.perf_counter()
        load_control(context, side)
        yield f"| once a model: {side} table, its control | {ready - started:.1f} s | {time.perf_counter() - ready:.1f} s | – | – | – | – |"
    _time_readouts(context, matrices, judged=True)  # a warm-up: libraries load at the first call
    pairs = []
    for turn in range(n_pairs):
        spent = {judged: _time_readouts(context, matrices, judged=judged) for judged in (bool(turn % 2), not turn % 2)}
        pairs.append((spent[False], spent[True]))
    ratios = [judged / plain for plain, judged in pairs]
    columns = list(zip(*pairs, strict=True))
    (plain, judged), least = map(statistics.median, columns), min(columns[1]) / min(columns[0])
    peaks = [_measure_peak(context, matrices, judged=judged) / MIB for judged in (False, True)]
    yield (
        f"| readouts of a layer, {4 * context.model.manifest.n_heads * context.model.manifest.d_head:,} sides "
        f"| {plain:.2f} s | {judged:.2f} s | {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}) | {least:.2f} "
        f"| {peaks[0]:,.0f} MiB | {peaks[1]:,.0f} MiB |"
    )


def compute_auc(some: np.ndarray, others: np.ndarray) -> float:
    """Compute the AUC: how often one of `some` is larger than one of `others`; ties count half."""
    ranks = rankdata(np.concatenate([some, others]))[: len(some)]
    return float((ranks.sum() - len(some) * (len(some) + 1) / 2) / (len(some) * len(others)))


def _read_ray_sets(model: OpenModel, processing: Processing) -> RaySets:
    tables = Tables("cpu")
    table = tables.table(model, processing, "write")
    trained = is_trained(table.vectors)
    d = table.vectors.shape[1]
    vectors = {
        "even": _read_written(model, processing, range(0, model.manifest.n_layers, 2)),
        "odd": _read_written(model, processing, range(1, model.manifest.n_layers, 2)),
        "shuffled": _read_written(model, processing, range(model.manifest.n_layers), shuffled=True),
        "random": normalize(torch.randn(RANDOM, d, generator=torch.Generator().manual_seed(1)), dim=1),
    }
    bare = token_table(table.vectors[trained])
    rows = trained.nonzero().flatten()
    every = {name: _find_both_rays(table, each) for name, each in vectors.items()}
    own = {name: table.ids[rows[_find_both_rays(bare, each)]] for name, each in vectors.items()}
    mlp = fold_mlp(model.weights().mlp(0), model.weights().mlp_norms(0))
    read_by = tables.table(model, "folded", "read").vectors
    return RaySets(table, trained, every, own, gelu(read_by @ mlp.W_in + mlp.b_in, approximate="tanh"))


def _read_written(model: OpenModel, processing: Processing, layers: range, shuffled: bool = False) -> Tensor:
    """Read out the write side of every head's strongest directions."""
    weights, draw = model.weights(), torch.Generator().manual_seed(1)
    products = []
    for layer in layers:
        for number in range(model.manifest.n_heads):
            head = weights.head(layer, number)
            head = _shuffle_head(head, draw) if shuffled else head
            products.append(ov(fold_head(head, weights.norms(layer, number)) if processing == "folded" else head))
    return torch.cat([terms.right[:STRONGEST] for terms in decompose_all(products)])


def _shuffle_head(head: Head, draw: torch.Generator) -> Head:
    def mixed(tensor: Tensor) -> Tensor:
        return tensor.flatten()[torch.randperm(tensor.numel(), generator=draw)].view(tensor.shape)

    return replace(head, W_V=mixed(head.W_V), W_O=mixed(head.W_O))


def _find_both_rays(table: TokenTable, vectors: Tensor) -> Tensor:
    """Find the token ids of both rays of each vector, one row a ray."""
    found = read(table, vectors, LENGTHS[-1])
    return torch.cat([found.top_ids, found.bottom_ids])


def _apply_measure(measure: Measure, stand: RaySets) -> dict[str, np.ndarray]:
    vectors = stand.activations if measure.activations else stand.table.vectors
    used = stand.trained if measure.only_trained else torch.ones_like(stand.trained)
    own = vectors - vectors[used].mean(dim=0)
    if measure.removed:
        n = vectors.shape[1] // measure.removed
        components = torch.linalg.eigh((own[used].T @ own[used]).double()).eigenvectors[:, -n:].float()
        own -= own @ components @ components.T
    units = normalize(own, dim=1)
    crowd = _mean_nearest(units, units[used]) if measure.scaled else units.new_zeros(len(units))
    weights = 1 / torch.log2(torch.arange(measure.k) + 2.0) if measure.weighted else torch.ones(measure.k)
    rays = stand.own if measure.only_trained else stand.every
    return {
        name: _mean_cosines(
            units, crowd, torch.searchsorted(stand.table.ids, ids[:, : measure.k].contiguous()), weights
        )
        for name, ids in rays.items()
    }


def _mean_nearest(units: Tensor, others: Tensor) -> Tensor:
    """Compute the mean cosine of each vector to its nearest neighbours, itself left out."""
    parts = [(rows @ others.T).topk(NEAREST + 1, dim=1).values[:, 1:].mean(dim=1) for rows in units.split(1_024)]
    return torch.cat(parts)


def _mean_cosines(units: Tensor, crowd: Tensor, rows: Tensor, weights: Tensor) -> np.ndarray:
    """Average the cosines of pairs by weight, each reduced by the mean of the two tokens' crowding."""
    pairs = weights.sum() ** 2 - weights.square().sum()
    found = []
    for some in rows.split(256):
        own = units[some] * weights[:, None]
        cosines = own.sum(dim=1).square().sum(dim=1) - own.square().sum(dim=(1, 2))
        usual = (weights * (weights.sum() - weights) * crowd[some]).sum(dim=1)
        found.append((cosines - usual) / pairs)
    return torch.cat(found).numpy()


def _app_coherence(stand: RaySets, at: int) -> dict[str, np.ndarray]:
    """Compute the coherence that the app stores: of the first 50 tokens, without never-trained ones."""
    words = lexicon(stand.table.vectors, stand.trained, *shared_components(stand.table.vectors, stand.trained))
    found = {name: coherence(stand.table, words, ids)[:, at].numpy() for name, ids in stand.every.items()}
    return {name: values[~np.isnan(values)] for name, values in found.items()}


def _format_cells(found: dict[str, np.ndarray]) -> str:
    cells = []
    for half in ("even", "odd"):
        readable = float((compare_to_control(found[half], found["random"])[1] < ALPHA).mean())
        cells += [f"{compute_auc(found[half], found[against]):.2f}" for against in ("random", "shuffled")]
        cells.append(f"{readable:.1%}")
    return " | ".join(cells)


class _PlantedWorld:
    """A vocabulary with planted clusters, and the measures of random directions in it."""

    def __init__(self, seed: int) -> None:
        self.seed, self.words = seed, draw_vocabulary(seed)
        self.table = token_table(self.words.vectors)
        trained = is_trained(self.words.vectors)
        self.lexicon = lexicon(self.table.vectors, trained, *shared_components(self.table.vectors, trained))
        self.random = self.measure(torch.randn(RANDOM, D_MODEL, generator=torch.Generator().manual_seed(10_000)))

    def measure(self, vectors: Tensor) -> np.ndarray:
        """Measure the + rays, then the - rays: [2 n, lengths]."""
        return coherence(self.table, self.lexicon, _find_both_rays(self.table, vectors)).numpy()

    def found(self, noise: float) -> tuple[float, list[float]]:
        """Compute the mean |cosine| of the directions found with the planted ones, and the AUC by length."""
        given = plant_matrix(self.words, noise, self.seed)
        (terms,) = decompose_all([given.matrix])
        cosines = (terms.right * given.directions).sum(dim=1)
        rays = self.measure(terms.right * cosines.sign()[:, None])
        is_planted = torch.cat([torch.ones(RANK, dtype=torch.bool), ~given.is_one_sided]).numpy()
        areas = [compute_auc(rays[is_planted, at], self.random[:, at]) for at in range(len(LENGTHS))]
        return float(cosines.abs().mean()), areas


def _time_readouts(context: Context, matrices: list[heads.HeadMatrix], *, judged: bool) -> float:
    started = time.perf_counter()
    _read_out(context, matrices, judged=judged)
    return time.perf_counter() - started


def _read_out(context: Context, matrices: list[heads.HeadMatrix], *, judged: bool) -> None:
    if judged:
        heads.read_out_heads(context, matrices)
    else:
        with patch.object(readability, "judge_readouts", lambda *_: {}):
            heads.read_out_heads(context, matrices)


def _measure_peak(context: Context, matrices: list[heads.HeadMatrix], *, judged: bool) -> int:
    """Measure the peak bytes of one more run."""
    before, ended = read_anonymous(os.getpid()), threading.Event()
    peaks: list[int] = []
    watcher = threading.Thread(target=lambda: peaks.append(sample_peak(ended.is_set, os.getpid())))
    watcher.start()
    _read_out(context, matrices, judged=judged)
    ended.set()
    watcher.join()
    return peaks[0] - before


def _import_model(source: str, slug: str, data: Path) -> OpenModel:
    data.mkdir()
    import_model(source, data, slug=slug, report=lambda _: None)
    model = Library(Catalog(data)).model(slug)
    assert model
    return model


def main() -> None:
    """Measure in an empty folder and print the tables."""
    parts: dict[str, Callable[[Path], Iterator[str]]] = {
        "measures": lambda folder: compare_measures(_import_model("demo", "demo", folder / "demo")),
        "noise": lambda _: measure_noise(),
        "cost": lambda folder: measure_cost(
            Context(
                Tables("cpu"),
                _import_model(str(write_gpt2_small(folder / "checkpoint")), "random", folder / "data"),
                "folded",
                ArtifactStore(folder / "artifacts", 2**32),
            ),
            args.pairs,
        ),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(parts)} (default: all)")
    parser.add_argument("--pairs", type=int, default=9, help="runs with and without judging (default: 9)")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(parts):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(parts)}")
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for name in args.parts or parts:
            load = os.getloadavg()[0]
            print(
                f"## {name}\n\n{os.cpu_count()} cores, {load:.1f} processes wanting them as this began.\n", flush=True
            )
            for line in parts[name](Path(folder)):
                print(line, flush=True)
            print()


if __name__ == "__main__":
    main()
