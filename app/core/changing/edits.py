"""Edits of a head along directions of its output, as differences of its output matrix W_O.

A head writes `r = z W_O`, z being what its values come to. What an edit adds to r is linear in z, so that it is a matrix
`D` with `r' = z (W_O + D)`: the stored weights need no change. Directions are unit vectors, orthogonal to each other.
Knows no model and no layer.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def scale_directions(
    output: Float[Tensor, "d_head d_model"], directions: Float[Tensor, "k d_model"], amounts: Float[Tensor, " k"]
) -> Float[Tensor, "d_head d_model"]:
    """Return the difference of W_O that writes `1 + amount` times as much along each direction; -1 deletes it."""
    return (output @ directions.T * amounts) @ directions


def keep_directions(
    output: Float[Tensor, "d_head d_model"], directions: Float[Tensor, "k d_model"]
) -> Float[Tensor, "d_head d_model"]:
    """Return the difference of W_O that writes along these directions alone."""
    return (output @ directions.T) @ directions - output


def turn_directions(
    span: Float[Tensor, "rank d_model"], k: int, generator: torch.Generator
) -> tuple[Float[Tensor, "k rank"], Float[Tensor, "k d_model"]]:
    """Draw k orthogonal unit vectors at random in the span of orthonormal ones, evenly; also their coordinates there.

    ValueError where the span has fewer dimensions.
    """
    if not 0 < k <= len(span):
        raise ValueError(f"{k} orthogonal vectors do not fit into {len(span)} dimensions")
    drawn = torch.randn(len(span), k, generator=generator, dtype=torch.float64)
    # The sign of R's diagonal makes the draw even over all rotations (Mezzadri 2007).
    rotation, triangle = torch.linalg.qr(drawn)
    coordinates = (rotation * triangle.diagonal().sign()).T.to(span.dtype)
    return coordinates, coordinates @ span
