"""Which of a direction's two rays stand out: a word for three tests against the same control.

The words speak of tests, nothing more:

- `antipodal`: the tokens at both rays are more alike than chance has it. Not that the two have opposite meanings.
- `one-sided`: those at one ray are, and the two rays differ by more than those of random directions do. Not that the
  other ray means nothing, nor that it is not used.
- `undetermined`: those at one ray are, but its lead over the other may be chance; or a number is missing.
- `neither`: no ray stands out. Not that the direction means nothing, only that this measure does not see it.

None says what a ray does on real text. Each word holds for one direction by itself: of random ones, about 2 in 100 have a
significant ray, and half of these are called one-sided. Knows nothing of how the p were found.
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int8

LENGTHS = (10, 20, 50)
"""Tokens of a ray whose likeness is measured."""
HEADLINE = LENGTHS.index(50)
"""The length that judges a ray: of these it tells trained weights from random ones best."""
ALPHA = 0.01
"""A p below that is significant."""

RayClass = Literal["one-sided", "antipodal", "neither", "undetermined"]
RAY_CLASSES: tuple[RayClass, ...] = get_args(RayClass)


def is_significant(p: float | None) -> bool:
    """Whether a p is below ALPHA; one that is not known is not."""
    return p is not None and p < ALPHA


def classes(
    p_plus: Float[np.ndarray, "*shape"], p_minus: Float[np.ndarray, "*shape"], p_difference: Float[np.ndarray, "*shape"]
) -> Int8[np.ndarray, "*shape"]:
    """The class of each direction, as its place in RAY_CLASSES, by p of its + ray, of its - ray and of how far these
    differ; nan: not known."""
    significant = (p_plus < ALPHA).astype(np.int8) + (p_minus < ALPHA)
    codes: np.ndarray = np.select(
        [
            np.isnan(p_plus) | np.isnan(p_minus) | np.isnan(p_difference),
            significant == 2,
            significant == 0,
            p_difference < ALPHA,
        ],
        [_code("undetermined"), _code("antipodal"), _code("neither"), _code("one-sided")],
        _code("undetermined"),
    )
    return codes.astype(np.int8)


def _code(name: RayClass) -> int:
    return RAY_CLASSES.index(name)
