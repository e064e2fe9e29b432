"""Vectors as a file for NumPy: `numpy.load` gives the arrays by name, without pickle."""

import io
from typing import Any

import numpy as np

from app.explorer.pages.directions import Vectors


def vector_file(found: Vectors) -> bytes:
    """Write vectors and their origin as `.npz`; the same bytes for the same vectors.

    `index` and `strength` [n]; `left` and `right` [n d], where the side has vectors, with `left_is` and `right_is`:
    read, write, query, key or neuron; `address`, `weights` and `fingerprint` of their origin.
    """
    arrays: dict[str, Any] = {
        "index": np.array(found.index, np.int64),
        "strength": np.array(found.strength, np.float32),
        **dict(sorted(found.sides.items())),  # files give their arrays in any order
        **{f"{name}_is": np.array(side) for name, side in zip(("left", "right"), found.names, strict=True)},
        "address": np.array(str(found.address)),
        "weights": np.array(found.view.weights),
        "fingerprint": np.array(found.model.fingerprint),
    }
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()
