"""The statistics of a census in sentences that say no more than the intervals allow.

An interval on one side of zero is a finding; one that holds zero tells nothing apart, which is no proof of sameness; no
interval, no claim. Two kinds are compared by their means and by their single rays: one reads better than the other only
where both say so, and nothing is told apart only where neither does. Knows no store and no page.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from app.core.bootstrap import LEAST, Estimate, Interval
from app.core.rays import ALPHA
from app.explorer.pages import CUT, CensusEffect, CensusKind, Finding

NAMES: dict[str, str] = {
    "qk-query": "QK query",
    "qk-key": "QK key",
    "ov-read": "OV read",
    "ov-write": "OV write",
    "mlp-in": "MLP in",
    "mlp-gate": "MLP gate",
    "mlp-out": "MLP out",
    "embed": "embedding",
    "unembed": "unembedding",
}
Side = Literal["more", "less", "open", "unclaimed"]
"""Of a number: above chance, below it, about it, or without an interval."""
_MIXED: dict[Side, str] = {"more": "higher", "less": "lower", "open": "not told apart"}


class Verdict(NamedTuple):
    """Where one kind stands beside another."""

    mean: Side
    rays: Side
    """One by one."""

    @property
    def mixed(self) -> str:
        """What the two say where they do not say the same; else empty.

        Example: Verdict("more", "open").mixed -> "mixed, the mean higher and single rays not told apart"
        """
        if self.mean == self.rays:
            return ""
        return f"mixed, the mean {_MIXED[self.mean]} and single rays {_MIXED[self.rays]}"


BETTER = Verdict("more", "more")
_FEW_ON_ONE_SIDE = f"one matrix or fewer than {LEAST} layers on one side, so nothing is claimed"

STEPS: tuple[tuple[str, str, str], ...] = (
    ("QK (query) > MLP", "qk-query", "mlp-in"),
    ("QK (key) > MLP", "qk-key", "mlp-in"),
    ("OV (read) > MLP", "ov-read", "mlp-in"),
    ("OV (write) > MLP", "ov-write", "mlp-out"),
    ("MLP > unembedding", "mlp-in", "unembed"),
    ("MLP > embedding", "mlp-out", "embed"),
)
"""The prediction QK, OV > MLP > embeddings, as far as both are read with one table."""


EQUAL: tuple[tuple[str, str], ...] = (
    ("qk-query", "mlp-in-cut"),
    ("qk-key", "mlp-in-cut"),
    ("ov-read", "mlp-in-cut"),
    ("ov-write", "mlp-out-cut"),
)
"""Heads' matrices, and as many neurons as they have dimensions."""


def findings(
    kinds: Sequence[CensusKind], effects: Sequence[CensusEffect], d_head: int, is_whole: bool
) -> tuple[Finding, ...]:
    """The questions that there are numbers for, with answers; those about layers wait until all are read."""
    order = [effect for effect in effects if not _is_of_size(effect)]
    size = [effect for effect in effects if _is_of_size(effect)]
    whole = [kind for kind in kinds if not kind.is_cut]
    found = (
        Finding("order", prediction(order), tuple(compared(effect, d_head) for effect in order)),
        Finding("size", at_equal_rank(size, d_head), tuple(compared(effect, d_head) for effect in size)),
        Finding("random", beside_random(whole), tuple(against_random(kind, d_head) for kind in kinds)),
        Finding("rank", of_early(whole), tuple(text for kind in whole for text in early(kind))),
        Finding("layers", of_later(whole), tuple(text for kind in whole for text in later(kind)) if is_whole else ()),
    )
    return tuple(each for each in found if each.evidence)


def name_of(group: str, d_head: int) -> str:
    """What a group is called.

    Example: name_of("mlp-out-cut", 64) -> "64 neurons of MLP out"
    """
    matrix = group.removesuffix(CUT)
    if matrix == group:
        return NAMES[group]
    return f"embedding in {d_head} dimensions" if matrix == "embed" else f"{d_head} neurons of {NAMES[matrix]}"


