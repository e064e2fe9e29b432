"""The statistics of a census in sentences that say no more than the intervals allow.

An interval on one side of zero is a finding; one that holds zero tells nothing apart, which is no proof of sameness; no
interval, no claim. Two kinds are compared by their means and by their single ends: one reads better than the other only
where both say so, and nothing is told apart only where neither does. What is so in some layers is not said of all: each
answer names the depth, as far as there are layers enough. Knows no store and no page.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from app.core.judging.bootstrap import LEAST, Estimate, Interval
from app.core.judging.rays import ALPHA
from app.explorer.groups import CUT, PRINCIPAL, Depth, base_of
from app.explorer.pages.census import CensusDepth, CensusEffect, CensusKind, CensusSpan, EffectDepth, Finding
from app.explorer.reading.census.claims import (
    BETTER,
    DEPTHS,
    Placed,
    Side,
    placed,
    side_of,
    summed,
    verdict_of,
    verdict_of_mean,
)
from app.explorer.reading.census.estimates import as_shares, begun, hundredths, layers_of, listed, with_interval
from app.explorer.reading.census.kinds import NAMES, ends_called
from app.explorer.reading.census.spans import against_span, beside_spans

COMPONENTS = f"embed{PRINCIPAL}"
Part = TypeVar("Part", CensusDepth, EffectDepth)
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
    kinds: Sequence[CensusKind],
    effects: Sequence[CensusEffect],
    spans: Sequence[CensusSpan],
    d_head: int,
    is_whole: bool,
) -> tuple[Finding, ...]:
    """The questions that there are numbers for, with answers; those about layers wait until all are read."""
    order = [effect for effect in effects if not _is_of_size(effect)]
    size = [effect for effect in effects if _is_of_size(effect)]
    whole = [kind for kind in kinds if not kind.is_cut]
    found = (
        Finding("order", prediction(order), tuple(compared(effect, d_head) for effect in order)),
        Finding("size", at_equal_rank(size, d_head), tuple(compared(effect, d_head) for effect in size)),
        Finding("span", beside_spans(spans), tuple(against_span(span) for span in spans)),
        Finding("random", beside_random(whole), tuple(against_random(kind, d_head) for kind in kinds)),
        Finding("rank", of_early(whole), tuple(text for kind in whole for text in early(kind))),
        Finding("components", of_components(kinds), tuple(text for kind in kinds for text in tenths(kind))),
        Finding("layers", of_later(whole), tuple(text for kind in whole for text in later(kind)) if is_whole else ()),
    )
    return tuple(each for each in found if each.answer and each.evidence)


def prediction(effects: Sequence[CensusEffect]) -> str:
    """How the predicted order does here, step by step.

    Example: "OV (write) > MLP: this holds. QK (key) > MLP: the other way round in the last fifth of layers alone (in the
    middle layers not told apart)."
    """
    verdicts = _by_pair(effects)
    words: dict[Side, str] = {
        "more": "this holds",
        "less": "the other way round",
        "open": "not told apart",
        "unclaimed": _FEW_ON_ONE_SIDE,
    }
    steps = {step: verdicts[group, other] for step, group, other in STEPS if (group, other) in verdicts}
    return summed(steps, words, words)


def at_equal_rank(effects: Sequence[CensusEffect], d_head: int) -> str:
    """Whether heads still read better than what has as many dimensions: the MLP's neurons, or else the embedding.

    Example: "OV write: better than 64 neurons of the MLP drawn at random. QK key: worse than 64 neurons …"
    """
    verdicts = _by_pair(effects)
    pairs, other = [pair for pair in EQUAL if pair in verdicts], f"{d_head} neurons of the MLP drawn at random"
    if not pairs:
        pairs, other = list(verdicts), f"the embedding in {d_head} dimensions drawn at random"
    words: dict[Side, str] = {
        "more": f"better than {other}",
        "less": f"worse than {other}",
        "open": f"not told apart from {other}",
        "unclaimed": _FEW_ON_ONE_SIDE,
    }
    return summed({NAMES[pair[0]]: verdicts[pair] for pair in pairs}, words, beside=f" beside {other}")


def beside_random(kinds: Sequence[CensusKind]) -> str:
    """Which kinds read better than random directions; of the others, those with more readable ends than chance has.

    Example: "OV write: better than random directions. MLP in: not told apart from random directions. Of MLP in, more ends
    have p < .01 than chance gives."
    """
    words: dict[Side, str] = {
        "more": "better than random directions",
        "less": "worse than random directions",
        "open": "not told apart from random directions",
        "unclaimed": _few_each([kind.mean for kind in kinds]),
    }
    verdicts = {
        NAMES[kind.group]: placed(
            verdict_of(kind.mean, kind.superiority),
            ((part.depth, verdict_of(part.mean, part.superiority)) for part in kind.depths),
        )
        for kind in kinds
    }
    said = summed(verdicts, words, beside=" beside random directions")
    # A few rays that stand far out need not move the mean, nor the odds of a single ray.
    some = [
        NAMES[kind.group] + where
        for kind in kinds
        if verdicts[NAMES[kind.group]].whole != BETTER and (where := _more_than_chance(kind)) is not None
    ]
    return said + (f" Of {', '.join(some)}, more ends have p < .01 than chance gives." if some else "")


def of_early(kinds: Sequence[CensusKind]) -> str:
    """Where the strongest directions read better than the weakest."""
    estimates = {NAMES[kind.group]: kind.early for kind in kinds if kind.early}
    depths = {NAMES[kind.group]: [(part.depth, part.early) for part in kind.depths if part.early] for kind in kinds}
    return _of_means(estimates, _few_each(list(estimates.values())), depths)


def of_later(kinds: Sequence[CensusKind]) -> str:
    """Where later layers read better than early ones."""
    few = f"fewer than {LEAST} layers in a half, so nothing is claimed"
    said = _of_means({NAMES[kind.group]: kind.later for kind in kinds if kind.later}, few, {})
    return " ".join(filter(None, (said, by_depth(kinds))))


def of_components(kinds: Sequence[CensusKind]) -> str:
    """Whether the embedding's early principal components read, and its late ones; empty where none was judged.

    Example: "More of the late ones do: of the first tenth of them 1.7%, of the last 25.9% of the ends have p < .01, where
    chance has 1%. Mean z of the first quarter minus that of the last is −3.12. One matrix, so nothing is claimed of others."
    """
    kind = next((kind for kind in kinds if kind.group == COMPONENTS), None)
    shares = [share for share in kind.readable_by_rank if share is not None] if kind else []
    if kind is None or len(shares) < 2:
        return ""
    early = (
        f" Mean z of the first quarter minus that of the last is {hundredths(kind.early.value)}." if kind.early else ""
    )
    first, last = (f"{share:.1%}" for share in (shares[0], shares[-1]))
    more = (
        "As many do of both"
        if first == last
        else f"More of the {'early' if shares[0] > shares[-1] else 'late'} ones do"
    )
    return (
        f"{more}: of the first tenth of them {first}, of the last {last} of the ends have p < .01, where chance "
        f"has 1%.{early} One matrix, so nothing is claimed of others."
    )


def tenths(kind: CensusKind) -> Iterator[str]:
    """Readable ends by tenths of rank, of the embedding's principal components and of its singular directions."""
    if kind.group in {COMPONENTS, base_of(COMPONENTS)}:
        shares = ("–" if share is None else f"{100 * share:.1f}" for share in kind.readable_by_rank)
        yield f"{begun(NAMES[kind.group])}: p < .01 in each tenth, the strongest first: {', '.join(shares)}%."


