"""The page that compares the bases of a matrix."""

from dataclasses import dataclass

from app.core.address import BasisName
from app.explorer.header import Model
from app.explorer.pages.directions import Direction
from app.explorer.pages.shared import Labelled, LinkedToItself, OfWeights, Parameters
from app.explorer.serial import AddressText, ForPeople
from app.explorer.view import Choice, Tab, View


@dataclass(frozen=True, slots=True)
class Compared:
    """One basis of a comparison."""

    basis: BasisName
    parameters: Parameters
    """Parameters of a fit."""
    terms: int
    errors: tuple[float, ...]
    """Relative error of the samples less their mean with 1, 2 … vectors a sample."""
    error: float
    """Relative error with `nonzeros` vectors a sample."""
    control: float
    """Relative error with as many random vectors of its span as the basis has."""
    explained: float
    """Share of the samples less their mean in the span of its first vectors."""
    others: ForPeople[tuple[tuple[Choice, ...], ...]]
    """Other computed fits."""


@dataclass(frozen=True, slots=True)
class Partner:
    """The vector of another basis that comes nearest to a chosen one."""

    basis: BasisName
    address: AddressText
    parameters: Parameters
    cosine: float
    """Negative where they point against each other."""
    control: float
    """The 95th percentile of the cosine's size for random vectors of the span of the chosen one's basis."""
    direction: ForPeople[Direction | None]
    """None where its decomposition is not in the store."""


@dataclass(frozen=True, slots=True)
class ComparePage(Labelled, LinkedToItself, OfWeights):
    """The bases of a matrix side by side."""

    address: AddressText
    """The matrix's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    nonzeros: int
    """Vectors a sample."""
    most: ForPeople[int]
    first: int
    """First vectors of each basis whose spans are compared."""
    firsts: ForPeople[tuple[int, ...]]
    """Values of `first` to choose from."""
    mean_share: float
    """Share of the matrix's squared norm that is its samples' mean, which is subtracted first."""
    bases: tuple[Compared, ...]
    overlaps: tuple[tuple[float, ...], ...]
    """Mean squared cosine of the principal angles between the spans of the first vectors; rows and columns as `bases`."""
    smallest: tuple[tuple[float, ...], ...]
    """Smallest cosine of those principal angles."""
    chosen: ForPeople[Direction | None]
    """None where its decomposition is not in the store."""
    direction: str
    """The chosen direction, as `svd/12`."""
    partners: tuple[Partner, ...]
    absent: ForPeople[tuple[Tab, ...]]
    """Bases of this matrix that were not fitted yet."""
