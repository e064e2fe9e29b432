"""The bases of a matrix side by side."""

from dataclasses import dataclass

from app.core.address import Address, BasisName
from app.explorer.header import Model
from app.explorer.pages.directions import Direction
from app.explorer.view import Choice, Tab, View


@dataclass(frozen=True, slots=True)
class Compared:
    """One basis of a comparison."""

    basis: BasisName
    parameters: tuple[Choice, ...]
    """Of a fit."""
    terms: int
    errors: tuple[float, ...]
    """Relative error of the samples less their mean with 1, 2 … vectors a sample."""
    error: float
    """With as many as the page is about."""
    control: float
    """The same of as many random vectors as the basis has."""
    explained: float
    """Share of the samples less their mean in the span of its first vectors."""
    others: tuple[tuple[Choice, ...], ...]
    """The other fits that are there."""


@dataclass(frozen=True, slots=True)
class Partner:
    """The vector of another basis that comes nearest to a chosen one."""

    basis: BasisName
    address: Address
    parameters: tuple[Choice, ...]
    cosine: float
    """Negative where they point against each other."""
    control: float
    """What 95% of random vectors stay below, in size."""
    direction: Direction | None
    """None where its tokens were not read out yet."""


@dataclass(frozen=True, slots=True)
class ComparePage:
    """The bases of a matrix side by side."""

    address: Address
    """Of the matrix."""
    model: Model
    view: View
    nonzeros: int
    most: int
    first: int
    """Vectors of each basis whose spans are held against each other."""
    firsts: tuple[int, ...]
    """The numbers to choose from."""
    mean_share: float
    """How much of the matrix's squared size is its samples' mean, which is taken out first."""
    bases: tuple[Compared, ...]
    overlaps: tuple[tuple[float, ...], ...]
    """Mean squared cosine of the principal angles, one row a basis."""
    smallest: tuple[tuple[float, ...], ...]
    """The smallest of the cosines."""
    chosen: Direction | None
    """None where its tokens were not read out yet."""
    direction: str
    """`svd/12`."""
    partners: tuple[Partner, ...]
    absent: tuple[Tab, ...]
    """Bases that this matrix has and that nobody has fitted."""
