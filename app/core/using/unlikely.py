"""How much of a text's streams lies in the span of the least likely next tokens' vectors, beside what would anyway.

At a position t, S_t are the tokens that the model finds least likely to come next, and Q_t an orthonormal basis of their
vectors' span: `||Q_t h||^2 / ||h||^2` is the share of a stream h in it. Three ratios, of sums over positions:

    naive     the share of the stream at t in Q_t, by its share in the span of as many tokens about as frequent as those of S_t
    control   the same share by that of the streams at the other positions in the very same Q_t
    without   as control, where the mean of S_t's vectors is taken out of the span

Only the first is of streams and vectors as they are: for the others streams are less their mean over the text, and vectors
less their mean over all tokens. Their shares at other positions are those of the same set: that S_t was chosen by what
the model says at t is then all that can make a difference. Knows no model and no tokens, but their vectors.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

NEAR = 64
"""A token about as frequent is one of so many before or behind in order of frequency."""


@dataclass(frozen=True)
class HeldShares:
    """Shares of the streams at n positions, for each layer: [layers n], but for the directions' own."""

    naive: Float64[Tensor, "layers n"]
    """In the span of the position's own set, nothing centred."""
    matched: Float64[Tensor, "layers n"]
    """In the span of tokens about as frequent, nothing centred."""
    own: Float64[Tensor, "layers n"]
    """In the span of the position's own set, centred."""
    others: Float64[Tensor, "layers n"]
    """Of the streams at the other positions in the span of this position's set, their mean."""
    own_without: Float64[Tensor, "layers n"]
    """As `own`, without the set's mean direction."""
    others_without: Float64[Tensor, "layers n"]
    """As `others`, without the set's mean direction."""
    signed: Float64[Tensor, "layers n"]
    """Cosine of the stream with the mean of the set's vectors, both centred."""
    signed_others: Float64[Tensor, "layers n"]
    """The same of the streams at the other positions, their mean."""
    undone: Float64[Tensor, "layers n"]
    """Cosine of what the stream has in the span with what later layers add there; 0 where they add nothing."""


def choose_unlikely(
    logits: Float[Tensor, "n d_vocab"], allowed: Bool[Tensor, " d_vocab"], m: int
) -> Int64[Tensor, "n m"]:
    """Choose the m least likely tokens of each row, the least first; ValueError where fewer are allowed."""
    if int(allowed.sum()) < m:
        raise ValueError(f"{m} tokens are chosen of {int(allowed.sum())} that may be")
    return logits.masked_fill(~allowed, torch.inf).topk(m, dim=1, largest=False).indices


def match_frequencies(
    chosen: Int64[Tensor, "n m"], allowed: Bool[Tensor, " d_vocab"], generator: torch.Generator
) -> Int64[Tensor, "n m"]:
    """Choose for each token another one at random of those nearest in number: ids follow the order of frequency."""
    ids = allowed.nonzero().flatten()
    place = torch.searchsorted(ids, chosen.contiguous())
    step = torch.randint(1, NEAR + 1, chosen.shape, generator=generator)
    side = 2 * torch.randint(0, 2, chosen.shape, generator=generator) - 1
    near = place + side * step
    last = len(ids) - 1
    inside = torch.where((near < 0) | (near > last), place - side * step, near)
    return ids[inside.clamp(0, last)]


def measure_spans(
    streams: Float[Tensor, "layers n d"],
    means: Float[Tensor, "layers d"],
    table: Float[Tensor, "d_vocab d"],
    chosen: Int64[Tensor, "n m"],
    matched: Int64[Tensor, "n m"],
) -> HeldShares:
    """Measure the shares of the streams at n positions; `means`: each layer's over the text; `table`: the tokens' vectors.

    ValueError for fewer than two positions.
    """
    n = len(chosen)
    if n < 2:
        raise ValueError("streams at other positions are the control: at least two positions are needed")
    streams, mean = streams.double(), table.double().mean(0)
    centred = streams - means.double()[:, None]
    found: dict[str, list[Tensor]] = {}
    for t in range(n):
        raw, alike = (table[ids[t]].double() for ids in (chosen, matched))
        vectors = raw - mean
        common = vectors.mean(0)
        unit = common / common.norm()
        whole, rest = _span(vectors), _span(vectors - (vectors @ unit)[:, None] * unit)
        own, own_rest = _shares(centred, whole), _shares(centred, rest)
        cosines = (centred @ unit) / centred.norm(dim=-1)
        inside = centred[:, t] @ whole.T
        later = inside[-1] - inside
        for name, value in {
            "naive": _shares(streams[:, t], _span(raw)),
            "matched": _shares(streams[:, t], _span(alike)),
            "own": own[:, t],
            "others": _average_others(own, t),
            "own_without": own_rest[:, t],
            "others_without": _average_others(own_rest, t),
            "signed": cosines[:, t],
            "signed_others": _average_others(cosines, t),
            "undone": torch.cosine_similarity(inside, later, dim=-1),
        }.items():
            found.setdefault(name, []).append(value)
    return HeldShares(**{name: torch.stack(values, 1) for name, values in found.items()})


def _span(vectors: Float64[Tensor, "m d"]) -> Float64[Tensor, "r d"]:
    """Return orthonormal rows that span the vectors."""
    strength: Tensor
    rows: Tensor
    _, strength, rows = torch.linalg.svd(vectors, full_matrices=False)
    return rows[strength > strength[0] * max(vectors.shape) * torch.finfo(torch.float32).eps]


def _shares(streams: Float64[Tensor, "*n d"], unit: Float64[Tensor, "r d"]) -> Float64[Tensor, "*n"]:
    return (streams @ unit.T).square().sum(-1) / streams.square().sum(-1)


def _average_others(values: Float64[Tensor, "layers n"], t: int) -> Float64[Tensor, " layers"]:
    return (values.sum(1) - values[:, t]) / (values.shape[1] - 1)
