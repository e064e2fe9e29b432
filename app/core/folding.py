"""Weights as the network uses them through its norms: gains absorbed, what a norm removes taken out.

A reader `x W` behind a LayerNorm becomes `P diag(gain) W`, P = I - 1 1^T / d; a writer becomes `W P`. Without
centring (RMSNorm) P is the identity. A norm after the head, or of its queries and keys, divides by a length that
depends on the token; its gains do not, and those are absorbed: right up to a positive factor a token. Knows nothing of
which family may be folded. Sums run in float64 and are rounded once, so that the same weights come out whatever the
number of threads.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from app.core.circuits import Head

CHUNK = 128  # tokens taken to float64 at a time: they stay in the cache


@dataclass(frozen=True)
class Norms:
    """The norms around one head; None where the network has none, or one without that parameter."""

    center: bool
    """The stream is read through LayerNorms, which remove its mean; not so through RMSNorms."""
    gain: Float[Tensor, " d_model"] | None = None
    shift: Float[Tensor, " d_model"] | None = None
    """Of the norm before attention."""
    post_gain: Float[Tensor, " d_model"] | None = None
    """Of the norm between what the heads write and the stream."""
    query_gain: Float[Tensor, " d_head"] | None = None
    key_gain: Float[Tensor, " d_head"] | None = None
    center_heads: bool = False
    """Queries and keys pass through LayerNorms of their own."""


def fold_head(head: Head, norms: Norms) -> Head:
    """The head between its norms: readers take gain and shift, writers lose what the next norm would remove."""
    read = {name: _folded_reader(getattr(head, name), norms.gain, norms.center) for name in ("W_Q", "W_K", "W_V")}
    if norms.shift is not None:
        read |= {
            bias: _shifted(getattr(head, bias), norms.shift, getattr(head, weight))
            for bias, weight in (("b_Q", "W_Q"), ("b_K", "W_K"), ("b_V", "W_V"))
        }
    if norms.center:
        read |= {"W_O": _centred(head.W_O, dim=1), "b_O": _centred(head.b_O, dim=0)}
    folded = replace(head, **read)
    for letter, gain in (("Q", norms.query_gain), ("K", norms.key_gain)):
        if gain is not None:
            names = (f"W_{letter}", f"b_{letter}")
            normed = {name: _head_normed(getattr(folded, name), gain, norms.center_heads) for name in names}
            folded = replace(folded, **normed)
    if norms.post_gain is not None:
        W_O, b_O = ((each.double() * norms.post_gain.double()).float() for each in (folded.W_O, folded.b_O))
        folded = replace(folded, W_O=W_O, b_O=b_O)
    return folded


def fold_unembedding(
    W_U: Float[Tensor, "d_model d_vocab"], gain: Float[Tensor, " d_model"] | None, center: bool
) -> Float[Tensor, "d_model d_vocab"]:
    """`P diag(gain) W_U`, each row then centred over the vocabulary: a constant per direction, no ranking changes."""
    vectors = W_U.T
    folded = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    total = vectors.new_zeros(vectors.shape[1], dtype=torch.float64)
    for tokens, out in zip(torch.split(vectors, CHUNK), torch.split(folded, CHUNK), strict=True):
        exact = tokens.double() if gain is None else tokens * gain.double()
        out.copy_(exact - exact.mean(dim=1, keepdim=True) if center else exact)
        total += out.double().sum(dim=0)
    folded -= (total / len(folded)).float()
    return folded.T


def normed_embedding(
    W_E: Float[Tensor, "d_vocab d_model"], center: bool, eps: float
) -> Float[Tensor, "d_vocab d_model"]:
    """What a layer sees if only that token's embedding stands in the stream: the norm without its gain and shift."""
    normed = torch.empty_like(W_E, memory_format=torch.contiguous_format)
    for tokens, out in zip(torch.split(W_E, CHUNK), torch.split(normed, CHUNK), strict=True):
        exact = tokens.double()
        if center:
            exact -= exact.mean(dim=1, keepdim=True)
        out.copy_(exact * (exact.square().mean(dim=1, keepdim=True) + eps).rsqrt())
    return normed


def embedded(
    W_E: Float[Tensor, "d_vocab d_model"], gain: Float[Tensor, " d_model"], shift: Float[Tensor, " d_model"], eps: float
) -> Float[Tensor, "d_vocab d_model"]:
    """What stands in the stream where a LayerNorm follows the embedding, as in Bloom."""
    return normed_embedding(W_E, center=True, eps=eps).mul_(gain).add_(shift)


def _folded_reader(
    W: Float[Tensor, "d_model d_head"], gain: Float[Tensor, " d_model"] | None, center: bool
) -> Float[Tensor, "d_model d_head"]:
    scaled = W.double() if gain is None else W.double() * gain.double()[:, None]
    return (_centred(scaled, dim=0) if center else scaled).float()


def _shifted(
    bias: Float[Tensor, " d_head"], shift: Float[Tensor, " d_model"], W: Float[Tensor, "d_model d_head"]
) -> Float[Tensor, " d_head"]:
    return (bias.double() + shift.double() @ W.double()).float()


def _head_normed(
    tensor: Float[Tensor, "*shape d_head"], gain: Float[Tensor, " d_head"], center: bool
) -> Float[Tensor, "*shape d_head"]:
    exact = _centred(tensor.double(), dim=-1) if center else tensor.double()
    return (exact * gain.double()).float()


def _centred(tensor: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
    exact = tensor.double()
    return (exact - exact.mean(dim=dim, keepdim=True)).to(tensor.dtype)