def beyond_control(kind: CensusKind, d_head: int) -> str:
    """Why none of a kind's ends can be shown to be no false discovery.

    Example: "None can be shown with 4,000 random ends: p is never below 1 in 4,001, so of the 34,522 QK key ends 87 must
    stand there before any is found at a false discovery rate of 10%; 12 do."
    """
    return (
        f"None can be shown with {kind.n_control:,} random ends: p is never below 1 in {kind.n_control + 1:,}, so of the "
        f"{kind.n_rays:,} {ends_called(kind.group, d_head)} {kind.n_needed:,} must stand there before any is found at a "
        f"false discovery rate of 10%; {kind.n_at_floor:,} do."
    )


def by_depth(kinds: Sequence[CensusKind]) -> str:
    """Where in the model readable ends stand; empty where no kind has all depths.

    Example: "Ends with p < .01 in layer 0, layers 1–23 and layers 24–29: OV write 3.6%, 2.5% and 21.6%."
    """
    whole = [kind for kind in kinds if len(kind.depths) == len(DEPTHS)]
    if not whole:
        return ""
    places = listed([layers_of(part.layers) for part in whole[0].depths])
    shares = (f"{NAMES[kind.group]} {listed([f'{part.readable.value:.1%}' for part in kind.depths])}" for kind in whole)
    return f"Ends with p < .01 in {places}: {'; '.join(shares)}."


