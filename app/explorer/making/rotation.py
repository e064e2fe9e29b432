"""Are a matrix's singular directions better than a random rotation of the same span?

    {side}_coherence [TURNED 2]   of both rays of random unit vectors of the span of that side's directions, judged as
                                  readouts are

is there for sides that are read with the vocabulary's vectors, if there is a control; for no other, and not for a
matrix that is zero. From it come the

    {side}_rotation_p [n 2]

of the matrix's own rays. Computed only when somebody asks. The first runs in the worker's thread, the second anywhere.
Knows no pages.
"""

from typing import TYPE_CHECKING

from app.core.address import Address
from app.core.basis import BASES
from app.core.rays import HEADLINE
from app.core.significance import standing
from app.explorer.compute import Steps
from app.explorer.making import readability
from app.explorer.making.bench import PREFIXES, Arrays, Bench
from app.explorer.making.heads import found
from app.explorer.making.subjects import subject
from app.store.artifacts import Arrays as Kept

if TYPE_CHECKING:
    from collections.abc import Generator

    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix

TURNED = 256
SEED = 0
PARAMETERS = {"turned": TURNED, "seed": SEED}
"""All that decides which rotations are taken."""


def rotation(bench: Bench, address: Address, distance: int = 0) -> Steps:
    """The coherence of random rotations of the singular directions of the matrix at the address."""
    from app.core.matrix import Space
    from app.core.rotation import rotated

    product, terms = yield from _terms(bench, address, distance)
    arrays: Arrays = {}
    for at, (prefix, side, rows) in enumerate(
        (("left", product.left, terms.left), ("right", product.right, terms.right))
    ):
        yield 1 + at, 3
        if side.space is not Space.RESIDUAL or not len(rows):
            continue
        readout = readability.read(bench, side.name, rotated(rows, TURNED, SEED + at))
        if "coherence" in readout:
            arrays[f"{prefix}_coherence"] = readout["coherence"][..., HEADLINE]
    return arrays, {}


def judged(own: Kept, turned: Kept) -> Kept:
    """The matrix's arrays with the p of each ray among those of random rotations, for the sides that have them."""
    p = {
        f"{side}_rotation_p": standing(own[f"{side}_coherence"][..., HEADLINE], turned[f"{side}_coherence"].flatten())[
            1
        ]
        for side in PREFIXES
        if f"{side}_coherence" in own and f"{side}_coherence" in turned
    }
    return {**own, **p}


def _terms(
    bench: Bench, address: Address, distance: int
) -> "Generator[tuple[int, int], None, tuple[Matrix, Decomposition]]":
    yield 0, 3
    if address.circuit is None:
        whole = yield from subject(bench, address)
        return whole.product, (yield from BASES["svd"].decompose(whole.product, {}))
    assert address.layer is not None
    assert address.head is not None
    (own,) = found(bench, address.layer, [(address.head, address.circuit)], distance)
    return own.product, own.terms
