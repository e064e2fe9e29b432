"""Ways to write a matrix as a sum of rank-one terms, one file each, all of one form."""

from collections.abc import Callable

from app.core.bases import svd
from app.core.decomposition import Decomposition
from app.core.matrix import Matrix

BASES: dict[str, Callable[[Matrix], Decomposition]] = {"svd": svd.decompose}
