"""The false discovery rates of a matrix's rays, for pages that show some rays of many matrices.

A ray stands out or not by the rays of its own side of its own matrix, wherever it is shown. Where the matrix was not
computed, that is not known, and nothing is computed for it. Imports no torch.
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
"""left and right: of both rays of each direction [n 2]; a side that was not judged has none."""

_known: WeakKeyDictionary[OpenModel, dict[tuple[ArtifactStore, Processing, Address], Rates]] = WeakKeyDictionary()
"""Of every model as long as it is open: pages of many matrices need no more of them."""


def rates(r: Resources, model: OpenModel, processing: Processing, matrix: Address) -> Rates:
    """Of the singular directions of the matrix at the address; empty until it is computed."""
    of_model = _known.setdefault(model, {})
    key = (r.store, processing, matrix)
    if key not in of_model:
        artifact = r.store.load(recipes.decomposition(model, matrix.in_basis("svd"), processing, {}))
        if artifact is None:
            return {}
        of_model[key] = verdicts.rates(artifact.arrays)
    return of_model[key]
