"""An entry of the glossary."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """One entry."""

    name: str
    """As a heading or a label says it."""
    sentence: str
    """What the tooltip says."""
    more: str = ""
    """What the glossary adds: a formula, a source, a trap."""
