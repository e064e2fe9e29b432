import numpy as np
import pytest
import torch

from app.core.measuring import coding
from app.core.measuring.coding import coding_errors, relative_errors, sparse_codes, squared_errors

D, ATOMS = 12, 30


def unit(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=draw), dim=-1)


@pytest.fixture(params=[coding.GRAM_ATOMS, 0], ids=["by-gram", "by-rest"])
def _either_way(request, monkeypatch):
    """With the Gram matrix, and without."""
    monkeypatch.setattr(coding, "GRAM_ATOMS", request.param)


@pytest.fixture
def samples():
    return torch.randn(200, D, generator=torch.Generator().manual_seed(1)) * torch.logspace(-2, 2, 200)[:, None]


@pytest.fixture
def atoms():
    return unit(ATOMS, D)


def pursued(sample, atoms, nonzeros):
    """One sample, by the definition: what is left is formed, and projected on nothing but by least squares."""
    taken, left = [], sample
    for _ in range(nonzeros):
        scores = np.abs(atoms @ left)
        scores[taken] = -1
        taken.append(int(scores.argmax()))
        values = np.linalg.lstsq(atoms[taken].T, sample, rcond=None)[0]
        left = sample - values @ atoms[taken]
    return taken, values, left


def rebuilt(indices, values, atoms):
    return torch.einsum("nk,nkd->nd", values.double(), atoms.double()[indices])


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("nonzeros", [1, 2, 5])
def test_matching_pursuit_as_defined(samples, atoms, nonzeros):
    indices, values = sparse_codes(samples, atoms, nonzeros)
    errors = squared_errors(samples, atoms, nonzeros)[:, -1]
    assert (values.dtype, values.shape) == (torch.float32, (200, nonzeros))
    for row, sample in enumerate(samples.double().numpy()):
        taken, theirs, left = pursued(sample, atoms.double().numpy(), nonzeros)
        assert indices[row].tolist() == taken
        assert np.allclose(values[row], theirs, rtol=1e-5, atol=1e-6 * np.linalg.norm(sample))
        assert np.isclose(errors[row], left @ left, rtol=1e-9)


