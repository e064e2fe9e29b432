"""Overlap of subspaces: `O = ||U1 U2^T||_F^2` of orthonormal rows, the sum of squared cosines of principal angles.

`app.core.finding.haar` has the overlap of random subspaces. Knows nothing of heads.
"""

from jaxtyping import Float
from torch import Tensor

from app.core.finding.shared import shared_squares
from app.core.steps import Steps


def overlaps(spans: Float[Tensor, "n r d"]) -> Steps[Float[Tensor, "n n"]]:
    """Compute O of every two of the spans: orthonormal rows, then rows of zeros where one has fewer dimensions."""
    return shared_squares(spans, spans)
