import numpy as np
import pytest
import torch

from app.core.measuring import packing
from app.core.measuring.coding import sparse_codes
from app.core.measuring.comparison import random_vectors
from app.core.measuring.packing import BINS, count_needs, measure_nearness, pairwise_cosines, random_cosines

D = 32


def unit(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=draw), dim=-1)


@pytest.mark.parametrize("m", [1, 2, 37, 90])
def test_every_pair_is_counted_once(m, monkeypatch):
    monkeypatch.setattr(packing, "ROWS", 16)
    atoms = unit(m, D)
    dense = atoms.double().numpy() @ atoms.double().numpy().T
    theirs, _ = np.histogram(dense[np.triu_indices(m, 1)], bins=BINS, range=(-1, 1))
    counts, expected = pairwise_cosines(atoms)
    assert counts.tolist() == theirs.tolist()
    assert counts.sum() == m * (m - 1) // 2
    assert float(expected.sum()) == pytest.approx(m * (m - 1) / 2)


def test_doubles_and_opposites_are_in_the_outermost_bins():
    atom = unit(1, D)
    counts, _ = pairwise_cosines(torch.cat([atom, atom, -atom]))
    assert counts[0] == 2
    assert counts[-1] == 1
    assert counts.sum() == 3


@pytest.mark.parametrize("d", [3, 8, 32, 768])
def test_random_atoms_spread_as_expected(d):
    """Within five deviations of a Poisson count in every bin: 200 bins leave this by chance once in 8,000 times."""
    counts, expected = pairwise_cosines(unit(600, d))
    assert ((counts - expected).abs() <= 5 * expected.sqrt() + 5).all()
    big = expected > 20
    assert float(((counts - expected).square() / expected)[big].sum()) < 2 * int(big.sum()) + 20


def test_atoms_of_a_cone_do_not():
    counts, expected = pairwise_cosines(torch.nn.functional.normalize(unit(600, D) + unit(1, D, seed=1), dim=1))
    assert ((counts - expected).abs() > 5 * expected.sqrt() + 5).sum() > 50


def test_random_cosines_are_those_of_the_density():
    """In 3 dimensions they are uniform, and in many normal with variance 1 / d."""
    assert torch.allclose(random_cosines(3), torch.full((BINS,), 1 / BINS, dtype=torch.float64))
    edges = torch.linspace(-1, 1, BINS + 1, dtype=torch.float64)
    normal = torch.special.ndtr(edges * 4096**0.5).diff()
    assert torch.allclose(random_cosines(4096), normal, atol=1e-4)
    middle = (edges[1:] + edges[:-1]) / 2
    for d in (5, 64, 768):
        assert float(random_cosines(d).sum()) == pytest.approx(1)
        # Sheppard's correction: what binning adds to a variance.
        variance = float((random_cosines(d) * middle.square()).sum()) - 0.01**2 / 12
        assert variance == pytest.approx(1 / d, rel=1e-4)


def test_needs_are_those_of_each_sample():
    atoms, most, thresholds = unit(50, D), 6, (0.6, 0.3)
    samples = torch.cat([torch.randn(60, D, generator=torch.Generator().manual_seed(1)), atoms[:3], torch.zeros(2, D)])
    errors, counts, quartiles = count_needs(samples, atoms, most, thresholds)
    needed = np.full((2, 65), most + 1)
    for nonzeros in range(most, -1, -1):
        left = samples.double()
        if nonzeros:
            indices, values = sparse_codes(samples, atoms, nonzeros)
            left = left - torch.einsum("nk,nkd->nd", values.double(), atoms.double()[indices])
            assert float(left.norm() / samples.double().norm()) == pytest.approx(float(errors[nonzeros - 1]), rel=1e-5)
        for row, threshold in enumerate(thresholds):
            needed[row, (left.norm(dim=1) <= threshold * samples.norm(dim=1)).numpy()] = nonzeros
    assert counts.tolist() == [np.bincount(row, minlength=most + 2).tolist() for row in needed]
    assert quartiles.tolist() == np.quantile(needed, (0.25, 0.5, 0.75), axis=1, method="lower").T.tolist()
    assert counts[:, 0].tolist() == [2, 2]
    assert counts[1, 1] == 3
    assert len(counts[0].nonzero()) > 4


def test_samples_need_fewer_of_the_atoms_they_are_made_of():
    draw, atoms = torch.Generator().manual_seed(2), unit(64, D)
    support = torch.rand(400, 64, generator=draw).topk(3).indices
    samples = torch.einsum("nk,nkd->nd", 1 + torch.rand(400, 3, generator=draw), atoms[support])
    own, control = (count_needs(samples, side, 10, [0.3]) for side in (atoms, random_vectors(64, atoms, seed=3)))
    assert own.quartiles[0, 1] <= 3
    assert control.quartiles[0, 1] >= own.quartiles[0, 1] + 3
    assert (own.errors[2:] < 0.5 * control.errors[2:]).all()


def test_atoms_between_directions_are_lonely():
    """One along a direction, one halfway between two, one as far from all axes as any vector can be."""
    atoms = torch.stack([torch.eye(D)[4], (torch.eye(D)[0] - torch.eye(D)[1]) / 2**0.5, torch.full((D,), D**-0.5)])
    found = measure_nearness(atoms, torch.eye(D), random_vectors(2000, atoms, seed=0))
    assert torch.allclose(found.cosines, torch.tensor([1, 0.5**0.5, D**-0.5], dtype=torch.float64), atol=1e-6)
    assert found.is_far.tolist() == [False, False, True]
    assert (found.control.diff() > 0).all()
    assert found.control[0] > D**-0.5


def test_five_in_a_hundred_random_vectors_are_lonely():
    axes = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(5))).Q
    found = measure_nearness(unit(4000, D, seed=6), axes, random_vectors(4000, axes, seed=7))
    assert float(found.is_far.double().mean()) == pytest.approx(0.05, abs=0.015)


def test_signs_and_order_change_nothing():
    atoms = unit(40, D)
    turned = (atoms * torch.where(torch.arange(40) % 3 == 0, -1.0, 1.0)[:, None]).flip(0)
    axes = torch.eye(D)
    ours, theirs = (measure_nearness(side, axes, unit(50, D, seed=1)).cosines for side in (atoms, turned))
    assert torch.allclose(ours, theirs.flip(0))
    permuted = pairwise_cosines(atoms.flip(0)).counts
    assert torch.equal(permuted, pairwise_cosines(atoms).counts)
