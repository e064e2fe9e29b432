"""How much subspaces share: `O = ||U1 U2^T||_F^2` of orthonormal rows, the sum of squared cosines of principal angles.

What random subspaces share says `app.core.finding.haar`. Knows nothing of heads.
"""

from jaxtyping import Float
from torch import Tensor

from app.core.finding.shared import shared_squares
from app.core.steps import Steps


def overlaps(spans: Float[Tensor, "n r d"]) -> Steps[Float[Tensor, "n n"]]:
    """O of every two of the spans: orthonormal rows, then rows of zeros where one has fewer dimensions."""
    return shared_squares(spans, spans)
