"""What one would use instead, over the same tensors: an expert's loop, the library's SVDInterpreter, the notebook.

Each does its whole work, ids and scores of both ends of every side that it has, and throws it away.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from app.core.circuits import Head
from benchmarks.notebook import read_out
from benchmarks.shapes import Ends

CHUNK_BYTES = {"cpu": 2**27, "cuda": 2**30}
"""Of one chunk of the expert's scores, by kind of device: on two cores smaller ones are slower, larger ones no faster."""


def expert_layer(heads: list[Head], ends: Ends, k: int) -> None:
    """A layer as a careful person writes it: batched QR and SVD, one product a table in chunks, `topk` twice."""
    W_Q, W_K, W_V, W_O = (torch.stack([getattr(head, name) for head in heads]) for name in ("W_Q", "W_K", "W_V", "W_O"))
    read, write = _directions(W_V, W_O.mT)
    query, key = _directions(W_Q, W_K)
    for vectors, table in ((torch.cat([read, query, key]), ends.W_E.T), (write, ends.W_U)):
        for some in vectors.split(max(1, CHUNK_BYTES[table.device.type] // (4 * table.shape[1]))):
            scores = some @ table
            scores.topk(k)
            scores.topk(k, largest=False)


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


def notebook_head(head: Head, ends: Ends, k: int) -> None:
    """Both matrices of a head, multiplied out and decomposed whole."""
    rank = head.W_O.shape[0]
    read_out(head.W_V @ head.W_O, ends.W_E.T, ends.W_U, rank, k)
    read_out(head.W_Q @ head.W_K.T, ends.W_E.T, ends.W_E.T, rank, k)
