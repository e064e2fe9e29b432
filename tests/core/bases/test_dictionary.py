import pytest
import torch

from app.core.bases import dictionary
from app.core.matrix import READ, TOKEN, WRITE, Matrix
from app.core.measuring.coding import coding_errors, sparse_codes

SMALL = {"atoms": 24, "sparsity": 3, "seed": 0}


def fitted(samples, parameters, upright=True):
    fitting = dictionary.decompose(matrix_of(samples, upright), parameters)
    while True:
        try:
            next(fitting)
        except StopIteration as end:
            return end.value


def matrix_of(samples, upright=True):
    return Matrix((samples,), TOKEN, WRITE) if upright else Matrix((samples.T.contiguous(),), READ, TOKEN)


def planted(seed, n=3000, d=32, atoms=64, sparsity=3, noise=0.05):
    """Random atoms, and samples of `sparsity` of them each, with coefficients of 1 to 2 of either sign and noise."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.nn.functional.normalize(torch.randn(atoms, d, generator=draw), dim=1)
    support = torch.rand(n, atoms, generator=draw).topk(sparsity).indices
    sign = torch.where(torch.rand(n, sparsity, generator=draw) < 0.5, -1.0, 1.0)
    values = sign * (1 + torch.rand(n, sparsity, generator=draw))
    return torch.einsum("nk,nkd->nd", values, truth[support]) + noise * torch.randn(n, d, generator=draw), truth


def found(truth, atoms):
    """Share of the true atoms that one of these is, up to its sign."""
    return float(((truth @ atoms.T).abs().amax(dim=1) > 0.95).float().mean())


def error(samples, terms):
    return float((samples.double() - terms.reconstruct()).norm() / samples.double().norm())


@pytest.fixture(autouse=True)
def _one_thread():
    """So little work takes longer in two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def samples():
    return planted(0, n=300, d=16, atoms=24)[0]


def test_planted_atoms_are_found(monkeypatch):
    """In five random problems: nine in ten, of which the start has next to none."""
    shares = []
    for seed in range(5):
        samples, truth = planted(seed)
        parameters = {"atoms": 64, "sparsity": 3, "seed": seed}
        terms = fitted(samples, parameters)
        with monkeypatch.context() as patch:
            patch.setattr(dictionary, "PASSES", 1)
            start = fitted(samples, parameters)
        assert found(truth, start.right) < 0.1
        assert error(samples, terms) < 0.4 * error(samples, start)
        shares.append(found(truth, terms.right))
    assert min(shares) > 0.8
    assert sum(shares) / 5 > 0.9


def test_terms_are_what_is_promised(samples):
    terms = fitted(samples, SMALL)
    for side in (terms.left, terms.right):
        assert torch.allclose(side.norm(dim=1), torch.ones(len(side)), atol=1e-5)
    assert (terms.strength > 0).all()
    assert torch.allclose(terms.merit, (terms.left != 0).float().mean(dim=1))
    assert (terms.merit.diff() <= 0).all()
    assert len(terms.merit.unique()) > 5
    assert ((terms.left * terms.left.abs()).sum(dim=1) >= 0).all()
    assert ((terms.left != 0).sum(dim=0) <= 3).all()
    assert terms.mean is None


def test_the_sample_side_are_the_codes_of_the_atoms(samples):
    terms = fitted(samples, SMALL)
    indices, values = sparse_codes(samples, terms.right, 3)
    codes = torch.zeros(300, len(terms.right)).scatter(1, indices, values)
    assert torch.allclose(codes.T, terms.left * terms.strength[:, None], atol=1e-5)
    assert error(samples, terms) == pytest.approx(float(coding_errors(samples, terms.right, 3)[-1]), rel=1e-5)


def test_a_start_that_nothing_beats_is_kept(samples, monkeypatch):
    monkeypatch.setattr(dictionary, "_fit_atoms", lambda moments: torch.eye(24, 16))
    monkeypatch.setattr(dictionary, "_refill_zero", lambda atoms, *_: atoms)
    kept = fitted(samples, SMALL)
    monkeypatch.setattr(dictionary, "PASSES", 1)
    start = fitted(samples, SMALL)
    assert torch.equal(kept.right, start.right)
    assert found(torch.nn.functional.normalize(samples, dim=1), start.right) > 0
    assert error(samples, start) < float(coding_errors(samples, torch.eye(16), 3)[-1])


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_explained_no_worse_than_by_its_start(seed, monkeypatch):
    samples = torch.randn(200, 16, generator=torch.Generator().manual_seed(seed))
    terms = fitted(samples, SMALL)
    monkeypatch.setattr(dictionary, "PASSES", 1)
    assert error(samples, terms) < error(samples, fitted(samples, SMALL))