def compared(effect: CensusEffect, d_head: int) -> str:
    """Whether one kind reads better than another.

    Example: "OV write ends read better than MLP out ends by 0.42 (0.20 to 0.61) z. Of two ends, one of each, the first
    has the larger z 58.0% (54.0% to 61.0%) of the time."
    """
    first, other = (ends_called(group, d_head) for group in (effect.group, effect.other))
    estimate, verdict = effect.difference, verdict_of(effect.difference, effect.superiority)
    if verdict.mean == "unclaimed":
        return f"{begun(first)} and {other}: a difference of {hundredths(estimate.value)} z. {begun(_FEW_ON_ONE_SIDE)}."
    if verdict.mixed:
        said = f"{first} beside {other}: {verdict.mixed}. Difference of the means {with_interval(estimate)} z."
    elif verdict.mean == "open":
        said = f"{first} and {other} are not told apart: {with_interval(estimate)} z."
    else:
        how = "better" if verdict.mean == "more" else "worse"
        said = f"{first} read {how} than {other} by {with_interval(_positive(estimate))} z."
    depths = _at_depths(effect.depths, lambda part: f"{with_interval(part.difference)} z, {_odds(part.superiority)}")
    return f"{begun(said)} {_larger(effect.superiority)}{depths}"


def against_random(kind: CensusKind, d_head: int) -> str:
    """How the rays of a kind read beside those of random directions, whose mean z is 0.

    Example: "QK key ends read better than random directions: mean z 0.31 (0.20 to 0.44). Of two ends, one of each, the
    first has the larger z 58.0% (54.0% to 61.0%) of the time. 4.1% (3.0% to 5.2%) have p < .01, where chance has 1%."
    """
    name, shown = begun(ends_called(kind.group, d_head)), f"mean z {with_interval(kind.mean)}"
    share = f"{as_shares(kind.readable)} have p < .01, where chance has 1%."
    if kind.is_beyond_control:
        share += f" {beyond_control(kind, d_head)}"
    verdict = verdict_of(kind.mean, kind.superiority)
    if verdict.mean == "unclaimed":
        return f"{name}: {shown}. {share} {begun(_few(kind.mean.n))}.{_at_depths(kind.depths, _numbers)}"
    said: dict[Side, str] = {
        "more": "read better than random directions",
        "less": "read worse than random directions",
        "open": "are not told apart from random directions",
    }
    if verdict.mixed:
        beside = f"{name} beside random directions: {verdict.mixed}. {begun(shown)}."
    else:
        beside = f"{name} {said[verdict.mean]}: {shown}."
    return f"{beside} {_larger(kind.superiority)} {share}{_at_depths(kind.depths, _numbers)}"


