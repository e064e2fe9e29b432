import numpy as np
import pytest
import torch

from app.core.measuring import comparison
from app.core.measuring.comparison import (
    compare_errors,
    draw_rows,
    find_partners,
    overlap,
    random_vectors,
    random_vectors_within,
    span,
)
from app.core.measuring.energy import explained_shares
from tests.core.conftest import run_steps

D = 24


def unit(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=draw), dim=-1)


def shuffled(vectors, seed=7):
    """The same vectors in another order, half of them turned round."""
    draw = torch.Generator().manual_seed(seed)
    sign = torch.where(torch.rand(len(vectors), 1, generator=draw) < 0.5, -1.0, 1.0)
    return (sign * vectors)[torch.randperm(len(vectors), generator=draw)]


def mixed(vectors, count, seed=8):
    """Other unit vectors of the same span."""
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, len(vectors), generator=draw) @ vectors, dim=1)


def energies_of(gram, vectors, counts):
    """The shares that the spans of the first so many vectors explain."""
    return explained_shares(gram, vectors)[list(counts)]


@pytest.fixture
def samples():
    spread = torch.logspace(0, -2, D)
    return (torch.randn(500, D, generator=torch.Generator().manual_seed(1)) * spread) @ unit(D, D, seed=2)


@pytest.fixture
def gram(samples):
    return samples.double().T @ samples.double()


def test_equal_spans_are_equal():
    vectors = unit(6, D)
    for others in (shuffled(vectors), mixed(vectors, 6), mixed(vectors, 40), torch.cat([vectors, vectors])):
        assert torch.allclose(overlap(vectors, others), torch.ones(6, dtype=torch.float64), atol=1e-6)
        ours, theirs = (span(side) @ span(side).T for side in (vectors, others))
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_orthogonal_spans_share_nothing():
    axes = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(3))).Q
    cosines = overlap(mixed(axes[:5], 8), mixed(axes[5:14], 20))
    assert cosines.shape == (5,)
    assert cosines.max() < 1e-5


def test_known_angles():
    axes, angles = torch.eye(6), torch.tensor([0.2, 0.7, 1.3])
    others = axes[:3] * angles.cos()[:, None] + axes[3:] * angles.sin()[:, None]
    assert torch.allclose(overlap(axes[:3], mixed(others, 3)), angles.cos().double(), atol=1e-6)


def test_a_span_within_another():
    vectors = unit(9, D)
    assert torch.allclose(overlap(vectors[:4], vectors), torch.ones(4, dtype=torch.float64), atol=1e-6)


def test_random_spans_share_what_chance_gives():
    shared = [overlap(unit(8, D, seed=2 * s), unit(12, D, seed=2 * s + 1)).square().mean() for s in range(40)]
    assert float(torch.stack(shared).mean()) == pytest.approx(12 / D, abs=0.03)


def test_a_span_has_as_many_dimensions_as_its_vectors():
    vectors = unit(5, D)
    for others, rank in ((vectors, 5), (mixed(vectors, 60), 5), (unit(60, D), D), (torch.zeros(3, D), 0)):
        basis = span(others)
        assert basis.shape == (D, rank)
        assert torch.allclose(basis.T @ basis, torch.eye(rank, dtype=torch.float64), atol=1e-12)
    assert span(vectors[:0]).shape == (D, 0)
    assert overlap(vectors, torch.zeros(3, D)).shape == (0,)


def test_explained_energy_is_that_of_the_projections(samples, gram):
    vectors = torch.cat([unit(3, D), unit(3, D), unit(40, D, seed=4)])  # three come twice
    energies = energies_of(gram, vectors, (0, 2, 6, 10, 46))
    X = samples.double().numpy()
    for count, energy in zip((2, 6, 10, 46), energies[1:].tolist(), strict=True):
        V = vectors[:count].double().numpy()
        projected = X @ np.linalg.pinv(V, rcond=1e-6) @ V
        assert energy == pytest.approx((projected**2).sum() / (X**2).sum(), rel=1e-9)
    assert energies[0] == 0
    assert energies[-1] == pytest.approx(1)


def test_nothing_explains_more_than_the_singular_vectors(samples, gram):
    Vh = torch.linalg.svd(samples, full_matrices=False).Vh
    counts = (1, 5, 12)
    best = energies_of(gram, Vh, counts)
    for seed in range(5):
        assert (energies_of(gram, unit(D, D, seed=seed), counts) < best).all()
    assert not energies_of(torch.zeros(D, D, dtype=torch.float64), Vh, counts).any()


def test_partners_are_the_nearest(monkeypatch):
    monkeypatch.setattr(comparison, "ROWS", 7)
    vectors, others = unit(50, D), unit(31, D, seed=1)
    dense = vectors.double().numpy() @ others.double().numpy().T
    indices, cosines = find_partners(vectors, others)
    assert indices.tolist() == np.abs(dense).argmax(axis=1).tolist()
    assert np.allclose(cosines, dense[np.arange(50), indices])
    assert (cosines < 0).any()
    assert (cosines > 0).any()


