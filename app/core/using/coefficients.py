"""Coefficients of directions on a text: what each reads at a token, and what attention brings of it to another.

`xn` is the stream as the head reads it, behind the norm and without its gain, which folded weights have. A head writes
`sum_i s_i a_i v_i`, and a constant that no direction is part of. Knows no tokens, and nothing of how the text was run.
"""

from jaxtyping import Float
from torch import Tensor

from app.core.decomposition import Decomposition


def norm_stream(stream: Float[Tensor, "*n d_model"], center: bool, eps: float) -> Float[Tensor, "*n d_model"]:
    """Norm each position of the stream, without a gain: LayerNorm where `center`, else RMSNorm."""
    return _centre(stream, center) * norm_scales(stream, center, eps)[..., None]


def norm_scales(stream: Float[Tensor, "*n d_model"], center: bool, eps: float) -> Float[Tensor, "*n"]:
    """Compute what a norm multiplies each position by."""
    return (_centre(stream, center).square().mean(dim=-1) + eps).rsqrt()


def read_coefficients(xn: Float[Tensor, "n d_model"], terms: Decomposition) -> Float[Tensor, "n rank"]:
    """Compute what each direction reads at each position: `c = xn u_i`."""
    return xn @ terms.left.T.to(xn.dtype)


def attend_coefficients(
    pattern: Float[Tensor, "*heads n n"], coefficients: Float[Tensor, "*heads n rank"]
) -> Float[Tensor, "*heads n rank"]:
    """Compute what arrives of each direction at each position: `a = A c`, rows of A being where attention comes from."""
    return pattern @ coefficients


def trace_sources(
    pattern: Float[Tensor, "n n"], coefficients: Float[Tensor, "n rank"], index: int
) -> Float[Tensor, "n n"]:
    """Split what arrives of one direction by where it was read: `A[t, j] c[j]`; rows sum to the attended coefficient."""
    return pattern * coefficients[:, index]


def write_output(attended: Float[Tensor, "n rank"], terms: Decomposition) -> Float[Tensor, "n d_model"]:
    """Compute what the directions write at each position: `sum_i s_i a_i v_i`."""
    return (attended * terms.strength.to(attended.dtype)) @ terms.right.to(attended.dtype)


def _centre(stream: Float[Tensor, "*n d_model"], center: bool) -> Float[Tensor, "*n d_model"]:
    return stream - stream.mean(dim=-1, keepdim=True) if center else stream
