"""The judgements of rays as templates print them: a z with its mark, what its tooltip says, p and classes in words.

One call for both rays of a cell, as for chips. Knows no page and no control.
"""

import math
from typing import NamedTuple

from app.core.judging.rays import ALPHA, HEADLINE, LENGTHS
from app.explorer.pages.rays import Judgement, Rays, Verdict
from app.explorer.reading.verdicts import BETTER
from app.web.view.numbers import odd, signed

ABOUT = (
    f"coherence %.3f, %.3f, %.3f · z %.1f, %.1f, %.1f · p %.2g, %.2g, %.2g, of the first {', '.join(map(str, LENGTHS))} "
    "tokens · q %.2g · spelling z %.1f, p %.2g"
)
DOT = "●"
ROTATED = " · p among random rotations %.2g%s"


class Mark(NamedTuple):
    """One ray in a cell."""

    classes: str
    """`p` or `n`, and `sure` where the ray stands out."""
    z: str
    """With a filled dot where the ray stands out."""
    about: str
    """What the tooltip says."""
    rotation: str
    """Its p among random rotations, with a dot where it is better than 95% of them; a dash where there is none."""


def marks(rays: Rays) -> list[Mark]:
    """The rays of one side of a direction, the + ray first.

    Example: z 7.3 at q .05 -> Mark("p sure", "7.3 ●", "coherence .284, .212, .111 · z …", "–")
    """
    ends = (("p", rays.plus), ("n", rays.minus))
    return [_mark(end, one) for end, one in ends if one is not None]


def dot(one: Judgement) -> str:
    """The one mark that there is, where the ray stands out: at p < .01, and at a false discovery rate of 10% in its list."""
    return DOT if one.stands_out else ""


def standing(verdict: Verdict) -> int:
    """How many rays of a side stand out: both thresholds are ones of p in one list, so the stricter one decides."""
    return min(verdict.n_readable, verdict.n_found)


def compared(p: float, n: int) -> str:
    """A p in words, from a control of n rays.

    Example: compared(1 / 4001, 4000) -> "more alike than all 4,000 random ends"; compared(0.3, 4000) -> "30 in 100 random
    ends are as alike"
    """
    if round(p * (n + 1)) <= 1:
        return f"more alike than all {n:,} random ends"
    if p < ALPHA:
        return f"more alike than all but 1 in {round(1 / p):,} random ends"
    return f"{100 * p:.0f} in 100 random ends are as alike"


def outcome(one: Judgement, n: int) -> str:
    """What is to be said of a ray in a line, from a control of n rays.

    Example: "stands out from all 4,000 random ends"; "not told apart from random: 30 in 100 random ends are as alike"
    """
    p = one.p[HEADLINE]
    if p is None:
        return "not judged: too few of its tokens were ever trained"
    if one.stands_out:
        return compared(p, n).replace("more alike than", "stands out from")
    if one.is_readable:
        return f"{compared(p, n)}, which in a list this long may be chance"
    return f"not told apart from random: {compared(p, n)}"


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
    z = signed(one.z[HEADLINE])
    stands_out = one.stands_out
    return Mark(
        f"{end} sure" if stands_out else end, f"{z} {DOT}" if stands_out else z, _about(one), versus(one.rotation_p)
    )


def _about(one: Judgement) -> str:
    numbers = (*one.coherence, *one.z, *one.p, one.q, one.spelling_z, one.spelling_p)
    # Formatted at once: a page has eighty of them, of eleven numbers each.
    about = ABOUT % tuple([math.nan if number is None else number for number in numbers])
    if one.rotation_p is not None:
        about += ROTATED % (one.rotation_p, ", better than 95%" if one.rotation_p <= BETTER else "")
    return about.replace("-", "−").replace(" 0.", " .").replace("−0.", "−.").replace("nan", "–")
