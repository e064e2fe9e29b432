"""The statistics of a census in sentences that say no more than the intervals allow.

An interval on one side of zero is a finding; one that holds zero tells nothing apart, which is no proof of sameness; no
interval, no claim. Knows no store and no page.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from app.core.bootstrap import LEAST, Estimate
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
Verdict = Literal["more", "less", "mixed", "open", "unclaimed"]


class Verdicts(NamedTuple):
    """A sentence about those names whose numbers lie above 0, below it, about it, or have no interval."""

    more: str
    less: str
    open: str
    unclaimed: str
    mixed: str = ""
    """Of names whose mean and whose rays do not say the same."""


_FEW_ON_ONE_SIDE = f"fewer than {LEAST} matrices on one side, so nothing is claimed"

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
    by_pair = {(effect.group, effect.other): effect.difference for effect in effects}
    verdicts = {step: _verdict(by_pair[group, other]) for step, group, other in STEPS if (group, other) in by_pair}
    words = Verdicts("{}: this holds.", "{}: the other way round.", "{}: not told apart.", f"{{}}: {_FEW_ON_ONE_SIDE}.")
    return _summed(verdicts, words)


def at_equal_rank(effects: Sequence[CensusEffect], d_head: int) -> str:
    """Whether heads still read better than what has as many dimensions: the MLP's neurons, or else the embedding.

    Example: "OV write: better than 64 neurons of the MLP drawn at random. QK key: worse than 64 neurons …"
    """
    by_pair = {(effect.group, effect.other): effect.difference for effect in effects}
    pairs, other = [pair for pair in EQUAL if pair in by_pair], f"{d_head} neurons of the MLP drawn at random"
    if not pairs:
        pairs, other = list(by_pair), f"the embedding in {d_head} dimensions drawn at random"
    words = Verdicts(
        f"{{}}: better than {other}.",
        f"{{}}: worse than {other}.",
        f"{{}}: not told apart from {other}.",
        f"{{}}: {_FEW_ON_ONE_SIDE}.",
    )
    return _summed({NAMES[pair[0]]: _verdict(by_pair[pair]) for pair in pairs}, words)


def beside_random(kinds: Sequence[CensusKind]) -> str:
    """Which kinds read better than random directions."""
    words = Verdicts(
        "Better than random directions: {}.",
        "Worse than random directions: {}.",
        "Not told apart from random directions: {}.",
        f"{{}}: {_few_each(kinds)}.",
        "Not told apart but by the mean, which few rays move: {}.",
    )
    return _summed({NAMES[kind.group]: _beside(kind) for kind in kinds}, words)


def of_early(kinds: Sequence[CensusKind]) -> str:
    """Where the strongest directions read better than the weakest."""
    unclaimed = f"{{}}: {_few_each([kind for kind in kinds if kind.early])}."
    words = Verdicts("Yes for {}.", "The other way round for {}.", "Not told apart for {}.", unclaimed)
    return _summed({NAMES[kind.group]: _verdict(kind.early) for kind in kinds if kind.early}, words)


def of_later(kinds: Sequence[CensusKind]) -> str:
    """Where later layers read better than early ones."""
    unclaimed = f"{{}}: fewer than {LEAST} matrices in a half of the layers, so nothing is claimed."
    words = Verdicts("Yes for {}.", "The other way round for {}.", "Not told apart for {}.", unclaimed)
    return _summed({NAMES[kind.group]: _verdict(kind.later) for kind in kinds if kind.later}, words)


def compared(effect: CensusEffect, d_head: int) -> str:
    """Whether one kind reads better than another.

    Example: "OV write rays read better than MLP out rays by 0.42 (0.20 to 0.61) z. Of two rays, one of each, the first
    has the larger z 58.0% (54.0% to 61.0%) of the time."
    """
    first, other = (rays_of(group, d_head) for group in (effect.group, effect.other))
    estimate = effect.difference
    verdict = _verdict(estimate)
    if verdict == "unclaimed":
        return (
            f"{_begun(first)} and {other}: a difference of {hundredths(estimate.value)} z. {_begun(_FEW_ON_ONE_SIDE)}."
        )
    if verdict == "open":
        return f"{_begun(first)} and {other} are not told apart: {with_interval(estimate)} z."
    how = "better" if verdict == "more" else "worse"
    by = with_interval(_positive(estimate))
    return f"{_begun(first)} read {how} than {other} by {by} z. {_larger(effect.superiority)}"


def against_random(kind: CensusKind, d_head: int) -> str:
    """How the rays of a kind read beside those of random directions, whose mean z is 0.

    Example: "QK key rays read better than random directions: mean z 0.31 (0.20 to 0.44). Of two rays, one of each, the
    first has the larger z 58.0% (54.0% to 61.0%) of the time. 4.1% have p < .01, where chance has 1%."
    """
    name, shown = _begun(rays_of(kind.group, d_head)), f"mean z {with_interval(kind.mean)}"
    share = f"{kind.readable.value:.1%} have p < .01, where chance has 1%."
    verdict = _beside(kind)
    if verdict == "unclaimed":
        return f"{name}: {shown}. {share} {_begun(_few(kind.n_matrices))}."
    said: dict[Verdict, str] = {
        "more": f"read better than random directions: {shown}.",
        "less": f"read worse than random directions: {shown}.",
        "open": f"are not told apart from random directions: {shown}.",
        "mixed": f"are not told apart from random directions but by the mean, which few rays move: {shown}.",
    }
    return f"{name} {said[verdict]} {_larger(kind.superiority)} {share}"


def early(kind: CensusKind) -> Iterator[str]:
    """Whether the strongest directions of a kind's matrices read better than the weakest."""
    if kind.early is None:
        return
    yield _change(kind, kind.early, "first", "last", "quarter of a matrix's directions", _few(kind.n_matrices))


