"""The kinds of matrices that a census counts, each at one side, and what is drawn from them beside: their names and order.

Knows no numbers of them.
"""

from typing import Literal

from app.core.address import CIRCUITS, Kind
from app.explorer.header import Model
from app.explorer.view import End

Depth = Literal["first", "middle", "last"]
"""Where in a model layers stand: the first one, the last fifth of them, and what lies between."""

SpanPart = Literal["all", "first"]
"""All directions of a matrix, beside random vectors of its span; or the first few, beside such as are weighted by its
singular values."""

CUT = "-cut"
"""What the name of a control of equal rank ends with, after that of the matrix that was cut down."""

SPAN, WEIGHTED, PRINCIPAL = "-span", "-weighted", "-pca"
"""The same of random vectors of a matrix's span, and of those weighted by its singular values; of principal components."""

READ_GROUPS = ("qk-query", "qk-key", "ov-read", "mlp-in", "mlp-gate", "unembed")
WRITE_GROUPS = ("ov-write", "mlp-out", "embed")
WEIGHTED_GROUPS = ("qk-query", "qk-key", "ov-read", "mlp-in", "mlp-gate", "ov-write", "mlp-out")
SPANNED = ("qk-query", "qk-key", "ov-read", "ov-write")
"""Of which random vectors of the same span are read: an MLP's matrix spans all of the stream."""
GROUPS = (
    *(*READ_GROUPS, "mlp-in-cut", "mlp-gate-cut"),
    *(*WRITE_GROUPS, "embed-pca", "mlp-out-cut", "embed-cut"),
    *(group + SPAN for group in SPANNED),
    *(group + WEIGHTED for group in WEIGHTED_GROUPS),
)
"""In the order of the page: what is read with one table stands together; last what is drawn from spans."""
SEED = 0
DRAWS = 6
"""Of each matrix that is cut down; random vectors weighted by singular value, of each."""
HEADS, TURNED = 2, 64
"""Of each layer, heads whose spans random vectors are drawn from, and how many of each side: taking all apart again would
take longer than reading them."""


def ends_of(model: Model) -> tuple[Kind, ...]:
    """The matrices of no layer that are counted."""
    return tuple(kind for kind in model.model_kinds if kind in GROUPS)


def can_be_cut(model: Model) -> bool:
    """Whether the model's MLPs have neurons enough to draw as many as a head has dimensions."""
    return model.d_mlp > model.d_head


def matrix_and_side(group: str) -> tuple[str, str]:
    """Which matrix the group is of, and which side of it.

    Example: matrix_and_side("qk-key-span") -> ("qk", "key"); matrix_and_side("mlp-out-cut") -> ("mlp-out", "write")
    """
    own = base_of(group)
    matrix, _, side = own.partition("-")
    return (matrix, side) if matrix in CIRCUITS else (own, end_of(group))


def base_of(group: str) -> str:
    """The group of singular directions that it belongs to.

    Example: base_of("ov-write-span") -> "ov-write"; base_of("embed") -> "embed"
    """
    for ending in (CUT, SPAN, WEIGHTED, PRINCIPAL):
        group = group.removesuffix(ending)
    return group


def drawn_how(group: str) -> str:
    """What its name ends with where it is neither a kind's singular directions nor a control of equal rank.

    Example: drawn_how("ov-write-span") -> "-span"; drawn_how("mlp-in-cut") -> ""
    """
    return next((ending for ending in (SPAN, WEIGHTED, PRINCIPAL) if group.endswith(ending)), "")


def is_kind(group: str) -> bool:
    """Whether it is of directions in an order, not of vectors drawn at random."""
    return not group.endswith((SPAN, WEIGHTED))


def end_of(group: str) -> End:
    """Which end of the model the group is read with."""
    return "write" if base_of(group) in WRITE_GROUPS else "read"
