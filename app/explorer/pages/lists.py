"""A list of places that somebody put together: its link says all of it, and nothing of it is kept."""

from dataclasses import dataclass

from app.core.address import Address, Sign
from app.explorer.header import Model
from app.explorer.pages.rays import Token
from app.explorer.view import View


@dataclass(frozen=True, slots=True)
class ListedEnd:
    """The first tokens of one end of a listed place."""

    name: str
    """What it is: `reads`, `writes`, `OV 0` …"""
    ray: Sign
    tokens: tuple[Token, ...]
    stands_out: bool
    """They are more alike than those of random directions."""


@dataclass(frozen=True, slots=True)
class ListedPlace:
    """One place of a list."""

    spelt: str
    """The place as the link spells it."""
    address: Address
    model: Model
    view: View
    ends: tuple[ListedEnd, ...]
    """Empty where it is not computed yet, or has no tokens."""
    is_here: bool
    """False while it is being computed."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """The places of a list, in its order."""

    title: str
    places: tuple[ListedPlace, ...]
    problem: str
    """What of the link names no place; empty where all does."""
    wrong: tuple[str, ...]
    """What names no place, as it was typed."""
