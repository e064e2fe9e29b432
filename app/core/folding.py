"""LayerNorm folding: weights as the network uses them through its norms.

Gains are absorbed, and what a norm removes is taken out. A reader `x W` behind a LayerNorm becomes `P diag(gain) W`, P
= I - 1 1^T / d; a writer becomes `W P`. Without centring (RMSNorm) P is the identity. A norm after a head or an MLP, or
of queries and keys, divides by a length that depends on the token; its gains do not, and those are absorbed: right up
to a positive factor a token. Sums run in float64 and are rounded once, so that the same weights come out whatever the
number of threads. Knows nothing of which family may be folded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from app.core.circuits import Head
from app.core.mlp import Mlp
from app.core.noise import Noise

CHUNK = 128  # tokens or neurons taken to float64 at a time: they stay in the cache


@dataclass(frozen=True)
class Norms:
    """The norms around one head or MLP; None where the network has none, or one without that parameter."""

    center: bool
    """The stream is read through LayerNorms, which remove its mean, and not through RMSNorms."""
    gain: Float[Tensor, " d_model"] | None = None
    shift: Float[Tensor, " d_model"] | None = None
    """Shift of the norm before the head or MLP."""
    post_gain: Float[Tensor, " d_model"] | None = None
    """Gain of the norm between the output and the stream."""
    query_gain: Float[Tensor, " d_head"] | None = None
    key_gain: Float[Tensor, " d_head"] | None = None
    center_heads: bool = False
    """Queries and keys pass through LayerNorms of their own."""


def fold_head(head: Head, norms: Norms) -> Head:
    """Fold a head's norms: readers take gain and shift, writers lose what the next norm would remove."""
    read = {name: _fold_reader(getattr(head, name), norms.gain, norms.center) for name in ("W_Q", "W_K", "W_V")}
    if norms.shift is not None:
        read |= {
            bias: _shift_bias(getattr(head, bias), norms.shift, getattr(head, weight))
            for bias, weight in (("b_Q", "W_Q"), ("b_K", "W_K"), ("b_V", "W_V"))
        }
    if norms.center:
        read |= {"W_O": _centre(head.W_O, dim=1), "b_O": _centre(head.b_O, dim=0)}
    folded = replace(head, **read, noise=_fold_noise(head.noise, norms))
    for letter, gain in (("Q", norms.query_gain), ("K", norms.key_gain)):
        if gain is not None:
            names = (f"W_{letter}", f"b_{letter}")
            normed = {name: _apply_head_norm(getattr(folded, name), gain, norms.center_heads) for name in names}
            folded = replace(folded, **normed, noise=folded.noise)
    if norms.post_gain is not None:
        W_O, b_O = ((each.double() * norms.post_gain.double()).float() for each in (folded.W_O, folded.b_O))
        folded = replace(folded, W_O=W_O, b_O=b_O)
    return folded


def fold_mlp(mlp: Mlp, norms: Norms) -> Mlp:
    """Fold an MLP's norms, by the rules of a head: W_in and W_gate read, W_out writes."""
    pairs = (("W_in", "b_in"), ("W_gate", "b_gate")) if mlp.W_gate is not None else (("W_in", "b_in"),)
    folded = {"W_out": _fold_writer(mlp.W_out, norms), "b_out": _fold_writer(mlp.b_out[None], norms)[0]}
    for weight, bias in pairs:
        W = getattr(mlp, weight)
        folded[weight] = _fold_reader(W, norms.gain, norms.center)
        if norms.shift is not None:
            folded[bias] = _shift_bias(getattr(mlp, bias), norms.shift, W)
    return replace(mlp, **folded, noise=_fold_noise(mlp.noise, norms))


def fold_embedding(W: Float[Tensor, "n d_model"], center: bool) -> Float[Tensor, "n d_model"]:
    """Compute `W P`, W being each token's or position's vector in the stream: less what every norm behind it removes.

    Where a norm follows the embedding itself (Bloom) that is `affine_normed_embedding(W_E, …)`, not W_E: this norm divides
    each token by a length of its own, which no matrix does to all. A factor that scales the embedding is left out.
    """
    return _map_rows(W, partial(_centre, dim=1)) if center else W


def fold_unembedding(
    W_U: Float[Tensor, "d_model d_vocab"], gain: Float[Tensor, " d_model"] | None, center: bool
) -> Float[Tensor, "d_model d_vocab"]:
    """Compute `P diag(gain) W_U`, each row centred over the vocabulary: a constant per direction changes no ranking."""
    vectors = W_U.T
    folded = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    total = vectors.new_zeros(vectors.shape[1], dtype=torch.float64)
    for tokens, out in zip(torch.split(vectors, CHUNK), torch.split(folded, CHUNK), strict=True):
        out.copy_(_fold_rows(tokens, gain, center))
        total += out.double().sum(dim=0)
    folded -= (total / len(folded)).float()
    return folded.T


