"""The page that compares the bases of a matrix."""

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
    """Parameters of a fit."""
    terms: int
    errors: tuple[float, ...]
    """Relative error of the samples less their mean with 1, 2 … vectors a sample."""
    error: float
    """Relative error with `nonzeros` vectors a sample."""
    control: float
    """Relative error with as many random vectors as the basis has."""
    explained: float
    """Share of the samples less their mean in the span of its first vectors."""
    others: tuple[tuple[Choice, ...], ...]
    """Other computed fits."""


@dataclass(frozen=True, slots=True)
class Partner:
    """The vector of another basis that comes nearest to a chosen one."""

    basis: BasisName
    address: Address
    parameters: tuple[Choice, ...]
    cosine: float
    """Negative where they point against each other."""
    control: float
    """The 95th percentile of the cosine's size for random vectors."""
    direction: Direction | None
    """None where its decomposition is not in the store."""


@dataclass(frozen=True, slots=True)
class ComparePage:
    """The bases of a matrix side by side."""

    address: Address
    """The matrix's address."""
    model: Model
    view: View
    nonzeros: int
    most: int
    first: int
    """First vectors of each basis whose spans are compared."""
    firsts: tuple[int, ...]
    """Values of `first` to choose from."""
    mean_share: float
    """Share of the matrix's squared norm that is its samples' mean, which is subtracted first."""
    bases: tuple[Compared, ...]
    overlaps: tuple[tuple[float, ...], ...]
    """Mean squared cosine of the principal angles, one row a basis."""
    smallest: tuple[tuple[float, ...], ...]
    """Smallest cosine of the principal angles, one row a basis."""
    chosen: Direction | None
    """None where its decomposition is not in the store."""
    direction: str
    """The chosen direction, as `svd/12`."""
    partners: tuple[Partner, ...]
    absent: tuple[Tab, ...]
    """Bases of this matrix that were not fitted yet."""