def test_least_squares_are_the_best_atoms_for_their_codes(samples):
    """By the normal equations in float64: no other atoms, of whatever length, leave less with these codes."""
    draw = torch.Generator().manual_seed(5)
    codes = torch.randn(300, 8, generator=draw, dtype=torch.float64)
    moments = dictionary._Moments(codes.T @ codes, codes.T @ samples.double())
    best = torch.linalg.lstsq(codes, samples.double()).solution
    ours = dictionary._fit_atoms(moments).double()
    assert torch.allclose(ours, torch.nn.functional.normalize(best, dim=1), atol=1e-4)


def test_doubles_make_room_for_what_is_rare():
    """Of 1,000 copies of one sample most of the start is made: the seven others are found none the less."""
    axes = torch.eye(16)
    samples = torch.cat([5 * axes[:1].expand(1000, -1), axes[1:8].repeat(20, 1)])
    terms = fitted(samples, {"atoms": 8, "sparsity": 1, "seed": 0})
    assert len(terms.strength) == 8
    assert error(samples, terms) < 1e-6
    assert torch.allclose(terms.right.abs().amax(dim=1), torch.ones(8))


@pytest.mark.parametrize("copies", [1, 5])
def test_the_same_whatever_the_threads(copies, monkeypatch):
    """Also where the start has every atom many times."""
    monkeypatch.setattr(dictionary, "PASSES", 12)  # two threads that share a core take long
    samples = planted(1, n=1000 // copies)[0].repeat(copies, 1)
    parameters = {"atoms": 48, "sparsity": 3, "seed": 1}
    terms = fitted(samples, parameters)
    torch.set_num_threads(2)
    again = fitted(samples, parameters)
    for name in ("left", "right", "strength", "merit"):
        assert torch.allclose(getattr(terms, name), getattr(again, name), atol=1e-6)


def test_another_seed_starts_elsewhere(samples):
    one, other = (fitted(samples, SMALL | {"seed": seed}) for seed in (0, 1))
    assert not torch.allclose(one.right[0], other.right[0], atol=1e-3)


def test_columns_as_samples_exchange_the_sides(samples):
    rows, columns = fitted(samples, SMALL), fitted(samples, SMALL, upright=False)
    assert columns.left.shape == (24, 16)
    for ours, theirs in (("left", "right"), ("right", "left"), ("strength", "strength"), ("merit", "merit")):
        assert torch.allclose(getattr(rows, ours), getattr(columns, theirs), atol=1e-6)


def test_weights_of_another_size_have_the_same_atoms(samples):
    usual, small = fitted(samples, SMALL), fitted(samples * 2.0**-80, SMALL)
    assert torch.allclose(usual.right, small.right, atol=1e-6)
    assert torch.allclose(usual.strength * 2.0**-80, small.strength, rtol=1e-5)


@pytest.mark.parametrize("upright", [True, False])
def test_a_zero_matrix_has_no_terms(upright):
    terms = fitted(torch.zeros(9, 5), SMALL, upright)
    assert (terms.left.shape, terms.right.shape) == (((0, 9), (0, 5)) if upright else ((0, 5), (0, 9)))
    assert len(terms.strength) == len(terms.merit) == 0
    assert not list(dictionary.decompose(matrix_of(torch.zeros(9, 5), upright), SMALL))


@pytest.mark.parametrize(
    ("samples", "rank"),
    [
        (torch.ones(9, 5), 1),
        (torch.cat([torch.zeros(8, 5), torch.ones(1, 5)]), 1),
        (torch.eye(3, 8), 3),
        (torch.eye(3, 8).repeat(10, 1), 3),
        (torch.ones(1, 1), 1),
    ],
    ids=["one-row", "mostly-zeros", "few-samples", "copies", "one-number"],
)
def test_hostile_matrices(samples, rank):
    terms = fitted(samples, SMALL)
    assert len(terms.strength) == rank
    assert error(samples, terms) < 1e-6


def test_more_atoms_than_samples(samples):
    terms = fitted(samples[:10], SMALL | {"sparsity": 40})
    assert len(terms.strength) <= 10
    assert error(samples[:10], terms) < 1e-5


def test_it_says_how_far_it_is(samples, monkeypatch):
    monkeypatch.setattr(dictionary, "PASSES", 3)
    steps = list(dictionary.decompose(matrix_of(samples), SMALL))
    assert {total for _, total in steps} == {900}
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    assert steps[-1][0] == 900
