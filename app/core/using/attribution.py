"""Direct contributions to a logit: what each part adds to it through the final norm alone, that norm's scale held still.

Exact as a sum: embedding, heads, MLPs and biases together are the logit less the mean of all logits. It is a share of the
logit and no effect: what later layers make of a part is not in it. Elhage et al. 2021; nostalgebraist 2020. Knows no model.
"""

from jaxtyping import Float
from torch import Tensor

from app.core.decomposition import Decomposition


def logit_direction(
    column: Float[Tensor, "*n d_model"],
    other: Float[Tensor, " d_model"],
    gain: Float[Tensor, " d_model"] | None,
    center: bool,
) -> Float[Tensor, "*n d_model"]:
    """Compute the vector whose product with the normed stream is a token's logit less another's, or less the mean of all.

    `column`: the token's of W_U; `other`: the other's, or the mean of all; `center`: the final norm removes the mean, as
    LayerNorm does.
    """
    column = column - other
    vector = column if gain is None else column * gain
    return vector - vector.mean(dim=-1, keepdim=True) if center else vector


def attribute_writes(
    writes: Float[Tensor, "*n d_model"], vector: Float[Tensor, " d_model"], scale: Float[Tensor, ""] | float
) -> Float[Tensor, "*n"]:
    """Compute what each write adds to the logit; `scale` is what the final norm multiplies the position by."""
    return (writes @ vector) * scale


def attribute_directions(
    attended: Float[Tensor, "*n rank"],
    terms: Decomposition,
    vector: Float[Tensor, " d_model"],
    scale: Float[Tensor, ""] | float,
) -> Float[Tensor, "*n rank"]:
    """Compute what each direction adds to the logit: `rho s_i a_i (v_i . q)`."""
    weights = terms.strength.to(attended.dtype) * (terms.right.to(attended.dtype) @ vector)
    return attended * weights * scale
