"""The judgements of rays as templates print them: a z with its stars, what its tooltip says, p and classes in words.

One call for both rays of a cell, as for chips. Knows no page and no control.
"""

import math
from typing import NamedTuple

from app.core.rays import ALPHA, HEADLINE, LENGTHS
from app.explorer.pages import Judgement, Rays
from app.explorer.verdicts import BETTER
from app.web.numbers import odd, signed

ABOUT = (
    f"coherence %.3f, %.3f, %.3f · z %.1f, %.1f, %.1f · p %.2g, %.2g, %.2g, of the first {', '.join(map(str, LENGTHS))} "
    "tokens · q %.2g · spelling z %.1f, p %.2g"
)
ROTATED = " · p among random rotations %.2g%s"


class Mark(NamedTuple):
    """One ray in a cell."""

    classes: str
    """`p` or `n`, and `sure` where the ray stands out."""
    z: str
    """With one star at p < .01, two where it is found at a false discovery rate of 10%."""
    about: str
    """What the tooltip says."""
    rotation: str
    """Its p among random rotations, with a dot where it is better than 95% of them; a dash where there is none."""


def marks(rays: Rays) -> list[Mark]:
    """The rays of one side of a direction, the + ray first.

    Example: z 7.3 at q .05 -> Mark("p sure", "7.3**", "coherence .284, .212, .111 · z …", "–")
    """
    ends = (("p", rays.plus), ("n", rays.minus))
    return [_mark(end, one) for end, one in ends if one is not None]


def stars(one: Judgement) -> str:
    """Two where the ray is found at a false discovery rate of 10%, one where it is readable at p < .01."""
    if one.is_found:
        return "**"
    return "*" if one.is_readable else ""


def compared(p: float, n: int) -> str:
    """A p in words, from a control of n rays.

    Example: compared(1 / 4001, 4000) -> "more alike than all 4,000 random rays"; compared(0.3, 4000) -> "30 in 100 random
    rays are as alike"
    """
    if round(p * (n + 1)) <= 1:
        return f"more alike than all {n:,} random rays"
    if p < ALPHA:
        return f"more alike than all but 1 in {round(1 / p):,} random rays"
    return f"{100 * p:.0f} in 100 random rays are as alike"


def undetermined(rays: Rays) -> str:
    """Which of the two reasons leaves a direction without a class.

    Example: of rays that are both judged "One end is readable, but its lead over the other may be chance."
    """
    judged = (rays.plus, rays.minus)
    if rays.difference_p is None or any(one is None or one.p[HEADLINE] is None for one in judged):
        return "A number is missing: an end has too few trained tokens to be judged."
    return "One end is readable, but its lead over the other may be chance."


def versus(p: float | None) -> str:
    """A p among random rotations of the same span, with a dot where the ray is better than 95% of them.

    Example: versus(0.05) -> ".05•"; versus(0.5) -> ".5"; versus(None) -> "–"
    """
    return odd(p) + ("•" if p is not None and p <= BETTER else "")


def _mark(end: str, one: Judgement) -> Mark:
    seen = stars(one)
    return Mark(f"{end} sure" if seen else end, signed(one.z[HEADLINE]) + seen, _about(one), versus(one.rotation_p))


def _about(one: Judgement) -> str:
    numbers = (*one.coherence, *one.z, *one.p, one.q, one.spelling_z, one.spelling_p)
    # Formatted at once: a page has eighty of them, of eleven numbers each.
    about = ABOUT % tuple([math.nan if number is None else number for number in numbers])
    if one.rotation_p is not None:
        about += ROTATED % (one.rotation_p, ", better than 95%" if one.rotation_p <= BETTER else "")
    return about.replace("-", "−").replace(" 0.", " .").replace("−0.", "−.").replace("nan", "–")
