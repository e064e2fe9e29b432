"""The shapes of well-known models, and random weights of a shape, a layer at a time; no file is read or written."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from app.core.circuits import Head


@dataclass(frozen=True)
class Shape:
    """The sizes that decide how much work a model's heads are."""

    name: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_vocab: int

    @property
    def sides(self) -> int:
        """Count the direction-sides of one layer: vectors to read out, for both sides of OV and of QK."""
        return 4 * self.n_heads * self.d_head

    def __str__(self) -> str:
        return (
            f"{self.name} ({self.n_layers} layers x {self.n_heads} heads, d_model {self.d_model}, "
            f"d_head {self.d_head}, {self.d_vocab:,} tokens)"
        )


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("gpt2-small", 12, 12, 12, 768, 64, 50_257),
        Shape("gpt2-medium", 24, 16, 16, 1024, 64, 50_257),
        Shape("gpt2-xl", 48, 25, 25, 1600, 64, 50_257),
        Shape("llama-3-8b", 32, 32, 8, 4096, 128, 128_256),
    )
}
FACTORS = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Ends:
    """Embedding and unembedding, which vectors are read out with, float32."""

    W_E: Tensor
    """[d_vocab d_model]"""
    W_U: Tensor
    """[d_model d_vocab], a view of one row a token: checkpoints hold it so, and nobody has to copy it."""


def scale_shape(base: Shape, heads: float = 1, d_model: float = 1, d_vocab: float = 1) -> Shape:
    """Multiply some sizes of a shape; heads keep their size, and as many share keys and values."""
    n_heads = max(1, round(heads * base.n_heads))
    sharing = min(n_heads, base.n_heads // base.n_kv_heads)
    return replace(
        base,
        n_heads=n_heads,
        n_kv_heads=n_heads // sharing,
        d_model=round(d_model * base.d_model),
        d_vocab=round(d_vocab * base.d_vocab),
    )


def sweep_sizes(base: Shape) -> Iterator[tuple[str, Shape, int]]:
    """Vary one size at a time around the base: its name, the shape, the number of layers to compute."""
    for n_layers in (1, 2, 4, 8):
        yield "layers", base, n_layers
    for axis in ("heads", "d_model", "d_vocab"):
        for factor in FACTORS:
            yield axis, scale_shape(base, **{axis: factor}), 2


def draw_ends(shape: Shape, device: str, seed: int = 0) -> Ends:
    """Draw random token vectors, untied."""
    chance = torch.Generator(device).manual_seed(seed)
    rows = [
        torch.randn(shape.d_vocab, shape.d_model, generator=chance, device=device).mul_(shape.d_model**-0.5)
        for _ in range(2)
    ]
    return Ends(rows[0], rows[1].T)


def draw_heads(shape: Shape, layer: int, device: str, seed: int = 0) -> list[Head]:
    """Draw the heads of one layer, the same each time; query heads that share a key/value head share its memory."""
    chance = torch.Generator(device).manual_seed(1_000 * (seed + 1) + layer)

    def random(n: int, rows: int, columns: int) -> Tensor:
        return torch.randn(n, rows, columns, generator=chance, device=device).mul_(rows**-0.5)

    W_Q = random(shape.n_heads, shape.d_model, shape.d_head)
    W_K, W_V = (random(shape.n_kv_heads, shape.d_model, shape.d_head) for _ in range(2))
    W_O = random(shape.n_heads, shape.d_head, shape.d_model)
    none, nothing = torch.zeros(shape.d_head, device=device), torch.zeros(shape.d_model, device=device)
    shared = [head * shape.n_kv_heads // shape.n_heads for head in range(shape.n_heads)]
    return [
        Head(W_Q[head], W_K[kv], W_V[kv], W_O[head], b_Q=none, b_K=none, b_V=none, b_O=nothing)
        for head, kv in enumerate(shared)
    ]


def count_weight_bytes(shape: Shape) -> int:
    """Compute the bytes of both ends and of one layer's heads in float32: the memory before any computation."""
    layer = 2 * (shape.n_heads + shape.n_kv_heads) * shape.d_head * shape.d_model
    return 4 * (2 * shape.d_vocab * shape.d_model + layer)