def test_a_basis_is_its_own_partner():
    vectors = unit(30, D)
    indices, cosines = find_partners(vectors, -vectors.flip(0))
    assert torch.equal(indices, torch.arange(30).flip(0))
    assert torch.allclose(cosines, -torch.ones(30, dtype=torch.float64), atol=1e-6)


def test_order_and_signs_change_no_number(samples, gram):
    vectors, others = unit(40, D), unit(10, D, seed=1)
    turned, also = shuffled(vectors), shuffled(others)
    assert torch.allclose(overlap(vectors[:9], others), overlap(shuffled(vectors[:9]), also), atol=1e-9)
    assert torch.allclose(energies_of(gram, others, [10]), energies_of(gram, also, [10]), rtol=1e-9)
    plain, again = (run_steps(compare_errors(samples, {"some": side}, 5, seed=0))["some"] for side in (vectors, turned))
    assert torch.allclose(plain.own, again.own, rtol=1e-6)
    assert torch.equal(plain.control, again.control)
    ours, theirs = (find_partners(others, side).cosines.abs() for side in (vectors, turned))
    assert torch.allclose(ours, theirs)


def test_bases_are_coded_beside_a_control_of_their_size(samples):
    Vh = torch.linalg.svd(samples, full_matrices=False).Vh
    errors = run_steps(compare_errors(samples, {"svd": Vh, "axes": torch.eye(D), "many": unit(200, D)}, 6, seed=3))
    assert list(errors) == ["svd", "axes", "many"]
    coefficients = (samples @ Vh.T).abs().sort(descending=True).values.double()
    theirs = (coefficients.square().flip(1).cumsum(dim=1).flip(1)[:, 1:7].sum(dim=0)).sqrt() / samples.double().norm()
    assert torch.allclose(errors["svd"].own, theirs, rtol=1e-4)
    assert (errors["svd"].own < errors["svd"].control).all()
    assert torch.equal(errors["svd"].control, errors["axes"].control)
    assert (errors["many"].control < errors["svd"].control).all()
    for own, control in errors.values():
        assert (own.diff() <= 0).all()
        assert own.shape == control.shape == (6,)


def test_random_vectors_point_anywhere():
    vectors = random_vectors(4000, torch.zeros(1, D), seed=0)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(4000), atol=1e-6)
    assert vectors.mean(dim=0).norm() < 0.05
    assert torch.allclose(vectors.T @ vectors / 4000, torch.eye(D) / D, atol=0.01)
    assert torch.equal(random_vectors(10, vectors, seed=0), vectors[:10])
    assert not torch.equal(random_vectors(10, vectors, seed=1), vectors[:10])


def test_random_vectors_within_a_span_point_anywhere_in_it():
    vectors = mixed(unit(5, D), 9)
    drawn = random_vectors_within(vectors, 4000, seed=0)
    unit_rows = span(vectors).T
    assert torch.allclose(drawn.norm(dim=1), torch.ones(4000), atol=1e-6)
    assert torch.allclose((drawn.double() @ unit_rows.T).norm(dim=1), torch.ones(4000, dtype=torch.float64), atol=1e-6)
    inside = drawn.double() @ unit_rows.T
    assert torch.allclose(inside.T @ inside / 4000, torch.eye(5, dtype=torch.float64) / 5, atol=0.02)
    assert torch.equal(random_vectors_within(unit(60, D), 10, seed=0), random_vectors(10, vectors, seed=0))


def test_bases_of_one_small_span_are_coded_beside_vectors_of_it(samples):
    """Random vectors of the whole space would lose by what they have outside."""
    basis = unit(4, D)
    within = samples @ basis.T @ torch.linalg.pinv(basis.T)
    errors = run_steps(compare_errors(within, {"some": basis, "other": mixed(basis, 4)}, 4, seed=0))
    for own, control in errors.values():
        assert own[-1] < 1e-3
        assert control[-1] < 1e-3


def test_rows_are_drawn_without_favour():
    samples = torch.arange(100.0)[:, None]
    drawn = draw_rows(samples, 30, seed=0)[:, 0]
    assert len(drawn.unique()) == len(drawn) == 30
    assert torch.equal(drawn, drawn.sort().values)
    assert torch.equal(drawn, draw_rows(samples, 30, seed=0)[:, 0])
    assert not torch.equal(drawn, draw_rows(samples, 30, seed=1)[:, 0])
    assert torch.equal(draw_rows(samples, 1000, seed=0), samples)
    means = torch.stack([draw_rows(samples, 30, seed=seed).mean() for seed in range(200)])
    assert float(means.mean()) == pytest.approx(49.5, abs=1.5)
