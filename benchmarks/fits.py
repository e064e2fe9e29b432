"""The cost of fitting a basis to an embedding, and the error of the fit, beside scikit-learn called plainly.

    python -m benchmarks.fits [BASIS …] [--tokens N] [--d-model N] [--components N] [--atoms N] [--sparsity N] [--limit S]

Made-up token vectors of GPT-2 small's shape with something to find in them: sparse non-negative codes over twice as many
directions as dimensions, a mean and noise. Each way runs in a process of its own, so that its memory is its own; as many
terms of each are counted as were asked for.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from app.core.basis import BASES, Samples
from app.core.matrix import TOKEN, WRITE, Matrix
from benchmarks.memory import sample_peak
from benchmarks.synthetic import D_MODEL, D_VOCAB

MIB = 2**20
ROWS = 2**12


class Size(NamedTuple):
    """The sizes of the samples and of the fit."""

    tokens: int
    d_model: int
    components: int
    atoms: int
    sparsity: int


class Fit(NamedTuple):
    """A fitted decomposition: `samples ~ codes directions + mean`."""

    codes: Tensor
    directions: Tensor
    mean: Tensor | float = 0.0
    longest: float | None = None
    """Longest time between two reports of progress, in seconds, where there are any."""


class Measured(NamedTuple):
    """The seconds, the memory and the error of one way."""

    seconds: float
    peak: int
    """Peak bytes of the whole process, libraries and samples included."""
    longest: float | None
    error: float
    """Norm of the residual, as a share of the samples' norm."""


Way = Callable[[Tensor, Size], Fit]


def draw_samples(size: Size, seed: int = 0) -> Tensor:
    """Draw samples [tokens d_model]: about one in fifty of the directions in each token, the first ones stronger."""
    draw = torch.Generator().manual_seed(seed)
    directions = torch.randn(2 * size.d_model, size.d_model, generator=draw) / size.d_model**0.5
    directions *= torch.arange(1, len(directions) + 1)[:, None] ** -0.3
    samples = torch.randn(size.tokens, size.d_model, generator=draw) * 0.1 / size.d_model**0.5
    for rows in samples.split(ROWS):
        present = torch.rand(len(rows), len(directions), generator=draw) < 0.02
        rows.addmm_(torch.empty(present.shape).exponential_(generator=draw) * present, directions)
    return samples + torch.randn(size.d_model, generator=draw) * 0.5 / size.d_model**0.5


def fit_ours(samples: Tensor, size: Size, name: str) -> Fit:
    """Fit our basis of that name."""
    basis, chosen = BASES[name], size._asdict()
    given = {parameter.name: chosen.get(parameter.name) for parameter in basis.parameters}
    values = basis.values(given, Samples(size.tokens, size.d_model))
    fitting, longest, before = basis.decompose(Matrix((samples,), TOKEN, WRITE), values), 0.0, time.perf_counter()
    while True:
        try:
            next(fitting)
        except StopIteration as end:
            terms = end.value
            break
        finally:
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
    n = size.atoms if name == "dictionary" else size.components
    codes = (terms.left[:n] * terms.strength[:n, None]).T
    return Fit(codes, terms.right[:n], 0.0 if terms.mean is None else terms.mean, longest)


def fit_truncated_svd(samples: Tensor, size: Size) -> Fit:
    """Fit scikit-learn's TruncatedSVD, randomised as by default."""
    from sklearn.decomposition import TruncatedSVD

    return _fit_model(TruncatedSVD(size.components, random_state=0), samples.numpy())


def fit_pca(samples: Tensor, size: Size) -> Fit:
    """Fit scikit-learn's PCA, through the covariance."""
    from sklearn.decomposition import PCA

    return _fit_model(PCA(size.components, svd_solver="covariance_eigh"), samples.numpy())


def fit_nmf(samples: Tensor, size: Size) -> Fit:
    """Fit scikit-learn's NMF to the positive and negative parts side by side, folded back."""
    from sklearn.decomposition import NMF

    parts = np.hstack([samples.clamp(min=0).numpy(), samples.neg().clamp(min=0).numpy()])
    fit = _fit_model(NMF(size.components, random_state=0), parts)
    return Fit(fit.codes, fit.directions[:, : size.d_model] - fit.directions[:, size.d_model :])


def fit_fast_ica(samples: Tensor, size: Size) -> Fit:
    """Fit scikit-learn's FastICA, with its own whitening."""
    from sklearn.decomposition import FastICA

    model = FastICA(size.components, random_state=0)
    codes = torch.from_numpy(model.fit_transform(samples.numpy()))
    return Fit(codes, torch.from_numpy(model.mixing_.T), torch.from_numpy(model.mean_))


