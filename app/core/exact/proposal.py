"""A table in few bits: it proposes, in one quick product, which rows may score highest, and says how far it may be off.

The bound is made of what rounding did to these very rows and vectors, not of what it might do to any: with Wq, vq for
W, v in few bits, `|v.W - vq.Wq| <= |v| |W - Wq| + |v - vq| |Wq|`, and the product's own rounding. Knows no tokens.
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

from app.core.exact.shares import shared
from app.core.policy import takes_gpu_way

CHUNK = 128  # rows taken to float64 at a time: they stay in the cache
ROUNDING = {torch.float32: 0.0, torch.bfloat16: 1.01 * 2.0**-8, torch.float16: 1.01 * 2.0**-11}
"""Of a product's result, in proportion to it; that of a float32 one is in the sum's."""
SUMMING = 2.0**-23
"""Of one addition, in proportion: twice float32's own, since tensor cores cut off instead of rounding."""
WORTH_IT = 1.3
"""How many times as fast as float32 fewer bits must be: they propose more candidates, and each is to be checked."""
ROOM = 2.0
"""For candidates, in proportion to what a bell would need."""
MOST_SHARE = 8
"""One row in so many is a candidate at most: where more would be needed, float32 proposes sooner."""
TURNS = 13
"""Tries of each number format; the first is for getting ready."""
LONGEST = 1e37
"""Rows whose products with a vector of length one float32 is sure to hold."""

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
    """Length of the longest difference between a row and what it was."""
    spread: float
    """Root mean square of the rows' lengths: times 1 / sqrt(d), about how scores of a vector of length one spread."""


@dataclass(frozen=True)
class Proposed:
    """Quick scores, in units of their own."""

    scores: Float[Tensor, "n n_rows"]
    """Contiguous, or turned: contiguous as [n_rows, n]."""
    exponents: Int[Tensor, " n"]
    """The scores are times `2 ** -exponent`."""
    errors: Float64[Tensor, " n"]
    """How far a score may be from the exact one, besides the rounding of the result."""


def proposal(rows: Float32[Tensor, "n_rows d"], lengths: Float64[Tensor, " n_rows"], dtype: torch.dtype) -> Proposal:
    """Prepare the rows, whose lengths are given; float32 ones are not copied. ValueError if their products are too large."""
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
            out.copy_(_rounded(scaled, dtype))
            squares = squares.maximum((scaled - out.double()).square_().sum(dim=1).max())
        return few, squares

    parts = shared(round_some, rows, least=CHUNK, most=len(rows))
    few = torch.cat([part for part, _ in parts])
    residual = max(float(squares.sqrt()) for _, squares in parts)
    return Proposal(few, exponent, longest * unit + residual, residual, spread * unit)


def propose(
    proposal: Proposal, vectors: Float32[Tensor, "n d"], room: Float[Tensor, " size"] | None = None
) -> Proposed:
    """The score of each vector with every row; `room`, at least as large as they are, is where they are put."""
    d, dtype = vectors.shape[1], proposal.rows.dtype
    exact = vectors.double()
    # Of about length one, so that nothing is too large or too small for few bits.
    exponents = torch.frexp(exact.square().sum(dim=1).sqrt()).exponent
    exact = exact * unit(exponents)[:, None]
    few = _rounded(exact, dtype)
    lengths = exact.square().sum(dim=1).sqrt()
    lost = (exact - few.double()).square().sum(dim=1).sqrt()
    summed = summing_error(d) * (lengths + lost) * proposal.longest
    errors = lengths * proposal.residual + lost * proposal.longest + summed + flushed(d) + torch.finfo(dtype).tiny
    if takes_gpu_way(vectors):  # sums that are cut into parts would be added up in few bits
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    n, n_rows = len(vectors), len(proposal.rows)
    room = proposal.rows.new_empty(n * n_rows) if room is None else room[: n * n_rows]
    if dtype == torch.float32:  # which way round is quicker differs: a CPU takes a third less this way
        scores = torch.mm(proposal.rows, few.T, out=room.view(n_rows, n)).T
    else:
        scores = torch.mm(few, proposal.rows.T, out=room.view(n, n_rows))
    return Proposed(scores, exponents + proposal.exponent, errors)


def summing_error(d: int) -> float:
    """Of a sum of d products in float32, in proportion to the lengths of the vectors multiplied (Higham 2002, 3.1)."""
    return d * SUMMING / (1 - d * SUMMING)


def flushed(d: int) -> float:
    """What a sum may lose where inputs and products too small for float32 are taken for zero."""
    return 4 * d * torch.finfo(torch.float32).tiny


def unit(exponents: Int[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """`2 ** -exponent`: what exact scores are times in units of quick ones."""
    return torch.exp2(-exponents.double())


def candidates_for(proposal: Proposal, k: int, at_least: int) -> int:
    """How many candidates have room for those that settle the k first rows; no more than there are rows.

    About twice as many as there would be if scores spread like a bell: how many crowd about the k-th, and what rounding did
    to a vector, differs from one to the next, and only its own scores say how many of these are worth a look.
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
    """The numbers in which this machine multiplies fastest, found out by trying: float32, or fewer bits."""
    on_cuda = device.startswith("cuda")
    n = 4096 if on_cuda else 256
    # CPUs that are fast in float16 are fast in bfloat16 too.
    dtypes = (torch.float32, torch.bfloat16, *([torch.float16] if on_cuda else []))
    products = {
        dtype: tuple(torch.ones(size, n, dtype=dtype, device=device) for size in (64, 8 * n)) for dtype in dtypes
    }
    turns = [{dtype: _seconds(device, *products[dtype]) for dtype in dtypes} for _ in range(TURNS)]
    chosen = fastest(turns[1:])
    logger.info("%s multiplies fastest in %s", device, chosen)
    return chosen


def fastest(turns: Sequence[Mapping[torch.dtype, float]]) -> torch.dtype:
    """The number format to propose in, from the seconds that each took turn by turn; float32 where in doubt.

    Others may be using the machine, now more, now less: what five turns of six say is believed.
    """
    gains = {dtype: sorted(turn[torch.float32] / turn[dtype] for turn in turns)[len(turns) // 6] for dtype in turns[0]}
    # Of two that are as fast, float16 is eight times as exact.
    best = max(gains, key=lambda dtype: gains[dtype] * (1.1 if dtype == torch.float16 else 1))
    return best if gains[best] > WORTH_IT else torch.float32


def _seconds(device: str, left: Tensor, right: Tensor) -> float:
    started = time.perf_counter()
    left @ right.T
    if left.is_cuda:
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _rounded(exact: Float64[Tensor, "n d"], dtype: torch.dtype) -> Float[Tensor, "n d"]:
    """In few bits; numbers that a device may take for zero are zero."""
    few = exact.to(dtype)
    return few.masked_fill_(few.abs() < torch.finfo(dtype).tiny, 0)
