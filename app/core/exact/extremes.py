"""Columns of the largest and the smallest scores of each row, found without sorting most of them.

The groups with the largest extremes hold the largest scores, so that most groups are never opened. Scores of 16 bits
are compared as integers on a CPU, which takes a quarter of the time. Knows nothing of what is scored.
"""

import numpy as np
import torch
from jaxtyping import Float, Int16, Int64
from torch import Tensor

from app.core.policy import takes_gpu_way

GROUP = 16  # columns whose extreme stands for all of them
SUBGROUP = 4  # group extremes whose own extreme stands for them in turn
NARROW_GROUP = 8  # the same for 16 bits, at each level
AT_ONCE = 2**20  # scores of 16 bits handled at a time: they stay in the cache
PLACES = 2**16
"""Columns whose number fits beside a score of 16 bits in one number of 32."""
NARROW = {torch.bfloat16, torch.float16}

Found = tuple[Int64[Tensor, "n count"], Float[Tensor, "n count"]]


def extremes(scores: Float[Tensor, "n n_columns"], count: int) -> tuple[Found, Found]:
    """Find the largest scores of each row with their columns, falling, and the smallest, rising.

    Quick where the scores lie row by row, and where they lie column by column.
    """
    if scores.dtype in NARROW and not takes_gpu_way(scores) and scores.is_contiguous():
        return _narrow_extremes(scores, count)
    return _extremes_by_groups(scores, count, largest=True), _extremes_by_groups(scores, count, largest=False)


def _extremes_by_groups(scores: Float[Tensor, "n n_columns"], count: int, largest: bool, group: int = GROUP) -> Found:
    n, n_columns = scores.shape
    n_groups = n_columns // group
    if n_groups <= 2 * count:
        found = scores.topk(count, largest=largest)
        return found.indices, found.values
    # Columns that fill no group are added later. A group's members lie n_groups apart, so that finding the extremes
    # reads consecutive memory.
    whole = n_groups * group
    grouped = scores[:, :whole].view(n, group, n_groups)
    if scores.is_contiguous():
        groups = grouped.amax(dim=1) if largest else grouped.amin(dim=1)
    else:
        turned = scores.T[:whole].view(group, n_groups, n)
        groups = (turned.amax(dim=0) if largest else turned.amin(dim=0)).T.contiguous()
    chosen = _extremes_by_groups(groups, count, largest, SUBGROUP)[0][:, None]
    first = torch.arange(0, whole, n_groups, device=scores.device)[:, None]
    rest = torch.arange(whole, n_columns, device=scores.device).expand(n, -1)
    columns = torch.cat([(chosen + first).flatten(1), rest], dim=1)
    members = torch.cat([grouped.gather(2, chosen.expand(-1, group, -1)).flatten(1), scores[:, whole:]], dim=1)
    found = members.topk(count, largest=largest)
    return columns.gather(1, found.indices), found.values


def _narrow_extremes(scores: Float[Tensor, "n n_columns"], count: int) -> tuple[Found, Found]:
    n, n_columns = scores.shape
    columns = torch.empty(2, n, count, dtype=torch.int64)
    size = max(1, min(n, AT_ONCE // n_columns))
    room = torch.empty(size, n_columns, dtype=torch.int16)
    for start in range(0, n, size):
        part = scores[start : start + size]
        ordered = _sortable_bits(part, room[: len(part)])
        for end, out in zip((True, False), columns, strict=True):
            out[start : start + size] = _extreme_columns(ordered, count, end)
    top, bottom = columns
    return (top, scores.gather(1, top)), (bottom, scores.gather(1, bottom))


def _sortable_bits(
    scores: Float[Tensor, "n n_columns"], room: Int16[Tensor, "n n_columns"]
) -> Int16[Tensor, "n n_columns"]:
    """Compute integers in the order of the scores: their bits, with those of negative scores inverted."""
    bits = scores.view(torch.int16)
    torch.bitwise_right_shift(bits, 15, out=room)
    return room.bitwise_and_(0x7FFF).bitwise_xor_(bits)


def _extreme_columns(ordered: Int16[Tensor, "n n_columns"], count: int, largest: bool) -> Int64[Tensor, "n count"]:
    n, n_columns = ordered.shape
    n_groups = n_columns // NARROW_GROUP
    if n_groups <= 2 * count:
        return _pick_columns(ordered, count, largest)
    whole = n_groups * NARROW_GROUP
    grouped = ordered[:, :whole].view(n, NARROW_GROUP, n_groups)
    groups = grouped.amax(dim=1) if largest else grouped.amin(dim=1)
    first = torch.arange(0, whole, n_groups)[:, None]
    rest = torch.arange(whole, n_columns).expand(n, -1)
    columns = torch.cat([(_extreme_columns(groups, count, largest)[:, None] + first).flatten(1), rest], dim=1)
    return columns.gather(1, _pick_columns(ordered.gather(1, columns), count, largest))


def _pick_columns(ordered: Int16[Tensor, "n n_columns"], count: int, largest: bool) -> Int64[Tensor, "n count"]:
    """Pick the columns of the extremes of few, falling or rising: a key holds the score above the column's number."""
    n_columns = ordered.shape[1]
    if n_columns > PLACES:
        return ordered.topk(count, dim=1, largest=largest).indices
    keys = (ordered if largest else ~ordered).int().bitwise_left_shift_(16)
    keys |= torch.arange(n_columns, dtype=torch.int32)
    found = np.sort(np.partition(keys.numpy(), n_columns - count, axis=1)[:, n_columns - count :], axis=1)
    return torch.from_numpy(found[:, ::-1] & 0xFFFF).long()
