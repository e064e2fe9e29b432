"""The words for filters: of directions in a table, and of tokens in a readout."""

from app.explorer.view import Only
from app.models.token_filter import TokenFilter

FILTERS: dict[Only, tuple[str, str]] = {
    "all": ("all directions", ""),
    "readable": ("with a readable end", "have a readable end"),
    "found": ("found at a false discovery rate of 10%", "have an end found at a false discovery rate of 10%"),
    "meaning": ("readable, not by spelling", "have a readable end that is neither so by spelling alone nor letterless"),
    "theme": ("a theme", "have an end that is a theme"),
    "spelling": ("readable by spelling alone", "have an end that is readable by spelling alone"),
    "one-sided": ("one end", "have one readable end on a side"),
    "antipodal": ("both ends", "have two readable ends on a side"),
    "neither": ("no end", "have no readable end on a side"),
    "undetermined": ("can't tell", "have one readable end on a side, whose lead may be chance, or lack a number"),
}
"""Filters of the direction table: as a choice, and as what directions do that pass."""


def describe_token_filter(token_filter: TokenFilter) -> str:
    """Say which tokens pass.

    Example: describe_token_filter(TokenFilter(ascii=True, frequent=500)) -> "ASCII only, without the first 500 ids"
    """
    said = {
        "ASCII only": token_filter.ascii,
        "starts of words only": token_filter.starts,
        "without special and never-trained ones": token_filter.plain,
        f"without the first {token_filter.frequent:,} ids": token_filter.frequent > 1,
        "without the first id": token_filter.frequent == 1,
    }
    return ", ".join(words for words, is_said in said.items() if is_said)
