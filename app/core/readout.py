"""Residual-stream vectors read out as tokens: the k largest and the k smallest dot products, exactly.

The order is that of `products.exact_products`, ties by smaller id. For each ray (one end of a vector):

1. a float32 matrix product proposes k + SPARE candidates;
2. they are scored exactly;
3. the ray is settled if its k-th exact score beats the fast score of the last candidate by more than the error of
   the fast product: no other token can come before it;
4. else every token that its own error does not exclude is scored exactly.

Knows no tokens' texts.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from app.core.histogram import histogram
from app.core.products import exact_products, fast_error

SPARE = 14  # candidates beyond k: 14 settled every ray of random and of trained tables
BLOCK = 64  # columns whose extreme stands for all of them while candidates are sought
CHUNK = 128  # tokens taken to float64 at a time: they stay in the cache
BATCH_BYTES = 2**24  # of one batch's scores; a batch holds them and one copy's worth besides


@dataclass(frozen=True)
class TokenTable:
    """The vectors that a side is read with, prepared once: only tokens that may appear."""

    vectors: Float[Tensor, "n_tokens d_model"]
    ids: Int64[Tensor, " n_tokens"]
    """Rising."""
    norms: Float64[Tensor, " n_tokens"]
    mean: Float[Tensor, " d_model"]

    def rows(self, ids: Int64[Tensor, "n k"]) -> Float[Tensor, "n k d_model"]:
        """The vectors of these tokens."""
        return self.vectors[torch.searchsorted(self.ids, ids.contiguous())]


@dataclass(frozen=True)
class Readout:
    """Both ends of n vectors over the vocabulary."""

    top_ids: Int64[Tensor, "n k"]
    top_scores: Float64[Tensor, "n k"]
    """Falling."""
    bottom_ids: Int64[Tensor, "n k"]
    bottom_scores: Float64[Tensor, "n k"]
    """Rising."""
    counts: Int64[Tensor, "n bins"]
    """Tokens in equal bins of the score, from `low` to `high`."""
    low: Float64[Tensor, " n"]
    high: Float64[Tensor, " n"]
    unsettled: int
    """How many of the 2 n rays the first candidates did not settle."""


def token_table(vectors: Float[Tensor, "d_vocab d_model"], known: Bool[Tensor, " d_vocab"] | None = None) -> TokenTable:
    """Prepare a table of the tokens that are known (None: all); the vectors are not copied if all are."""
    ids = torch.arange(len(vectors), device=vectors.device)
    if known is not None and not bool(known.all()):
        ids = ids[known.to(ids.device)]
    if len(ids) == 0:
        raise ValueError(f"none of the {len(vectors)} tokens is known")
    if len(ids) < len(vectors):
        vectors = vectors[ids]
    total, norms = vectors.new_zeros(vectors.shape[1], dtype=torch.float64), []
    for rows in torch.split(vectors, CHUNK):
        exact = rows.double()
        total += exact.sum(dim=0)
        norms.append(exact.square_().sum(dim=1).sqrt())
    if not bool(total.isfinite().all()):
        raise ValueError("the token vectors hold NaN or infinite numbers")
    return TokenTable(vectors.contiguous(), ids, torch.cat(norms), (total / len(ids)).float())


def read(table: TokenTable, vectors: Float[Tensor, "n d_model"], k: int = 50) -> Readout:
    """The k top and bottom tokens of each vector, all of them if there are fewer, and its score's spread."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if not bool(vectors.isfinite().all()):
        raise ValueError("a vector to read out holds NaN or infinite numbers")
    n_tokens = len(table.ids)
    size = max(8, BATCH_BYTES // (4 * n_tokens))
    return _joined([_read_batch(table, batch, min(k, n_tokens)) for batch in torch.split(vectors, size)])


def _read_batch(table: TokenTable, vectors: Float[Tensor, "n d_model"], k: int) -> Readout:
    error = fast_error(vectors, table.norms.max()[None])[:, 0]
    fast = vectors @ table.vectors.T
    top, high, n_top = _top(table, vectors, fast, error, k)
    bottom, low, n_bottom = _top(table, -vectors, fast.neg_(), error, k)
    low = 0.0 - low
    return Readout(
        top_ids=table.ids[top],
        top_scores=high,
        bottom_ids=table.ids[bottom],
        bottom_scores=low,
        counts=histogram(fast.neg_(), low[:, 0], high[:, 0]),
        low=low[:, 0],
        high=high[:, 0],
        unsettled=n_top + n_bottom,
    )


def _joined(parts: list[Readout]) -> Readout:
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Readout)}
    unsettled = sum(columns.pop("unsettled"))
    return Readout(**{name: torch.cat(column) for name, column in columns.items()}, unsettled=unsettled)


def _top(
    table: TokenTable,
    vectors: Float[Tensor, "n d_model"],
    fast: Float[Tensor, "n n_tokens"],
    error: Float64[Tensor, " n"],
    k: int,
) -> tuple[Int64[Tensor, "n k"], Float64[Tensor, "n k"], int]:
    """The k first rows of the table for each vector, their scores, and how many vectors step 3 did not settle."""
    candidates = _candidates(fast, min(k + SPARE, fast.shape[1]))
    exact = exact_products(vectors, table.vectors, candidates)
    best, scores = _first(candidates, exact, k)
    if candidates.shape[1] == fast.shape[1]:
        return best, scores, 0
    near = fast.gather(1, candidates)
    # A device told to multiply with fewer bits (TF32) breaks the bound and shows it here: then nothing is excluded.
    trusted = (near - exact).abs().amax(dim=1) <= error
    settled = trusted & (scores[:, -1] > near.amin(dim=1) + error)
    unsettled = (~settled).nonzero().flatten().tolist()
    for ray in unsettled:
        reach = fast_error(vectors[ray : ray + 1], table.norms)[0] if trusted[ray] else torch.inf
        possible = (fast[ray] >= scores[ray, -1] - reach).nonzero().T
        parts = torch.split(possible, CHUNK, dim=1)
        exactly = [exact_products(vectors[ray : ray + 1], table.vectors, part) for part in parts]
        best[ray : ray + 1], scores[ray : ray + 1] = _first(possible, torch.cat(exactly, dim=1), k)
    return best, scores, len(unsettled)


def _candidates(fast: Float[Tensor, "n n_tokens"], count: int) -> Int64[Tensor, "n count"]:
    """Columns of the largest fast scores of each row, in no order."""
    n_blocks = fast.shape[1] // BLOCK
    if n_blocks <= 2 * count:
        return fast.topk(count, sorted=False).indices
    # The blocks with the largest extremes hold the largest scores; columns that fill no block stand by.
    whole = n_blocks * BLOCK
    chosen = fast[:, :whole].view(len(fast), n_blocks, BLOCK).amax(dim=2).topk(count, sorted=False).indices
    columns = (chosen[:, :, None] * BLOCK + torch.arange(BLOCK, device=fast.device)).flatten(1)
    rest = torch.arange(whole, fast.shape[1], device=fast.device).expand(len(fast), -1)
    columns = torch.cat([columns, rest], dim=1)
    return columns.gather(1, fast.gather(1, columns).topk(count, sorted=False).indices)


def _first(
    rows: Int64[Tensor, "n count"], exact: Float64[Tensor, "n count"], k: int
) -> tuple[Int64[Tensor, "n k"], Float64[Tensor, "n k"]]:
    """The k first in the exact order: by falling score, ties by smaller row."""
    rows, order = rows.sort(dim=1)
    scores, order = exact.gather(1, order).sort(dim=1, descending=True, stable=True)
    return rows.gather(1, order)[:, :k], scores[:, :k]
