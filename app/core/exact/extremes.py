"""Where the largest and the smallest scores of each row lie: of many, few are looked at.

The groups with the largest extremes hold the largest scores, so that most groups are never opened. Scores of 16 bits
are compared as whole numbers on a CPU, which takes a quarter of the time. Knows nothing of what is scored.
"""

import numpy as np
import torch
from jaxtyping import Float, Int16, Int64
from torch import Tensor

from app.core.policy import takes_gpu_way

GROUP = 16  # columns whose extreme stands for all of them
SUBGROUP = 4  # extremes whose own extreme stands for them in turn
NARROW_GROUP = 8  # the same for 16 bits, at each level
AT_ONCE = 2**20  # scores of 16 bits looked at together: they stay in the cache
PLACES = 2**16
"""Columns whose number fits beside a score of 16 bits in one number of 32."""
NARROW = {torch.bfloat16, torch.float16}

Found = tuple[Int64[Tensor, "n count"], Float[Tensor, "n count"]]


def extremes(scores: Float[Tensor, "n n_columns"], count: int) -> tuple[Found, Found]:
    """Columns of the largest scores of each row with those scores, falling, and of the smallest, rising.

    Quick where the scores lie row by row, and where they lie column by column.
    """
    if scores.dtype in NARROW and not takes_gpu_way(scores) and scores.is_contiguous():
        return _of_few_bits(scores, count)
    return _largest(scores, count, largest=True), _largest(scores, count, largest=False)


def _largest(scores: Float[Tensor, "n n_columns"], count: int, largest: bool, group: int = GROUP) -> Found:
    n, n_columns = scores.shape
    n_groups = n_columns // group
    if n_groups <= 2 * count:
        found = scores.topk(count, largest=largest)
        return found.indices, found.values
    # Columns that fill no group stand by. A group's members lie n_groups apart, so that finding the extremes goes along
    # the memory.
    whole = n_groups * group
    grouped = scores[:, :whole].view(n, group, n_groups)
    if scores.is_contiguous():
        groups = grouped.amax(dim=1) if largest else grouped.amin(dim=1)
    else:
        turned = scores.T[:whole].view(group, n_groups, n)
        groups = (turned.amax(dim=0) if largest else turned.amin(dim=0)).T.contiguous()
    chosen = _largest(groups, count, largest, SUBGROUP)[0][:, None]
    first = torch.arange(0, whole, n_groups, device=scores.device)[:, None]
    rest = torch.arange(whole, n_columns, device=scores.device).expand(n, -1)
    columns = torch.cat([(chosen + first).flatten(1), rest], dim=1)
    members = torch.cat([grouped.gather(2, chosen.expand(-1, group, -1)).flatten(1), scores[:, whole:]], dim=1)
    found = members.topk(count, largest=largest)
    return columns.gather(1, found.indices), found.values


def _of_few_bits(scores: Float[Tensor, "n n_columns"], count: int) -> tuple[Found, Found]:
    n, n_columns = scores.shape
    columns = torch.empty(2, n, count, dtype=torch.int64)
    size = max(1, min(n, AT_ONCE // n_columns))
    room = torch.empty(size, n_columns, dtype=torch.int16)
    for start in range(0, n, size):
        part = scores[start : start + size]
        ordered = _ordered(part, room[: len(part)])
        for end, out in zip((True, False), columns, strict=True):
            out[start : start + size] = _columns(ordered, count, end)
    top, bottom = columns
    return (top, scores.gather(1, top)), (bottom, scores.gather(1, bottom))


def _ordered(scores: Float[Tensor, "n n_columns"], room: Int16[Tensor, "n n_columns"]) -> Int16[Tensor, "n n_columns"]:
    """Whole numbers in the order of the scores: their bits, those after a minus sign turned."""
    bits = scores.view(torch.int16)
    torch.bitwise_right_shift(bits, 15, out=room)
    return room.bitwise_and_(0x7FFF).bitwise_xor_(bits)


def _columns(ordered: Int16[Tensor, "n n_columns"], count: int, largest: bool) -> Int64[Tensor, "n count"]:
    n, n_columns = ordered.shape
    n_groups = n_columns // NARROW_GROUP
    if n_groups <= 2 * count:
        return _first(ordered, count, largest)
    whole = n_groups * NARROW_GROUP
    grouped = ordered[:, :whole].view(n, NARROW_GROUP, n_groups)
    groups = grouped.amax(dim=1) if largest else grouped.amin(dim=1)
    first = torch.arange(0, whole, n_groups)[:, None]
    rest = torch.arange(whole, n_columns).expand(n, -1)
    columns = torch.cat([(_columns(groups, count, largest)[:, None] + first).flatten(1), rest], dim=1)
    return columns.gather(1, _first(ordered.gather(1, columns), count, largest))


def _first(ordered: Int16[Tensor, "n n_columns"], count: int, largest: bool) -> Int64[Tensor, "n count"]:
    """Of few columns, falling or rising: each one's number stands below its score, and what is found brings it along."""
    n_columns = ordered.shape[1]
    if n_columns > PLACES:
        return ordered.topk(count, dim=1, largest=largest).indices
    keys = (ordered if largest else ~ordered).int().bitwise_left_shift_(16)
    keys |= torch.arange(n_columns, dtype=torch.int32)
    found = np.sort(np.partition(keys.numpy(), n_columns - count, axis=1)[:, n_columns - count :], axis=1)
    return torch.from_numpy(found[:, ::-1] & 0xFFFF).long()
