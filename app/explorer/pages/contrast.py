"""The page that compares two places of one kind, of one model or two."""

from dataclasses import dataclass
from typing import Literal

from app.core.address import Sign
from app.explorer.header import Model
from app.explorer.pages.rays import Tokens
from app.explorer.pages.shared import Labelled, LinkedToItself, OfWeights
from app.explorer.serial import AddressText, ForPeople, Numbers
from app.explorer.view import View

Gulf = Literal["", "widths", "models"]


@dataclass(frozen=True, slots=True)
class ContrastPlace(Labelled, OfWeights):
    """One of the two places."""

    address: AddressText
    """The address of the matrix, or of the direction."""
    model: ForPeople[Model]
    view: ForPeople[View]
    gains: tuple[float, ...]
    """Strength of each direction divided by the root mean square of the matrix's strengths."""
    norm: float
    """Frobenius norm of the matrix if its terms are orthogonal."""


@dataclass(frozen=True, slots=True)
class ContrastSpan:
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


@dataclass(frozen=True, slots=True)
class ContrastEnd:
    """One end of two directions, on one side: common tokens, and those of one alone."""

    side: str
    rays: tuple[Sign, Sign]
    both: Tokens
    """Common tokens, with the scores of the first direction."""
    first: Tokens
    """Tokens of the first direction alone."""
    second: Tokens
    n_both: int
    """Common ones of the n_tokens first tokens."""
    n_tokens: int


@dataclass(frozen=True, slots=True)
class Match:
    """Two directions that were matched."""

    first: AddressText
    second: AddressText
    cosine: float | None
    """Mean cosine over the sides in the residual stream, with one sign for all; None without a common space."""
    cosines: Numbers
    """Cosine of each side."""
    ends: tuple[ContrastEnd, ...]


@dataclass(frozen=True, slots=True)
class ContrastPage(LinkedToItself):
    """Two places of one kind side by side."""

    a: str
    """The first place, as it was asked for."""
    b: str
    """The second place, as it was asked for."""
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
    """Why the two may have no common space: `widths`, or `models` of one width; else empty."""
