"""The findings of a census: sentences that claim no more than the intervals allow.

An interval on one side of zero is a finding; one that holds zero decides nothing, and is no proof of sameness; no
interval, no claim. Two kinds are compared by their means and by single rays: one reads better than the other only
where both say so, and they are "not told apart" only where neither does. What holds in some layers is not claimed of
all: each answer names the depth, as far as there are enough layers. Knows no store and no page.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from app.core.judging.bootstrap import LEAST, Estimate, Interval
from app.core.judging.rays import ALPHA
from app.explorer.groups import CUT, PRINCIPAL, Depth, base_of
from app.explorer.pages.census import (
    CensusAxes,
    CensusComparison,
    CensusDepth,
    CensusKind,
    CensusSpan,
    CensusUse,
    ComparisonDepth,
    Finding,
)
from app.explorer.reading.census.axes import answer_axes, describe_axes
from app.explorer.reading.census.claims import (
    BETTER,
    DEPTHS,
    Placed,
    Side,
    join_depths,
    side_of,
    summarise_verdicts,
    verdict_of,
    verdict_of_mean,
)
from app.explorer.reading.census.estimates import (
    as_shares,
    capitalise,
    format_estimate,
    format_hundredths,
    join_words,
    name_layers,
)
from app.explorer.reading.census.kinds import NAMES, name_ends
from app.explorer.reading.census.spans import answer_span, describe_span
from app.explorer.reading.census.using import answer_use, describe_use

COMPONENTS = f"embed{PRINCIPAL}"
Part = TypeVar("Part", CensusDepth, ComparisonDepth)
_FEW_ON_ONE_SIDE = f"one matrix or fewer than {LEAST} layers on one side, so nothing is claimed"

PREDICTED_STEPS: tuple[tuple[str, str, str], ...] = (
    ("QK (query) > MLP", "qk-query", "mlp-in"),
    ("QK (key) > MLP", "qk-key", "mlp-in"),
    ("OV (read) > MLP", "ov-read", "mlp-in"),
    ("OV (write) > MLP", "ov-write", "mlp-out"),
    ("MLP > unembedding", "mlp-in", "unembed"),
    ("MLP > embedding", "mlp-out", "embed"),
)
"""The prediction QK, OV > MLP > embeddings, for pairs that are read with one table."""


EQUAL_RANK_PAIRS: tuple[tuple[str, str], ...] = (
    ("qk-query", "mlp-in-cut"),
    ("qk-key", "mlp-in-cut"),
    ("ov-read", "mlp-in-cut"),
    ("ov-write", "mlp-out-cut"),
)
"""Matrices of heads, and MLP matrices restricted to as many neurons as a head has dimensions."""


def answer_questions(
    kinds: Sequence[CensusKind],
    comparisons: Sequence[CensusComparison],
    spans: Sequence[CensusSpan],
    uses: Sequence[CensusUse],
    axes: Sequence[CensusAxes],
    d_head: int,
    is_whole: bool,
) -> tuple[Finding, ...]:
    """Answer each question that there are numbers for; the one about layers waits until all are read."""
    order = [comparison for comparison in comparisons if not _is_of_equal_rank(comparison)]
    size = [comparison for comparison in comparisons if _is_of_equal_rank(comparison)]
    kinds = [kind for kind in kinds if not kind.is_of_axes]
    whole = [kind for kind in kinds if not kind.equal_rank]
    found = (
        Finding("order", answer_order(order), tuple(describe_comparison(comparison, d_head) for comparison in order)),
        Finding(
            "size", answer_size(size, d_head), tuple(describe_comparison(comparison, d_head) for comparison in size)
        ),
        Finding("span", answer_span(spans), tuple(describe_span(span) for span in spans)),
        Finding("random", answer_random(whole), tuple(describe_kind(kind, d_head) for kind in kinds)),
        Finding("rank", answer_rank(whole), tuple(text for kind in whole for text in describe_early(kind))),
        Finding("components", answer_components(kinds), tuple(text for kind in kinds for text in list_tenths(kind))),
        Finding(
            "layers",
            answer_layers(whole),
            tuple(text for kind in whole for text in describe_later(kind)) if is_whole else (),
        ),
        Finding("use", answer_use(uses), tuple(filter(None, (describe_use(use, d_head) for use in uses)))),
        Finding("axes", answer_axes(axes), tuple(describe_axes(one) for one in axes)),
    )
    return tuple(each for each in found if each.answer and each.evidence)


def answer_order(comparisons: Sequence[CensusComparison]) -> str:
    """Answer step by step whether the predicted order holds.

    Example: "OV (write) > MLP: this holds. QK (key) > MLP: the other way round in the last fifth of layers alone (in the
    middle layers not told apart)."
    """
    verdicts = _judge_pairs(comparisons)
    words: dict[Side, str] = {
        "more": "this holds",
        "less": "the other way round",
        "open": "not told apart",
        "unclaimed": _FEW_ON_ONE_SIDE,
    }
    steps = {step: verdicts[group, other] for step, group, other in PREDICTED_STEPS if (group, other) in verdicts}
    return summarise_verdicts(steps, words, words)


def answer_size(comparisons: Sequence[CensusComparison], d_head: int) -> str:
    """Answer whether heads read better than matrices of equal rank: the MLP's neurons, or else the embedding.

    Example: "OV write: better than 64 neurons of the MLP drawn at random. QK key: worse than 64 neurons …"
    """
    verdicts = _judge_pairs(comparisons)
    pairs, other = (
        [pair for pair in EQUAL_RANK_PAIRS if pair in verdicts],
        f"{d_head} neurons of the MLP drawn at random",
    )
    if not pairs:
        pairs, other = list(verdicts), f"the embedding in {d_head} dimensions drawn at random"
    words: dict[Side, str] = {
        "more": f"better than {other}",
        "less": f"worse than {other}",
        "open": f"not told apart from {other}",
        "unclaimed": _FEW_ON_ONE_SIDE,
    }
    return summarise_verdicts({NAMES[pair[0]]: verdicts[pair] for pair in pairs}, words, beside=f" beside {other}")


def answer_random(kinds: Sequence[CensusKind]) -> str:
    """Answer which kinds read better than random directions, or at least have more readable ends than chance.

    Example: "OV write: better than random directions. MLP in: not told apart from random directions. Of MLP in, more ends
    have p < .01 than chance gives."
    """
    words: dict[Side, str] = {
        "more": "better than random directions",
        "less": "worse than random directions",
        "open": "not told apart from random directions",
        "unclaimed": _explain_few_each([kind.mean_z for kind in kinds]),
    }
    verdicts = {
        NAMES[kind.kind]: join_depths(
            verdict_of(kind.mean_z, kind.larger_than_random),
            ((part.depth, verdict_of(part.mean_z, part.larger_than_random)) for part in kind.depths),
        )
        for kind in kinds
    }
    said = summarise_verdicts(verdicts, words, beside=" beside random directions")
    # A few outlying rays need not move the mean, nor the odds of a single ray.
    some = [
        NAMES[kind.kind] + where
        for kind in kinds
        if verdicts[NAMES[kind.kind]].whole != BETTER and (where := _name_readable_depths(kind)) is not None
    ]
    return said + (f" Of {', '.join(some)}, more ends have p < .01 than chance gives." if some else "")


def answer_rank(kinds: Sequence[CensusKind]) -> str:
    """Answer for which kinds the strongest directions read better than the weakest."""
    estimates = {NAMES[kind.kind]: kind.first_minus_last for kind in kinds if kind.first_minus_last}
    depths = {
        NAMES[kind.kind]: [(part.depth, part.first_minus_last) for part in kind.depths if part.first_minus_last]
        for kind in kinds
    }
    return _summarise_means(estimates, _explain_few_each(list(estimates.values())), depths)


def answer_layers(kinds: Sequence[CensusKind]) -> str:
    """Answer for which kinds later layers read better than early ones."""
    few = f"fewer than {LEAST} layers in a half, so nothing is claimed"
    said = _summarise_means(
        {NAMES[kind.kind]: kind.later_minus_first for kind in kinds if kind.later_minus_first}, few, {}
    )
    return " ".join(filter(None, (said, list_depths(kinds))))


def answer_components(kinds: Sequence[CensusKind]) -> str:
    """Answer whether the embedding's early or late principal components are readable; empty where none was judged.

    Example: "More of the late ones do: of the first tenth of them 1.7%, of the last 25.9% of the ends have p < .01, where
    chance has 1%. Mean z of the first quarter minus that of the last is −3.12. One matrix, so nothing is claimed of others."
    """
    kind = next((kind for kind in kinds if kind.kind == COMPONENTS), None)
    shares = [share for share in kind.readable_by_rank if share is not None] if kind else []
    if kind is None or len(shares) < 2:
        return ""
    early = (
        f" Mean z of the first quarter minus that of the last is {format_hundredths(kind.first_minus_last.value)}."
        if kind.first_minus_last
        else ""
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


def list_tenths(kind: CensusKind) -> Iterator[str]:
    """List the readable share of each tenth of rank, for the embedding's principal and singular directions."""
    if kind.kind in {COMPONENTS, base_of(COMPONENTS)}:
        shares = ("–" if share is None else f"{100 * share:.1f}" for share in kind.readable_by_rank)
        yield f"{capitalise(NAMES[kind.kind])}: p < .01 in each tenth, the strongest first: {', '.join(shares)}%."


