"""Dot products of float32 vectors, chosen pairs at a time: the exact order's definition, and a quick way near it.

Exact: products of two float32 numbers are exact in float64, and are added in one fixed tree; equal rows have equal
scores, and the same bits come out on every device, batch size and number of threads. Near: float64 too, added in
whatever order is quick, within `near_error` of the exact ones. Knows nothing of tokens.
"""

import warnings

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

BLOCK_BYTES = {"cpu": 2**23, "cuda": 2**29}
"""Of rows that stand in float64 at a time, by kind of device: few steps matter more to a GPU than its cache."""

# Sparse patterns are "in beta state", which the library says once a process: here, to nobody. A filter for good, since
# one that is lifted again would be lifted for every thread.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
torch.eye(1).to_sparse_csr()


def exact_products(
    vectors: Float32[Tensor, "n d"], table: Float32[Tensor, "n_rows d"], rows: Int64[Tensor, "n count"]
) -> Float64[Tensor, "n count"]:
    """Dot products, in float64, of each vector with its own rows of the table."""
    scores = torch.empty(rows.shape, dtype=torch.float64, device=rows.device)
    terms = torch.empty(rows.shape[1], vectors.shape[1], dtype=torch.float64, device=rows.device)
    for vector, chosen, out in zip(vectors.double(), rows, scores, strict=True):
        torch.mul(table.index_select(0, chosen), vector, out=terms)
        out.copy_(_folded(terms))
    return scores.add_(0.0)  # -0.0 becomes 0.0: what compares equal is stored equal


def near_products(
    vectors: Float32[Tensor, "n d"], table: Float32[Tensor, "n_rows d"], rows: Int64[Tensor, "n count"]
) -> Float64[Tensor, "n count"]:
    """The same, within `near_error`; many times as fast where there are many vectors."""
    scores = _gathered(vectors, table, rows) if vectors.is_cuda else _sampled(vectors, table, rows)
    return scores.add_(0.0)


def near_error(vectors: Float32[Tensor, "n d"], length: Float64[Tensor, ""]) -> Float64[Tensor, " n"]:
    """How far near products with rows of at most that length may be from the exact ones (Higham 2002, 3.1)."""
    d = vectors.shape[1]
    # Twice: the exact ones are rounded too.
    return 2 * d * 2.0**-53 / (1 - d * 2.0**-53) * vectors.double().square().sum(dim=1).sqrt() * length


def _sampled(
    vectors: Float32[Tensor, "n d"], table: Float32[Tensor, "n_rows d"], rows: Int64[Tensor, "n count"]
) -> Float64[Tensor, "n count"]:
    """Block by block of the table: its rows that anybody needs in float64, multiplied where a sparse pattern says."""
    rows, order = rows.sort(dim=1)
    exact = vectors.double()
    scores = torch.empty(rows.shape, dtype=torch.float64)
    size = max(1, BLOCK_BYTES[table.device.type] // (8 * max(1, table.shape[1])))
    # One place for all blocks: where memory is handed out afresh each time, that takes longer than the products. A
    # pattern may not have more entries than its matrix, though some may be asked for twice.
    blocks = torch.empty(max(min(size, len(table)), rows.shape[1]), table.shape[1], dtype=torch.float64)
    for start in range(0, len(table), size):
        inside = (rows >= start) & (rows < start + size)
        columns = rows[inside] - start
        if len(columns) == 0:
            continue
        part = table[start : start + size]
        used = torch.zeros(len(part), dtype=torch.bool)
        used[columns] = True
        if int(used.sum()) < len(part) / 2:
            part, columns = part[used], used.cumsum(0)[columns] - 1
        blocks[: len(part)] = part
        block = blocks[: max(len(part), rows.shape[1])]
        pattern = torch.sparse_csr_tensor(
            torch.cat([torch.zeros(1, dtype=torch.int64), inside.sum(dim=1).cumsum(0)]),
            columns,
            torch.zeros(len(columns), dtype=torch.float64),
            (len(vectors), len(block)),
            check_invariants=False,
        )
        scores[inside] = torch.sparse.sampled_addmm(pattern, exact, block.T, beta=0.0).values()
    return torch.empty_like(scores).scatter_(1, order, scores)


def _gathered(
    vectors: Float32[Tensor, "n d"], table: Float32[Tensor, "n_rows d"], rows: Int64[Tensor, "n count"]
) -> Float64[Tensor, "n count"]:
    """A few vectors at a time with copies of their rows: nothing here waits for the device."""
    size = max(1, BLOCK_BYTES[table.device.type] // (8 * max(1, rows.shape[1] * table.shape[1])))
    parts = zip(torch.split(vectors, size), torch.split(rows, size), strict=True)
    return torch.cat([(table[own].double() @ some.double()[:, :, None])[:, :, 0] for some, own in parts])


def _folded(terms: Float64[Tensor, "count d"]) -> Float64[Tensor, " count"]:
    """Row sums in place: an odd last column onto the first, the right half onto the left, until one column is left."""
    while terms.shape[1] > 1:
        if terms.shape[1] % 2:
            terms[:, 0] += terms[:, -1]
            terms = terms[:, :-1]
        left, right = terms.chunk(2, dim=1)
        left += right
        terms = left
    return terms[:, 0]