def rays_of(group: str, d_head: int) -> str:
    """What its rays are called.

    Example: rays_of("ov-write", 64) -> "OV write rays"
    """
    name = name_of(group, d_head)
    return f"rays of {'the ' * name.startswith('embedding')}{name}" if group.endswith(CUT) else f"{name} rays"


def prediction(effects: Sequence[CensusEffect]) -> str:
    """How the predicted order does here, step by step.

    Example: "OV (write) > MLP: this holds. QK (key) > MLP: the other way round."
    """
    verdicts = _by_pair(effects)
    words: dict[Side, str] = {
        "more": "{}: this holds.",
        "less": "{}: the other way round.",
        "open": "{}: not told apart.",
        "unclaimed": f"{{}}: {_FEW_ON_ONE_SIDE}.",
    }
    return _summed({step: verdicts[group, other] for step, group, other in STEPS if (group, other) in verdicts}, words)


def at_equal_rank(effects: Sequence[CensusEffect], d_head: int) -> str:
    """Whether heads still read better than what has as many dimensions: the MLP's neurons, or else the embedding.

    Example: "OV write: better than 64 neurons of the MLP drawn at random. QK key: worse than 64 neurons …"
    """
    verdicts = _by_pair(effects)
    pairs, other = [pair for pair in EQUAL if pair in verdicts], f"{d_head} neurons of the MLP drawn at random"
    if not pairs:
        pairs, other = list(verdicts), f"the embedding in {d_head} dimensions drawn at random"
    words: dict[Side, str] = {
        "more": f"{{}}: better than {other}.",
        "less": f"{{}}: worse than {other}.",
        "open": f"{{}}: not told apart from {other}.",
        "unclaimed": f"{{}}: {_FEW_ON_ONE_SIDE}.",
    }
    return _summed({NAMES[pair[0]]: verdicts[pair] for pair in pairs}, words, f" beside {other}")


def beside_random(kinds: Sequence[CensusKind]) -> str:
    """Which kinds read better than random directions; of the others, those with more readable rays than chance has.

    Example: "Better than random directions: OV write. Not told apart from random directions: MLP in. Of MLP in, more rays
    have p < .01 than chance gives."
    """
    words: dict[Side, str] = {
        "more": "Better than random directions: {}.",
        "less": "Worse than random directions: {}.",
        "open": "Not told apart from random directions: {}.",
        "unclaimed": f"{{}}: {_few_each([kind.mean for kind in kinds])}.",
    }
    verdicts = {NAMES[kind.group]: _verdict(kind.mean, kind.superiority) for kind in kinds}
    said = _summed(verdicts, words, " beside random directions")
    # A few rays that stand far out need not move the mean, nor the odds of a single ray.
    some = [
        NAMES[kind.group] for kind in kinds if verdicts[NAMES[kind.group]] != BETTER and _has_more_than_chance(kind)
    ]
    return said + (f" Of {', '.join(some)}, more rays have p < .01 than chance gives." if some else "")


def of_early(kinds: Sequence[CensusKind]) -> str:
    """Where the strongest directions read better than the weakest."""
    estimates = {NAMES[kind.group]: kind.early for kind in kinds if kind.early}
    return _of_means(estimates, _few_each(list(estimates.values())))


def of_later(kinds: Sequence[CensusKind]) -> str:
    """Where later layers read better than early ones."""
    few = f"fewer than {LEAST} layers in a half, so nothing is claimed"
    return _of_means({NAMES[kind.group]: kind.later for kind in kinds if kind.later}, few)