def explain_floor(kind: CensusKind, d_head: int) -> str:
    """Explain why the control is too small to show any of a kind's rays to be no false discovery.

    Example: "None can be shown with 4,000 random ends: p is never below 1 in 4,001, so of the 34,522 QK key ends 87 must
    stand there before any is found at a false discovery rate of 10%; 12 do."
    """
    return (
        f"None can be shown with {kind.controls:,} random ends: p is never below 1 in {kind.controls + 1:,}, so of the "
        f"{kind.rays:,} {name_ends(kind.kind, d_head)} {kind.needed_at_floor:,} must stand there before any is found at a "
        f"false discovery rate of 10%; {kind.at_floor:,} do."
    )


def list_depths(kinds: Sequence[CensusKind]) -> str:
    """List the readable share at each depth; empty where no kind has all depths.

    Example: "Ends with p < .01 in layer 0, layers 1–23 and layers 24–29: OV write 3.6%, 2.5% and 21.6%."
    """
    whole = [kind for kind in kinds if len(kind.depths) == len(DEPTHS)]
    if not whole:
        return ""
    places = join_words([name_layers(part.layers) for part in whole[0].depths])
    shares = (
        f"{NAMES[kind.kind]} {join_words([f'{part.readable.value:.1%}' for part in kind.depths])}" for kind in whole
    )
    return f"Ends with p < .01 in {places}: {'; '.join(shares)}."