def early(kind: CensusKind) -> Iterator[str]:
    """Whether the strongest directions of a kind's matrices read better than the weakest."""
    if kind.early is None:
        return
    said = _change(kind, kind.early, "first", "last", "quarter of a matrix's directions", _few(kind.early.n))
    yield said + _at_depths(kind.depths, lambda part: f"{with_interval(part.early)} z" if part.early else "")


def later(kind: CensusKind) -> Iterator[str]:
    """Whether a kind's matrices read better in later layers."""
    if kind.later is None:
        return
    few = f"fewer than {LEAST} layers in a half, so nothing is claimed"
    yield _change(kind, kind.later, "later", "first", "half of the layers", few)


def _change(kind: CensusKind, estimate: Estimate, first: str, last: str, of: str, few: str) -> str:
    name = begun(NAMES[kind.group])
    verdict = side_of(estimate)
    if verdict == "unclaimed":
        return f"{name}: {first} minus {last} {of} {hundredths(estimate.value)} z. {begun(few)}."
    if verdict == "open":
        return f"{name}: the {first} and the {last} {of} are not told apart, {with_interval(estimate)} z."
    how = "better" if verdict == "more" else "worse"
    return f"{name}: the {first} {of} reads {how} than the {last} by {with_interval(_positive(estimate))} z."


def _is_of_size(effect: CensusEffect) -> bool:
    return effect.group.endswith(CUT) or effect.other.endswith(CUT)


def _by_pair(effects: Sequence[CensusEffect]) -> dict[tuple[str, str], Placed]:
    return {
        (one.group, one.other): placed(
            verdict_of(one.difference, one.superiority),
            ((part.depth, verdict_of(part.difference, part.superiority)) for part in one.depths),
        )
        for one in effects
    }


def _more_than_chance(kind: CensusKind) -> str | None:
    """Where more of the kind's rays are readable than chance gives; None for nowhere.

    Example: " (in the last fifth of layers alone)"; empty where no depth says otherwise.
    """
    sides = {part.depth: side_of(part.readable, ALPHA, 3) for part in kind.depths}
    more = [DEPTHS[depth] for depth, side in sides.items() if side == "more"]
    if side_of(kind.readable, ALPHA, 3) == "more":
        known = [side for side in sides.values() if side != "unclaimed"]
        if len(more) == len(known):
            return ""
        return f" ({' and '.join(more)} alone)" if more else " (over all layers together)"
    return f" ({' and '.join(more)} alone)" if more else None


def _of_means(
    estimates: Mapping[str, Estimate], few: str, depths: Mapping[str, Sequence[tuple[Depth, Estimate]]]
) -> str:
    """Where the mean of one part of a kind's directions is higher than that of another."""
    words: dict[Side, str] = {
        "more": "yes",
        "less": "the other way round",
        "open": "not told apart",
        "unclaimed": few,
    }
    verdicts = {
        name: placed(verdict_of_mean(own), ((depth, verdict_of_mean(part)) for depth, part in depths.get(name, ())))
        for name, own in estimates.items()
    }
    return summed(verdicts, words, words)


def _at_depths(depths: Sequence[Part], say: Callable[[Part], str]) -> str:
    """What is said of each depth, to stand behind what is said of all layers.

    Example: " Layer 0: 0.10 z. Layers 1–23: 0.02 (−0.05 to 0.08) z. Layers 24–29: 0.91 (0.40 to 1.43) z."
    """
    said = ((part, say(part)) for part in depths)
    return "".join(f" {begun(layers_of(part.layers))}: {text}." for part, text in said if text)


def _numbers(part: CensusDepth) -> str:
    return f"mean z {with_interval(part.mean)}, {_odds(part.superiority)}, {as_shares(part.readable)} have p < .01"


def _odds(superiority: Estimate) -> str:
    return f"the first is larger {as_shares(superiority)} of the time"


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
    return f"Of two ends, one of each, the first has the larger z {as_shares(superiority)} of the time."
