"""Step sizes of quantised weights, the distances between their levels: one number for each head and matrix.

A number that is rounded to levels `step` apart is off by up to half of it, evenly: its variance is `step^2 / 12`. What is
kept is the root mean square of the steps of all numbers of a head, or of a matrix that belongs to none. Knows where in
llama.cpp's tensors the heads are; not what the steps are for.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from app.models.importing.gguf.header import Packed
from app.models.importing.gguf.layouts import IN_LAYER
from app.models.importing.gguf.library import step_sizes
from app.models.refusal import ImportRefused

MATRICES = {
    "token_embd": "embed.W_E",
    "output": "unembed.W_U",
    "position_embd": "pos_embed.W_pos",
    "attn_q": "attn.W_Q",
    "attn_k": "attn.W_K",
    "attn_v": "attn.W_V",
    "attn_output": "attn.W_O",
    "ffn_up": "mlp.W_in",
    "ffn_gate": "mlp.W_gate",
    "ffn_down": "mlp.W_out",
}
"""Names in weights, by llama.cpp's name."""


@dataclass
class _Squares:
    """Mean squares of a tensor's rows so far, and sums by column of rows read at a time."""

    rows: list[Float64[Tensor, " rows"]] = field(default_factory=list)
    columns: list[Float64[Tensor, " columns"]] = field(default_factory=list)


class StepSizes:
    """Step sizes, collected while a model's tensors are read."""

    def __init__(self, n_heads: int, n_kv_heads: int, *, is_fused: bool) -> None:
        """Start without steps; `is_fused`: one tensor holds the gates above what they gate."""
        self._is_fused = is_fused
        self._heads = {"attn_q": n_heads, "attn_k": n_kv_heads, "attn_v": n_kv_heads, "attn_output": n_heads}
        self._squares: dict[tuple[str, str], _Squares] = defaultdict(_Squares)
        """Squares by the prefix of a matrix's name in weights, and llama.cpp's name for it."""
        self._uneven: set[tuple[str, str]] = set()
        self._kinds: dict[tuple[str, str], str] = {}

    def add(self, raw: UInt8[Tensor, " bytes"], tensor: Packed) -> None:
        """Add a tensor's next rows, as they are stored."""
        inside = IN_LAYER.fullmatch(tensor.name)
        key = (f"blocks.{inside[1]}.", inside[2]) if inside else ("", tensor.name.removesuffix(".weight"))
        if len(tensor.shape) != 2 or key in self._uneven:
            return
        self._kinds[key] = tensor.kind.name
        found = step_sizes(raw, tensor)
        if found is None:
            self._uneven.add(key)
            return
        squares = found.square_().double()
        self._squares[key].rows.append(squares.mean(dim=1))
        self._squares[key].columns.append(squares.sum(dim=0))

    def by_matrix(self) -> dict[str, list[float]]:
        """Compute the root mean square step of each head, or of the matrix, by name in weights; none where uneven."""
        found: dict[str, list[float]] = {}
        for (where, name), squares in self._squares.items():
            rows = torch.cat(squares.rows)
            if name == "attn_output":  # heads are its columns
                rows = torch.stack(squares.columns).sum(dim=0) / len(rows)
            for part, own in self._parts(name, rows):
                if part in MATRICES:
                    n_heads = self._heads.get(part, 1)
                    if len(own) % n_heads:
                        raise ImportRefused(
                            f"the file has {where}{name} of {len(own)} rows, which are not {n_heads} heads"
                        )
                    means = own.reshape(n_heads, -1).mean(dim=1)
                    found[f"{where}{MATRICES[part]}"] = means.sqrt().tolist()
        return found

    def kinds(self) -> dict[str, str]:
        """Return the kind that each matrix is stored as, by its name in weights."""
        return {
            f"{where}{MATRICES[part]}": kind
            for (where, name), kind in self._kinds.items()
            for part in self._names(name)
            if part in MATRICES
        }

    def _names(self, name: str) -> tuple[str, ...]:
        """Return llama.cpp's names for the matrices that a tensor holds one below the other."""
        if name == "attn_qkv":
            return "attn_q", "attn_k", "attn_v"
        return ("ffn_gate", "ffn_up") if name == "ffn_up" and self._is_fused else (name,)

    def _parts(self, name: str, rows: Float64[Tensor, " rows"]) -> list[tuple[str, Float64[Tensor, " _"]]]:
        """Split a tensor's rows into the matrices that it holds one below the other."""
        names = self._names(name)
        if len(names) == 1:
            return [(name, rows)]
        shares = [self._heads.get(each, 1) for each in names]
        return list(zip(names, torch.split(rows, [len(rows) // sum(shares) * n for n in shares]), strict=True))
