"""The page that compares two places of one kind, of one model or two."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.core.address import Address, Sign
from app.explorer.header import Model
from app.explorer.pages.rays import Token
from app.explorer.view import View

Gulf = Literal["", "widths", "models"]


class ContrastPlace(NamedTuple):
    """One of the two places."""

    address: Address
    """The address of the matrix, or of the direction."""
    model: Model
    view: View
    gains: tuple[float, ...]
    """Strength of each direction divided by the root mean square of the matrix's strengths."""
    norm: float
    """Frobenius norm of the matrix if its terms are orthogonal."""


class ContrastSpan(NamedTuple):
    """The spans of both places' first directions, on one side."""

    side: str
    sizes: tuple[int, int]
    cosines: tuple[float, ...]
    """Cosines of the principal angles, falling."""
    random: tuple[float, ...]
    """Cosines of the principal angles of random subspaces of these sizes."""
    share: float
    """Mean squared cosine."""
    chance: float
    """Mean squared cosine of random subspaces."""


class ContrastEnd(NamedTuple):
    """One end of two directions, on one side: common tokens, and those of one alone."""

    side: str
    rays: tuple[Sign, Sign]
    both: tuple[Token, ...]
    """Common tokens, with the scores of the first direction."""
    first: tuple[Token, ...]
    second: tuple[Token, ...]
    n_both: int
    """Common ones of the n_tokens first tokens."""
    n_tokens: int


class Match(NamedTuple):
    """Two directions that were matched."""

    first: Address
    second: Address
    cosine: float | None
    """Mean cosine over the sides in the residual stream, with one sign for all; None without a common space."""
    cosines: tuple[tuple[str, float], ...]
    """Cosine of each side."""
    ends: tuple[ContrastEnd, ...]


@dataclass(frozen=True, slots=True)
class ContrastPage:
    """Two places of one kind side by side."""

    a: str
    b: str
    """The texts that were asked for."""
    first: ContrastPlace | None
    """None where nothing was asked for yet."""
    second: ContrastPlace | None
    spans: tuple[ContrastSpan, ...] = ()
    matches: tuple[Match, ...] = ()
    """Sorted from the most alike."""
    matched: float | None = None
    """Mean size of the matches' cosines."""
    chance: float | None = None
    """Mean size of the cosines of random directions that are matched the same way."""
    apart: Gulf = ""
    """Why the two may have no common space: other widths, or other models of one width; else empty."""
