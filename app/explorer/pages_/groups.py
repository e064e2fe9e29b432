""""""

from typing import Literal

Depth = Literal["first", "middle", "last"]
"""Where in a model layers stand: the first one, the last fifth of them, and what lies between."""

SpanPart = Literal["all", "first"]
"""All directions of a matrix, beside random vectors of its span; or the first few, beside such as are weighted by its
singular values."""

CUT = "-cut"
"""What the name of a control of equal rank ends with, after that of the matrix that was cut down."""

SPAN, WEIGHTED, PRINCIPAL = "-span", "-weighted", "-pca"
"""The same of random vectors of a matrix's span, and of those weighted by its singular values; of principal components."""
