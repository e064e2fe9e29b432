"""The linear map from one stream of a text to a later one, scored on text that it was not fitted on, and seen in a basis.

Of centred streams x and y (rows, a position each) it is the ridge regression

    A = (X^T X / n + lam s I)^-1 X^T Y / n,      y ~ x A,

s being the mean square of a coordinate of x. Whole windows of the text are shared out among FOLDS; each is predicted by the
map of the others. `lam` is one number for all, that of PENALTIES which predicts best so. How well a direction b of y is
predicted: `R^2_b = 1 - var(residual . b) / var(y . b)`, of what is held out; in all, the same of the variances' sums,
which no rotation changes. Knows no model, and not where directions come from.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

FOLDS = 4
PENALTIES = tuple(10.0**power for power in range(-6, 2))


@dataclass(frozen=True)
class LinearMap:
    """A linear map between two streams, with what it leaves on windows that it was not fitted on."""

    matrix: Float64[Tensor, "d d"]
    """A, fitted on all windows: rows act from the left."""
    start: Float64[Tensor, "d d"]
    """Covariance of x."""
    end: Float64[Tensor, "d d"]
    """Covariance of y."""
    residual: Float64[Tensor, "d d"]
    """Covariance of what the held-out map leaves of y."""
    unmoved: float
    """R^2 in all of the identity: y taken to be x, each less its mean."""
    penalty: float
    """The lam that was chosen."""
    left: Float64[Tensor, " windows"]
    """For each window the squares of what is left of y, summed."""
    there: Float64[Tensor, " windows"]
    """For each window the squares of y less its mean, summed."""


def fit_linear_map(x: Float[Tensor, "n d"], y: Float[Tensor, "n d"], windows: Int64[Tensor, " n"]) -> LinearMap:
    """Fit the map from x to y; `windows`: the number of each position's window, from 0.

    ValueError for fewer windows than FOLDS.
    """
    n_windows = int(windows.max()) + 1 if len(windows) else 0
    if n_windows < FOLDS:
        raise ValueError(f"a linear map is fitted on at least {FOLDS} windows of text, and there are {n_windows}")
    x, y, fold = x.double(), y.double(), windows % FOLDS
    errors = torch.zeros(len(PENALTIES), dtype=torch.float64)
    for held in range(FOLDS):
        maps, x_held, y_held = _fit_without(x, y, fold == held)
        errors += torch.stack([(y_held - x_held @ one).square().sum() for one in map(maps.at, PENALTIES)])
    penalty = PENALTIES[int(errors.argmin())]
    residuals = torch.empty_like(y)
    for held in range(FOLDS):
        maps, x_held, y_held = _fit_without(x, y, fold == held)
        residuals[fold == held] = y_held - x_held @ maps.at(penalty)
    x, y = x - x.mean(0), y - y.mean(0)
    return LinearMap(
        matrix=_Maps(x, y).at(penalty),
        start=_covariance(x),
        end=_covariance(y),
        residual=_covariance(residuals),
        unmoved=1 - float((y - x).square().sum() / y.square().sum()),
        penalty=penalty,
        left=y.new_zeros(n_windows).index_add_(0, windows, residuals.square().sum(1)),
        there=y.new_zeros(n_windows).index_add_(0, windows, y.square().sum(1)),
    )


def score_directions(fitted: LinearMap, directions: Float[Tensor, "m d"]) -> Float64[Tensor, " m"]:
    """Compute R^2 along each unit direction, held out; nan where y does not vary."""
    there = variances_along(fitted.end, directions)
    left = variances_along(fitted.residual, directions)
    return torch.where(there > 0, 1 - left / there, torch.nan)


def variances_along(covariance: Float64[Tensor, "d d"], directions: Float[Tensor, "m d"]) -> Float64[Tensor, " m"]:
    """Compute the variance along each direction."""
    rows = directions.double()
    return ((rows @ covariance) * rows).sum(1)


def map_in_basis(matrix: Float64[Tensor, "d d"], basis: Float[Tensor, "m d"]) -> Float64[Tensor, "m m"]:
    """Compute the map between orthonormal directions: what each (rows) adds to each (columns)."""
    rows = basis.double()
    return rows @ matrix @ rows.T


def diagonal_share(matrix: Float64[Tensor, "m m"]) -> float:
    """Compute the share of the squares that stands on the diagonal; nan where all are 0."""
    return float(matrix.diagonal().square().sum() / matrix.square().sum())


def average_blocks(squares: Float64[Tensor, "m m"], most: int) -> Float64[Tensor, "k k"]:
    """Average over blocks of rows and columns, at most so many each way, of sizes that differ by one at the most."""
    k = min(most, len(squares))
    block = torch.arange(len(squares)) * k // max(len(squares), 1)
    sizes = block.bincount(minlength=k).double()
    sums = squares.new_zeros(k, len(squares)).index_add_(0, block, squares)
    sums = squares.new_zeros(k, k).index_add_(1, block, sums)
    return sums / (sizes[:, None] * sizes)


class _Maps:
    """The maps from x to y, both less their means, for any penalty."""

    def __init__(self, x: Float64[Tensor, "n d"], y: Float64[Tensor, "n d"]) -> None:
        values, self._vectors = torch.linalg.eigh(x.T @ x / len(x))
        self._values, self._unit = values.clamp(min=0), float(values.clamp(min=0).mean())
        self._products = self._vectors.T @ (x.T @ y / len(x))

    def at(self, penalty: float) -> Float64[Tensor, "d d"]:
        """Compute the map of a penalty."""
        # A stream that does not vary predicts nothing.
        shrunk = self._products / (self._values + (penalty * self._unit or 1.0))[:, None]
        found: Tensor = self._vectors @ shrunk
        return found


def _fit_without(
    x: Float64[Tensor, "n d"], y: Float64[Tensor, "n d"], held: Tensor
) -> tuple[_Maps, Float64[Tensor, "m d"], Float64[Tensor, "m d"]]:
    """Fit the maps of the other positions, and return those held out, less the means of the others."""
    x_mean, y_mean = x[~held].mean(0), y[~held].mean(0)
    return _Maps(x[~held] - x_mean, y[~held] - y_mean), x[held] - x_mean, y[held] - y_mean


def _covariance(rows: Float64[Tensor, "n d"]) -> Float64[Tensor, "d d"]:
    rows = rows - rows.mean(0)
    return rows.T @ rows / len(rows)
