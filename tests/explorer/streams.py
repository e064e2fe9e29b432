"""Artifacts about streams with numbers that tests know: a text, a linear map, and unlikely tokens."""

import numpy as np

from app.explorer import recipes
from app.explorer.layout import LINEAR_BASES


def keep_text(r, model, text=0):
    """Keep the tokens of a text, with no statistics of it."""
    ids = np.full((4, 6), 7, np.int32)
    r.store.write(recipes.use(model, "folded", text), {"ids": ids}, {})


def linear_arrays(bases=LINEAR_BASES):
    """Return a map of four directions a basis, along one of which nothing varies; atoms have no map."""
    arrays = {"whole": np.array([0.5, 0.4, 0.6], np.float32), "positions": np.array([20, 1], np.int32)}
    arrays |= {"unmoved": np.zeros(1, np.float32), "penalty": np.array([0.1])}
    for at, basis in enumerate(bases):
        arrays[f"score_{basis}"] = np.array([0.9, 0.1, np.nan, 0.2 + at / 100], np.float32)
        arrays |= {f"{name}_{basis}": np.full(4, 0.25, np.float32) for name in ("embedding", "start")}
        arrays[f"end_{basis}"] = np.array([0.5, 0.2, 0.2, 0.1], np.float32)
        if basis != "nmf":
            arrays[f"map_{basis}"] = 4 * np.eye(4, dtype=np.float32)
            arrays[f"diagonal_{basis}"] = np.ones(1, np.float32)
    return arrays


def unlikely_arrays(n_layers):
    """Return ratios of about one, with their intervals, at two positions of that text."""
    one = np.tile(np.array([1.01, 0.96, 1.06], np.float32), (n_layers + 1, 1))
    near_nothing = one - 1
    return {
        "at": np.array([[0, 3], [2, 1]], np.int32),
        "ids": np.array([[1, 2, 3], [4, 5, 6]], np.int32),
        "naive": one + 0.2,
        "control": one,
        "without": one,
        **dict.fromkeys(("signed", "signed_others", "undone"), near_nothing),
        **dict.fromkeys(("share", "chance"), np.full(n_layers + 1, 0.1, np.float32)),
        "middle": np.array([[1.21, 1.16, 1.26], [1.01, 0.96, 1.06], [1.0, 0.95, 1.05]], np.float32),
    }
