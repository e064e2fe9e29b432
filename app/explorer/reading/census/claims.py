"""What numbers allow to be claimed of several kinds, over all layers and at each depth, and how that is said together.

An interval on one side of zero is a claim; one that holds zero tells nothing apart; no interval, no claim. What is so in
some layers is not said of all. Knows no kinds, and not what was measured.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

from app.core.judging.bootstrap import Estimate
from app.explorer.groups import Depth

Side = Literal["more", "less", "open", "unclaimed"]
"""Of a number: above chance, below it, about it, or without an interval."""
Words = Mapping[Side, str]
SHORT: Words = {"more": "better", "less": "worse", "open": "not told apart"}
_MIXED: Words = {"more": "higher", "less": "lower", "open": "not told apart"}
DEPTHS: dict[Depth, str] = {
    "first": "in the first layer",
    "middle": "in the middle layers",
    "last": "in the last fifth of layers",
}


class KindStanding(NamedTuple):
    """Where one kind stands beside another."""

    mean: Side
    rays: Side
    """One by one."""

    @property
    def mixed(self) -> str:
        """What the two say where they do not say the same; else empty.

        Example: Verdict("more", "open").mixed -> "mixed, the mean higher and single ends not told apart"
        """
        if self.mean == self.rays:
            return ""
        return f"mixed, the mean {_MIXED[self.mean]} and single ends {_MIXED[self.rays]}"

    @property
    def is_claim(self) -> bool:
        """Whether it says that one is better."""
        return self.mean == self.rays and self.mean in {"more", "less"}


class Placed(NamedTuple):
    """A verdict over all layers, and those of each depth that has layers enough for one."""

    whole: KindStanding
    depths: tuple[tuple[Depth, KindStanding], ...] = ()


BETTER = KindStanding("more", "more")


def side_of(estimate: Estimate, middle: float = 0.0, digits: int = 2) -> Side:
    """On which side of the middle the number lies, as it is shown: nobody is to read 0.00 and be told that it is more."""
    if estimate.interval is None:
        return "unclaimed"
    low, high = (round(end, digits) for end in estimate.interval)
    return "more" if low > middle else "less" if high < middle else "open"


def verdict_of(difference: Estimate, superiority: Estimate) -> KindStanding:
    """Of two kinds by their means and by their rays, as both are shown."""
    return KindStanding(side_of(difference), side_of(superiority, 0.5, 3))


def verdict_of_mean(estimate: Estimate) -> KindStanding:
    """Of what has a mean alone."""
    side = side_of(estimate)
    return KindStanding(side, side)


def placed(whole: KindStanding, depths: Iterable[tuple[Depth, KindStanding]]) -> Placed:
    """The verdicts, without those of depths that have too few layers."""
    return Placed(whole, tuple((depth, verdict) for depth, verdict in depths if verdict.mean != "unclaimed"))


def summed(verdicts: Mapping[str, Placed], words: Words, short: Words = SHORT, beside: str = "", of: str = "") -> str:
    """A sentence for each verdict, behind the names under it; `beside`: what those that are mixed are held against; `of`:
    what of those that are named.

    Example: "OV write: better, in the middle layers and in the last fifth of layers alike. QK key: not told apart."
    """
    names: dict[str, list[str]] = {}
    for name, one in sorted(verdicts.items(), key=lambda item: _place(item[1].whole)):
        names.setdefault(_said(one, words, short, beside), []).append(name)
    sentences = (f"{of}{', '.join(own)}: {said}." for said, own in names.items())
    return " ".join(sentence[:1].upper() + sentence[1:] for sentence in sentences)


def _said(one: Placed, words: Words, short: Words, beside: str) -> str:
    """One verdict and at which depths it is so.

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


def _place(verdict: KindStanding) -> tuple[bool, bool, int, int]:
    """Claims first, then what is mixed; last what there is too little of."""
    mean, rays = map(get_args(Side).index, verdict)
    return verdict.mean == "unclaimed", bool(verdict.mixed), mean, rays
