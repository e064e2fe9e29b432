import pytest
import torch

from app.core.noise import Noise, noise_of_steps


def drawn(noise: Noise, n: int) -> torch.Tensor:
    """Errors with those variances, uniform."""
    draw = torch.Generator().manual_seed(0)
    size = torch.outer(noise.rows, noise.columns).mul(12).sqrt()
    return (torch.rand(n, *size.shape, generator=draw, dtype=torch.float64) - 0.5) * size


def variances(errors: torch.Tensor) -> torch.Tensor:
    return errors.square().mean(dim=0)


@pytest.fixture
def noise() -> Noise:
    return Noise(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 4.0], dtype=torch.float64))


def test_steps_give_their_own_mean_square():
    weights = torch.randn(7, 5) * torch.tensor([0.1, 1.0, 1.0, 10.0, 0.0])
    noise = noise_of_steps(weights, 0.3)
    every = torch.outer(noise.rows, noise.columns)
    assert every.mean().item() == pytest.approx(0.3**2 / 12)
    assert torch.allclose(every, every[:1].expand_as(every))


def test_a_column_has_steps_as_large_as_its_weights():
    weights = torch.ones(4, 2) * torch.tensor([1.0, -3.0])
    assert noise_of_steps(weights, 1.0).columns.tolist() == pytest.approx([0.2 / 12, 1.8 / 12])


@pytest.mark.parametrize("scale", [1.0, 2.0**-90])
def test_whatever_the_scale_of_the_weights(scale):
    weights = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    expected = noise_of_steps(weights, 0.01).columns
    assert torch.allclose(noise_of_steps(weights * scale, 0.01).columns, expected)


def test_zeros_and_nothing():
    assert noise_of_steps(torch.zeros(3, 2), 0.5).columns.tolist() == pytest.approx([0.25 / 12] * 2)
    assert noise_of_steps(torch.randn(3, 2), 0.0).is_zero
    assert not noise_of_steps(torch.zeros(3, 2), 0.5).is_zero
    assert noise_of_steps(torch.zeros(3, 0), 0.5).columns.shape == (0,)


def test_scaled_as_the_errors_of_a_scaled_matrix(noise):
    rows, columns = torch.tensor([3.0, -1.0, 0.5]), torch.tensor([2.0, 0.1])
    scaled = noise.scale(rows, columns)
    measured = variances(drawn(noise, 4000) * rows[:, None] * columns)
    assert torch.allclose(torch.outer(scaled.rows, scaled.columns), measured, rtol=0.1)
    assert torch.equal(noise.scale().rows, noise.rows)


def test_turned_as_the_errors_of_a_turned_matrix(noise):
    by = torch.tensor([[0.6, 0.8], [-0.8, 0.6]]) * 1.5
    turned = noise.multiply(by)
    measured = variances(drawn(noise, 4000) @ by.double())
    assert torch.allclose(torch.outer(turned.rows, turned.columns), measured, rtol=0.1)


def test_transposed(noise):
    assert torch.equal(noise.transposed.rows, noise.columns)
    assert torch.equal(noise.transposed.columns, noise.rows)
