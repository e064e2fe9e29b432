"""Histories of texts - what enters a layer at their positions - compared coordinate by coordinate, and as a whole.

A history is the d x n matrix A whose columns are the streams of a text; it is given by rows, as `stream = A^T`. Texts of
different lengths share its d coordinates alone. Its shape is `B = U diag(S)`, cut to r columns, of `A = U diag(S) V^T`. SARA
(Tlaie 2024) multiplies each coordinate j of a text's own history by `1 + c s_j`, where the text is to be drawn to one
history and away from another. As published,

    s_j = cos(B_own[j], B_attract[j]) - cos(B_own[j], B_repel[j]),

which compares columns whose signs the SVD routine was free to choose. Fixed, it compares rows of G = B B^T, which has none:

    N_xy[j] = G_x[j] . G_y[j] = B_x[j] (B_x^T B_y) B_y[j]^T
    s_j = N_oa[j] / sqrt(N_oo[j] N_aa[j]) - N_or[j] / sqrt(N_oo[j] N_rr[j])

All in float64. The first position is a sink in most models, and then its energy is nearly all that a history has: it can be
left out. Knows no model and no tokens.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor


class SignDependence(NamedTuple):
    """How much published scores depend on the signs that an SVD routine happened to choose."""

    movement: float
    """How far a score moves when signs are drawn anew, on average."""
    size: float
    """How far a score is from 0 with the signs as given, on average."""


def summarise_history(
    stream: Float[Tensor, "n d_model"], rank: int | None, skips_first: bool
) -> Float64[Tensor, "d_model r"]:
    """Compute the shape of a history, cut to `rank` columns (None: all), or to all where it has fewer.

    In no canonical form: columns have the signs that the SVD routine gave them. ValueError for a rank below 1.
    """
    if rank is not None and rank < 1:
        raise ValueError(f"a history is cut to 1 column at least, not to {rank}")
    kept = stream[int(skips_first) :].double()
    # A = kept^T, so that its V is what the routine calls U.
    mixes = torch.linalg.svd(kept, full_matrices=False).U[:, :rank]
    # A V is U diag(S), and leaves a coordinate that is 0 throughout exactly so: rounding of U would have a cosine.
    shape: Tensor = kept.T @ mixes
    return shape


def score_as_published(
    own: Float[Tensor, "d_model r_own"],
    attract: Float[Tensor, "d_model r_attract"],
    repel: Float[Tensor, "d_model r_repel"],
) -> Float64[Tensor, " d_model"]:
    """Compute the published scores from shapes, all cut to the smallest of their ranks; the cosine of a zero row is 0."""
    r = min(shape.shape[1] for shape in (own, attract, repel))
    o, a, p = (shape[:, :r].double() for shape in (own, attract, repel))
    o_o = _multiply_rows(o, o)
    to_attract = _cosines(_multiply_rows(o, a), o_o, _multiply_rows(a, a))
    return to_attract - _cosines(_multiply_rows(o, p), o_o, _multiply_rows(p, p))


def score_by_gram(
    own: Float[Tensor, "d_model r_own"],
    attract: Float[Tensor, "d_model r_attract"],
    repel: Float[Tensor, "d_model r_repel"],
) -> Float64[Tensor, " d_model"]:
    """Compute the fixed scores from shapes, in [-2, 2]; the cosine of a zero row is 0.

    The same whatever the signs of columns, the order of positions, or how often the whole text is repeated. Costs d r^2: no
    d x d matrix is formed.
    """
    o, a, p = (shape.double() for shape in (own, attract, repel))
    o_o = _multiply_gram_rows(o, o)
    to_attract = _cosines(_multiply_gram_rows(o, a), o_o, _multiply_gram_rows(a, a))
    return to_attract - _cosines(_multiply_gram_rows(o, p), o_o, _multiply_gram_rows(p, p))


def flip_signs(shape: Float[Tensor, "d_model r"], generator: torch.Generator) -> Float[Tensor, "d_model r"]:
    """Draw a sign for each column: another shape of the same history, which an SVD may return as well."""
    drawn = torch.randint(2, (shape.shape[1],), generator=generator)
    return shape * (2 * drawn - 1).to(shape)


def measure_sign_dependence(
    own: Float[Tensor, "d_model r_own"],
    attract: Float[Tensor, "d_model r_attract"],
    repel: Float[Tensor, "d_model r_repel"],
    draws: int,
    generator: torch.Generator,
) -> SignDependence:
    """Measure how far published scores move when the signs of all three shapes are drawn anew, `draws` times.

    ValueError for no draws.
    """
    if draws < 1:
        raise ValueError(f"signs are drawn once at least, not {draws} times")
    given = score_as_published(own, attract, repel)
    moved = given.new_zeros(())
    for _ in range(draws):
        flipped = (flip_signs(shape, generator) for shape in (own, attract, repel))
        moved += (score_as_published(*flipped) - given).abs().mean()
    return SignDependence(movement=float(moved / draws), size=float(given.abs().mean()))


def accumulate_energy(stream: Float[Tensor, "n d_model"], skips_first: bool) -> Float64[Tensor, " r"]:
    """Compute the share of a history's energy, the sum of S^2, that its first 1, 2, ... columns keep; 0 if it has none."""
    squares = torch.linalg.svdvals(stream[int(skips_first) :].double()).square()
    kept: Tensor = squares.cumsum(0)
    return kept / torch.where(kept[-1:] > 0, kept[-1:], 1)


