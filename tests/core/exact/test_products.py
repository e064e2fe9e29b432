from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.core.exact import products
from app.core.exact.products import exact_products, near_error, near_products

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


@pytest.fixture(params=["sampled", "gathered"])
def near(request):
    """Either way; which one is used depends on the device."""
    return {"sampled": products._multiply_by_blocks, "gathered": products._multiply_copies}[request.param]


@pytest.mark.parametrize("scale", [1.0, 1e-22, 1e15])
@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_near_products_are_as_near_as_they_say(near, scale, block, monkeypatch):
    monkeypatch.setitem(products.BLOCK_BYTES, "cpu", 8 * 33 * block)
    vectors, table = torch.randn(20, 33) * scale, torch.randn(300, 33) * scale
    rows = torch.stack([torch.randperm(300)[:40] for _ in range(20)])
    off = (near(vectors, table, rows) - exact_products(vectors, table, rows)).abs()
    error = near_error(vectors, table.double().norm(dim=1).max())
    assert (off <= error[:, None]).all()
    assert (error < 1e-13 * vectors.double().norm(dim=1) * table.double().norm(dim=1).max()).all()


def test_near_products_of_the_same_row_asked_for_twice(near):
    vectors, table = torch.randn(3, 5), torch.randn(4, 5)
    rows = torch.tensor([[0, 0, 3], [3, 1, 3], [2, 2, 2]])
    expected = (vectors.double() @ table.double().T).gather(1, rows)
    torch.testing.assert_close(near(vectors, table, rows), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("many", [1, 2**14])
def test_what_is_not_wanted_is_left_out(many, monkeypatch):
    """On a CPU, in threads or not: not even a product that would be infinite is taken."""
    monkeypatch.setattr(products, "MANY", many)
    monkeypatch.setitem(products.BLOCK_BYTES, "cpu", 8 * 5 * 3)
    vectors, table = torch.randn(7, 5), torch.randn(40, 5)
    rows = torch.stack([torch.randperm(40)[:11] for _ in range(7)])
    wanted = torch.rand(7, 11) < 0.4
    expected = (vectors.double() @ table.double().T).gather(1, rows)
    scores = near_products(vectors, table, rows, wanted)
    torch.testing.assert_close(scores[wanted], expected[wanted], rtol=1e-12, atol=1e-12)
    assert not scores[~wanted].any()


def test_near_products_have_no_negative_zero():
    score = near_products(torch.tensor([[-1.0]]), torch.tensor([[0.0]]), torch.tensor([[0]]))
    assert not torch.signbit(score).any()
