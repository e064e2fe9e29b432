"""The bound is held against float64 products; what is chosen, against a machine that is made fast or slow."""

import pytest
import torch

from app.core.exact.proposal import (
    ROUNDING,
    candidates_for,
    choose_fastest,
    proposal,
    propose,
    proposing_dtype,
    unit_scale,
)

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def prepared(rows: torch.Tensor, dtype: torch.dtype):
    return proposal(rows, rows.double().norm(dim=1), dtype)


def aligned(n: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers just above the middle between two of bfloat16's: all round the same way, and every error adds up."""
    middle = 1 + 2.0**-8 + 2.0**-12
    return torch.full((n, d), middle), torch.full((3 * n, d), middle)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scales", [(1.0, 1.0), (1e-22, 1e15), (1e15, 1e-22), (1e-30, 1e-3)])
@pytest.mark.parametrize("kind", ["random", "aligned", "one long row", "few large entries"])
def test_no_score_is_further_off_than_it_says(dtype, scales, kind):
    vectors, rows = aligned(20, 256) if kind == "aligned" else (torch.randn(20, 256), torch.randn(600, 256))
    if kind == "one long row":
        rows[7] *= 1e4
    if kind == "few large entries":
        rows[:, :3] *= 1e4
        vectors[::2, 3:] *= 1e-4
    vectors, rows = vectors * scales[0], rows * scales[1]
    proposed = propose(prepared(rows, dtype), vectors)
    scores = proposed.scores.double()
    exact = (vectors.double() @ rows.double().T) * unit_scale(proposed.exponents)[:, None]
    off = (scores - exact).abs()
    assert (off <= proposed.errors[:, None] + ROUNDING[dtype] * scores.abs()).all()


@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 0.006), (torch.float16, 0.001), (torch.float32, 1e-4)])
def test_the_error_is_small_beside_the_lengths(dtype, most):
    """Else nothing would ever be settled."""
    prepared_rows = prepared(torch.randn(600, 256), dtype)
    proposed = propose(prepared_rows, torch.randn(20, 256))
    assert (proposed.errors <= most * prepared_rows.longest).all()


def test_zeros_are_proposed_as_zeros():
    for dtype in DTYPES:
        assert not propose(prepared(torch.zeros(5, 4), dtype), torch.randn(2, 4)).scores.any()
        assert not propose(prepared(torch.randn(5, 4), dtype), torch.zeros(2, 4)).scores.any()


def test_float32_rows_are_not_copied():
    rows = torch.randn(5, 4)
    assert prepared(rows, torch.float32).rows.data_ptr() == rows.data_ptr()


def test_rows_too_long_for_float32_are_refused():
    with pytest.raises(ValueError, match="a length of 2e\\+38"):
        prepared(torch.full((1, 4), 1e38), torch.bfloat16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_as_many_candidates_as_a_bell_needs(dtype):
    """In 20,000 rows and 256 dimensions the k-th score beats what the last candidate's neighbours can have."""
    rows, vectors, k = torch.randn(20_000, 256), torch.randn(20, 256), 50
    prepared_rows = prepared(rows, dtype)
    count = candidates_for(prepared_rows, k, 14)
    proposed = propose(prepared_rows, vectors)
    last = proposed.scores.double().topk(count).values[:, -1]
    kth = ((vectors.double() @ rows.double().T) * unit_scale(proposed.exponents)[:, None]).topk(k).values[:, -1]
    assert (kth > last + ROUNDING[dtype] * last.abs() + proposed.errors).float().mean() >= 0.9
    assert count < 300


def test_never_more_candidates_than_rows():
    assert candidates_for(prepared(torch.randn(60, 8), torch.bfloat16), 50, 14) == 60
    assert candidates_for(prepared(torch.zeros(6000, 8), torch.bfloat16), 50, 14) == 64


@pytest.mark.parametrize(
    ("float16", "bfloat16", "chosen"),
    [
        (9.0, 9.0, torch.float32),
        (0.9, 0.9, torch.float32),
        (0.5, 0.5, torch.float16),
        (0.5, 0.3, torch.bfloat16),
        (9.0, 0.3, torch.bfloat16),
    ],
)
def test_the_machine_decides(float16, bfloat16, chosen):
    turn = {torch.float32: 1.0, torch.float16: float16, torch.bfloat16: bfloat16}
    assert choose_fastest([turn] * 24) == chosen
    # A few turns in which somebody else had the machine change nothing.
    unlucky = [{**turn, dtype: 40.0} for dtype in (torch.float32, torch.bfloat16, torch.float32)]
    assert choose_fastest([turn] * 21 + unlucky) == chosen


def test_in_doubt_nothing_is_risked():
    quick, slow = {torch.float32: 1.0, torch.bfloat16: 0.5}, {torch.float32: 1.0, torch.bfloat16: 2.0}
    assert choose_fastest([quick, slow] * 12) == torch.float32


def test_this_machine_is_asked():
    assert proposing_dtype("cpu") in DTYPES
