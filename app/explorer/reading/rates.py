"""The false discovery rates of a matrix's rays, for pages that show a few rays of many matrices.

A ray's rate is among the rays of its own side of its own matrix, wherever it is shown. Where the matrix is not in the
store, it is not known, and nothing is computed for it. Imports no torch.
"""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address
from app.explorer import recipes
from app.explorer.library import OpenModel
from app.explorer.reading import verdicts
from app.explorer.resources import Resources
from app.explorer.view import Processing
from app.store.artifacts import ArtifactStore

Rates = Mapping[str, NDArray[np.float64]]
"""q by side, left and right, for both rays of each direction [n 2]; a side that was not judged is missing."""

_known_rates: WeakKeyDictionary[OpenModel, dict[tuple[ArtifactStore, Processing, Address], Rates]] = WeakKeyDictionary()
"""Rates of each open model's matrices: pages of many matrices need nothing else of them."""


def read_rates(r: Resources, model: OpenModel, processing: Processing, matrix: Address) -> Rates:
    """Read the rates of a matrix's singular directions; empty until it is computed."""
    of_model = _known_rates.setdefault(model, {})
    key = (r.store, processing, matrix)
    if key not in of_model:
        artifact = r.store.load(recipes.decomposition(model, matrix.in_basis("svd"), processing, {}))
        if artifact is None:
            return {}
        of_model[key] = verdicts.compute_rates(artifact.arrays)
    return of_model[key]
