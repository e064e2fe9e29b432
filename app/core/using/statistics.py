"""Statistics of what a head's directions do on a reference text, and of the stream, gathered a window at a time.

Of the attended coefficients `a` their mean and second moments, by which the variance of a head's output is shared out
among its directions; of what each direction reads at a token, `c`, its power sums, for spread and skew. Windows alternate
between two halves, so that what is fitted on one is scored on the other, and belong to one of GROUPS for intervals.
The first position of each window is left out, as one that reads and as one that is written to: models rest their
attention on it, and its stream is unlike all others. What attention brings from it to the others is counted.
Knows no model and no text.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from app.core.using.sinks import find_sinks

HALVES = 2
GROUPS = 8
"""Groups of windows, from which intervals are drawn."""
POWERS = 3


@dataclass
class LayerSums:
    """The sums of one layer's heads so far, in float64."""

    attended: Float64[Tensor, "groups halves heads rank"]
    """Sums of a."""
    squares: Float64[Tensor, "groups halves heads rank"]
    """Sums of a^2."""
    products: Float64[Tensor, "halves heads rank rank"]
    """Sums of a a^T."""
    powers: Float64[Tensor, "groups powers heads rank"]
    """Sums of c, c^2 and c^3."""
    positive: Int64[Tensor, "groups heads rank"]
    """Positions at which c is above 0."""
    positions: Int64[Tensor, "groups halves"]
    """Positions that were counted."""

    @classmethod
    def empty(cls, n_heads: int, rank: int) -> "LayerSums":
        """Begin with nothing."""
        return cls(
            torch.zeros(GROUPS, HALVES, n_heads, rank, dtype=torch.float64),
            torch.zeros(GROUPS, HALVES, n_heads, rank, dtype=torch.float64),
            torch.zeros(HALVES, n_heads, rank, rank, dtype=torch.float64),
            torch.zeros(GROUPS, POWERS, n_heads, rank, dtype=torch.float64),
            torch.zeros(GROUPS, n_heads, rank, dtype=torch.int64),
            torch.zeros(GROUPS, HALVES, dtype=torch.int64),
        )

    def add_window(
        self, number: int, read: Float[Tensor, "heads n rank"], attended: Float[Tensor, "heads n rank"]
    ) -> None:
        """Add a window of text: what each direction reads at each position, and what arrives of it there."""
        half, group = number % HALVES, number // HALVES % GROUPS
        read, attended = read[:, 1:], attended[:, 1:]
        self.attended[group, half] += attended.sum(1).double()
        self.squares[group, half] += attended.double().square().sum(1)
        self.products[half] += (attended.transpose(1, 2) @ attended).double()
        exact = read.double()
        for power in range(POWERS):
            self.powers[group, power] += exact.pow(power + 1).sum(1)
        self.positive[group] += (read > 0).sum(1)
        self.positions[group, half] += read.shape[1]


@dataclass
class StreamSums:
    """The sums of the stream, and of what the model expects next, so far, in float64."""

    streams: Float64[Tensor, "n_layers_and_one d_model"]
    """Sums of the stream that enters each layer, and of the one that the final norm reads."""
    chances: Float64[Tensor, " d_vocab"]
    """Sums of the chances of each token to come next."""
    counted: Int64[Tensor, "1"]
    """Positions that were counted."""

    @classmethod
    def empty(cls, n_layers: int, d_model: int, d_vocab: int) -> "StreamSums":
        """Begin with nothing."""
        return cls(
            torch.zeros(n_layers + 1, d_model, dtype=torch.float64),
            torch.zeros(d_vocab, dtype=torch.float64),
            torch.zeros(1, dtype=torch.int64),
        )

    def add_window(
        self, streams: Float[Tensor, "n_layers_and_one n d_model"], logits: Float[Tensor, "n d_vocab"]
    ) -> None:
        """Add a window of text; its first position is left out, and so are other sinks, whose stream is like no other."""
        plain = ~find_sinks(streams)
        plain[0] = False
        self.streams += streams[:, plain].double().sum(1)
        self.chances += logits[plain].softmax(-1).double().sum(0)
        self.counted += plain.sum().cpu()
