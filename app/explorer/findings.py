"""The statistics of a census in sentences that say no more than the intervals allow.

An interval on one side of zero is a finding; one that holds zero tells nothing apart, which is no proof of sameness; no
interval, no claim. Knows no store and no page.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

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
Verdict = Literal["more", "less", "open", "unclaimed"]
UNCLAIMED = f"nothing is claimed, with fewer than {LEAST} matrices"


class Verdicts(NamedTuple):
    """What is said of those numbers that lie above 0, below it, about it, or that have no interval."""

    more: str
    less: str
    open: str
    unclaimed: str


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

    Example: "The order QK and OV > MLP > embeddings holds for OV (write) > MLP; is the other way round for …"
    """
    by_pair = {(effect.group, effect.other): effect.difference for effect in effects}
    steps = {step: by_pair[group, other] for step, group, other in STEPS if (group, other) in by_pair}
    words = Verdicts(
        "holds for {}",
        "is the other way round for {}",
        "is open, as the interval holds 0, for {}",
        f"cannot be claimed, with fewer than {LEAST} matrices on one side, for {{}}",
    )
    return f"The order QK and OV > MLP > embeddings {_summed(steps, words)}."


def at_equal_rank(effects: Sequence[CensusEffect], d_head: int) -> str:
    """Whether heads still read better than an MLP where both have as many dimensions.

    Example: "Beside 64 neurons of the MLP drawn at random, heads read better, too: OV write; worse: QK key."
    """
    by_pair = {(effect.group, effect.other): effect.difference for effect in effects}
    steps = {NAMES[pair[0]]: by_pair[pair] for pair in EQUAL if pair in by_pair}
    words = Verdicts("better, too: {}", "worse: {}", "not told apart: {}", f"{UNCLAIMED}: {{}}")
    return f"Beside {d_head} neurons of the MLP drawn at random, heads read {_summed(steps, words)}."


def beside_random(kinds: Sequence[CensusKind]) -> str:
    """Which kinds read better than random directions."""
    words = Verdicts("better: {}", "worse: {}", "not told apart from them: {}", f"{UNCLAIMED}, of {{}}")
    return f"Beside random directions read {_summed({NAMES[kind.group]: kind.mean for kind in kinds}, words)}."


def of_early(kinds: Sequence[CensusKind]) -> str:
    """Where the strongest directions read better than the weakest."""
    words = Verdicts("yes for {}", "the other way round for {}", "not told apart for {}", f"{UNCLAIMED}, for {{}}")
    return _begun(f"{_summed({NAMES[kind.group]: kind.early for kind in kinds if kind.early}, words)}.")


def of_later(kinds: Sequence[CensusKind]) -> str:
    """Where later layers read better than early ones."""
    words = Verdicts("yes for {}", "the other way round for {}", "not told apart for {}", f"{UNCLAIMED}, for {{}}")
    return _begun(f"{_summed({NAMES[kind.group]: kind.later for kind in kinds if kind.later}, words)}.")


def compared(effect: CensusEffect, d_head: int) -> str:
    """Whether one kind reads better than another.

    Example: "OV write rays read better than MLP out rays by 0.42 (0.20 to 0.61) z; of two rays, one of each, the first
    has the larger z 58% (54% to 61%) of the time."
    """
    first, other = (rays_of(group, d_head) for group in (effect.group, effect.other))
    estimate = effect.difference
    verdict = _verdict(estimate)
    if verdict == "unclaimed":
        return f"{_begun(first)} and {other}: {hundredths(estimate.value)} z apart, but {_too_few()}."
    if verdict == "open":
        return f"{_begun(first)} and {other} are not told apart: {with_interval(estimate)} z."
    chance = f"of two rays, one of each, the first has the larger z {as_shares(effect.superiority)} of the time"
    how = "better" if verdict == "more" else "worse"
    return f"{_begun(first)} read {how} than {other} by {with_interval(_positive(estimate))} z; {chance}."


