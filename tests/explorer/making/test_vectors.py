import numpy as np
import pytest

from app.core.address import parse
from app.explorer.making.subjects import read_subject
from app.explorer.making.vectors import term_vectors
from tests.explorer.steps import run_steps

PLACES = {
    "L1/H2/ov": {"left", "right"},
    "L1/H2/qk": {"left", "right"},
    "L0/mlp-in": {"left", "right"},
    "L0/mlp-out": {"left", "right"},
    "embed": {"right"},
    "unembed": {"left"},
    "pos": {"right"},
    "heads/read": {"right"},
}


@pytest.mark.parametrize("place", PLACES)
def test_they_are_the_matrix_taken_apart(context_of, place):
    """Beside the dense product in float64: strengths as its singular values, and M r = s l where both sides are there."""
    context, address = context_of("gpt2", "folded"), parse(f"tiny/{place}")
    arrays, facts = run_steps(term_vectors(context, address, {}))
    product = run_steps(read_subject(context, address)).product
    dense = product.dense().numpy()
    assert facts == {}
    assert set(arrays) == PLACES[place]
    for name, own in arrays.items():
        # As many times a unit vector is what the matrix makes of it: the square of a singular value.
        square = dense @ dense.T if name == "left" else dense.T @ dense
        values = np.sort(np.linalg.eigvalsh(square))[::-1][: len(own)]
        made = own.astype(np.float64) @ square
        assert np.allclose(np.linalg.norm(own, axis=1), 1, atol=1e-5)
        assert np.allclose(made, values[:, None] * own, atol=1e-4 * values[0])
    if len(arrays) == 2:
        values = np.linalg.svd(dense, compute_uv=False)[: len(arrays["left"])]
        assert np.allclose(arrays["right"] @ dense.T, values[:, None] * arrays["left"], atol=1e-4 * values[0])


def test_a_distance_turns_the_queries(context_of):
    context = context_of("llama", "folded")
    near, far = (run_steps(term_vectors(context, parse("llama/L1/H2/qk"), {}, distance))[0] for distance in (0, 5))
    dense = run_steps(read_subject(context, parse("llama/L1/H2/qk"), 5)).product.dense().numpy()
    values = np.linalg.svd(dense, compute_uv=False)[: len(far["left"])]
    assert np.allclose(far["right"] @ dense.T, values[:, None] * far["left"], atol=1e-4 * values[0])
    assert not np.allclose(np.abs(near["left"]), np.abs(far["left"]), atol=1e-2)