@pytest.mark.usefixtures("_either_way")
def test_what_is_orthogonal_keeps_its_largest_coefficients(samples):
    atoms = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(2))).Q
    indices, values = sparse_codes(samples, atoms, 4)
    coefficients = samples @ atoms.T
    largest = coefficients.abs().topk(4).indices
    assert torch.equal(indices, largest)
    assert torch.allclose(values, coefficients.gather(1, largest), rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("_either_way")
def test_one_more_is_never_worse(samples, atoms):
    left = squared_errors(samples, atoms, ATOMS + 5)
    assert torch.allclose(left[:, 0], samples.double().square().sum(dim=1))
    assert (left.diff(dim=1) <= 0).all()
    assert (left[:, D] <= 1e-9 * left[:, 0]).all()  # so many span everything
    assert (left[:, D - 4] > 1e-9 * left[:, 0]).any()


def test_fewer_are_the_first_of_more(samples, atoms):
    more, fewer = (sparse_codes(samples, atoms, nonzeros)[0] for nonzeros in (6, 3))
    assert torch.equal(more[:, :3], fewer)


@pytest.mark.usefixtures("_either_way")
def test_errors_are_those_of_the_codes(samples, atoms):
    errors = coding_errors(samples, atoms, 5)
    for most in (1, 3, 5):
        left = samples.double() - rebuilt(*sparse_codes(samples, atoms, most), atoms)
        assert float(left.norm() / samples.double().norm()) == pytest.approx(float(errors[most - 1]), rel=1e-5)


@pytest.mark.usefixtures("_either_way")
def test_doubles_and_sums_of_others_change_nothing(samples, atoms):
    """Atoms that depend on each other, to the last digit and to the last but one."""
    turned = torch.nn.functional.normalize(atoms[:5] + 1e-6, dim=1)
    hostile = torch.cat([atoms, atoms, -atoms[:7], turned, torch.zeros(2, D)])
    assert torch.allclose(coding_errors(samples, hostile, 8), coding_errors(samples, atoms, 8), rtol=1e-2)
    indices, values = sparse_codes(samples, hostile, 20)
    assert values.isfinite().all()
    assert (values.abs() < 1e3 * samples.norm(dim=1, keepdim=True)).all()
    assert all(len(set(row)) == 20 for row in indices.tolist())
    left = samples.double() - rebuilt(indices, values, hostile)
    assert (left.norm(dim=1) < 1e-3 * samples.norm(dim=1)).all()


@pytest.mark.usefixtures("_either_way")
def test_what_two_atoms_barely_differ_by_is_not_blown_up():
    axes = torch.eye(D)
    atoms = torch.stack([axes[0], torch.nn.functional.normalize(axes[0] + 5e-5 * axes[1], dim=0)])
    _, values = sparse_codes((axes[0] + axes[1])[None], atoms, 2)
    assert torch.allclose(values, torch.tensor([[1.0, 0.0]]), atol=1e-3)


@pytest.mark.usefixtures("_either_way")
def test_what_is_explained_takes_no_more(atoms):
    samples = torch.stack([2 * atoms[3], -5 * atoms[7], torch.zeros(D)])
    indices, values = sparse_codes(samples, atoms, 4)
    assert indices[:2, 0].tolist() == [3, 7]
    assert torch.allclose(values[:, 0], torch.tensor([2.0, -5.0, 0.0]))
    assert not values[:, 1:].any()


def test_planted_codes_are_found():
    """Three of 64 atoms of 32 dimensions each, signed, with a twentieth of noise: at least 95 in 100 to the last atom."""
    draw, atoms = torch.Generator().manual_seed(3), unit(64, 32)
    planted = torch.rand(500, 64, generator=draw).topk(3).indices
    sign = torch.where(torch.rand(500, 3, generator=draw) < 0.5, -1.0, 1.0)
    values = sign * (1 + torch.rand(500, 3, generator=draw))
    samples = rebuilt(planted, values, atoms).float() + 0.05 * torch.randn(500, 32, generator=draw)
    indices, found = sparse_codes(samples, atoms, 3)
    same = (indices.sort().values == planted.sort().values).all(dim=1)
    assert same.float().mean() >= 0.85
    dense, truth = (torch.zeros(500, 64).scatter(1, i, v)[same] for i, v in ((indices, found), (planted, values)))
    assert (dense - truth).abs().max() < 0.5


def test_no_more_atoms_than_there_are(samples, atoms):
    indices, values = sparse_codes(samples, atoms[:3], 8)
    assert indices.shape == values.shape == (200, 3)
    errors = coding_errors(samples, atoms[:3], 8)
    assert errors.shape == (8,)
    assert (errors[3:] == errors[2]).all()


def test_parts_and_threads_change_nothing(samples, atoms, monkeypatch):
    before, whole = torch.get_num_threads(), sparse_codes(samples, atoms, 6)
    monkeypatch.setattr(coding, "SCORES", {"cpu": 1})
    try:
        torch.set_num_threads(2 if before == 1 else 1)
        again = sparse_codes(samples, atoms, 6)
    finally:
        torch.set_num_threads(before)
    assert coding.encoder(atoms).batch_size(6) < len(samples)
    assert torch.equal(whole[0], again[0])
    assert torch.allclose(whole[1], again[1], rtol=1e-6)


def test_samples_do_not_hang_on_each_other(samples, atoms):
    order = torch.randperm(200, generator=torch.Generator().manual_seed(4))
    plain, permuted = sparse_codes(samples, atoms, 6), sparse_codes(samples[order], atoms, 6)
    assert torch.equal(plain[0][order], permuted[0])
    assert torch.allclose(plain[1][order], permuted[1], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_any_size_of_weights(samples, atoms, scale):
    usual, scaled = (coding_errors(samples * size, atoms, 4) for size in (1, scale))
    assert torch.allclose(usual, scaled, rtol=1e-5)


def test_nothing_to_code(atoms):
    assert not coding_errors(torch.zeros(5, D), atoms, 3).any()
    assert not relative_errors(squared_errors(torch.zeros(0, D), atoms, 3)).any()
    assert sparse_codes(torch.zeros(0, D), atoms, 3)[0].shape == (0, 3)