def compared(effect: CensusEffect, d_head: int) -> str:
    """Whether one kind reads better than another.

    Example: "OV write rays read better than MLP out rays by 0.42 (0.20 to 0.61) z. Of two rays, one of each, the first
    has the larger z 58.0% (54.0% to 61.0%) of the time."
    """
    first, other = (rays_of(group, d_head) for group in (effect.group, effect.other))
    estimate, verdict = effect.difference, _verdict(effect.difference, effect.superiority)
    if verdict.mean == "unclaimed":
        return (
            f"{_begun(first)} and {other}: a difference of {hundredths(estimate.value)} z. {_begun(_FEW_ON_ONE_SIDE)}."
        )
    if verdict.mixed:
        said = f"{first} beside {other}: {verdict.mixed}. Difference of the means {with_interval(estimate)} z."
    elif verdict.mean == "open":
        said = f"{first} and {other} are not told apart: {with_interval(estimate)} z."
    else:
        how = "better" if verdict.mean == "more" else "worse"
        said = f"{first} read {how} than {other} by {with_interval(_positive(estimate))} z."
    return f"{_begun(said)} {_larger(effect.superiority)}"


def against_random(kind: CensusKind, d_head: int) -> str:
    """How the rays of a kind read beside those of random directions, whose mean z is 0.

    Example: "QK key rays read better than random directions: mean z 0.31 (0.20 to 0.44). Of two rays, one of each, the
    first has the larger z 58.0% (54.0% to 61.0%) of the time. 4.1% (3.0% to 5.2%) have p < .01, where chance has 1%."
    """
    name, shown = _begun(rays_of(kind.group, d_head)), f"mean z {with_interval(kind.mean)}"
    share = f"{as_shares(kind.readable)} have p < .01, where chance has 1%."
    verdict = _verdict(kind.mean, kind.superiority)
    if verdict.mean == "unclaimed":
        return f"{name}: {shown}. {share} {_begun(_few(kind.mean.n))}."
    said: dict[Side, str] = {
        "more": "read better than random directions",
        "less": "read worse than random directions",
        "open": "are not told apart from random directions",
    }
    if verdict.mixed:
        beside = f"{name} beside random directions: {verdict.mixed}. {_begun(shown)}."
    else:
        beside = f"{name} {said[verdict.mean]}: {shown}."
    return f"{beside} {_larger(kind.superiority)} {share}"


def early(kind: CensusKind) -> Iterator[str]:
    """Whether the strongest directions of a kind's matrices read better than the weakest."""
    if kind.early is None:
        return
    yield _change(kind, kind.early, "first", "last", "quarter of a matrix's directions", _few(kind.early.n))


def later(kind: CensusKind) -> Iterator[str]:
    """Whether a kind's matrices read better in later layers."""
    if kind.later is None:
        return
    few = f"fewer than {LEAST} layers in a half, so nothing is claimed"
    yield _change(kind, kind.later, "later", "first", "half of the layers", few)


def with_interval(estimate: Estimate) -> str:
    """The number, and where it lies.

    Example: with_interval(Estimate(0.42, Interval(0.2, 0.61))) -> "0.42 (0.20 to 0.61)"
    """
    if estimate.interval is None:
        return hundredths(estimate.value)
    return f"{hundredths(estimate.value)} ({hundredths(estimate.interval.low)} to {hundredths(estimate.interval.high)})"


def as_shares(estimate: Estimate) -> str:
    """The same of a share of one.

    Example: as_shares(Estimate(0.58, Interval(0.54, 0.61))) -> "58.0% (54.0% to 61.0%)"
    """
    interval = estimate.interval
    return f"{estimate.value:.1%}" + (f" ({interval.low:.1%} to {interval.high:.1%})" if interval else "")


def hundredths(value: float) -> str:
    """With two decimals, and a minus sign as wide as a digit; never minus nothing."""
    shown = f"{value:.2f}"
    return "0.00" if shown == "-0.00" else shown.replace("-", "−")