def later(kind: CensusKind) -> Iterator[str]:
    """Whether a kind's matrices read better in later layers."""
    if kind.later is None:
        return
    few = f"fewer than {LEAST} matrices in a half, so nothing is claimed"
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
    verdict = _verdict(estimate)
    if verdict == "unclaimed":
        return f"{name}: {first} minus {last} {of} {hundredths(estimate.value)} z. {_begun(few)}."
    if verdict == "open":
        return f"{name}: the {first} and the {last} {of} are not told apart, {with_interval(estimate)} z."
    how = "better" if verdict == "more" else "worse"
    return f"{name}: the {first} {of} reads {how} than the {last} by {with_interval(_positive(estimate))} z."


def _summed(verdicts: Mapping[str, Verdict], words: Verdicts) -> str:
    """A sentence for each verdict, with the names under it."""
    names = {verdict: [name for name, own in verdicts.items() if own == verdict] for verdict in get_args(Verdict)}
    said = words._asdict()
    return " ".join(_begun(said[verdict].format(", ".join(own))) for verdict, own in names.items() if own)


def _is_of_size(effect: CensusEffect) -> bool:
    return effect.group.endswith(CUT) or effect.other.endswith(CUT)


def _verdict(estimate: Estimate, middle: float = 0.0, digits: int = 2) -> Verdict:
    if estimate.interval is None:
        return "unclaimed"
    # As it is shown: nobody is to read 0.00 and be told that it is more.
    low, high = (round(end, digits) for end in estimate.interval)
    return "more" if low > middle else "less" if high < middle else "open"


def _beside(kind: CensusKind) -> Verdict:
    """Of a kind beside random directions: a claim only where both their mean and their rays one by one allow it."""
    mean, rays = _verdict(kind.mean), _verdict(kind.superiority, 0.5, 3)
    return mean if mean in {rays, "unclaimed", "open"} else "mixed"


def _positive(estimate: Estimate) -> Estimate:
    """The same the other way round if it is below zero."""
    if estimate.value >= 0 or estimate.interval is None:
        return estimate
    low, high = estimate.interval
    return Estimate(-estimate.value, type(estimate.interval)(-high, -low))


def _few(n: int) -> str:
    return f"{'one matrix' if n == 1 else f'{n} matrices'}, so nothing is claimed"


def _few_each(kinds: Sequence[CensusKind]) -> str:
    """Of all kinds with too few matrices, one or more."""
    numbers = {kind.n_matrices for kind in kinds if kind.n_matrices < LEAST}
    if sum(kind.n_matrices < LEAST for kind in kinds) == 1:
        return _few(*numbers)
    return f"{'one matrix' if numbers == {1} else f'fewer than {LEAST} matrices'} each, so nothing is claimed"


def _larger(superiority: Estimate) -> str:
    return f"Of two rays, one of each, the first has the larger z {as_shares(superiority)} of the time."


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]
