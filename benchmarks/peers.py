"""What one would use instead, over the same tensors: an expert's loop, the library's SVDInterpreter, the notebook.

Each does its whole work, ids and scores of both ends of every side that it has, and throws it away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from app.core.circuits import Head
from app.core.matrix import Matrix, Space
from benchmarks.notebook import read_out
from benchmarks.shapes import Ends

CHUNK_BYTES = {"cpu": 2**27, "cuda": 2**30}
"""Of one chunk of the expert's scores, by kind of device: on two cores smaller ones are slower, larger ones no faster."""


K = 50
"""Tokens at either end of a vector, as kept for pages."""


@dataclass(frozen=True)
class Matrices:
    """One layer's, in memory."""

    heads: list[Head]
    """Both matrices of each; none where they are not asked for."""
    whole: dict[str, Matrix]
    """Of the MLP, by kind."""

    @property
    def n_sides(self) -> int:
        """Vectors of the residual stream that are to be read out."""
        of_heads = sum(4 * head.W_O.shape[0] for head in self.heads)
        return of_heads + sum(min(matrix.samples().shape) for matrix in self.whole.values())


def expert_layer(heads: list[Head], ends: Ends, k: int) -> None:
    """A layer as a careful person writes it: batched QR and SVD, one product a table in chunks, `topk` twice."""
    W_Q, W_K, W_V, W_O = (torch.stack([getattr(head, name) for head in heads]) for name in ("W_Q", "W_K", "W_V", "W_O"))
    read, write = _directions(W_V, W_O.mT)
    query, key = _directions(W_Q, W_K)
    for vectors, table in ((torch.cat([read, query, key]), ends.W_E.T), (write, ends.W_U)):
        _read_out(vectors, table, k)


def _read_out(vectors: Tensor, table: Tensor, k: int) -> None:
    for some in vectors.split(max(1, CHUNK_BYTES[table.device.type] // (4 * table.shape[1]))):
        _both_ends(some @ table, k)


def _both_ends(scores: Tensor, k: int) -> None:
    scores.topk(min(k, scores.shape[1]))
    scores.topk(min(k, scores.shape[1]), largest=False)


def expert_matrix(matrix: Matrix, ends: Ends, k: int) -> None:
    """A matrix that is no head's: a thin SVD, one side through the vocabulary, the other by its own entries."""
    U, _, Vh = torch.linalg.svd(matrix.samples(), full_matrices=False)
    stream = matrix.right if matrix.right.space is Space.RESIDUAL else matrix.left
    _read_out(Vh, ends.W_U if stream.name == "write" else ends.W_E.T, k)
    _both_ends(U.T, k)


def expert(matrices: Matrices, ends: Ends) -> int:
    """All of a layer; how many sides were read out."""
    if matrices.heads:
        expert_layer(matrices.heads, ends, K)
    for matrix in matrices.whole.values():
        expert_matrix(matrix, ends, K)
    return matrices.n_sides


def interpreter(matrices: Matrices, ends: Ends) -> int:
    """What SVDInterpreter has of a layer: OV's write sides, W_in and W_out; how many sides were read out."""
    from transformer_lens import SVDInterpreter

    for head in matrices.heads:
        interpreter_head(head, ends, K)
    d_model = ends.W_U.shape[0]
    one = SVDInterpreter(OneMlp(matrices.whole, ends))
    kinds = [kind for kind in ("mlp-in", "mlp-out") if kind in matrices.whole]
    for kind in kinds:
        name = "w_in" if kind == "mlp-in" else "w_out"
        scores = one.get_singular_vectors(name, layer_index=0, num_vectors=d_model)
        _both_ends(scores.squeeze(1).T, K)
    return sum(head.W_O.shape[0] for head in matrices.heads) + len(kinds) * d_model


LayerPeer = tuple[str, Callable[[Matrices, Ends], int]]
LAYER_PEERS: dict[str, LayerPeer] = {
    "expert": ("an expert's loop: batched QR and SVD, float32 product, `topk`", expert),
    "interpreter": ("`SVDInterpreter` and `topk`", interpreter),
}
"""By name: what it is, and what reads a layer's matrices out and says how many sides it did."""


def _directions(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Both sides' singular vectors of `left right^T`, [heads d_model d_head] each: as rows, all heads' together."""
    Q_left, R_left = torch.linalg.qr(left)
    Q_right, R_right = torch.linalg.qr(right)
    U, _, Vh = torch.linalg.svd(R_left @ R_right.mT, full_matrices=False)
    return (Q_left @ U).mT.flatten(0, 1), (Vh @ Q_right.mT).flatten(0, 1)


def interpreter_head(head: Head, ends: Ends, k: int) -> None:
    """The write side of a head's OV, which is all that it reads; it gives the scores, its user takes both ends."""
    from transformer_lens import SVDInterpreter

    interpreter = SVDInterpreter(OneHead(head, ends))
    scores = interpreter.get_singular_vectors("OV", layer_index=0, num_vectors=head.W_O.shape[0], head_index=0)
    by_direction = scores.squeeze(1).T
    by_direction.topk(k)
    by_direction.topk(k, largest=False)


class OneHead:
    """As much of a model as SVDInterpreter asks for: three numbers and three tensors, under the library's names."""

    def __init__(self, head: Head, ends: Ends) -> None:
        self.cfg = SimpleNamespace(n_layers=1, n_heads=1, d_vocab=ends.W_U.shape[1])
        self._parameters = {
            "blocks.0.attn.W_V": head.W_V[None],
            "blocks.0.attn.W_O": head.W_O[None],
            "unembed.W_U": ends.W_U,
        }

    def tl_parameters(self) -> dict[str, Any]:
        """Tensors by name, as a TransformerBridge gives them."""
        return self._parameters


class OneMlp:
    """The same of an MLP; norms are folded in."""

    def __init__(self, whole: dict[str, Matrix], ends: Ends) -> None:
        self.cfg = SimpleNamespace(n_layers=1, n_heads=1, d_vocab=ends.W_U.shape[1])
        names = {"mlp-in": "W_in", "mlp-out": "W_out"}
        self._parameters = {
            f"blocks.0.mlp.{name}": whole[kind].factors[0] for kind, name in names.items() if kind in whole
        } | {"unembed.W_U": ends.W_U}

    def tl_parameters(self) -> dict[str, Any]:
        """Tensors by name, as a TransformerBridge gives them."""
        return self._parameters


def notebook_head(head: Head, ends: Ends, k: int) -> None:
    """Both matrices of a head, multiplied out and decomposed whole."""
    rank = head.W_O.shape[0]
    read_out(head.W_V @ head.W_O, ends.W_E.T, ends.W_U, rank, k)
    read_out(head.W_Q @ head.W_K.T, ends.W_E.T, ends.W_E.T, rank, k)
