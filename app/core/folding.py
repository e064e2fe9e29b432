"""Weights as the network uses them through its norms: gains absorbed, what a norm removes taken out.

A reader `x W` behind a LayerNorm becomes `P diag(gain) W`, P = I - 1 1^T / d; a writer becomes `W P`. Without
centring (RMSNorm) P is the identity. Knows nothing of which family may be folded. Sums run in float64 and are rounded
once, so that the same weights come out whatever the number of threads.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from app.core.circuits import Head

CHUNK = 128  # tokens taken to float64 at a time: they stay in the cache


def fold_head(
    head: Head, gain: Float[Tensor, " d_model"] | None, shift: Float[Tensor, " d_model"] | None, center: bool
) -> Head:
    """The head behind its norm: readers take gain and shift, writers lose what the next norm would remove."""
    read = {name: _folded_reader(getattr(head, name), gain, center) for name in ("W_Q", "W_K", "W_V")}
    if shift is not None:
        read |= {
            bias: _shifted(getattr(head, bias), shift, getattr(head, weight))
            for bias, weight in (("b_Q", "W_Q"), ("b_K", "W_K"), ("b_V", "W_V"))
        }
    if center:
        read |= {"W_O": _centred(head.W_O, dim=1), "b_O": _centred(head.b_O, dim=0)}
    return replace(head, **read)


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


def _folded_reader(
    W: Float[Tensor, "d_model d_head"], gain: Float[Tensor, " d_model"] | None, center: bool
) -> Float[Tensor, "d_model d_head"]:
    scaled = W.double() if gain is None else W.double() * gain.double()[:, None]
    return (_centred(scaled, dim=0) if center else scaled).float()


def _shifted(
    bias: Float[Tensor, " d_head"], shift: Float[Tensor, " d_model"], W: Float[Tensor, "d_model d_head"]
) -> Float[Tensor, " d_head"]:
    return (bias.double() + shift.double() @ W.double()).float()


def _centred(tensor: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
    exact = tensor.double()
    return (exact - exact.mean(dim=dim, keepdim=True)).to(tensor.dtype)
