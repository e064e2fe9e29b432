import numpy as np
import pytest
import torch

from app.core.bases import nmf
from app.core.basis import BASES
from tests.core.bases.fits import are_same, error_of, find_share, fit, matrix_of


def planted(seed: int, signed: bool, n: int = 300, d: int = 40, k: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples, a fifth of k parts in each, and the parts, of a third of the coordinates each; noise of 5%."""
    draw = torch.Generator().manual_seed(seed)

    def sparse(rows: int, columns: int, share: float) -> torch.Tensor:
        present = torch.rand(rows, columns, generator=draw) < share
        return torch.empty(rows, columns).exponential_(generator=draw) * present

    codes, parts = sparse(n, k, 0.2), sparse(k, d, 0.3)
    if signed:
        parts *= torch.randn(parts.shape, generator=draw).sign()
    samples = codes @ parts
    return samples + 0.05 * samples.std() * torch.randn(n, d, generator=draw), parts


def noise(n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def fit_start(samples: torch.Tensor, monkeypatch, **parameters: int):
    """What the fit starts from."""
    with monkeypatch.context() as patch:
        patch.setattr(nmf, "ROUNDS", 0)
        return fit("nmf", samples, **parameters).terms


@pytest.mark.parametrize("signed", [False, True])
def test_planted_parts_are_found(signed, monkeypatch):
    """At a cosine of .95, of five plantings: four in five, and half of all more than by the samples at the start."""
    ours, starts, random = [], [], []
    for seed in range(5):
        samples, parts = planted(seed, signed)
        start, terms = fit_start(samples, monkeypatch, components=10), fit("nmf", samples, components=10).terms
        assert error_of(samples, terms) < 0.5 * error_of(samples, start)
        ours.append(find_share(parts, terms.right))
        starts.append(find_share(parts, start.right))
        random.append(find_share(parts, torch.nn.functional.normalize(noise(10, 40).abs())))
    assert np.mean(ours) >= 0.8
    assert np.mean(ours) >= np.mean(starts) + 0.5
    assert np.mean(random) == 0


@pytest.mark.parametrize("signed", [False, True])
def test_no_worse_than_scikit_learns_own(signed):
    """In float64 from its own start, which for planted parts is a good one."""
    from sklearn.decomposition import NMF

    samples, _ = planted(0, signed)
    X = samples.double().numpy()
    plain = NMF(10, init="nndsvda", max_iter=200, tol=0)
    codes = plain.fit_transform(np.hstack([X.clip(min=0), (-X).clip(min=0)]))
    missed = X - codes @ (plain.components_[:, :40] - plain.components_[:, 40:])
    ours = min(error_of(samples, fit("nmf", samples, components=10, seed=seed).terms) for seed in range(3))
    assert ours <= 1.02 * np.linalg.norm(missed) / np.linalg.norm(X)


@pytest.mark.parametrize("shape", [(200, 20), (20, 50), (7, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_never_worse_than_its_start(shape, seed, monkeypatch):
    """Even where there is nothing to find."""
    samples = noise(*shape)
    start = fit_start(samples, monkeypatch, components=5, seed=seed)
    terms = fit("nmf", samples, components=5, seed=seed).terms
    assert error_of(samples, terms) < min(error_of(samples, start), 1)


def test_each_round_lowers_the_error_of_the_parts(monkeypatch):
    samples, errors = noise(200, 20), []
    measure = nmf._residual_norm
    monkeypatch.setattr(nmf, "_residual_norm", lambda *factors: errors.append(measure(*factors)) or errors[-1])
    fit("nmf", samples, components=5)
    assert len(errors) > 5
    assert (np.diff(errors) <= 1e-6 * errors[0]).all()


def test_terms_are_one_sided_units_by_falling_strength():
    samples, _ = planted(0, signed=True)
    terms = fit("nmf", samples, components=10).terms
    assert (terms.left >= 0).all()
    assert (terms.right < 0).any()
    assert (terms.strength.diff() <= 0).all()
    for side in (terms.left, terms.right):
        assert torch.allclose(side.norm(dim=1), torch.ones(10), atol=1e-6)
    assert terms.merit is None
    assert terms.mean is None


def test_samples_in_columns_exchange_the_sides():
    samples, _ = planted(0, signed=True)
    rows, columns = (fit("nmf", samples, upright, components=10).terms for upright in (True, False))
    assert torch.equal(rows.left, columns.right)
    assert torch.equal(rows.right, columns.left)
    assert torch.equal(rows.strength, columns.strength)


@pytest.mark.parametrize("signed", [False, True])
def test_another_order_of_the_samples_changes_only_their_side(signed):
    samples, _ = planted(0, signed)
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(1))
    terms, again = (fit("nmf", some, components=10).terms for some in (samples, samples[order]))
    assert torch.allclose(terms.right, again.right, atol=1e-4)
    assert torch.allclose(terms.left[:, order], again.left, atol=1e-4)


def test_the_seed_decides_whatever_the_threads(monkeypatch):
    samples, _ = planted(0, signed=True)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(fit("nmf", samples, components=10, seed=3).terms)
    finally:
        torch.set_num_threads(before)
    assert are_same(*found)
    one, other = (fit_start(samples, monkeypatch, components=10, seed=seed).right for seed in (3, 4))
    assert find_share(one, other, 0.9999) < 0.5


def test_another_scale_changes_only_the_strength():
    samples, _ = planted(0, signed=True)
    usual, tiny = (fit("nmf", samples * scale, components=10).terms for scale in (1, 2.0**-90))
    assert torch.equal(usual.right, tiny.right)
    assert torch.equal(usual.strength * 2.0**-90, tiny.strength)


@pytest.mark.parametrize("shape", [(1, 8), (30, 8), (3, 8)])
def test_a_zero_matrix_has_no_terms(shape):
    terms = fit("nmf", torch.zeros(shape), components=3).terms
    assert (terms.left.shape, terms.right.shape, terms.strength.shape) == ((0, shape[0]), (0, 8), (0,))


@pytest.mark.parametrize("n", [1, 2, 30])
def test_equal_samples_are_one_part(n):
    samples = noise(1, 8).expand(n, 8)
    terms = fit("nmf", samples, components=3).terms
    assert error_of(samples, terms) <= 1e-5
    assert find_share(terms.right, samples[:1] / samples[0].norm(), 1 - 1e-5) == 1


@pytest.mark.parametrize(("rows", "d", "components"), [(4, 10, 4), (4, 10, 10), (4, 3, 3)])
def test_no_more_is_found_than_there_is(rows, d, components):
    """Each sample many times, and some that are zero or as good as that."""
    samples = torch.cat([noise(rows, d).repeat(5, 1), torch.zeros(3, d), torch.full((3, d), 1e-30)])
    terms = fit("nmf", samples, components=components).terms
    assert 1 <= len(terms.strength) <= components
    assert all(side.isfinite().all() for side in (terms.left, terms.right, terms.strength))
    assert error_of(samples, terms) < 0.7


def test_progress_is_said_and_the_work_is_bounded(monkeypatch):
    samples, _ = planted(0, signed=True)
    monkeypatch.setattr(nmf, "WORK", 1.0)
    steps = fit("nmf", samples, components=10).steps
    assert {total for _, total in steps} == {nmf.LEAST_ROUNDS}
    assert [done for done, _ in steps] == [0, *range(nmf.LEAST_ROUNDS)]


def test_a_fit_can_be_left():
    fitting = BASES["nmf"].decompose(matrix_of(noise(50, 8)), {"components": 3, "seed": 0})
    next(fitting)
    fitting.close()
    with pytest.raises(StopIteration):
        next(fitting)