def against_random(kind: CensusKind, d_head: int) -> str:
    """How the rays of a kind read beside those of random directions, whose mean z is 0.

    Example: "QK key rays read better than random directions: mean z 0.31 (0.20 to 0.44), 4.1% of them at p < .01, where
    chance has 1%."
    """
    name, estimate = _begun(rays_of(kind.group, d_head)), kind.mean
    share = f"{kind.readable.value:.1%} of them at p < .01, where chance has 1%"
    verdict = _verdict(estimate)
    if verdict == "unclaimed":
        return f"{name}: mean z {hundredths(estimate.value)}, {share}, but {_too_few(kind.n_matrices)}."
    if verdict == "open":
        return f"{name} are not told apart from random directions: mean z {with_interval(estimate)}, {share}."
    how = "better" if verdict == "more" else "worse"
    return f"{name} read {how} than random directions: mean z {with_interval(estimate)}, {share}."


def early(kind: CensusKind) -> Iterator[str]:
    """Whether the strongest directions of a kind's matrices read better than the weakest."""
    if kind.early is None:
        return
    yield _change(kind, kind.early, "first", "last", "quarter of a matrix's directions", kind.n_matrices)


def later(kind: CensusKind) -> Iterator[str]:
    """Whether a kind's matrices read better in later layers."""
    if kind.later is None:
        return
    yield _change(kind, kind.later, "later", "first", "half of the layers")


def with_interval(estimate: Estimate) -> str:
    """The number, and where it lies.

    Example: with_interval(Estimate(0.42, Interval(0.2, 0.61))) -> "0.42 (0.20 to 0.61)"
    """
    if estimate.interval is None:
        return hundredths(estimate.value)
    return f"{hundredths(estimate.value)} ({hundredths(estimate.interval.low)} to {hundredths(estimate.interval.high)})"


def as_shares(estimate: Estimate) -> str:
    """The same of a share of one.

    Example: as_shares(Estimate(0.58, Interval(0.54, 0.61))) -> "58% (54% to 61%)"
    """
    interval = estimate.interval
    return f"{estimate.value:.0%}" + (f" ({interval.low:.0%} to {interval.high:.0%})" if interval else "")


def hundredths(value: float) -> str:
    """With two decimals, and a minus sign as wide as a digit; never minus nothing."""
    shown = f"{value:.2f}"
    return "0.00" if shown == "-0.00" else shown.replace("-", "−")


def _change(kind: CensusKind, estimate: Estimate, first: str, last: str, of: str, n: int | None = None) -> str:
    name = _begun(NAMES[kind.group])
    verdict = _verdict(estimate)
    if verdict == "unclaimed":
        return f"{name}: {first} minus {last} {of} {hundredths(estimate.value)} z, but {_too_few(n)}."
    if verdict == "open":
        return f"{name}: the {first} and the {last} {of} are not told apart, {with_interval(estimate)} z."
    how = "better" if verdict == "more" else "worse"
    return f"{name}: the {first} {of} reads {how} than the {last} by {with_interval(_positive(estimate))} z."


def _summed(estimates: Mapping[str, Estimate], words: Verdicts) -> str:
    """The names under the verdicts on their numbers."""
    names: dict[Verdict, list[str]] = {}
    for name, estimate in estimates.items():
        names.setdefault(_verdict(estimate), []).append(name)
    said = words._asdict()
    return "; ".join(said[verdict].format(", ".join(names[verdict])) for verdict in said if verdict in names)


def _is_of_size(effect: CensusEffect) -> bool:
    return effect.group.endswith(CUT) or effect.other.endswith(CUT)


def _verdict(estimate: Estimate) -> Verdict:
    if estimate.interval is None:
        return "unclaimed"
    # As it is shown: nobody is to read 0.00 and be told that it is more.
    low, high = (round(end, 2) for end in estimate.interval)
    return "more" if low > 0 else "less" if high < 0 else "open"


def _positive(estimate: Estimate) -> Estimate:
    """The same the other way round if it is below zero."""
    if estimate.value >= 0 or estimate.interval is None:
        return estimate
    low, high = estimate.interval
    return Estimate(-estimate.value, type(estimate.interval)(-high, -low))


def _too_few(n: int | None = None) -> str:
    if n == 1:
        return "of one matrix: no interval, nothing is claimed"
    count = f"of {n} matrices" if n else f"one side has fewer than {LEAST} matrices"
    return f"{count}: no interval, nothing is claimed"


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]