def _change(kind: CensusKind, estimate: Estimate, first: str, last: str, of: str, few: str) -> str:
    name = _begun(NAMES[kind.group])
    verdict = _side(estimate)
    if verdict == "unclaimed":
        return f"{name}: {first} minus {last} {of} {hundredths(estimate.value)} z. {_begun(few)}."
    if verdict == "open":
        return f"{name}: the {first} and the {last} {of} are not told apart, {with_interval(estimate)} z."
    how = "better" if verdict == "more" else "worse"
    return f"{name}: the {first} {of} reads {how} than the {last} by {with_interval(_positive(estimate))} z."


def _summed(verdicts: Mapping[str, Verdict], words: Mapping[Side, str], beside: str = "") -> str:
    """A sentence for each verdict, with the names under it; `beside`: what those that are mixed are held against."""
    names: dict[Verdict, list[str]] = {}
    for name, verdict in verdicts.items():
        names.setdefault(verdict, []).append(name)
    said = {verdict: f"{{}}{beside}: {verdict.mixed}." if verdict.mixed else words[verdict.mean] for verdict in names}
    return " ".join(_begun(said[verdict].format(", ".join(names[verdict]))) for verdict in sorted(names, key=_place))


def _place(verdict: Verdict) -> tuple[bool, bool, int, int]:
    """Claims first, then what is mixed; last what there is too little of."""
    mean, rays = map(get_args(Side).index, verdict)
    return verdict.mean == "unclaimed", bool(verdict.mixed), mean, rays


def _is_of_size(effect: CensusEffect) -> bool:
    return effect.group.endswith(CUT) or effect.other.endswith(CUT)


def _by_pair(effects: Sequence[CensusEffect]) -> dict[tuple[str, str], Verdict]:
    return {(one.group, one.other): _verdict(one.difference, one.superiority) for one in effects}


def _verdict(difference: Estimate, superiority: Estimate) -> Verdict:
    """Of two kinds by their means and by their rays, as both are shown."""
    return Verdict(_side(difference), _side(superiority, 0.5, 3))


def _has_more_than_chance(kind: CensusKind) -> bool:
    return _side(kind.readable, ALPHA, 3) == "more"


def _side(estimate: Estimate, middle: float = 0.0, digits: int = 2) -> Side:
    if estimate.interval is None:
        return "unclaimed"
    # As it is shown: nobody is to read 0.00 and be told that it is more.
    low, high = (round(end, digits) for end in estimate.interval)
    return "more" if low > middle else "less" if high < middle else "open"


def _of_means(estimates: Mapping[str, Estimate], few: str) -> str:
    """Where the mean of one part of a kind's directions is higher than that of another."""
    sides = {name: _side(estimate) for name, estimate in estimates.items()}
    words: dict[Side, str] = {
        "more": "Yes for {}.",
        "less": "The other way round for {}.",
        "open": "Not told apart for {}.",
        "unclaimed": f"{{}}: {few}.",
    }
    return _summed({name: Verdict(side, side) for name, side in sides.items()}, words)


def _positive(estimate: Estimate) -> Estimate:
    """The same the other way round if it is below zero."""
    if estimate.value >= 0 or estimate.interval is None:
        return estimate
    low, high = estimate.interval
    return estimate._replace(value=-estimate.value, interval=Interval(-high, -low))


def _few(n: int) -> str:
    return f"{'one matrix' if n == 1 else f'matrices of {n} layers'}, so nothing is claimed"


def _few_each(estimates: Sequence[Estimate]) -> str:
    """Of all that rest on too few layers, one or more."""
    numbers = [estimate.n for estimate in estimates if estimate.interval is None]
    if len(numbers) == 1:
        return _few(*numbers)
    few = "one matrix" if set(numbers) == {1} else f"fewer than {LEAST} layers"
    return f"{few} each, so nothing is claimed"


def _larger(superiority: Estimate) -> str:
    return f"Of two rays, one of each, the first has the larger z {as_shares(superiority)} of the time."


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]