def fold_unembedding_bias(
    W_U: Float[Tensor, "d_model d_vocab"],
    b_U: Float[Tensor, " d_vocab"] | None,
    shift: Float[Tensor, " d_model"] | None,
) -> Float[Tensor, " d_vocab"] | None:
    """Compute `b_U + shift W_U`, centred over the vocabulary like the weights; None if there is neither."""
    if b_U is None and shift is None:
        return None
    bias = W_U.new_zeros(W_U.shape[1]) if b_U is None else b_U
    return _centre(bias if shift is None else _shift_bias(bias, shift, W_U), dim=0)


def normed_embedding(
    W_E: Float[Tensor, "d_vocab d_model"], center: bool, eps: float
) -> Float[Tensor, "d_vocab d_model"]:
    """Norm each token's embedding alone, without the norm's gain and shift: what a layer would see of it."""
    normed = torch.empty_like(W_E, memory_format=torch.contiguous_format)
    for tokens, out in zip(torch.split(W_E, CHUNK), torch.split(normed, CHUNK), strict=True):
        exact = tokens.double()
        if center:
            exact -= exact.mean(dim=1, keepdim=True)
        out.copy_(exact * (exact.square().mean(dim=1, keepdim=True) + eps).rsqrt())
    return normed


def affine_normed_embedding(
    W_E: Float[Tensor, "d_vocab d_model"], gain: Float[Tensor, " d_model"], shift: Float[Tensor, " d_model"], eps: float
) -> Float[Tensor, "d_vocab d_model"]:
    """Apply the LayerNorm that follows the embedding in Bloom: the token's vector in the stream."""
    return normed_embedding(W_E, center=True, eps=eps).mul_(gain).add_(shift)


def _fold_noise(noise: Mapping[str, Noise], norms: Norms) -> dict[str, Noise]:
    """Fold the noise with the weights. LayerNorm's centring of the errors, one part in d, is left out."""
    folded = dict[str, Noise]()
    for name, errors in noise.items():
        if name in {"W_O", "W_out"}:
            folded[name] = errors.scale(columns=norms.post_gain)
        else:
            folded[name] = errors.scale(norms.gain, {"W_Q": norms.query_gain, "W_K": norms.key_gain}.get(name))
    return folded


def _fold_reader(
    W: Float[Tensor, "d_model n"], gain: Float[Tensor, " d_model"] | None, center: bool
) -> Float[Tensor, "d_model n"]:
    return _map_rows(W.T, partial(_fold_rows, gain=gain, center=center)).T


def _fold_writer(W: Float[Tensor, "n d_model"], norms: Norms) -> Float[Tensor, "n d_model"]:
    def fold_rows(rows: Float[Tensor, "rows d_model"]) -> Float64[Tensor, "rows d_model"]:
        exact = _centre(rows.double(), dim=1) if norms.center else rows.double()
        return exact if norms.post_gain is None else exact * norms.post_gain.double()

    return _map_rows(W, fold_rows)


def _fold_rows(
    rows: Float[Tensor, "rows d_model"], gain: Float[Tensor, " d_model"] | None, center: bool
) -> Float64[Tensor, "rows d_model"]:
    """Fold rows that read the stream: what each reads of what the norm leaves."""
    exact = rows.double() if gain is None else rows * gain.double()
    return _centre(exact, dim=1) if center else exact


def _map_rows(rows: Float[Tensor, "n d"], exact: Callable[[Tensor], Tensor]) -> Float[Tensor, "n d"]:
    """Map rows by a function, a few at a time: in float64 a large matrix would not fit in memory."""
    done = torch.empty_like(rows)
    for some, out in zip(torch.split(rows, CHUNK), torch.split(done, CHUNK), strict=True):
        out.copy_(exact(some))
    return done


def _shift_bias(
    bias: Float[Tensor, " n"], shift: Float[Tensor, " d_model"], W: Float[Tensor, "d_model n"]
) -> Float[Tensor, " n"]:
    shifts = torch.cat([rows.double() @ shift.double() for rows in torch.split(W.T, CHUNK)])
    return (bias.double() + shifts).float()


def _apply_head_norm(
    tensor: Float[Tensor, "*shape d_head"], gain: Float[Tensor, " d_head"], center: bool
) -> Float[Tensor, "*shape d_head"]:
    exact = _centre(tensor.double(), dim=-1) if center else tensor.double()
    return (exact * gain.double()).float()


def _centre(tensor: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
    exact = tensor.double()
    return (exact - exact.mean(dim=dim, keepdim=True)).to(tensor.dtype)
