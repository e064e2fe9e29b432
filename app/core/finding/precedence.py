"""The order in which matrices write to the residual stream and read it in one pass through a transformer.

Attention of a layer reads what attention and MLPs of earlier layers wrote; its MLP reads what attention of the same
layer wrote, too, unless the two run side by side. The embedding comes before all, the unembedding after. Knows the
kinds of matrices, and no model.
"""

from app.core.address import Kind

WRITERS = frozenset({"ov", "mlp-out", "embed"})
"""Kinds of matrices that write to the stream, with their right sides."""
READERS = frozenset({"ov", "qk", "mlp-in", "mlp-gate", "unembed"})
"""Kinds of matrices that read the stream, with their left sides, QK with both."""


def write_time(kind: Kind, layer: int) -> int:
    """Return when such a matrix of that layer writes: after reads at the same time or before; ValueError if it never
    does.

    Example: write_time("ov", 3) <= read_time("mlp-in", 3, side_by_side=False), and not <= read_time("qk", 3, …)
    """
    if kind == "embed":
        return 0
    if kind not in WRITERS:
        raise ValueError(f"{kind} writes nothing to the stream")
    return 2 * layer + (1 if kind == "ov" else 2)


def read_time(kind: Kind, layer: int, n_layers: int, *, side_by_side: bool = False) -> int:
    """Return when such a matrix of that layer reads; ValueError if it never does.

    `side_by_side`: attention and MLP of a layer read the same stream.
    """
    if kind == "unembed":
        return 2 * n_layers
    if kind not in READERS:
        raise ValueError(f"{kind} reads nothing from the stream")
    return 2 * layer + (kind not in {"ov", "qk"} and not side_by_side)
