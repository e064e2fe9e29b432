"""The groups of a census: kinds of matrices at one side, and the vectors drawn for comparison; their names and their
order.

Knows none of their results.
"""

from typing import Literal

from app.core.address import CIRCUITS, Kind
from app.explorer.header import Model
from app.explorer.view import End

Depth = Literal["first", "middle", "last"]
"""The layer's place in the model: the first one, the last fifth, or what lies between."""

SpanPart = Literal["all", "first"]
"""All directions of a matrix, compared with random vectors of its span; or the first few, compared with random vectors
weighted by its singular values."""

CUT = "-cut"
"""The suffix of a rank-restricted control's name, after that of its matrix."""

SPAN, WEIGHTED, PRINCIPAL = "-span", "-weighted", "-pca"
"""The suffixes for random vectors of a matrix's span, for those weighted by its singular values, and for principal
components."""

AXES = "-used"
"""The suffix for the axes that a head's output varies along on text."""

READ_GROUPS = ("qk-query", "qk-key", "ov-read", "mlp-in", "mlp-gate", "unembed")
WRITE_GROUPS = ("ov-write", "mlp-out", "embed")
WEIGHTED_GROUPS = ("qk-query", "qk-key", "ov-read", "mlp-in", "mlp-gate", "ov-write", "mlp-out")
SPANNED_GROUPS = ("qk-query", "qk-key", "ov-read", "ov-write")
"""The groups with random vectors of the same span for comparison; an MLP's matrix spans all of the stream."""
USED_GROUPS = ("ov-read", "ov-write")
"""The groups that statistics of use are of."""
GROUPS = (
    *(*READ_GROUPS, "mlp-in-cut", "mlp-gate-cut"),
    *(*WRITE_GROUPS, "embed-pca", "mlp-out-cut", "embed-cut"),
    *(group + SPAN for group in SPANNED_GROUPS),
    *(group + WEIGHTED for group in WEIGHTED_GROUPS),
    *(group + AXES for group in USED_GROUPS),
)
"""All groups in the order of the page: those read with one table stand together, those drawn from spans come after them,
and the axes of outputs last. Artifacts have a group's place here, and draws a seed of it."""
SEED = 0
DRAWS = 6
"""Draws of each rank-restricted matrix; also of random vectors weighted by its singular values."""
SPAN_HEADS, SPAN_VECTORS = 2, 64
"""How many heads of each layer random vectors are drawn from the spans of, and how many vectors for each side:
decomposing all heads again would take longer than reading them out."""


def ends_of(model: Model) -> tuple[Kind, ...]:
    """Return the matrices of no layer that are counted."""
    return tuple(kind for kind in model.model_kinds if kind in GROUPS)


def can_be_cut(model: Model) -> bool:
    """Return whether the model's MLPs have enough neurons to draw as many as a head has dimensions."""
    return model.d_mlp > model.d_head


def matrix_and_side(group: str) -> tuple[str, str]:
    """Return the matrix of the group, and its side.

    Example: matrix_and_side("qk-key-span") -> ("qk", "key"); matrix_and_side("mlp-out-cut") -> ("mlp-out", "write")
    """
    own = base_of(group)
    matrix, _, side = own.partition("-")
    return (matrix, side) if matrix in CIRCUITS else (own, end_of(group))


def base_of(group: str) -> str:
    """Return the group of singular directions that this group is compared with.

    Example: base_of("ov-write-span") -> "ov-write"; base_of("embed") -> "embed"
    """
    for ending in (CUT, SPAN, WEIGHTED, PRINCIPAL, AXES):
        group = group.removesuffix(ending)
    return group


def drawn_suffix(group: str) -> str:
    """Return the suffix of a group that is neither a kind's singular directions nor a control of equal rank.

    Example: drawn_suffix("ov-write-span") -> "-span"; drawn_suffix("mlp-in-cut") -> ""
    """
    return next((ending for ending in (SPAN, WEIGHTED, PRINCIPAL, AXES) if group.endswith(ending)), "")


def is_kind(group: str) -> bool:
    """Return whether the group consists of directions in an order, not of vectors drawn at random."""
    return not group.endswith((SPAN, WEIGHTED))


def end_of(group: str) -> End:
    """Return the end of the model that the group is read with."""
    return "write" if base_of(group) in WRITE_GROUPS else "read"
