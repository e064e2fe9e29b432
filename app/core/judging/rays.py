"""Words for a ray's reading and for a direction's class, from tests against the same control.

The words speak of tests, nothing more:

- `antipodal`: the tokens at both rays are more alike than by chance. Not that the two have opposite meanings.
- `one-sided`: those at one ray are, and the two rays differ by more than those of random directions. Not that the
  other ray means nothing, nor that it is not used.
- `undetermined`: those at one ray are, but its lead over the other may be chance; or a number is missing.
- `neither`: no ray stands out. Not that the direction means nothing, only that this measure does not see it.

None says what a ray does on real text. Each word holds for one direction by itself: of random ones, about 2 in 100 have a
significant ray, and half of these are called one-sided.

A ray's reading says what its tokens may have in common, if they are more alike than by chance:

- `theme`: different words are alike, too. Where these are spelt more alike than by chance, those are tested again that
  neither begin nor end as one before them: if they are no more alike than chance, the ray is `spelling`, and if they are
  less than half as much alike as all are, `partly spelling`.
- `one word`: only tokens that are one word in several spellings are; the different words are no more alike than chance.
- `letterless`: most tokens have no letter: quotes, brackets, digits, white space.
- `none`: the tokens are no more alike than by chance. `unknown`: there are too few to tell.

Knows nothing of how the p were found.
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

LENGTHS = (10, 20, 50)
"""Numbers of a ray's first tokens whose coherence is measured."""
HEADLINE = LENGTHS.index(50)
"""The length that judges a ray: coherence of 50 tokens tells trained weights from random ones best."""
FORM_LENGTHS = (10, 20, 30, 40)
"""Numbers of forms whose coherence is measured: as many as a ray has, since few are more often alike by chance."""
BEYOND_LENGTHS = (5, 10, 20, 30)
"""Numbers of forms that neither begin nor end as one before them, likewise."""
SPELLING_LENGTHS = (10, 20)
"""Numbers of forms whose spelling is compared, likewise."""
ALPHA = 0.01
"""A p below this is significant."""
HALF = 0.5
"""Share of a ray's coherence that is lost without forms spelt alike, where it is partly spelling."""

RayClass = Literal["one-sided", "antipodal", "neither", "undetermined"]
RAY_CLASSES: tuple[RayClass, ...] = get_args(RayClass)

Reading = Literal["theme", "one word", "partly spelling", "spelling", "letterless", "none", "unknown"]
READINGS: tuple[Reading, ...] = get_args(Reading)


def is_significant(p: float | None) -> bool:
    """Return whether a p is below ALPHA; an unknown p is not."""
    return p is not None and p < ALPHA


def classify_directions(
    p_plus: Float[np.ndarray, "*shape"], p_minus: Float[np.ndarray, "*shape"], p_difference: Float[np.ndarray, "*shape"]
) -> Int8[np.ndarray, "*shape"]:
    """Classify each direction, as its place in RAY_CLASSES, by the p of its + ray, of its - ray and of their
    difference.

    nan: not known.
    """
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


def classify_rays(
    p: Float[np.ndarray, "*shape"],
    letterless: Bool[np.ndarray, "*shape"],
    n_forms: Int[np.ndarray, "*shape"],
    forms_p: Float[np.ndarray, "*shape"],
    spelling_p: Float[np.ndarray, "*shape"],
    beyond_p: Float[np.ndarray, "*shape"],
    beyond_share: Float[np.ndarray, "*shape"],
) -> Int8[np.ndarray, "*shape"]:
    """Classify each ray by its reading, as its place in READINGS; nan: not known.

    By the p of its tokens; whether these are mostly without letters; how many forms they have; the p of these, of their
    spelling, and of those that neither begin nor end as one before; and how much alike the latter are relative to all.
    """
    codes: np.ndarray = np.select(
        [
            np.isnan(p),
            p >= ALPHA,
            letterless,
            # So few forms that the tokens are one word or two, in all their spellings.
            n_forms < FORM_LENGTHS[0],
            np.isnan(forms_p),
            forms_p >= ALPHA,
            ~(spelling_p < ALPHA),
            ~(beyond_p < ALPHA),
            beyond_share < HALF,
        ],
        [
            READINGS.index(name)
            for name in (
                "unknown",
                "none",
                "letterless",
                "one word",
                "unknown",
                "one word",
                "theme",
                "spelling",
                "partly spelling",
            )
        ],
        READINGS.index("theme"),
    )
    return codes.astype(np.int8)


def _code(name: RayClass) -> int:
    return RAY_CLASSES.index(name)
