"""What it takes to fit a basis to an embedding, and how near the fit comes, beside scikit-learn called plainly.

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
from benchmarks.memory import peak_until
from benchmarks.synthetic import D_MODEL, D_VOCAB

MIB = 2**20
ROWS = 2**12


class Size(NamedTuple):
    """Of the samples, and of what is fitted to them."""

    tokens: int
    d_model: int
    components: int
    atoms: int
    sparsity: int


class Fit(NamedTuple):
    """`samples ~ codes directions + mean`."""

    codes: Tensor
    directions: Tensor
    mean: Tensor | float = 0.0
    longest: float | None = None
    """Seconds between two signs of progress, where there are any."""


class Measured(NamedTuple):
    """What one way took, and what it misses."""

    seconds: float
    peak: int
    """Bytes of the whole process, libraries and samples included."""
    longest: float | None
    error: float
    """Norm of what is missed, as a share of the samples' norm."""


Way = Callable[[Tensor, Size], Fit]


def embed(size: Size, seed: int = 0) -> Tensor:
    """[tokens d_model]: about one in fifty of the directions in each token, the first ones stronger."""
    draw = torch.Generator().manual_seed(seed)
    directions = torch.randn(2 * size.d_model, size.d_model, generator=draw) / size.d_model**0.5
    directions *= torch.arange(1, len(directions) + 1)[:, None] ** -0.3
    samples = torch.randn(size.tokens, size.d_model, generator=draw) * 0.1 / size.d_model**0.5
    for rows in samples.split(ROWS):
        present = torch.rand(len(rows), len(directions), generator=draw) < 0.02
        rows.addmm_(torch.empty(present.shape).exponential_(generator=draw) * present, directions)
    return samples + torch.randn(size.d_model, generator=draw) * 0.5 / size.d_model**0.5


def ours(samples: Tensor, size: Size, name: str) -> Fit:
    """Our basis of that name."""
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


def truncated_svd(samples: Tensor, size: Size) -> Fit:
    """Randomised, as it is by default."""
    from sklearn.decomposition import TruncatedSVD

    return _fit(TruncatedSVD(size.components, random_state=0), samples.numpy())


def pca(samples: Tensor, size: Size) -> Fit:
    """Through the covariance."""
    from sklearn.decomposition import PCA

    return _fit(PCA(size.components, svd_solver="covariance_eigh"), samples.numpy())


def nmf(samples: Tensor, size: Size) -> Fit:
    """Of the positive and negative parts side by side, folded back."""
    from sklearn.decomposition import NMF

    parts = np.hstack([samples.clamp(min=0).numpy(), samples.neg().clamp(min=0).numpy()])
    fit = _fit(NMF(size.components, random_state=0), parts)
    return Fit(fit.codes, fit.directions[:, : size.d_model] - fit.directions[:, size.d_model :])


def fast_ica(samples: Tensor, size: Size) -> Fit:
    """With its own whitening."""
    from sklearn.decomposition import FastICA

    model = FastICA(size.components, random_state=0)
    codes = torch.from_numpy(model.fit_transform(samples.numpy()))
    return Fit(codes, torch.from_numpy(model.mixing_.T), torch.from_numpy(model.mean_))


def dictionary_learning(samples: Tensor, size: Size) -> Fit:
    """In mini-batches, coded by orthogonal matching pursuit."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    model = MiniBatchDictionaryLearning(
        size.atoms, transform_algorithm="omp", transform_n_nonzero_coefs=size.sparsity, random_state=0
    )
    return _fit(model, samples.numpy())


PEERS: dict[str, tuple[str, Way]] = {
    "svd": ("TruncatedSVD", truncated_svd),
    "pca": ("PCA by covariance_eigh", pca),
    "nmf": ("NMF", nmf),
    "ica": ("FastICA", fast_ica),
    "dictionary": ("MiniBatchDictionaryLearning", dictionary_learning),
}


def table(names: list[str], size: Size, limit: float) -> Iterator[str]:
    """The lines of Markdown, each as soon as it is known; a peer that takes longer than `limit` seconds is stopped."""
    yield "| basis | way | seconds | longest step | peak memory | relative error |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        what, peer = PEERS[name]
        yield f"| {name} | singular-lens | {_cells(alone(partial(ours, name=name), size))} |"
        measured = alone(peer, size, limit)
        yield f"| {name} | scikit-learn's {what} | {_cells(measured) if measured else f'stopped after {limit:.0f} s | – | – | –'} |"


def alone(way: Way, size: Size, limit: float | None = None) -> Measured | None:
    """In a process of its own; None if it took longer than the limit."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(way, size, theirs), daemon=True)
    process.start()
    theirs.close()  # so that the end of the process is seen as the end of the pipe
    try:
        ours.recv()  # the samples are there
        until = time.perf_counter() + limit if limit else float("inf")
        assert process.pid
        peak = peak_until(lambda: ours.poll() or time.perf_counter() > until, process.pid)
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


def _run(way: Way, size: Size, results: Connection) -> None:
    samples = embed(size)
    import_module("sklearn.decomposition")
    results.send("ready")
    started = time.perf_counter()
    fit = way(samples, size)
    results.send(time.perf_counter() - started)
    results.send((fit.longest, _error(samples, fit)))


def _fit(model: object, samples: np.ndarray) -> Fit:
    """What a model of scikit-learn finds."""
    codes, mean = model.fit_transform(samples), getattr(model, "mean_", None)
    return Fit(
        torch.from_numpy(codes),
        torch.from_numpy(model.components_),
        0.0 if mean is None else torch.from_numpy(mean),
    )


def _error(samples: Tensor, fit: Fit) -> float:
    missed = 0.0
    for rows, codes in zip(samples.split(ROWS), fit.codes.split(ROWS), strict=True):
        missed += float((rows.double() - codes.double() @ fit.directions.double() - fit.mean).square().sum())
    return missed**0.5 / float(torch.linalg.vector_norm(samples, dtype=torch.float64))


def _cells(measured: Measured) -> str:
    longest = "–" if measured.longest is None else f"{measured.longest:.1f} s"
    return f"{measured.seconds:.1f} | {longest} | {measured.peak / MIB:,.0f} MiB | {measured.error:.4f}"


def main() -> None:
    """Measure and print, row by row."""
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
    for line in table(args.bases or list(PEERS), size, args.limit):
        print(line, flush=True)


if __name__ == "__main__":
    main()
