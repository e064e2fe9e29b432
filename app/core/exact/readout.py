"""Readouts: residual-stream vectors read out as tokens, the k largest and k smallest dot products, exactly.

The order is that of `products.exact_products`, ties by smaller id. For each ray (one end of a vector):

1. a quick product in few bits proposes candidates, with room for twice as many as normal scores would need;
2. those that may be among the k first, by the ray's own scores and errors, are scored in float64; where two are too
   close to be ordered by that, in the exact order's way;
3. the ray is settled if its k-th score beats any that another token can have, given the error of few bits;
4. else float32 proposes; if that does not settle it either, every token that its own error does not exclude is scored.

Knows no tokens' texts.
"""

from dataclasses import dataclass, fields
from queue import Empty, SimpleQueue

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from app.core.exact.extremes import extremes
from app.core.exact.histogram import histogram
from app.core.exact.products import exact_products, near_error, near_products
from app.core.exact.proposal import (
    ROUNDING,
    Proposal,
    candidates_for,
    flush_error,
    proposal,
    propose,
    summing_error,
    unit_scale,
)
from app.core.exact.shares import map_shares, map_side_by_side, shares_of
from app.core.policy import takes_gpu_way, total_memory

SPARE = 14  # candidates beyond k: 14 settled every ray of random and of trained tables in float32
MARGIN = 1.1  # times a quick score's largest error: candidates further below the k-th one are not scored
CHUNK = 128  # tokens taken to float64 at a time: they stay in the cache
BATCH = 192  # vectors that a CPU multiplies at a time: a product of fewer is slower, one of more no faster
BATCH_BYTES = 2**26  # of their quick scores at most, on a CPU
CARD_SHARE = 64  # a GPU's memory divided by the size of one batch's quick scores
BATCH_STEP = 32  # batch sizes are multiples of it, which products are fast with
FEWEST = 64  # vectors that are worth a core of their own
AT_ONCE = 4096  # vectors whose candidates are kept until all are scored


@dataclass(frozen=True)
class TokenTable:
    """The token vectors that a side is read with, prepared once: only tokens that may appear."""

    vectors: Float[Tensor, "n_tokens d_model"]
    ids: Int64[Tensor, " n_tokens"]
    """Rising."""
    norms: Float64[Tensor, " n_tokens"]
    proposals: tuple[Proposal, ...]
    """The quickest first; the last is float32."""

    def rows(self, ids: Int64[Tensor, "n k"]) -> Float[Tensor, "n k d_model"]:
        """Return the vectors of these tokens."""
        return self.vectors[torch.searchsorted(self.ids, ids.contiguous())]


@dataclass(frozen=True)
class Readout:
    """The top and bottom tokens of n vectors over the vocabulary."""

    top_ids: Int64[Tensor, "n k"]
    top_scores: Float64[Tensor, "n k"]
    """Falling."""
    bottom_ids: Int64[Tensor, "n k"]
    bottom_scores: Float64[Tensor, "n k"]
    """Rising."""
    counts: Int64[Tensor, "n bins"]
    """Tokens in equal bins of the score, from `low` to `high`, counted by quick scores: those near the edge of a bin
    may be counted in the next, and where nearly all have one score, that may be most of them."""
    low: Float64[Tensor, " n"]
    high: Float64[Tensor, " n"]
    unsettled: int
    """How many of the 2 n rays the first candidates did not settle."""


@dataclass(frozen=True)
class _Ends:
    """Both ends as rows of the table, the bottom end with its sign flipped: the first is the largest at either end."""

    rows: Int64[Tensor, "n 2 k"]
    scores: Float64[Tensor, "n 2 k"]
    settled: Bool[Tensor, "n 2"]
    trusted: Bool[Tensor, "n 2"]
    """The quick scores of the candidates were within their error."""
    counts: Int64[Tensor, "n bins"]


