"""How much subspaces share: `O = ||U1 U2^T||_F^2` of orthonormal rows, the sum of squared cosines of principal angles.

What random subspaces share says `app.core.finding.haar`. Knows nothing of heads.
"""

from jaxtyping import Float
from torch import Tensor


def overlaps(spans: Float[Tensor, "n r d"]) -> Float[Tensor, "n n"]:
    """O of every two of the spans: orthonormal rows, then rows of zeros where one has fewer dimensions."""
    n, r, d = spans.shape
    columns = spans.reshape(n * r, d).T
    found = spans.new_zeros(n, n)
    for at, span in enumerate(spans):  # each pair once
        own = (span @ columns[:, at * r :]).view(r, n - at, r).square_().sum((0, 2))
        found[at, at:] = found[at:, at] = own
    return found
