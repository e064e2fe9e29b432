"""Readouts of vectors by their own entries: a side whose coordinates are tokens, neurons, positions or heads.

The order is exact: by value, ties by smaller id. The result is a `Readout`, as in `app.core.exact.readout`. Knows
nothing of what a coordinate is.
"""

from functools import partial

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from app.core.exact.extremes import extremes
from app.core.exact.histogram import histogram
from app.core.exact.readout import Readout
from app.core.exact.shares import map_shares

ENTRIES = 2**22
"""Entries handled at a time: few enough for copies of them."""
LEAST = 64
"""Vectors that are worth a core of their own."""

Proposed = tuple[Int64[Tensor, "n more"], Float32[Tensor, "n more"]]
Found = tuple[Int64[Tensor, "n k"], Float32[Tensor, "n k"]]


def read_entries(
    vectors: Float32[Tensor, "n size"], ids: Int64[Tensor, " n_kept"] | None = None, k: int = 50
) -> Readout:
    """Read out the k largest and smallest entries of each vector, all of them if there are fewer, and their histogram.

    `ids`: the coordinates that may appear, rising (None: all). ValueError if there is none, or k is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if ids is None:
        ids = torch.arange(vectors.shape[1], device=vectors.device)
    if len(ids) == 0:
        raise ValueError(f"none of the {vectors.shape[1]} coordinates may appear")
    found = partial(_read_some, ids=ids, k=min(k, len(ids)))
    parts = map_shares(found, vectors, least=LEAST, most=max(1, ENTRIES // len(ids)))
    return Readout(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]}, unsettled=0)


def _read_some(vectors: Float32[Tensor, "n size"], ids: Int64[Tensor, " n_kept"], k: int) -> dict[str, Tensor]:
    """Compute the fields of these vectors' readout."""
    entries = vectors if len(ids) == vectors.shape[1] else vectors[:, ids]
    found = extremes(entries, min(k + 1, len(ids)))
    top, high = _first_columns(entries, found[0], k, largest=True)
    bottom, low = _first_columns(entries, found[1], k, largest=False)
    high, low = high.double() + 0.0, low.double() + 0.0  # not -0.0
    return {
        "top_ids": ids[top],
        "top_scores": high,
        "bottom_ids": ids[bottom],
        "bottom_scores": low,
        "counts": histogram(entries, low[:, 0], high[:, 0]),
        "low": low[:, 0],
        "high": high[:, 0],
    }


def _first_columns(entries: Float32[Tensor, "n size"], found: Proposed, k: int, largest: bool) -> Found:
    """Find the k first entries of each row with their columns, falling or rising, ties by smaller column."""
    columns, values = found
    columns, least = columns[:, :k], values[:, k - 1 : k]
    # Where a further entry equals the last one, any of the equal ones may have been found.
    unsure = (values[:, k:] == least).any(dim=1).nonzero().flatten()
    if len(unsure):
        own, last = entries[unsure], least[unsure]
        before = values[unsure] > last if largest else values[unsure] < last
        columns[unsure] = _fill_with_tied(columns[unsure], own == last, before.sum(dim=1))
    columns = columns.sort(dim=1).values
    values, order = entries.gather(1, columns).sort(dim=1, descending=largest, stable=True)
    return columns.gather(1, order), values


def _fill_with_tied(
    columns: Int64[Tensor, "n k"], tied: Bool[Tensor, "n size"], above: Int64[Tensor, " n"]
) -> Int64[Tensor, "n k"]:
    """Keep the first `above` columns of each row, and fill up with the first of those that are tied."""
    size, k = tied.shape[1], columns.shape[1]
    from_end = torch.arange(size, 0, -1, dtype=torch.int32, device=tied.device)
    first = size - (tied * from_end).topk(k, dim=1).values.long()
    place = torch.arange(k, device=tied.device) - above[:, None]
    return torch.where(place < 0, columns, first.gather(1, place.clamp(min=0)))
