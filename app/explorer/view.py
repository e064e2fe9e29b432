"""The options that decide a page besides its address: weights, order, filters, parameters. Knows no page and no query
string.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from app.core.address import Address, BasisName
from app.models.token_filter import EVERY, TokenFilter

Processing = Literal["folded", "raw"]

PROCESSINGS: tuple[Processing, ...] = ("folded", "raw")
"""`folded`: what the network computes through its norms. `raw`: the weights as stored."""

End = Literal["read", "write"]
"""The end of the model that a side of the stream is read with."""

StreamSide = Literal["read", "write", "query", "key"]
"""The sides of matrices that are the residual stream."""

Side = Literal["read", "write", "query", "key", "token", "neuron", "position", "head"]
"""The sides of matrices: the residual stream, or what the vector's own entries are."""

Sort = Literal["order", "strength", "weakest", "gap", "closest", "readable", "readable-left", "readable-right"]

SORTS: tuple[Sort, ...] = get_args(Sort)
"""Orders of the direction table: the basis's own, strength falling or rising, gap falling or rising, z of the most
readable ray falling, of both sides or of one."""

Only = Literal[
    "all", "readable", "found", "meaning", "theme", "spelling", "one-sided", "antipodal", "neither", "undetermined"
]

ONLY: tuple[Only, ...] = get_args(Only)
"""Filters of the direction table. A direction passes if one of its sides does: with a ray readable at p < .01; found at
a false discovery rate of 10%; readable, and neither by spelling alone nor without letters; a theme; readable by spelling
alone; or of that class."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter of a basis, and what it could be here."""

    name: str
    value: int
    low: int
    high: int
    default: int


@dataclass(frozen=True, slots=True)
class View:
    """The options of a query string and the choices they had: enough to print every link of the page."""

    weights: Processing
    default_weights: Processing
    sort: Sort = "order"
    page: int = 1
    only: Only = "all"
    find: str = ""
    """Only directions among whose kept tokens this text occurs, case ignored; first those with a token that is the text."""
    distance: int = 0
    """Positions from the query back to the key, for QK of a rotary model."""
    unrotated_layers: tuple[int, ...] = ()
    """Layers beside this one without rotation of queries and keys: links to them lose the distance."""
    basis: BasisName = "svd"
    parameters: tuple[Choice, ...] = ()
    """The parameters of that basis."""
    token_filter: TokenFilter = EVERY
    """The tokens that readouts show, and the score that ranks them."""
    rotated: bool = False
    """Singular directions are compared with random rotations of their span, too."""


@dataclass(frozen=True, slots=True)
class Tab:
    """A basis that a matrix can be seen in."""

    basis: BasisName
    address: Address
    is_fitted: bool
    """The basis is computed on request only, not when its page is opened."""
    is_here: bool = True
    """The tab opens a table: no fit, or one that was computed for this matrix in these weights."""
    fit: tuple["Choice", ...] = ()
    """The parameters of the fit that it opens, where the default fit is missing."""
