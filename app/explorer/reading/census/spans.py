"""Whether a singular direction is more readable than its matrix's span, in sentences that intervals allow.

All directions of a matrix beside random vectors of the same span; its strongest ones beside random vectors weighted by
its singular values. Knows no store and no page.
"""

from collections.abc import Sequence

from app.core.address import CIRCUITS
from app.core.judging.bootstrap import LEAST
from app.explorer.groups import HEADS, SpanPart, matrix_and_side
from app.explorer.pages.census import CensusSpan, SpanShares
from app.explorer.reading.census.claims import KindStanding, Side, placed, side_of, summed
from app.explorer.reading.census.counts import FIRST
from app.explorer.reading.census.estimates import as_points, as_shares, begun, layers_of
from app.explorer.reading.census.kinds import NAMES

STRONGEST = f"ranks 0–{FIRST - 1}"


def beside_spans(spans: Sequence[CensusSpan]) -> str:
    """Where singular directions are more readable than random vectors of their span, and by how much at most.

    Example: "OV write: not told apart from random vectors of the same span. Ranks 0–3 of OV write: more readable than
    random vectors weighted by singular value. OV write in layers 24–29, 2 heads of each drawn: 21.3% of
    singular directions' ends have p < .01, 19.7% of the random vectors'; ranks 0–3: 59.2% against 38.5%."
    """
    said = _answered(spans, "all", "", "random vectors of the same span")
    strongest = _answered(spans, "first", f"{STRONGEST} of ", "random vectors weighted by singular value")
    return " ".join(filter(None, (said, strongest, _most(spans))))


def against_span(span: CensusSpan) -> str:
    """The shares of one kind, over all layers and by depth.

    Example: "OV write: p < .01 have 6.5% (3.7% to 9.9%) of the ends, 6.1% (…) of those of random vectors of the same span:
    0.4 (−0.2 to 1.0) points. Layers 24–29: …"
    """
    if span.among == "all":
        of, others = NAMES[span.group], "random vectors of the same span"
    else:
        of, others = f"{STRONGEST} of {NAMES[span.group]}", "random vectors weighted by singular value"
    one = span.shares
    parts = "".join(f" {begun(_layers(own))}: {_against(own)}, {as_points(own.difference)}." for _, own in span.depths)
    return (
        f"{begun(of)}: p < .01 have {as_shares(one.own)} of the ends, {as_shares(one.random)} of those of {others}: "
        f"{as_points(one.difference)}.{parts}"
    )


def _answered(spans: Sequence[CensusSpan], among: SpanPart, of: str, others: str) -> str:
    words: dict[Side, str] = {
        "more": f"more readable than {others}",
        "less": f"less readable than {others}",
        "open": f"not told apart from {others}",
        "unclaimed": f"fewer than {LEAST} layers, so nothing is claimed",
    }
    short: dict[Side, str] = {"more": "more readable", "less": "less readable", "open": "not told apart"}
    verdicts = {
        NAMES[span.group]: placed(_verdict(span.shares), ((depth, _verdict(own)) for depth, own in span.depths))
        for span in spans
        if span.among == among
    }
    return summed(verdicts, words, short, of=of)


def _most(spans: Sequence[CensusSpan]) -> str:
    """The shares of the kind that has the most readable ends, where it has: in all layers, or at a depth that has enough."""
    shares = {(span.group, span.among): span.parts for span in spans}
    every = [
        (own.own.value, group, at)
        for (group, among), parts in shares.items()
        for at, own in enumerate(parts)
        if among == "all" and own.difference.interval
    ]
    if not every:
        return ""
    _, group, at = max(every)
    first = shares.get((group, "first"), ())
    strongest = f"; {STRONGEST}: {_against(first[at])}" if at < len(first) else ""
    own = shares[group, "all"][at]
    return (
        f"{NAMES[group]} in {_layers(own)}{_drawn(group)}: {own.own.value:.1%} of singular directions' ends have p < .01, "
        f"{own.random.value:.1%} of the random vectors'{strongest}."
    )


def _drawn(group: str) -> str:
    """Which matrices these are, where not all: the same directions have another share where all heads are counted."""
    return f", {HEADS} heads of each drawn" if matrix_and_side(group)[0] in CIRCUITS else ""


def _verdict(shares: SpanShares) -> KindStanding:
    side = side_of(shares.difference, digits=3)
    return KindStanding(side, side)


def _against(shares: SpanShares) -> str:
    return f"{shares.own.value:.1%} against {shares.random.value:.1%}"


def _layers(shares: SpanShares) -> str:
    return "all layers" if shares.layers is None else layers_of(shares.layers)
