import torch

from app.core.circuits import CIRCUITS, key_bias, ov_constant
from app.core.matrix import KEY, QUERY, READ, WRITE


def test_sides():
    sides = {"ov": (READ, WRITE), "qk": (QUERY, KEY)}
    assert sides.keys() == CIRCUITS.keys()


def test_ov_and_its_constant_are_the_heads_forward_pass(head):
    pattern = torch.rand(4, 4, dtype=torch.float64).softmax(dim=1)
    x = torch.randn(4, 48, dtype=torch.float64)
    value = x @ head.W_V.double() + head.b_V.double()
    output = pattern @ value @ head.W_O.double() + head.b_O.double()
    matrix = CIRCUITS["ov"](head)
    assert (matrix.left, matrix.right) == (READ, WRITE)
    assert torch.allclose(pattern @ x @ matrix.dense() + ov_constant(head), output, atol=1e-5)


def test_qk_and_the_key_bias_are_the_heads_scores(head):
    x = torch.randn(5, 48, dtype=torch.float64)
    query = x @ head.W_Q.double() + head.b_Q.double()
    key = x @ head.W_K.double() + head.b_K.double()
    matrix = CIRCUITS["qk"](head)
    assert (matrix.left, matrix.right) == (QUERY, KEY)
    ours = x @ matrix.dense() @ x.T + x @ key_bias(head).double()
    # What is left is the same for all keys of a query, so the softmax does not see it.
    left_over = query @ key.T - ours
    assert torch.allclose(left_over, left_over[:, :1].expand(-1, 5), atol=1e-4)
