"""Ways to write matrices as sums of rank-one terms, one file each, all of one form."""

from collections.abc import Callable, Sequence

from app.core.bases import svd
from app.core.decomposition import Decomposition
from app.core.matrix import Matrix

BASES: dict[str, Callable[[Sequence[Matrix]], list[Decomposition]]] = {"svd": svd.decompose_all}
"""Several matrices of one shape at a time."""
