"""Two places of one kind side by side, also of two models."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.core.address import Address, Sign
from app.explorer.header import Model
from app.explorer.pages.rays import Token
from app.explorer.view import View

Gulf = Literal["", "widths", "models"]


class ContrastPlace(NamedTuple):
    """One of two places that stand side by side."""

    address: Address
    """Of the matrix, or of the direction."""
    model: Model
    view: View
    gains: tuple[float, ...]
    """Of all directions: strength divided by the root mean square of the matrix's strengths."""
    norm: float
    """Frobenius norm of the matrix, as far as its terms are orthogonal."""


class ContrastSpan(NamedTuple):
    """One side of both: the spans of their first directions."""

    side: str
    sizes: tuple[int, int]
    cosines: tuple[float, ...]
    """Of the principal angles, falling."""
    random: tuple[float, ...]
    """The same of random subspaces of those sizes."""
    share: float
    """Mean squared cosine."""
    chance: float
    """That of random subspaces."""


class ContrastEnd(NamedTuple):
    """One end of two directions, on one side: tokens of both, and of one alone."""

    side: str
    rays: tuple[Sign, Sign]
    both: tuple[Token, ...]
    """With the scores of the first."""
    first: tuple[Token, ...]
    second: tuple[Token, ...]
    n_both: int
    """Of so many first tokens."""
    n_tokens: int


class Match(NamedTuple):
    """Two directions that were matched."""

    first: Address
    second: Address
    cosine: float | None
    """Mean over the sides that are the stream's, with one sign for all; None where the two have no space in common."""
    cosines: tuple[tuple[str, float], ...]
    """By side."""
    ends: tuple[ContrastEnd, ...]


@dataclass(frozen=True, slots=True)
class ContrastPage:
    """Two places of one kind side by side."""

    a: str
    b: str
    """As they were asked for."""
    first: ContrastPlace | None
    """None where nothing was asked for yet."""
    second: ContrastPlace | None
    spans: tuple[ContrastSpan, ...] = ()
    matches: tuple[Match, ...] = ()
    """The most alike first."""
    matched: float | None = None
    """Mean of all cosines, sizes alone."""
    chance: float | None = None
    """That of random directions that are matched the same way."""
    apart: Gulf = ""
    """Two widths have no angles between them; two models of one width need not have one space."""