def centre_histories(streams: list[Float[Tensor, "_ d_model"]]) -> list[Float64[Tensor, "_ d_model"]]:
    """Leave out the first position of each history and subtract the mean over all others, of all histories together.

    As they are, all are alike: the sink, and what every text shares, is most of each.
    """
    kept = [stream[1:].double() for stream in streams]
    mean = torch.cat(kept).mean(0)
    return [stream - mean for stream in kept]


def measure_rv(a: Float[Tensor, "n_a d_model"], b: Float[Tensor, "n_b d_model"]) -> float:
    """Compute the RV coefficient `||A^T B||^2 / (||A^T A|| ||B^T B||)` of two histories (Robert and Escoufier 1976).

    It is the cosine between A A^T and B B^T: from 0 to 1, and 0 where a history is zero.
    """
    a, b = a.double(), b.double()
    a_b, a_a, b_b = (float((x @ y.T).square().sum()) for x, y in ((a, b), (a, a), (b, b)))
    return min(a_b / (a_a**0.5 * b_b**0.5), 1.0) if a_a > 0 and b_b > 0 else 0.0


def overlap_subspaces(a: Float[Tensor, "n_a d_model"], b: Float[Tensor, "n_b d_model"], k: int) -> float:
    """Compute `||U_a[:, :k]^T U_b[:, :k]||^2 / k`: from 0 to 1, and k / d on average where one is random.

    A history of m < k dimensions has m such vectors: its overlap is m / k at most, with itself too. ValueError for k below 1.
    """
    if k < 1:
        raise ValueError(f"subspaces have 1 dimension at least, not {k}")
    return float((_leading_axes(a, k) @ _leading_axes(b, k).T).square().sum() / k)


def _leading_axes(stream: Float[Tensor, "n d_model"], k: int) -> Float64[Tensor, "m d_model"]:
    """Return up to k columns of U, as rows: those whose singular value is more than rounding of the stream."""
    _, strength, axes = torch.linalg.svd(stream.double(), full_matrices=False)
    least = max(stream.shape) * torch.finfo(stream.dtype).eps * strength[:1]
    leading: Tensor = axes[:k][(strength > least)[:k]]
    return leading


def _multiply_rows(x: Float64[Tensor, "d r"], y: Float64[Tensor, "d r"]) -> Float64[Tensor, " d"]:
    return (x * y).sum(1)


def _multiply_gram_rows(x: Float64[Tensor, "d r_x"], y: Float64[Tensor, "d r_y"]) -> Float64[Tensor, " d"]:
    """Compute N_xy: the products of the rows of x x^T with those of y y^T."""
    return _multiply_rows(x @ (x.T @ y), y)


def _cosines(
    products: Float64[Tensor, " d"], squares: Float64[Tensor, " d"], others: Float64[Tensor, " d"]
) -> Float64[Tensor, " d"]:
    """Compute cosines from products of rows and their squares; 0 where one of the rows is zero."""
    # A square may come out below 0 by rounding; the product of two may leave what float64 can hold.
    lengths = squares.clamp(min=0).sqrt() * others.clamp(min=0).sqrt()
    return torch.where(lengths > 0, products / torch.where(lengths > 0, lengths, 1), 0).clamp(-1, 1)