@dataclass(frozen=True)
class _Candidates:
    """Rows of the table that a quick product proposes for both ends, the bottom end with its sign flipped."""

    rows: Int64[Tensor, "n 2 count"]
    near: Float64[Tensor, "n 2 count"]
    """Quick scores, falling."""
    wanted: Bool[Tensor, "n 2 count"]
    """True for those that may be among the k first: a beginning of each row."""
    last: Float64[Tensor, "n 2"]
    """The largest quick score of all other tokens is at most this."""
    errors: Float64[Tensor, " n"]
    """Largest error of the quick scores, besides the rounding of the result."""
    units: Float64[Tensor, " n"]
    """Factors from exact scores to quick ones."""
    counts: Int64[Tensor, "n bins"]
    """Without bins if not asked for."""


def token_table(
    vectors: Float[Tensor, "d_vocab d_model"],
    known: Bool[Tensor, " d_vocab"] | None = None,
    proposing: torch.dtype = torch.float32,
) -> TokenTable:
    """Prepare a table of the tokens that are known (None: all); the vectors are not copied if all are.

    `proposing`: the numbers of the quick product, float32 or fewer bits. ValueError for NaN, infinite or too large ones.
    """
    ids = torch.arange(len(vectors), device=vectors.device)
    if known is not None and not bool(known.all()):
        ids = ids[known.to(ids.device)]
    if len(ids) == 0:
        raise ValueError(f"none of the {len(vectors)} tokens is known")
    if len(ids) < len(vectors):
        vectors = vectors[ids]
    vectors = vectors.contiguous()
    lengths = torch.cat(map_shares(_lengths, vectors, least=CHUNK, most=len(vectors)))
    if not bool(lengths.isfinite().all()):
        raise ValueError("the token vectors hold NaN or infinite numbers")
    dtypes = [proposing] if proposing == torch.float32 else [proposing, torch.float32]
    proposals = tuple(proposal(vectors, lengths, dtype) for dtype in dtypes)
    return TokenTable(vectors, ids, lengths, proposals)


def _lengths(vectors: Float[Tensor, "n d_model"]) -> Float64[Tensor, " n"]:
    """Compute lengths in float64, which no float32 overflows: one is NaN or infinite where a number is."""
    return torch.cat([rows.double().square_().sum(dim=1).sqrt() for rows in torch.split(vectors, CHUNK)])


