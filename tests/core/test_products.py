from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.core.products import exact_products, fast_error

numbers = st.floats(-1e3, 1e3, width=32)


def exactly(a: torch.Tensor, b: torch.Tensor) -> Fraction:
    return sum((Fraction(x) * Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)), Fraction())


@given(st.integers(1, 9).flatmap(lambda d: st.tuples(*[st.lists(numbers, min_size=d, max_size=d)] * 2)))
def test_exact_is_the_rational_product(pair):
    a, b = (torch.tensor(values, dtype=torch.float32) for values in pair)
    ours = exact_products(a[None], b[None], torch.tensor([[0]])).item()
    size = exactly(a.abs(), b.abs())
    assert abs(Fraction(ours) - exactly(a, b)) <= size * 8 * Fraction(2) ** -53


@pytest.mark.parametrize("d", [1, 2, 3, 7, 64, 100, 257])
def test_equal_rows_score_equal_bits_in_any_company(d):
    table = torch.randn(300, d)
    table[[5, 77, 299]] = table[0].clone()
    vectors = torch.randn(3, d)
    whole = exact_products(vectors, table, torch.arange(300).expand(3, -1))
    assert (whole[:, [5, 77, 299]] == whole[:, :1]).all()
    alone = exact_products(vectors[1:2], table, torch.tensor([[77]]))
    assert alone.item() == whole[1, 0].item()
    assert torch.equal(exact_products(-vectors, table, torch.arange(300).expand(3, -1)), -whole)


def test_no_negative_zero():
    score = exact_products(torch.tensor([[-1.0]]), torch.tensor([[0.0]]), torch.tensor([[0]]))
    assert not torch.signbit(score).any()


@pytest.mark.parametrize("scale", [1.0, 1e-22, 1e17])
def test_a_float32_product_keeps_within_the_error(scale):
    vectors, table = torch.randn(20, 512) * scale, torch.randn(2000, 512) * scale
    table[::2] *= 1e-3
    norms = table.double().norm(dim=1)
    error = fast_error(vectors, norms)
    off = (vectors.double() @ table.double().T - (vectors @ table.T).double()).abs()
    assert (off <= error).all()
    assert (error < 1e-3 * vectors.double().norm(dim=1)[:, None] * norms + 1e-30).all()  # and it excludes something


def test_what_float32_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="1e\\+30 and 1e\\+10"):
        fast_error(torch.full((1, 1), 1e30), torch.tensor([1.0, 1e10], dtype=torch.float64))
