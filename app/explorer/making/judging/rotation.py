"""The rotation control of a matrix: are its singular directions more coherent than a random rotation of the same span?

    {side}_coherence [ROTATED_VECTORS 2]   of both rays of random unit vectors of the span of that side's directions, judged as
                                           readouts are

There is one for each side that is read with the vocabulary's vectors, if there is a control and the matrix is not zero.
From it follow

    {side}_rotation_p [n 2]

for the matrix's own rays. Computed only when somebody asks. Knows no pages.
"""

from typing import TYPE_CHECKING

from app.core.address import Address
from app.core.basis import BASES
from app.core.judging.rays import HEADLINE
from app.core.steps import Steps, rescale_steps
from app.explorer.layout import ROTATED_VECTORS
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.heads import decompose_heads
from app.explorer.making.judging import readability
from app.explorer.making.subjects import Subject, read_subject
from app.explorer.recipes import ROTATION_SEED

if TYPE_CHECKING:
    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix


def measure_rotations(context: Context, address: Address, distance: int = 0) -> Steps[ArraysAndFacts]:
    """Measure the coherence of random rotations of the singular directions of the matrix at the address."""
    from app.core.judging.rotation import draw_in_span
    from app.core.matrix import Space

    product, terms = yield from _decompose(context, address, distance)
    arrays: Arrays = {}
    for at, (prefix, side, rows) in enumerate(
        (("left", product.left, terms.left), ("right", product.right, terms.right))
    ):
        yield 1 + at, 3
        if side.space is not Space.RESIDUAL or not len(rows):
            continue
        readout = readability.read_and_judge(
            context, side.name, draw_in_span(rows, ROTATED_VECTORS, ROTATION_SEED + at)
        )
        if "coherence" in readout:
            arrays[f"{prefix}_coherence"] = readout["coherence"][..., HEADLINE]
    return arrays, {}


def _decompose(context: Context, address: Address, distance: int) -> "Steps[tuple[Matrix, Decomposition]]":
    yield 0, 3
    if address.circuit is None:
        whole: Subject = yield from rescale_steps(0, 0, 3, read_subject(context, address))
        return whole.product, (yield from rescale_steps(0, 1, 3, BASES["svd"].decompose(whole.product, {})))
    assert address.layer is not None
    assert address.head is not None
    (own,) = decompose_heads(context, address.layer, [(address.head, address.circuit)], distance)
    return own.product, own.terms
