"""Dot products of chosen pairs of float32 vectors: the exact ones, which define the order, and quick ones near them.

Exact: products of two float32 numbers are exact in float64, and are added in one fixed tree; equal rows have equal
scores, and the same bits come out on every device, batch size and number of threads. Near: float64 too, added in
whatever order is quick, within `near_error` of the exact ones. Knows nothing of tokens.
"""

import warnings

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from app.core.exact.shares import map_side_by_side
from app.core.policy import takes_gpu_way

BLOCK_BYTES = {"cpu": 2**23, "cuda": 2**29}
"""Bytes of rows held in float64 at a time, by kind of device: few steps matter more to a GPU than its cache."""
MANY = 2**14
"""Products that are worth threads of their own for some blocks."""

# The library warns once a process that sparse patterns are "in beta state". The filter stays, since removing it would
# remove it for every thread.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
torch.eye(1).to_sparse_csr()


def exact_products(
    vectors: Float32[Tensor, "n d"], table: Float32[Tensor, "n_rows d"], rows: Int64[Tensor, "n count"]
) -> Float64[Tensor, "n count"]:
    """Compute the dot products, in float64, of each vector with its own rows of the table."""
    scores = torch.empty(rows.shape, dtype=torch.float64, device=rows.device)
    terms = torch.empty(rows.shape[1], vectors.shape[1], dtype=torch.float64, device=rows.device)
    for vector, chosen, out in zip(vectors.double(), rows, scores, strict=True):
        torch.mul(table.index_select(0, chosen), vector, out=terms)
        out.copy_(_fold_sums(terms))
    return scores.add_(0.0)  # -0.0 becomes 0.0, so that equal scores have equal bits


def near_products(
    vectors: Float32[Tensor, "n d"],
    table: Float32[Tensor, "n_rows d"],
    rows: Int64[Tensor, "n count"],
    wanted: Bool[Tensor, "n count"] | None = None,
) -> Float64[Tensor, "n count"]:
    """Compute the dot products within `near_error`; many times as fast where there are many vectors.

    Those that are not `wanted` (None: all are) may be anything; a CPU skips them.
    """
    scores = (
        _multiply_copies(vectors, table, rows)
        if takes_gpu_way(vectors)
        else _multiply_by_blocks(vectors, table, rows, wanted)
    )
    return scores.add_(0.0)


def near_error(vectors: Float32[Tensor, "n d"], length: Float64[Tensor, ""]) -> Float64[Tensor, " n"]:
    """Bound the difference of near and exact products with rows of at most that length (Higham 2002, 3.1)."""
    d = vectors.shape[1]
    # Twice: the exact ones are rounded too.
    return 2 * d * 2.0**-53 / (1 - d * 2.0**-53) * vectors.double().square().sum(dim=1).sqrt() * length


def _multiply_by_blocks(
    vectors: Float32[Tensor, "n d"],
    table: Float32[Tensor, "n_rows d"],
    rows: Int64[Tensor, "n count"],
    wanted: Bool[Tensor, "n count"] | None = None,
) -> Float64[Tensor, "n count"]:
    """Multiply block by block of the table: the rows in use, in float64, where a sparse pattern says."""
    n, d, count = len(vectors), table.shape[1], rows.shape[1]
    size = max(1, BLOCK_BYTES["cpu"] // (8 * max(1, d)))
    n_blocks = -(-len(table) // size)
    exact, asked = vectors.double(), rows.numpy()
    # Sort by block, and in each by vector: a stable sort by a small integer takes no comparisons.
    places = np.arange(asked.size) if wanted is None else np.flatnonzero(wanted.numpy())
    block_of = (asked.ravel()[places] // size).astype(np.uint16 if n_blocks < 2**16 else np.int64)
    order = np.argsort(block_of, kind="stable")
    places, block_of = places[order], block_of[order]
    ends = np.searchsorted(block_of, np.arange(n_blocks + 1))
    scores = np.zeros(asked.size)
    share = -(-n_blocks // (4 * torch.get_num_threads())) if len(places) >= MANY else n_blocks

    def multiply(blocks: range) -> None:
        # One buffer for all blocks: allocating memory for each takes longer than the products. It has `count` rows at
        # least, since a pattern may not have more entries than its matrix, and a row may be asked for twice.
        room = torch.empty(max(min(size, len(table)), count), d, dtype=torch.float64)
        for block in blocks:
            own = places[ends[block] : ends[block + 1]]
            if not len(own):
                continue
            part, columns = table[block * size : (block + 1) * size], asked.ravel()[own] - block * size
            used = np.zeros(len(part), np.bool_)
            used[columns] = True
            if used.sum() < len(part) / 2:
                part, columns = part[torch.from_numpy(used)], used.cumsum()[columns] - 1
            room[: len(part)] = part
            matrix = room[: max(len(part), count)]
            of_each = np.bincount(own // count, minlength=n)
            pattern = torch.sparse_csr_tensor(
                torch.from_numpy(np.concatenate([[0], of_each.cumsum()])),
                torch.from_numpy(columns),
                torch.zeros(len(own), dtype=torch.float64),
                (n, len(matrix)),
                check_invariants=False,
            )
            scores[own] = torch.sparse.sampled_addmm(pattern, exact, matrix.T, beta=0.0).values().numpy()

    map_side_by_side(multiply, [range(start, min(start + share, n_blocks)) for start in range(0, n_blocks, share)])
    return torch.from_numpy(scores).view(rows.shape)


def _multiply_copies(
    vectors: Float32[Tensor, "n d"], table: Float32[Tensor, "n_rows d"], rows: Int64[Tensor, "n count"]
) -> Float64[Tensor, "n count"]:
    """Multiply a few vectors at a time with copies of their rows: nothing here waits for the device."""
    size = max(1, BLOCK_BYTES[table.device.type] // (8 * max(1, rows.shape[1] * table.shape[1])))
    parts = zip(torch.split(vectors, size), torch.split(rows, size), strict=True)
    return torch.cat([(table[own].double() @ some.double()[:, :, None])[:, :, 0] for some, own in parts])


def _fold_sums(terms: Float64[Tensor, "count d"]) -> Float64[Tensor, " count"]:
    """Fold row sums in place: an odd last column onto the first, the right half onto the left, until one is left."""
    while terms.shape[1] > 1:
        if terms.shape[1] % 2:
            terms[:, 0] += terms[:, -1]
            terms = terms[:, :-1]
        left, right = terms.chunk(2, dim=1)
        left += right
        terms = left
    return terms[:, 0]