def fit_dictionary(samples: Tensor, size: Size) -> Fit:
    """Fit scikit-learn's dictionary learning in mini-batches, coded by orthogonal matching pursuit."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    model = MiniBatchDictionaryLearning(
        size.atoms, transform_algorithm="omp", transform_n_nonzero_coefs=size.sparsity, random_state=0
    )
    return _fit_model(model, samples.numpy())


PEERS: dict[str, tuple[str, Way]] = {
    "svd": ("TruncatedSVD", fit_truncated_svd),
    "pca": ("PCA by covariance_eigh", fit_pca),
    "nmf": ("NMF", fit_nmf),
    "ica": ("FastICA", fit_fast_ica),
    "dictionary": ("MiniBatchDictionaryLearning", fit_dictionary),
}


def write_table(names: list[str], size: Size, limit: float) -> Iterator[str]:
    """Write the lines of Markdown, each as soon as it is known; a peer is stopped after `limit` seconds."""
    yield "| basis | way | seconds | longest step | peak memory | relative error |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        what, peer = PEERS[name]
        yield f"| {name} | singular-lens | {_format_cells(measure_way(partial(fit_ours, name=name), size))} |"
        measured = measure_way(peer, size, limit)
        yield f"| {name} | scikit-learn's {what} | {_format_cells(measured) if measured else f'stopped after {limit:.0f} s | – | – | –'} |"


def measure_way(way: Way, size: Size, limit: float | None = None) -> Measured | None:
    """Run a way in a process of its own; None if it took longer than the limit."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send_measured, args=(way, size, theirs), daemon=True)
    process.start()
    theirs.close()  # so that the pipe ends when the process does
    try:
        ours.recv()  # the samples are in memory
        until = time.perf_counter() + limit if limit else float("inf")
        assert process.pid
        peak = sample_peak(lambda: ours.poll() or time.perf_counter() > until, process.pid)
        if not ours.poll():
            process.kill()
            return None
        seconds = ours.recv()
        longest, error = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{way} ended with exit status {process.exitcode}") from None
    finally:
        process.join()
    return Measured(seconds, peak, longest, error)


def _send_measured(way: Way, size: Size, results: Connection) -> None:
    samples = draw_samples(size)
    import_module("sklearn.decomposition")
    results.send("ready")
    started = time.perf_counter()
    fit = way(samples, size)
    results.send(time.perf_counter() - started)
    results.send((fit.longest, _error_of(samples, fit)))


def _fit_model(model: object, samples: np.ndarray) -> Fit:
    """Fit a model of scikit-learn."""
    codes, mean = model.fit_transform(samples), getattr(model, "mean_", None)
    return Fit(
        torch.from_numpy(codes),
        torch.from_numpy(model.components_),
        0.0 if mean is None else torch.from_numpy(mean),
    )


def _error_of(samples: Tensor, fit: Fit) -> float:
    missed = 0.0
    for rows, codes in zip(samples.split(ROWS), fit.codes.split(ROWS), strict=True):
        missed += float((rows.double() - codes.double() @ fit.directions.double() - fit.mean).square().sum())
    return missed**0.5 / float(torch.linalg.vector_norm(samples, dtype=torch.float64))


def _format_cells(measured: Measured) -> str:
    longest = "–" if measured.longest is None else f"{measured.longest:.1f} s"
    return f"{measured.seconds:.1f} | {longest} | {measured.peak / MIB:,.0f} MiB | {measured.error:.4f}"


def main() -> None:
    """Measure every way and print, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bases", nargs="*", metavar="BASIS", help=f"{', '.join(PEERS)} (default: all)")
    parser.add_argument("--tokens", type=int, default=D_VOCAB, help=f"default: {D_VOCAB}")
    parser.add_argument("--d-model", type=int, default=D_MODEL, help=f"default: {D_MODEL}")
    parser.add_argument("--components", type=int, default=256, help="terms of svd, pca, nmf and ica (default: 256)")
    parser.add_argument("--atoms", type=int, default=1_024, help="terms of the dictionary (default: 1024)")
    parser.add_argument("--sparsity", type=int, default=8, help="atoms in each token (default: 8)")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a peer may take (default: 600)")
    args = parser.parse_args()
    if unknown := set(args.bases) - set(PEERS):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(PEERS)}")
    size = Size(args.tokens, args.d_model, args.components, args.atoms, args.sparsity)
    print(f"{os.cpu_count()} cores; {size.tokens:,} tokens x {size.d_model}, {size.components} components.\n")
    for line in write_table(args.bases or list(PEERS), size, args.limit):
        print(line, flush=True)


if __name__ == "__main__":
    main()
