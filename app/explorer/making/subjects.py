"""The matrix that an address names: its tensors under a weight processing, and its bias.

Runs in a worker's process. Knows nothing of bases, readouts or pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.core.address import Address
from app.core.steps import Steps
from app.explorer.making.context import Context
from app.explorer.making.heads import decompose_heads, list_matrices, read_head_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.matrix import Matrix


@dataclass(frozen=True)
class Subject:
    """One matrix of a model."""

    product: "Matrix"
    bias: "Tensor | None" = None
    """The vector added on its right side for every input; None where there is none."""


def read_subject(context: Context, address: Address, distance: int = 0) -> "Steps[Subject]":
    """Read the matrix at the address."""
    yield 0, 1
    if address.kind in {"heads/write", "heads/read"}:
        return (yield from _stack_heads(context, address))
    if address.circuit is not None:
        return _read_circuit(context, address, distance)
    return _read_mlp(context, address) if address.layer is not None else _read_end(context, address)


def _read_circuit(context: Context, address: Address, distance: int) -> Subject:
    from app.core.circuits import CIRCUITS, key_bias, ov_constant

    assert address.layer is not None
    assert address.head is not None
    assert address.circuit is not None
    tensors = read_head_tensors(context, address.layer, address.head, distance)
    bias = ov_constant(tensors) if address.circuit == "ov" else key_bias(tensors)
    return Subject(CIRCUITS[address.circuit](tensors), bias)


def _read_mlp(context: Context, address: Address) -> Subject:
    assert address.layer is not None
    (found,) = read_mlp_subjects(context, address.layer, [address.kind])
    return found


def read_mlp_subjects(context: Context, layer: int, kinds: Sequence[str | None]) -> list[Subject]:
    """Read matrices of one MLP, whose tensors are read once."""
    from app.core.folding import fold_mlp
    from app.core.mlp import MLP_BIASES, MLP_MATRICES

    weights = context.model.weights()
    tensors = weights.mlp(layer)
    if context.processing == "folded":
        tensors = fold_mlp(tensors, weights.mlp_norms(layer))
    return [Subject(MLP_MATRICES[kind](tensors), getattr(tensors, MLP_BIASES[kind])) for kind in kinds if kind]


def _read_end(context: Context, address: Address) -> Subject:
    """Read the embedding, the unembedding or the positions."""
    from app.core.folding import affine_normed_embedding, fold_embedding, fold_unembedding, fold_unembedding_bias
    from app.core.matrix import POSITION, READ, TOKEN, WRITE, Matrix
    from app.core.noise import noise_of_factors

    manifest, weights = context.model.manifest, context.model.weights()
    folded, center = context.processing == "folded", manifest.normalization == "LN"
    if address.kind == "pos":
        W_pos = weights.positions()
        assert W_pos is not None
        noise = noise_of_factors(weights.noise_of_positions(W_pos))
        return Subject(Matrix((fold_embedding(W_pos, center) if folded else W_pos,), POSITION, WRITE, noise))
    ends = weights.embeddings()
    if address.kind == "unembed":
        W_U, b_U, off = ends.W_U, ends.b_U, weights.noise_of_unembedding(ends.W_U)
        if folded:
            off = off and off.scale(rows=ends.final_gain)
            W_U = fold_unembedding(ends.W_U, ends.final_gain, center)
            b_U = fold_unembedding_bias(ends.W_U, ends.b_U, ends.final_shift)
        return Subject(Matrix((W_U,), READ, TOKEN, noise_of_factors(off)), b_U)
    W_E, off = ends.W_E, weights.noise_of_embedding(ends.W_E)
    if folded and ends.embed_gain is not None and ends.embed_shift is not None:
        # Each token's row and its errors are divided by its own norm: how far they rotate a direction is not known.
        W_E, off = affine_normed_embedding(W_E, ends.embed_gain, ends.embed_shift, manifest.eps), None
    return Subject(Matrix((fold_embedding(W_E, center) if folded else W_E,), TOKEN, WRITE, noise_of_factors(off)))


def _stack_heads(context: Context, address: Address) -> "Steps[Subject]":
    """Stack the written, or read, vectors of every head's OV, times their singular values, with both signs.

    Its noise is unknown: the errors of one head's vectors are correlated, and rotate them.

    Row `2 * (d_head * (n_heads * layer + head) + direction)` is the + ray, the one after it the - ray; rows of
    directions that a head does not have are zero.
    """
    import torch

    from app.core.exact.shares import map_side_by_side
    from app.core.matrix import HEAD, READ, WRITE, Matrix

    shape = context.model.manifest
    writes = address.kind == "heads/write"
    rows = torch.zeros(shape.n_layers, shape.n_heads, shape.d_head, 2, shape.d_model)
    ov = [(head, circuit) for head, circuit in list_matrices(context.model) if circuit == "ov"]

    def fill(layer: int) -> None:
        for each in decompose_heads(context, layer, ov):
            vectors = each.terms.strength[:, None] * (each.terms.right if writes else each.terms.left)
            rows[layer, each.head, : len(vectors), 0] = vectors
            rows[layer, each.head, : len(vectors), 1] = -vectors

    at_once = torch.get_num_threads()
    for layer in range(0, shape.n_layers, at_once):
        yield layer, shape.n_layers
        map_side_by_side(fill, range(layer, min(layer + at_once, shape.n_layers)))
    return Subject(Matrix((rows.view(-1, shape.d_model),), HEAD, WRITE if writes else READ))
