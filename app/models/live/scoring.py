"""How a layer's attention makes a pattern of its scores: what it scales them by, caps them at, and looks back to.

Knows no text, and no weights.
"""

from dataclasses import dataclass
from typing import Any

from app.models.live.layouts import LAYOUTS


@dataclass(frozen=True, slots=True)
class Scoring:
    """What stands between `q R_D k^T` and the softmax of a layer."""

    scale: float
    cap: float | None
    """Scores are `cap tanh(score / cap)` where there is one; Gemma 2."""
    window: int | None
    """Positions that are seen, the own one included; None: all before it."""

    def sees(self, to: int, source: int) -> bool:
        """Return whether a position's attention may go to another."""
        return source <= to and (self.window is None or to - source < self.window)


def read_scoring(model: Any, layer: int) -> Scoring:
    """Read it off the library's own module of an assembled model."""
    modules = LAYOUTS[type(model).__name__].modules
    attention = model.get_submodule(f"{modules.layers}.{layer}.{modules.attention}")
    window = attention.sliding_window if hasattr(attention, "sliding_window") else _window_of(model)
    return Scoring(float(attention.scaling), getattr(model.config, "attn_logit_softcapping", None), window)


def _window_of(model: Any) -> int | None:
    """Read the window that a family has in all layers, as Phi-3."""
    window: int | None = getattr(model.config, "sliding_window", None)
    return window