def describe_comparison(comparison: CensusComparison, d_head: int) -> str:
    """Describe whether one kind reads better than another, with the numbers.

    Example: "OV write ends read better than MLP out ends by 0.42 (0.20 to 0.61) z. Of two ends, one of each, the first
    has the larger z 58.0% (54.0% to 61.0%) of the time."
    """
    first, other = (name_ends(group, d_head) for group in (comparison.first, comparison.second))
    estimate, verdict = comparison.difference, verdict_of(comparison.difference, comparison.superiority)
    if verdict.mean == "unclaimed":
        return f"{capitalise(first)} and {other}: a difference of {format_hundredths(estimate.value)} z. {capitalise(_FEW_ON_ONE_SIDE)}."
    if verdict.mixed:
        said = f"{first} beside {other}: {verdict.mixed}. Difference of the means {format_estimate(estimate)} z."
    elif verdict.mean == "open":
        said = f"{first} and {other} are not told apart: {format_estimate(estimate)} z."
    else:
        how = "better" if verdict.mean == "more" else "worse"
        said = f"{first} read {how} than {other} by {format_estimate(_make_positive(estimate))} z."
    depths = _describe_depths(
        comparison.depths, lambda part: f"{format_estimate(part.difference)} z, {_format_odds(part.superiority)}"
    )
    return f"{capitalise(said)} {_describe_superiority(comparison.superiority)}{depths}"


def describe_kind(kind: CensusKind, d_head: int) -> str:
    """Describe how a kind's rays compare with those of random directions, whose mean z is 0.

    Example: "QK key ends read better than random directions: mean z 0.31 (0.20 to 0.44). Of two ends, one of each, the
    first has the larger z 58.0% (54.0% to 61.0%) of the time. 4.1% (3.0% to 5.2%) have p < .01, where chance has 1%."
    """
    name, shown = capitalise(name_ends(kind.kind, d_head)), f"mean z {format_estimate(kind.mean_z)}"
    share = f"{as_shares(kind.readable)} have p < .01, where chance has 1%."
    if kind.is_beyond_control:
        share += f" {explain_floor(kind, d_head)}"
    verdict = verdict_of(kind.mean_z, kind.larger_than_random)
    if verdict.mean == "unclaimed":
        return f"{name}: {shown}. {share} {capitalise(_explain_few(kind.mean_z.n))}.{_describe_depths(kind.depths, _format_numbers)}"
    said: dict[Side, str] = {
        "more": "read better than random directions",
        "less": "read worse than random directions",
        "open": "are not told apart from random directions",
    }
    if verdict.mixed:
        beside = f"{name} beside random directions: {verdict.mixed}. {capitalise(shown)}."
    else:
        beside = f"{name} {said[verdict.mean]}: {shown}."
    return f"{beside} {_describe_superiority(kind.larger_than_random)} {share}{_describe_depths(kind.depths, _format_numbers)}"


def describe_early(kind: CensusKind) -> Iterator[str]:
    """Describe whether a kind's strongest directions read better than its weakest; nothing without an estimate."""
    if kind.first_minus_last is None:
        return
    said = _describe_change(
        kind,
        kind.first_minus_last,
        "first",
        "last",
        "quarter of a matrix's directions",
        _explain_few(kind.first_minus_last.n),
    )
    yield said + _describe_depths(
        kind.depths, lambda part: f"{format_estimate(part.first_minus_last)} z" if part.first_minus_last else ""
    )


