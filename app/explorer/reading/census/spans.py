"""The findings on singular directions beside their matrix's span: sentences that the intervals allow.

All directions of a matrix are compared with random vectors of the same span, its strongest ones with random vectors
weighted by its singular values. Knows no store and no page.
"""

from collections.abc import Sequence

from app.core.address import CIRCUITS
from app.core.judging.bootstrap import LEAST
from app.explorer.groups import SPAN_HEADS, SpanPart, matrix_and_side
from app.explorer.pages.census import AxesShares, CensusAxes, CensusSpan, SpanShares
from app.explorer.reading.census.claims import KindStanding, Side, join_depths, side_of, summarise_verdicts
from app.explorer.reading.census.counts import FIRST
from app.explorer.reading.census.estimates import as_points, as_shares, capitalise, name_layers
from app.explorer.reading.census.kinds import NAMES

STRONGEST = f"ranks 0–{FIRST - 1}"


def answer_span(spans: Sequence[CensusSpan]) -> str:
    """Answer for which kinds singular directions are more readable than random vectors of their span, and how much.

    Example: "OV write: not told apart from random vectors of the same span. Ranks 0–3 of OV write: more readable than
    random vectors weighted by singular value. OV write in layers 24–29, 2 heads of each drawn: 21.3% of
    singular directions' ends have p < .01, 19.7% of the random vectors'; ranks 0–3: 59.2% against 38.5%."
    """
    said = answer_part(spans, "all", "", "random vectors of the same span")
    strongest = answer_part(spans, "first", f"{STRONGEST} of ", "random vectors weighted by singular value")
    return " ".join(filter(None, (said, strongest, _describe_most(spans))))


def describe_span(span: CensusSpan) -> str:
    """Describe the readable shares of one kind, over all layers and by depth.

    Example: "OV write: p < .01 have 6.5% (3.7% to 9.9%) of the ends, 6.1% (…) of those of random vectors of the same span:
    0.4 (−0.2 to 1.0) points. Layers 24–29: …"
    """
    if span.among == "all":
        of, others = NAMES[span.kind], "random vectors of the same span"
    else:
        of, others = f"{STRONGEST} of {NAMES[span.kind]}", "random vectors weighted by singular value"
    one, *parts = span.shares
    by_depth = "".join(
        f" {capitalise(_name_layers(own))}: {_format_shares(own)}, {as_points(own.difference)}." for own in parts
    )
    return (
        f"{capitalise(of)}: p < .01 have {as_shares(one.directions)} of the ends, {as_shares(one.random)} of those of {others}: "
        f"{as_points(one.difference)}.{by_depth}"
    )


def answer_part(compared: Sequence[CensusSpan | CensusAxes], among: SpanPart, of: str, others: str) -> str:
    """Answer for each kind whether the first vectors of a comparison are more readable than the others, `of` before its name."""
    words: dict[Side, str] = {
        "more": f"more readable than {others}",
        "less": f"less readable than {others}",
        "open": f"not told apart from {others}",
        "unclaimed": f"fewer than {LEAST} layers, so nothing is claimed",
    }
    short: dict[Side, str] = {"more": "more readable", "less": "less readable", "open": "not told apart"}
    verdicts = {
        NAMES[one.kind]: join_depths(
            _judge_shares(one.shares[0]), ((own.depth, _judge_shares(own)) for own in one.shares[1:] if own.depth)
        )
        for one in compared
        if one.among == among
    }
    return summarise_verdicts(verdicts, words, short, of=of)


def _describe_most(spans: Sequence[CensusSpan]) -> str:
    """Describe the shares of the most readable kind, over all layers or at the depth where it has most."""
    shares = {(span.kind, span.among): span.shares for span in spans}
    every = [
        (own.directions.value, group, at)
        for (group, among), parts in shares.items()
        for at, own in enumerate(parts)
        if among == "all" and own.difference.interval
    ]
    if not every:
        return ""
    _, group, at = max(every)
    first = shares.get((group, "first"), ())
    strongest = f"; {STRONGEST}: {_format_shares(first[at])}" if at < len(first) else ""
    own = shares[group, "all"][at]
    return (
        f"{NAMES[group]} in {_name_layers(own)}{_name_draws(group)}: {own.directions.value:.1%} of singular directions' ends have p < .01, "
        f"{own.random.value:.1%} of the random vectors'{strongest}."
    )


def _name_draws(group: str) -> str:
    """Name the heads that were drawn: the share of all heads is another."""
    return f", {SPAN_HEADS} heads of each drawn" if matrix_and_side(group)[0] in CIRCUITS else ""


def _judge_shares(shares: SpanShares | AxesShares) -> KindStanding:
    side = side_of(shares.difference, digits=3)
    return KindStanding(side, side)


def _format_shares(shares: SpanShares) -> str:
    return f"{shares.directions.value:.1%} against {shares.random.value:.1%}"


def _name_layers(shares: SpanShares) -> str:
    return "all layers" if shares.layers is None else name_layers(shares.layers)
