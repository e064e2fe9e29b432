"""Bases compared: how well each codes the same samples, the overlap of their spans, and their partner vectors.

A basis is given as its unit vectors in the residual stream, the most important first; their signs only affect the sign
of a partner's cosine. Knows nothing of how bases are found.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor
from torch.nn.functional import normalize

from app.core.measuring.coding import relative_errors, squared_errors_by_part
from app.core.steps import Steps, rescale_steps

ROWS = 1024
"""Vectors whose cosines are held at a time."""

Name = TypeVar("Name", bound=str)


class Errors(NamedTuple):
    """Relative errors with at most 1, 2 … of a basis's vectors for each sample."""

    own: Float64[Tensor, " most"]
    control: Float64[Tensor, " most"]
    """The errors of as many random vectors of the basis's span."""


class Partners(NamedTuple):
    """Nearest vectors: for each vector, the one of another basis that it is most parallel to."""

    indices: Int64[Tensor, " n"]
    """Indices of the partners; the smallest of equally near ones."""
    cosines: Float64[Tensor, " n"]
    """Cosines with the partners; negative where they point against each other."""


def draw_rows(samples: Float[Tensor, "n d"], count: int, seed: int) -> Float[Tensor, "drawn d"]:
    """Draw rows of the samples (all, if there are no more), none twice, in their own order."""
    drawn = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))[:count]
    return samples[drawn.sort().values.to(samples.device)]


def random_vectors(count: int, like: Float[Tensor, "_ d"], seed: int) -> Float32[Tensor, "count d"]:
    """Draw random unit vectors of the same space and device; fewer of one seed are the first of more."""
    draw = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, like.shape[1], generator=draw, dtype=torch.float64), dim=1).to(like)


def random_vectors_within(vectors: Float[Tensor, "n d"], count: int, seed: int) -> Float32[Tensor, "count d"]:
    """Draw random unit vectors of the vectors' span, which is not empty; where that is the whole space, those of
    `random_vectors`.
    """
    unit = span(vectors)
    if unit.shape[1] == len(unit):
        return random_vectors(count, vectors, seed)
    draw = torch.randn(count, unit.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normalize(draw.to(unit.device) @ unit.T, dim=1).to(vectors)


def compare_errors(
    samples: Float[Tensor, "n d"], bases: Mapping[Name, Float[Tensor, "_ d"]], most: int, seed: int
) -> Steps[dict[Name, Errors]]:
    """Compute each basis's coding errors beside those of a random dictionary of its size and span. Yields (done, total)."""
    errors: dict[Name, Errors] = {}
    # Bases of one size that span all there is have one control.
    keys = {
        name: (len(vectors), "" if span(vectors).shape[1] == vectors.shape[1] else name)
        for name, vectors in bases.items()
    }
    controls: dict[tuple[int, str], Tensor] = {}
    done, total = 0, sum(size for size, _ in keys.values()) + sum(size for size, _ in set(keys.values()))
    for name, vectors in bases.items():
        size, _ = key = keys[name]
        if key not in controls:
            own = random_vectors_within(vectors, size, seed)
            controls[key] = yield from rescale_steps(done, size, total, _coding_errors(samples, own, most))
            done += size
        errors[name] = Errors(
            (yield from rescale_steps(done, size, total, _coding_errors(samples, vectors, most))), controls[key]
        )
        done += size
    return errors


def _coding_errors(
    samples: Float[Tensor, "n d"], vectors: Float[Tensor, "m d"], most: int
) -> Steps[Float64[Tensor, " {most}"]]:
    """Compute the relative errors with these vectors, some samples at a time."""
    parts: list[Tensor] = []
    yield 0, len(samples)
    for part in squared_errors_by_part(samples, vectors, most):
        parts.append(part)
        yield sum(map(len, parts)), len(samples)
    return relative_errors(torch.cat(parts))


def overlap(vectors: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> Float64[Tensor, " rank"]:
    """Compute the cosines of the principal angles of two spans, falling; as many as the smaller one has dimensions.

    Their squares' sum over that number is 1 where one span holds the other, and about `larger / d` for random ones.
    """
    cosines: Tensor = torch.linalg.svdvals(span(vectors).T @ span(others))
    return cosines.clamp(max=1)


def span(vectors: Float[Tensor, "n d"]) -> Float64[Tensor, "d rank"]:
    """Compute orthonormal columns that span what the vectors do; float32 rounding of dependent ones is no dimension."""
    d = vectors.shape[1]
    # The triangle has the vectors' singular values, and fewer rows where they are overcomplete.
    triangle = torch.linalg.qr(vectors.double(), mode="r").R
    strength: Tensor
    Vh: Tensor
    _, strength, Vh = torch.linalg.svd(triangle, full_matrices=False)
    return Vh[strength > strength[:1] * d * torch.finfo(torch.float32).eps].T


def find_partners(vectors: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> Partners:
    """Find the nearest of the others, of which there is at least one, for each vector; all of length one."""
    exact = others.double().T
    indices, cosines = [], []
    for part in torch.split(vectors, ROWS):
        products = part.double() @ exact
        index = products.abs().argmax(dim=1, keepdim=True)
        indices.append(index[:, 0])
        cosines.append(products.gather(1, index)[:, 0])
    return Partners(torch.cat(indices), torch.cat(cosines))
