"""Proposals: a table in few bits, whose quick product proposes the rows that may score highest, with its error.

The bound is made of the rounding of these very rows and vectors, not of the worst case: with Wq, vq for W, v in few
bits, `|v.W - vq.Wq| <= |v| |W - Wq| + |v - vq| |Wq|`, and the product's own rounding. Knows no tokens.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import torch
from jaxtyping import Float, Float32, Float64, Int
from torch import Tensor

from app.core.exact.shares import map_shares
from app.core.policy import takes_gpu_way

CHUNK = 128  # rows taken to float64 at a time: they stay in the cache
ROUNDING = {torch.float32: 0.0, torch.bfloat16: 1.01 * 2.0**-8, torch.float16: 1.01 * 2.0**-11}
"""Rounding of a product's result, relative to it; a float32 result's is in that of the sum."""
SUMMING = 2.0**-23
"""Rounding of one addition, relative: twice float32's own, since tensor cores truncate instead of rounding."""
WORTH_IT = 1.3
"""Speed relative to float32 that fewer bits must have: they propose more candidates, each of which is checked."""
ROOM = 2.0
"""Room for candidates, relative to what normal scores would need."""
MOST_SHARE = 8
"""Rows for each candidate, at least: where more candidates would be needed, float32 proposes sooner."""
TURNS = 13
"""Trials of each number format; the first is a warm-up."""
LONGEST = 1e37
"""Length of rows up to which float32 is sure to hold their products with a vector of length one."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proposal:
    """The rows, times a power of two, in few bits."""

    rows: Float[Tensor, "n_rows d"]
    exponent: int
    """The rows are times `2 ** -exponent`, so that few bits hold them."""
    longest: float
    """Length of the longest row."""
    residual: float
    """Length of the longest difference between a row and its original."""
    spread: float
    """Root mean square of the rows' lengths: times 1 / sqrt(d), about the deviation of a unit vector's scores."""


@dataclass(frozen=True)
class QuickScores:
    """Quick scores, in units of their own."""

    scores: Float[Tensor, "n n_rows"]
    """Contiguous, or transposed: contiguous as [n_rows, n]."""
    exponents: Int[Tensor, " n"]
    """The scores are times `2 ** -exponent`."""
    errors: Float64[Tensor, " n"]
    """Largest difference from the exact scores, besides the rounding of the result."""


def proposal(rows: Float32[Tensor, "n_rows d"], lengths: Float64[Tensor, " n_rows"], dtype: torch.dtype) -> Proposal:
    """Prepare rows of given lengths; float32 ones are not copied. ValueError if their products are too large."""
    longest, spread = float(lengths.max()), float(lengths.square().mean().sqrt())
    if longest > LONGEST:
        raise ValueError(f"a row has a length of {longest:.0e}: float32 may not hold products with it")
    if dtype == torch.float32:
        return Proposal(rows, 0, longest, 0.0, spread)
    exponent = int(torch.frexp(lengths.max()).exponent)
    unit = 2.0**-exponent

    def round_some(some: Tensor) -> tuple[Tensor, Tensor]:
        few, squares = torch.empty_like(some, dtype=dtype), some.new_zeros((), dtype=torch.float64)
        for part, out in zip(torch.split(some, CHUNK), torch.split(few, CHUNK), strict=True):
            scaled = part.double() * unit
            out.copy_(_round_to(scaled, dtype))
            squares = squares.maximum((scaled - out.double()).square_().sum(dim=1).max())
        return few, squares

    parts = map_shares(round_some, rows, least=CHUNK, most=len(rows))
    few = torch.cat([part for part, _ in parts])
    residual = max(float(squares.sqrt()) for _, squares in parts)
    return Proposal(few, exponent, longest * unit + residual, residual, spread * unit)


def propose(
    proposal: Proposal, vectors: Float32[Tensor, "n d"], room: Float[Tensor, " size"] | None = None
) -> QuickScores:
    """Score each vector with every row; `room`, at least as large as the scores, is the buffer for them."""
    d, dtype = vectors.shape[1], proposal.rows.dtype
    exact = vectors.double()
    # Scaled to about length one, so that nothing is too large or too small for few bits.
    exponents = torch.frexp(exact.square().sum(dim=1).sqrt()).exponent
    exact = exact * unit_scale(exponents)[:, None]
    few = _round_to(exact, dtype)
    lengths = exact.square().sum(dim=1).sqrt()
    lost = (exact - few.double()).square().sum(dim=1).sqrt()
    summed = summing_error(d) * (lengths + lost) * proposal.longest
    errors = lengths * proposal.residual + lost * proposal.longest + summed + flush_error(d) + torch.finfo(dtype).tiny
    if takes_gpu_way(vectors):  # else partial sums would be added up in few bits
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    n, n_rows = len(vectors), len(proposal.rows)
    room = proposal.rows.new_empty(n * n_rows) if room is None else room[: n * n_rows]
    if dtype == torch.float32:  # in float32 a CPU takes a third less time this way round
        scores = torch.mm(proposal.rows, few.T, out=room.view(n_rows, n)).T
    else:
        scores = torch.mm(few, proposal.rows.T, out=room.view(n, n_rows))
    return QuickScores(scores, exponents + proposal.exponent, errors)


def summing_error(d: int) -> float:
    """Bound the error of a sum of d products in float32, relative to the lengths multiplied (Higham 2002, 3.1)."""
    return d * SUMMING / (1 - d * SUMMING)


def flush_error(d: int) -> float:
    """Bound what a sum loses where inputs and products too small for float32 are flushed to zero."""
    return 4 * d * torch.finfo(torch.float32).tiny


def unit_scale(exponents: Int[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """Compute `2 ** -exponent`, the factor from exact scores to quick ones."""
    return torch.exp2(-exponents.double())


def candidates_for(proposal: Proposal, k: int, at_least: int) -> int:
    """Compute how many candidates to take so that they settle the k first rows; no more than there are rows.

    About twice as many as there would be if scores were normal: how many lie near the k-th, and how much rounding
    changed a vector, differs from one to the next, and only its own scores say how many of these are worth a look.
    """
    n_rows, d = proposal.rows.shape
    if k + at_least >= n_rows // 2 or not proposal.spread:
        return min(n_rows, k + at_least)
    bell, deviation = NormalDist(), proposal.spread / d**0.5
    eps = torch.finfo(proposal.rows.dtype).eps
    lost = 0.25 * eps if proposal.residual else 0.0  # of a vector: random numbers lose 0.21 eps
    kth = bell.inv_cdf(1 - k / n_rows)
    apart = (proposal.residual + lost * proposal.longest) / deviation + ROUNDING[proposal.rows.dtype] * kth
    expected = n_rows * (1 - bell.cdf(kth - apart))
    return max(k + at_least, min(int(ROOM * expected) + 1, n_rows // MOST_SHARE))


@cache
def proposing_dtype(device: str) -> torch.dtype:
    """Find the dtype in which this machine multiplies fastest, by trying: float32, or fewer bits."""
    on_cuda = device.startswith("cuda")
    n = 4096 if on_cuda else 256
    # CPUs that are fast in float16 are fast in bfloat16 too.
    dtypes = (torch.float32, torch.bfloat16, *([torch.float16] if on_cuda else []))
    products = {
        dtype: tuple(torch.ones(size, n, dtype=dtype, device=device) for size in (64, 8 * n)) for dtype in dtypes
    }
    turns = [{dtype: _time_product(device, *products[dtype]) for dtype in dtypes} for _ in range(TURNS)]
    chosen = choose_fastest(turns[1:])
    logger.info("%s multiplies fastest in %s", device, chosen)
    return chosen


def choose_fastest(turns: Sequence[Mapping[torch.dtype, float]]) -> torch.dtype:
    """Choose the number format to propose in, from the seconds that each took in every trial; float32 where in doubt.

    Other processes may be using the machine, now more, now less: a gain counts if five trials of six show it.
    """
    gains = {dtype: sorted(turn[torch.float32] / turn[dtype] for turn in turns)[len(turns) // 6] for dtype in turns[0]}
    # float16 is eight times as exact as bfloat16, so it wins if about as fast.
    best = max(gains, key=lambda dtype: gains[dtype] * (1.1 if dtype == torch.float16 else 1))
    return best if gains[best] > WORTH_IT else torch.float32


def _time_product(device: str, left: Tensor, right: Tensor) -> float:
    started = time.perf_counter()
    left @ right.T
    if left.is_cuda:
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _round_to(exact: Float64[Tensor, "n d"], dtype: torch.dtype) -> Float[Tensor, "n d"]:
    """Round to few bits; numbers that a device may flush to zero are zero."""
    few = exact.to(dtype)
    return few.masked_fill_(few.abs() < torch.finfo(dtype).tiny, 0)
