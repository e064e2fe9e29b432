"""The words for readings of an end, and why a side has none."""

from app.core.judging.rays import Reading
from app.explorer.pages.directions import SideReadout
from app.models.token_filter import TokenFilter

READINGS: dict[Reading, tuple[str, str]] = {
    "theme": ("theme", "a theme"),
    "one word": ("one-word", "one word"),
    "partly spelling": ("partly-spelling", "partly spelling"),
    "spelling": ("spelling", "spelling"),
    "letterless": ("letterless", "letterless"),
}
"""What a readable end is called: its entry in TERMS, and the words; the other readings are not said."""

OWN_ENTRIES = frozenset({"token", "neuron", "position", "head"})
"""Sides that are read by the vector's own entries."""


def why_unjudged(side: SideReadout, token_filter: TokenFilter) -> str:
    """Say why that side of a direction has no judgement.

    Example: of a neuron side "Not judged: these are entries of the vector itself, read with no tokens' vectors."
    """
    if side.side in OWN_ENTRIES:
        return "Not judged: these are entries of the vector itself, read with no tokens' vectors."
    passing = " that pass the filter" if token_filter else ""
    return f"Not judged: too few trained tokens{passing} for a control."
