"""The tools that one would use instead, over the same tensors: an expert's loop, SVDInterpreter, a notebook.

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
"""Bytes of one chunk of the expert's scores, by kind of device: on two cores smaller is slower, larger no faster."""


K = 50
"""Tokens of each ray, as kept for pages."""


@dataclass(frozen=True)
class Matrices:
    """One layer's matrices, in memory."""

    heads: list[Head]
    """The two matrices of each head; empty where heads are not asked for."""
    whole: dict[str, Matrix]
    """The MLP's matrices, by kind."""

    @property
    def n_sides(self) -> int:
        """Count the vectors of the residual stream to read out."""
        of_heads = sum(4 * head.W_O.shape[0] for head in self.heads)
        return of_heads + sum(min(matrix.samples().shape) for matrix in self.whole.values())


def read_layer_expertly(heads: list[Head], ends: Ends, k: int) -> None:
    """Read out a layer as an expert would write it: batched QR and SVD, one product a table in chunks, `topk` twice."""
    W_Q, W_K, W_V, W_O = (torch.stack([getattr(head, name) for head in heads]) for name in ("W_Q", "W_K", "W_V", "W_O"))
    read, write = _compute_directions(W_V, W_O.mT)
    query, key = _compute_directions(W_Q, W_K)
    for vectors, table in ((torch.cat([read, query, key]), ends.W_E.T), (write, ends.W_U)):
        _read_out(vectors, table, k)


def _read_out(vectors: Tensor, table: Tensor, k: int) -> None:
    for some in vectors.split(max(1, CHUNK_BYTES[table.device.type] // (4 * table.shape[1]))):
        _take_both_ends(some @ table, k)


def _take_both_ends(scores: Tensor, k: int) -> None:
    scores.topk(min(k, scores.shape[1]))
    scores.topk(min(k, scores.shape[1]), largest=False)


def read_matrix_expertly(matrix: Matrix, ends: Ends, k: int) -> None:
    """Read out a matrix of an MLP: a thin SVD, one side through the vocabulary, the other by its own entries."""
    U, _, Vh = torch.linalg.svd(matrix.samples(), full_matrices=False)
    stream = matrix.right if matrix.right.space is Space.RESIDUAL else matrix.left
    _read_out(Vh, ends.W_U if stream.name == "write" else ends.W_E.T, k)
    _take_both_ends(U.T, k)


def run_expert(matrices: Matrices, ends: Ends) -> int:
    """Read out all matrices of a layer; return the number of sides."""
    if matrices.heads:
        read_layer_expertly(matrices.heads, ends, K)
    for matrix in matrices.whole.values():
        read_matrix_expertly(matrix, ends, K)
    return matrices.n_sides


def run_interpreter(matrices: Matrices, ends: Ends) -> int:
    """Read out what SVDInterpreter covers of a layer: OV's write sides, W_in and W_out; return the number of sides."""
    from transformer_lens import SVDInterpreter

    for head in matrices.heads:
        interpret_head(head, ends, K)
    d_model = ends.W_U.shape[0]
    one = SVDInterpreter(OneMlp(matrices.whole, ends))
    kinds = [kind for kind in ("mlp-in", "mlp-out") if kind in matrices.whole]
    for kind in kinds:
        name = "w_in" if kind == "mlp-in" else "w_out"
        scores = one.get_singular_vectors(name, layer_index=0, num_vectors=d_model)
        _take_both_ends(scores.squeeze(1).T, K)
    return sum(head.W_O.shape[0] for head in matrices.heads) + len(kinds) * d_model


LayerPeer = tuple[str, Callable[[Matrices, Ends], int]]
LAYER_PEERS: dict[str, LayerPeer] = {
    "expert": ("an expert's loop: batched QR and SVD, float32 product, `topk`", run_expert),
    "interpreter": ("`SVDInterpreter` and `topk`", run_interpreter),
}
"""Name -> description, and the function that reads out a layer's matrices and returns the number of sides."""


def _compute_directions(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Compute both sides' singular vectors of `left right^T`, [heads d_model d_head] each, as rows of all heads."""
    Q_left, R_left = torch.linalg.qr(left)
    Q_right, R_right = torch.linalg.qr(right)
    U, _, Vh = torch.linalg.svd(R_left @ R_right.mT, full_matrices=False)
    return (Q_left @ U).mT.flatten(0, 1), (Vh @ Q_right.mT).flatten(0, 1)


def interpret_head(head: Head, ends: Ends, k: int) -> None:
    """Read out the write side of a head's OV with SVDInterpreter, which gives scores; `topk` takes both rays."""
    from transformer_lens import SVDInterpreter

    interpreter = SVDInterpreter(OneHead(head, ends))
    scores = interpreter.get_singular_vectors("OV", layer_index=0, num_vectors=head.W_O.shape[0], head_index=0)
    by_direction = scores.squeeze(1).T
    by_direction.topk(k)
    by_direction.topk(k, largest=False)


class OneHead:
    """The parts of a model that SVDInterpreter asks for: three numbers and three tensors, under the library's names."""

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
    """The parts of a model that SVDInterpreter asks for of an MLP; norms are folded in."""

    def __init__(self, whole: dict[str, Matrix], ends: Ends) -> None:
        self.cfg = SimpleNamespace(n_layers=1, n_heads=1, d_vocab=ends.W_U.shape[1])
        names = {"mlp-in": "W_in", "mlp-out": "W_out"}
        self._parameters = {
            f"blocks.0.mlp.{name}": whole[kind].factors[0] for kind, name in names.items() if kind in whole
        } | {"unembed.W_U": ends.W_U}

    def tl_parameters(self) -> dict[str, Any]:
        """Tensors by name, as a TransformerBridge gives them."""
        return self._parameters


def read_head_as_notebook(head: Head, ends: Ends, k: int) -> None:
    """Read out both matrices of a head as a notebook does, by SVD of the dense product."""
    rank = head.W_O.shape[0]
    read_out(head.W_V @ head.W_O, ends.W_E.T, ends.W_U, rank, k)
    read_out(head.W_Q @ head.W_K.T, ends.W_E.T, ends.W_E.T, rank, k)
