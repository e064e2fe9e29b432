"""The judgements of rays as templates print them: a z with its mark and tooltip, p and classes in words.

One call for both rays of a cell, as for chips. Knows no page and no control.
"""

import math
from typing import NamedTuple

from app.core.judging.bootstrap import Estimate
from app.core.judging.rays import ALPHA, HEADLINE, LENGTHS
from app.explorer.pages.rays import Judgement, Rays, Verdict
from app.explorer.pages.using.statistics import ReferenceText
from app.explorer.reading.verdicts import BETTER_P
from app.web.view.numbers import short_decimal, signed_decimal

TOOLTIP = (
    f"coherence %.3f, %.3f, %.3f · z %.1f, %.1f, %.1f · p %.2g, %.2g, %.2g, of the first {', '.join(map(str, LENGTHS))} "
    "tokens · q %.2g · spelling z %.1f, p %.2g"
)
DOT = "●"
ROTATION_TOOLTIP = " · p among random rotations %.2g%s"


class Mark(NamedTuple):
    """One ray's judgement in a cell."""

    classes: str
    """`p` or `n`, and `stands-out` where it does."""
    z: str
    """The z, with a filled dot where the ray stands out."""
    about: str
    """Text of the tooltip."""
    rotation: str
    """The p among random rotations, with a dot where it is better than 95% of them; a dash where there is none."""


def marks(rays: Rays) -> list[Mark]:
    """Format the judgements of one side's rays, the + ray first.

    Example: z 7.3 at q .05 -> Mark("p stands-out", "7.3 ●", "coherence .284, .212, .111 · z …", "–")
    """
    ends = (("p", rays.plus), ("n", rays.minus))
    return [_mark_of(end, one) for end, one in ends if one is not None]


def dot(one: Judgement) -> str:
    """Return a dot if the ray stands out (p < .01, and a false discovery rate of 10% in its list), else nothing."""
    return DOT if one.stands_out else ""


def count_standing_out(verdict: Verdict) -> int:
    """Count the rays of a side that stand out: both thresholds are on p in one list, so the stricter one decides."""
    return min(verdict.n_readable, verdict.n_found)


def describe_p(p: float, n: int) -> str:
    """Say a p in words, from a control of n rays.

    Example: describe_p(1 / 4001, 4000) -> "more alike than all 4,000 random ends"; describe_p(0.3, 4000) -> "30 in 100
    random ends are as alike"
    """
    if round(p * (n + 1)) <= 1:
        return f"more alike than all {n:,} random ends"
    if p < ALPHA:
        return f"more alike than all but 1 in {round(1 / p):,} random ends"
    return f"{100 * p:.0f} in 100 random ends are as alike"


def describe_outcome(one: Judgement, n: int) -> str:
    """Say in one line how a ray was judged, from a control of n rays.

    Example: "stands out from all 4,000 random ends"; "not told apart from random: 30 in 100 random ends are as alike"
    """
    p = one.p[HEADLINE]
    if p is None:
        return "not judged: too few of its tokens were ever trained"
    if one.stands_out:
        return describe_p(p, n).replace("more alike than", "stands out from")
    if one.is_readable:
        return f"{describe_p(p, n)}, which in a list this long may be chance"
    return f"not told apart from random: {describe_p(p, n)}"


def why_undetermined(rays: Rays) -> str:
    """Say which of the two reasons leaves a direction without a class.

    Example: of rays that are both judged "One end is readable, but its lead over the other may be chance."
    """
    judged = (rays.plus, rays.minus)
    if rays.difference_p is None or any(one is None or one.p[HEADLINE] is None for one in judged):
        return "A number is missing: an end has too few trained tokens to be judged."
    return "One end is readable, but its lead over the other may be chance."


def format_rotation_p(p: float | None) -> str:
    """Format a p among random rotations of the same span, with a dot where the ray is better than 95% of them.

    Example: format_rotation_p(0.05) -> ".05•"; format_rotation_p(0.5) -> ".5"; format_rotation_p(None) -> "–"
    """
    return short_decimal(p) + ("•" if p is not None and p <= BETTER_P else "")


def _mark_of(end: str, one: Judgement) -> Mark:
    z = signed_decimal(one.z[HEADLINE])
    stands_out = one.stands_out
    return Mark(
        f"{end} stands-out" if stands_out else end,
        f"{z} {DOT}" if stands_out else z,
        _tooltip_of(one),
        format_rotation_p(one.rotation_p),
    )


def _tooltip_of(one: Judgement) -> str:
    numbers = (*one.coherence, *one.z, *one.p, one.q, one.spelling_z, one.spelling_p)
    # One format for all: a page has eighty tooltips, of eleven numbers each.
    about = TOOLTIP % tuple([math.nan if number is None else number for number in numbers])
    if one.rotation_p is not None:
        about += ROTATION_TOOLTIP % (one.rotation_p, ", better than 95%" if one.rotation_p <= BETTER_P else "")
    return about.replace("-", "−").replace(" 0.", " .").replace("−0.", "−.").replace("nan", "–")


ALIKE = 0.1
"""How far from 1 a ratio may lie, its interval included, to count as much as an even stream would give."""


def word_ratio(ratio: Estimate) -> str:
    """Say how much a model uses its heads' first directions, as far as the interval allows.

    Example: word_ratio(Estimate(0.99, Interval(0.98, 1.0), 16)) -> "uses its strongest directions as much as an even
    stream would"
    """
    low, high = ratio.interval or (0.0, float("inf"))
    if 1 - ALIKE <= low <= high <= 1 + ALIKE:
        return "uses its strongest directions as much as an even stream would"
    if low > 1:
        return "uses its strongest directions more than an even stream would"
    if high < 1:
        return "uses its strongest directions less than an even stream would"
    return "may use its strongest directions more or less than an even stream would"


def name_text(text: ReferenceText) -> str:
    """Name the text that statistics of use are of."""
    return {"own": "text that the model wrote", "given": "a text of whoever runs this server"}[text]