def read(table: TokenTable, vectors: Float[Tensor, "n d_model"], k: int = 50) -> Readout:
    """Read out the k top and bottom tokens of each vector, all of them if there are fewer, and the score histogram."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if not bool(vectors.isfinite().all()):
        raise ValueError("a vector to read out holds NaN or infinite numbers")
    k = min(k, len(table.ids))
    parts = torch.split(vectors, AT_ONCE) if len(vectors) else (vectors,)
    return _join_parts([_read_some(table, some, k) for some in parts])


def read_first_tokens(table: TokenTable, vectors: Float[Tensor, "n d_model"], k: int) -> Int64[Tensor, "n 2 k"]:
    """Read out the same tokens as `read`, of + and of -, without scores or histogram, which is quicker."""
    k = min(k, len(table.ids))
    parts = [
        _find_both_ends(table, some, k, counted=False)[0].rows for some in torch.split(vectors, AT_ONCE) if len(some)
    ]
    return table.ids[torch.cat(parts)] if parts else table.ids.new_zeros(0, 2, k)


def _read_some(table: TokenTable, vectors: Float[Tensor, "n d_model"], k: int) -> Readout:
    ends, unsettled = _find_both_ends(table, vectors, k, counted=True)
    rows, scores = table.ids[ends.rows], ends.scores
    bottom = 0.0 - scores[:, 1]  # not -0.0
    return Readout(rows[:, 0], scores[:, 0], rows[:, 1], bottom, ends.counts, bottom[:, 0], scores[:, 0, 0], unsettled)


def _find_both_ends(table: TokenTable, vectors: Float[Tensor, "n d_model"], k: int, counted: bool) -> tuple[_Ends, int]:
    """Find the k first of both ends in the exact order, and count the rays that the first candidates did not settle."""
    first, *others = table.proposals
    ends = _try_proposal(table, first, vectors, k, counted)
    rays = (~ends.settled).nonzero()
    unsettled = len(rays)
    for other in others:
        if len(rays):
            again = (~ends.settled).any(dim=1).nonzero().flatten()
            better = _try_proposal(table, other, vectors[again], k)
            for old, new in ((getattr(ends, f.name), getattr(better, f.name)) for f in fields(_Ends)[:-1]):
                old[again] = new
            rays = (~ends.settled).nonzero()
    for ray, end in rays.tolist():
        vector = vectors[ray : ray + 1] * (1 - 2 * end)
        least = ends.scores[ray, end, -1] if ends.trusted[ray, end] else -torch.inf
        ends.rows[ray, end], ends.scores[ray, end] = _score_exhaustively(table, vector, least, k)
    return ends, unsettled


def _join_parts(parts: list[Readout]) -> Readout:
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Readout)}
    unsettled = sum(columns.pop("unsettled"))
    return Readout(**{name: torch.cat(column) for name, column in columns.items()}, unsettled=unsettled)


def _try_proposal(
    table: TokenTable, quick: Proposal, vectors: Float[Tensor, "n d_model"], k: int, counted: bool = False
) -> _Ends:
    """Propose, order and settle by one proposal (steps 1 to 3)."""
    n_tokens, count = len(table.ids), candidates_for(quick, k, SPARE)
    size = _batch_size(quick, len(vectors))
    batches = torch.split(vectors, size)
    # One buffer for all batches of a core: allocating memory for each would take as long as the work in it. A free core
    # takes the next buffer.
    rooms = SimpleQueue[Tensor]()

    def propose_some(some: Tensor) -> _Candidates:
        try:
            room = rooms.get_nowait()
        except Empty:
            room = quick.rows.new_empty(size * n_tokens)
        found = _propose_candidates(quick, some, room, k, count, counted)
        rooms.put(room)
        return found

    parts = map_side_by_side(propose_some, batches, shares_of(vectors))
    asked, wanted = (torch.cat([getattr(part, name) for part in parts]) for name in ("rows", "wanted"))
    scores = near_products(vectors, table.vectors, asked.flatten(1), wanted.flatten(1)).view(asked.shape)
    # Each of these steps is small: cores that shared them would mostly wait for each other.
    shares = list(zip(parts, batches, torch.split(scores, size), strict=True))
    ends = map_side_by_side(lambda share: _settle_batch(table, quick, *share, k), shares, shares_of(vectors))
    return _Ends(*(torch.cat([getattr(end, field.name) for end in ends]) for field in fields(_Ends)))


def _settle_batch(
    table: TokenTable,
    quick: Proposal,
    found: _Candidates,
    vectors: Float[Tensor, "n d_model"],
    scores: Float64[Tensor, "n 2 count"],
    k: int,
) -> _Ends:
    """Order and settle a batch (steps 2 and 3), given near scores of the wanted candidates."""
    most = int(found.wanted.sum(dim=2).max()) if len(vectors) else k
    wanted, near = found.wanted[:, :, :most], found.near[:, :, :most]
    errors, units, last = found.errors, found.units, found.last
    best, scores, exact = _order_candidates(table, vectors, found.rows[:, :, :most], scores[:, :, :most], wanted, k)
    close, rounding = exact * units[:, None, None], ROUNDING[quick.rows.dtype]
    off = errors[:, None, None] + rounding * near.abs()
    trusted = (((close - near).abs() <= off) | ~wanted).all(dim=2)
    settled = trusted & (scores[:, :, -1] * units[:, None] > last + errors[:, None] + rounding * last.abs())
    settled |= wanted.sum(dim=2) == len(table.ids)
    return _Ends(best, scores, settled, trusted, found.counts)


def _batch_size(quick: Proposal, n_vectors: int) -> int:
    """Compute how many of the vectors to multiply at a time: on a CPU such that every core has as many batches."""
    most, space = BATCH, BATCH_BYTES
    if takes_gpu_way(quick.rows):
        most, space = AT_ONCE, total_memory(quick.rows) // CARD_SHARE
    most = min(most, BATCH_STEP * max(1, space // (BATCH_STEP * quick.rows.element_size() * len(quick.rows))))
    n_cores = min(torch.get_num_threads(), shares_of(quick.rows), max(1, n_vectors // FEWEST))
    rounds = -(-n_vectors // (n_cores * most))
    return max(1, -(-n_vectors // max(1, n_cores * rounds)))


def _propose_candidates(
    quick: Proposal,
    vectors: Float[Tensor, "n d_model"],
    room: Float[Tensor, " size"],
    k: int,
    count: int,
    counted: bool,
) -> _Candidates:
    """Propose the candidates of one batch (step 1)."""
    proposed = propose(quick, vectors, room)
    (tops, high), (bottoms, low) = extremes(proposed.scores, count)
    counts = histogram(proposed.scores, low[:, 0], high[:, 0]) if counted else tops[:, :0]
    rows, near = torch.stack([tops, bottoms], dim=1), torch.stack([high, -low], dim=1).double()
    errors, units = proposed.errors, unit_scale(proposed.exponents)
    # Scores further below the k-th quick one than errors reach cannot be among the k first.
    kth = near[:, :, k - 1 : k]
    wanted = near >= kth - (MARGIN * errors[:, None, None] + 2 * ROUNDING[quick.rows.dtype] * kth.abs())
    last = near.gather(2, wanted.sum(dim=2, keepdim=True).clamp(max=count - 1))[:, :, 0]
    return _Candidates(rows, near, wanted, last, errors, units, counts)


def _order_candidates(
    table: TokenTable,
    vectors: Float[Tensor, "n d_model"],
    rows: Int64[Tensor, "n 2 count"],
    near: Float64[Tensor, "n 2 count"],
    wanted: Bool[Tensor, "n 2 count"],
    k: int,
) -> tuple[Int64[Tensor, "n 2 k"], Float64[Tensor, "n 2 k"], Float64[Tensor, "n 2 count"]]:
    """Order the candidates (step 2): the k first of each end, their scores, and the scores of all wanted ones."""
    sign = vectors.new_tensor([[1.0], [-1.0]], dtype=torch.float64)
    scores = (near * sign).masked_fill_(~wanted, -torch.inf)
    falling, order = scores.sort(dim=2, descending=True)
    best, best_scores = rows.gather(2, order[:, :, :k]), falling[:, :, :k]
    error = near_error(vectors, table.norms.max())
    apart = (
        falling[:, :, :k]
        - torch.cat([falling, falling.new_full((*rows.shape[:2], 1), -torch.inf)], dim=2)[:, :, 1 : k + 1]
    )
    unclear = (apart <= 2 * error[:, None, None]).flatten(1).any(dim=1).nonzero().flatten()
    if len(unclear):
        asked = rows[unclear]
        exact = exact_products(vectors[unclear], table.vectors, asked.flatten(1)).view(asked.shape) * sign
        scores[unclear] = exact.masked_fill_(~wanted[unclear], -torch.inf)
        best[unclear], best_scores[unclear] = _take_first(asked, scores[unclear], k)
    return best, best_scores, scores


def _score_exhaustively(
    table: TokenTable, vector: Float[Tensor, "1 d_model"], least: float | Tensor, k: int
) -> tuple[Int64[Tensor, " k"], Float64[Tensor, " k"]]:
    """Find the k first of all tokens that may score `least`, as far as float32 can tell (step 4)."""
    proposed, d = propose(table.proposals[-1], vector), vector.shape[1]
    units = unit_scale(proposed.exponents)
    # Each token has its own error, in proportion to its length, so that one long token does not widen all.
    length = vector.double().square().sum().sqrt() * units
    reach = summing_error(d) * length * table.norms + flush_error(d) * (1 + table.norms)
    possible = (proposed.scores[0] >= least * units - reach).nonzero().T
    parts = torch.split(possible, CHUNK, dim=1)
    scores = torch.cat([exact_products(vector, table.vectors, part) for part in parts], dim=1)
    rows, best = _take_first(possible, scores, k)
    return rows[0], best[0]


def _take_first(
    rows: Int64[Tensor, "*n count"], exact: Float64[Tensor, "*n count"], k: int
) -> tuple[Int64[Tensor, "*n k"], Float64[Tensor, "*n k"]]:
    """Take the k first in the exact order: by falling score, ties by smaller row."""
    rows, order = rows.sort(dim=-1)
    scores, order = exact.gather(-1, order).sort(dim=-1, descending=True, stable=True)
    return rows.gather(-1, order)[..., :k], scores[..., :k]
