"""Determined directions of a quantised copy: those that another such rounding would hardly rotate.

The angle is the median that `app.core.measuring.turns` predicts. Measured on the OV directions of a 4-bit model, of the first ten
tokens of a ray so many are kept by another rounding (benchmarks/determinacy.py): 8.9 below 5 degrees, 7.8 at 8 to 10, 6.5 at
12 to 15, 5.4 at 15 to 20, 3.9 at 20 to 30. Imports no torch.
"""

DETERMINED_DEGREES = 15.0
"""Below this, more than six of the first ten tokens are kept; above it, about half or fewer."""


def is_determined(*degrees: float) -> bool:
    """Return whether a direction is determined: both sides are rotated by less than DETERMINED_DEGREES."""
    return max(degrees) < DETERMINED_DEGREES
