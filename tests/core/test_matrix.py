import torch

from app.core.matrix import READ, WRITE, Matrix


def test_rows_act_from_the_left():
    A, B = torch.randn(6, 2), torch.randn(2, 5)
    x = torch.randn(6, dtype=torch.float64)
    assert torch.allclose(x @ Matrix((A, B), READ, WRITE).dense(), (x @ A.double()) @ B.double())
