"""Are a matrix's singular directions better than a random rotation of the same span?

    {side}_coherence [TURNED 2]   of both rays of random unit vectors of the span of that side's directions, judged as
                                  readouts are

is there for sides that are read with the vocabulary's vectors, if there is a control; for no other, and not for a
matrix that is zero. From it come the

    {side}_rotation_p [n 2]

of the matrix's own rays. Computed only when somebody asks. Knows no pages.
"""

from typing import TYPE_CHECKING

from app.core.address import Address
from app.core.basis import BASES
from app.core.judging.rays import HEADLINE
from app.core.steps import Steps, within
from app.explorer.layout import TURNED
from app.explorer.making.context import Arrays, Baked, Bench
from app.explorer.making.heads import take_apart
from app.explorer.making.judging import readability
from app.explorer.making.subjects import Subject, subject
from app.explorer.recipes import ROTATION_SEED

if TYPE_CHECKING:
    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix


def read_rotations(bench: Bench, address: Address, distance: int = 0) -> Steps[Baked]:
    """The coherence of random rotations of the singular directions of the matrix at the address."""
    from app.core.judging.rotation import rotated
    from app.core.matrix import Space

    product, terms = yield from _terms(bench, address, distance)
    arrays: Arrays = {}
    for at, (prefix, side, rows) in enumerate(
        (("left", product.left, terms.left), ("right", product.right, terms.right))
    ):
        yield 1 + at, 3
        if side.space is not Space.RESIDUAL or not len(rows):
            continue
        readout = readability.read(bench, side.name, rotated(rows, TURNED, ROTATION_SEED + at))
        if "coherence" in readout:
            arrays[f"{prefix}_coherence"] = readout["coherence"][..., HEADLINE]
    return arrays, {}


def _terms(bench: Bench, address: Address, distance: int) -> "Steps[tuple[Matrix, Decomposition]]":
    yield 0, 3
    if address.circuit is None:
        whole: Subject = yield from within(0, 0, 3, subject(bench, address))
        return whole.product, (yield from within(0, 1, 3, BASES["svd"].decompose(whole.product, {})))
    assert address.layer is not None
    assert address.head is not None
    (own,) = take_apart(bench, address.layer, [(address.head, address.circuit)], distance)
    return own.product, own.terms