def describe_later(kind: CensusKind) -> Iterator[str]:
    """Describe whether a kind reads better in later layers; nothing without an estimate."""
    if kind.later_minus_first is None:
        return
    few = f"fewer than {LEAST} layers in a half, so nothing is claimed"
    yield _describe_change(kind, kind.later_minus_first, "later", "first", "half of the layers", few)


def _describe_change(kind: CensusKind, estimate: Estimate, first: str, last: str, of: str, few: str) -> str:
    name = capitalise(NAMES[kind.kind])
    verdict = side_of(estimate)
    if verdict == "unclaimed":
        return f"{name}: {first} minus {last} {of} {format_hundredths(estimate.value)} z. {capitalise(few)}."
    if verdict == "open":
        return f"{name}: the {first} and the {last} {of} are not told apart, {format_estimate(estimate)} z."
    how = "better" if verdict == "more" else "worse"
    return f"{name}: the {first} {of} reads {how} than the {last} by {format_estimate(_make_positive(estimate))} z."


def _is_of_equal_rank(comparison: CensusComparison) -> bool:
    return comparison.first.endswith(CUT) or comparison.second.endswith(CUT)


def _judge_pairs(comparisons: Sequence[CensusComparison]) -> dict[tuple[str, str], Placed]:
    return {
        (one.first, one.second): join_depths(
            verdict_of(one.difference, one.superiority),
            ((part.depth, verdict_of(part.difference, part.superiority)) for part in one.depths),
        )
        for one in comparisons
    }


def _name_readable_depths(kind: CensusKind) -> str | None:
    """Name the depths where more of a kind's rays are readable than by chance; None if there are none.

    Example: " (in the last fifth of layers alone)"; empty if it holds at every depth.
    """
    sides = {part.depth: side_of(part.readable, ALPHA, 3) for part in kind.depths}
    more = [DEPTHS[depth] for depth, side in sides.items() if side == "more"]
    if side_of(kind.readable, ALPHA, 3) == "more":
        known = [side for side in sides.values() if side != "unclaimed"]
        if len(more) == len(known):
            return ""
        return f" ({' and '.join(more)} alone)" if more else " (over all layers together)"
    return f" ({' and '.join(more)} alone)" if more else None


def _summarise_means(
    estimates: Mapping[str, Estimate], few: str, depths: Mapping[str, Sequence[tuple[Depth, Estimate]]]
) -> str:
    """Sum up for which kinds a difference of means is above zero."""
    words: dict[Side, str] = {
        "more": "yes",
        "less": "the other way round",
        "open": "not told apart",
        "unclaimed": few,
    }
    verdicts = {
        name: join_depths(
            verdict_of_mean(own), ((depth, verdict_of_mean(part)) for depth, part in depths.get(name, ()))
        )
        for name, own in estimates.items()
    }
    return summarise_verdicts(verdicts, words, words)


def _describe_depths(depths: Sequence[Part], say: Callable[[Part], str]) -> str:
    """Append what `say` makes of each depth to the sentence about all layers.

    Example: " Layer 0: 0.10 z. Layers 1–23: 0.02 (−0.05 to 0.08) z. Layers 24–29: 0.91 (0.40 to 1.43) z."
    """
    said = ((part, say(part)) for part in depths)
    return "".join(f" {capitalise(name_layers(part.layers))}: {text}." for part, text in said if text)


def _format_numbers(part: CensusDepth) -> str:
    return f"mean z {format_estimate(part.mean_z)}, {_format_odds(part.larger_than_random)}, {as_shares(part.readable)} have p < .01"


def _format_odds(superiority: Estimate) -> str:
    return f"the first is larger {as_shares(superiority)} of the time"


def _make_positive(estimate: Estimate) -> Estimate:
    """Flip the sign of an estimate below zero, and of its interval."""
    if estimate.value >= 0 or estimate.interval is None:
        return estimate
    low, high = estimate.interval
    return estimate._replace(value=-estimate.value, interval=Interval(-high, -low))


def _explain_few(n: int) -> str:
    return f"{'one matrix' if n == 1 else f'matrices of {n} layers'}, so nothing is claimed"


def _explain_few_each(estimates: Sequence[Estimate]) -> str:
    """Explain why nothing is claimed of the estimates without an interval."""
    numbers = [estimate.n for estimate in estimates if estimate.interval is None]
    if len(numbers) == 1:
        return _explain_few(*numbers)
    few = "one matrix" if set(numbers) == {1} else f"fewer than {LEAST} layers"
    return f"{few} each, so nothing is claimed"


def _describe_superiority(superiority: Estimate) -> str:
    return f"Of two ends, one of each, the first has the larger z {as_shares(superiority)} of the time."
