"""Verdicts on kinds of matrices, over all layers and at each depth, and sentences that sum them up.

An interval on one side of zero is a claim; one that holds zero decides nothing; no interval, no claim. What holds in
some layers is not claimed of all. Knows no kinds, and not what was measured.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

from app.core.judging.bootstrap import Estimate
from app.explorer.groups import Depth

Side = Literal["more", "less", "open", "unclaimed"]
"""Where a number's interval lies: above chance, below it, around it, or nowhere for want of an interval."""
Words = Mapping[Side, str]
SHORT: Words = {"more": "better", "less": "worse", "open": "not told apart"}
_MIXED: Words = {"more": "higher", "less": "lower", "open": "not told apart"}
DEPTHS: dict[Depth, str] = {
    "first": "in the first layer",
    "middle": "in the middle layers",
    "last": "in the last fifth of layers",
}


class KindStanding(NamedTuple):
    """How one kind compares with another, by the means and by single rays."""

    mean: Side
    rays: Side
    """By single rays, not by their mean."""

    @property
    def mixed(self) -> str:
        """Both sides in words where they differ; else empty.

        Example: KindStanding("more", "open").mixed -> "mixed, the mean higher and single ends not told apart"
        """
        if self.mean == self.rays:
            return ""
        return f"mixed, the mean {_MIXED[self.mean]} and single ends {_MIXED[self.rays]}"

    @property
    def is_claim(self) -> bool:
        """True if both sides say that one kind is better, or worse."""
        return self.mean == self.rays and self.mean in {"more", "less"}


class Placed(NamedTuple):
    """A verdict over all layers, and one for each depth that has enough layers."""

    whole: KindStanding
    depths: tuple[tuple[Depth, KindStanding], ...] = ()


BETTER = KindStanding("more", "more")


def side_of(estimate: Estimate, middle: float = 0.0, digits: int = 2) -> Side:
    """Say on which side of the middle the interval lies, rounded as it is shown: a shown 0.00 is never "more"."""
    if estimate.interval is None:
        return "unclaimed"
    low, high = (round(end, digits) for end in estimate.interval)
    return "more" if low > middle else "less" if high < middle else "open"


def verdict_of(difference: Estimate, superiority: Estimate) -> KindStanding:
    """Judge two kinds by the difference of their means and by the superiority of single rays."""
    return KindStanding(side_of(difference), side_of(superiority, 0.5, 3))


def verdict_of_mean(estimate: Estimate) -> KindStanding:
    """Judge a number that has a mean alone: both sides are the same."""
    side = side_of(estimate)
    return KindStanding(side, side)


def join_depths(whole: KindStanding, depths: Iterable[tuple[Depth, KindStanding]]) -> Placed:
    """Join the verdict over all layers with those of depths that have enough layers."""
    return Placed(whole, tuple((depth, verdict) for depth, verdict in depths if verdict.mean != "unclaimed"))


def summarise_verdicts(
    verdicts: Mapping[str, Placed], words: Words, short: Words = SHORT, beside: str = "", of: str = ""
) -> str:
    """Write one sentence for each distinct verdict, led by the names that share it.

    `beside`: what mixed verdicts are compared with; `of`: a prefix of the names.

    Example: "OV write: better, in the middle layers and in the last fifth of layers alike. QK key: not told apart."
    """
    names: dict[str, list[str]] = {}
    for name, one in sorted(verdicts.items(), key=lambda item: _sort_key(item[1].whole)):
        names.setdefault(_phrase_verdict(one, words, short, beside), []).append(name)
    sentences = (f"{of}{', '.join(own)}: {said}." for said, own in names.items())
    return " ".join(sentence[:1].upper() + sentence[1:] for sentence in sentences)


def _phrase_verdict(one: Placed, words: Words, short: Words, beside: str) -> str:
    """Phrase one verdict and name the depths at which it holds.

    Example: "this holds in the last fifth of layers alone (in the middle layers not told apart)"
    """
    whole = one.whole
    text = whole.mixed.replace("mixed", f"mixed{beside}", 1) or words[whole.mean]
    alike = [DEPTHS[depth] for depth, verdict in one.depths if verdict == whole]
    by_words: dict[str, list[str]] = {}
    for depth, verdict in one.depths:
        if verdict != whole or not whole.is_claim:
            by_words.setdefault("mixed" if verdict.mixed else short[verdict.mean], []).append(DEPTHS[depth])
    others = "; ".join(f"{' and '.join(where)} {what}" for what, where in by_words.items())
    if len(alike) == len(one.depths):
        if not whole.is_claim or not alike:
            return text
        return f"{text}, {' and '.join(alike)} {'alike' if len(alike) > 1 else 'by themselves, too'}"
    if alike and whole.is_claim:
        return f"{text} {' and '.join(alike)} alone ({others})"
    return f"over all layers {text}; {others}"


def _sort_key(verdict: KindStanding) -> tuple[bool, bool, int, int]:
    """Return a sort key: claims first, then mixed verdicts, last those without an interval."""
    mean, rays = map(get_args(Side).index, verdict)
    return verdict.mean == "unclaimed", bool(verdict.mixed), mean, rays
