"""The logit lens: what a model would say next if the layers behind a point were left out (nostalgebraist 2020).

The stream at a point is read as if it were the last one. Its layers also move the stream's mean, which the lens takes for
words: `shift` adds what the mean still lacks, so that only what differs between positions is read (as the bias alone of
Belrose et al. 2023). Knows no model and no tokens.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from app.core.measuring.span import orthonormalise

ROWS = 128
"""Streams that are read at a time: a product with the unembedding takes 1.4 times as long 64 at a time."""
ToLogits = Callable[[Float[Tensor, "*n d_model"]], Float[Tensor, "*n d_vocab"]]
"""What the model makes of its last stream: final norm, unembedding, cap."""


class LensReading(NamedTuple):
    """What the stream says at each point and position, beside what the model says in the end."""

    top: Int[Tensor, "points n"]
    """The token that would be likeliest."""
    top_chance: Float[Tensor, "points n"]
    chance: Float[Tensor, "points n"]
    """The chance of the token that is likeliest in the end."""
    rank: Int[Tensor, "points n"]
    """The place of that token, from 1 on."""
    divergence: Float[Tensor, "points n"]
    """KL of the end's chances from those at the point, in nats."""
    constant: Float[Tensor, " n"]
    """KL of the end's chances from the same chances everywhere."""


def read_lens(
    streams: Float[Tensor, "points n d_model"],
    shift: Float[Tensor, "points d_model"],
    to_logits: ToLogits,
    everywhere: Float[Tensor, " d_vocab"] | None,
) -> LensReading:
    """Read the stream at every point; the last point is the end.

    `everywhere`: the same chances at all positions; None: unknown, and `constant` is nan.
    """
    final = to_logits(streams[-1]).log_softmax(-1)
    chances = final.exp()
    information = (chances * final).sum(-1)
    expected = final.argmax(-1, keepdim=True)
    constant = torch.full_like(information, torch.nan)
    if everywhere is not None:
        constant = information - chances @ everywhere.clamp(min=torch.finfo(everywhere.dtype).tiny).log()
    rows: list[tuple[Tensor, ...]] = []
    at_once = max(1, ROWS // streams.shape[1])
    for start in range(0, len(streams), at_once):
        for logits in to_logits(streams[start : start + at_once] + shift[start : start + at_once, None]):
            whole = logits.logsumexp(-1, keepdim=True)
            best, own = logits.max(-1, keepdim=True), logits.gather(-1, expected)
            rows.append(
                (
                    best.indices[:, 0],
                    (best.values - whole).exp()[:, 0],
                    (own - whole).exp()[:, 0],
                    1 + (logits > own).count_nonzero(-1),
                    # Rounding leaves a little below 0 where both are the same.
                    (information + whole[:, 0] - (chances * logits).sum(-1)).clamp(min=0),
                )
            )
    top, top_chance, chance, rank, divergence = (torch.stack(column) for column in zip(*rows, strict=True))
    divergence[-1] = 0  # by what it is, whatever rounding leaves
    return LensReading(top, top_chance, chance, rank, divergence, constant)


def share_in_spans(
    streams: Float[Tensor, "points n d_model"], vectors: Float[Tensor, "terms d_model"], sizes: list[int]
) -> Float[Tensor, "points n sizes"]:
    """Compute the share of each stream's energy in the span of the first so many vectors, which may be oblique.

    0 where a stream is zero. A random span of k dimensions has k / d_model on average.
    """
    directions, which = orthonormalise(vectors.double())
    squares = (streams.double() @ directions.T).square()
    within = [squares[..., which < size].sum(-1) for size in sizes]
    energy = streams.double().square().sum(-1)
    return torch.stack(within, -1) / torch.where(energy > 0, energy, 1)[..., None]
