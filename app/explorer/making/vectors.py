"""The vectors of a matrix's terms, for whoever computes with them: the artifact of the terms has tokens, not vectors.

    left right [rank d]     unit rows in the order of the basis, of the sides that are the residual stream's or neurons'

A side with a coordinate for each token, position or head's ray is left out: it follows from the other side, and may be
many times as long. Runs in a worker's process. Knows no pages.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.core.address import Address
from app.core.basis import BASES, Parameters
from app.core.steps import Steps, rescale_steps
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.heads import decompose_heads
from app.explorer.making.subjects import Subject, read_subject
from app.explorer.making.using.axes import find_axes, load_outputs

if TYPE_CHECKING:
    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix


def term_vectors(
    context: Context, address: Address, parameters: Parameters, distance: int = 0
) -> Steps[ArraysAndFacts]:
    """Compute both sides of every term of the matrix at the address, in the basis of the address."""
    yield 0, 100
    if address.circuit is not None and address.basis in {None, "svd"}:
        assert address.layer is not None
        assert address.head is not None
        (found,) = decompose_heads(context, address.layer, [(address.head, address.circuit)], distance)
        return _vector_arrays(found.product, found.terms), {}
    if BASES[address.basis or "svd"].is_of_text:
        assert address.layer is not None
        assert address.head is not None
        outputs = load_outputs(context, parameters["statistics"])
        (of_head,) = find_axes(context, address.layer, [address.head], outputs)
        return _vector_arrays(of_head.matrix.product, of_head.axes.terms), {}
    whole: Subject = yield from rescale_steps(0, 20, 100, read_subject(context, address, distance))
    steps = BASES[address.basis or "svd"].decompose(whole.product, parameters)
    terms: Decomposition = yield from rescale_steps(20, 80, 100, steps)
    return _vector_arrays(whole.product, terms), {}


def _vector_arrays(product: "Matrix", terms: "Decomposition") -> Arrays:
    from app.core.matrix import Space

    sides = (("left", product.left, terms.left), ("right", product.right, terms.right))
    return {
        name: np.ascontiguousarray(own.cpu().numpy())
        for name, side, own in sides
        if side.space in {Space.RESIDUAL, Space.NEURON}
    }
