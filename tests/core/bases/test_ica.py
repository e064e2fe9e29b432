import numpy as np
import pytest
import torch
from scipy import stats

from app.core.bases import ica
from app.core.basis import BASES
from tests.core.bases.fits import are_same, error_of, find_share, fit, matrix_of


def planted(seed: int, one_sided: bool, n: int = 2_000, d: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Samples, their independent sources (exponential if one-sided, else Laplace) and the mixing rows; noise of 2%."""
    draw = np.random.default_rng(seed)
    sources = draw.exponential(size=(n, d)) - 1 if one_sided else draw.laplace(size=(n, d))
    mixing = draw.standard_normal((d, d))
    samples = sources @ mixing + 5 * draw.standard_normal(d)
    samples += 0.02 * samples.std() * draw.standard_normal((n, d))
    return torch.from_numpy(samples).float(), torch.from_numpy(sources), torch.from_numpy(mixing)


def noise(n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def fit_start(samples: torch.Tensor, monkeypatch, **parameters: int):
    """What the fit starts from."""
    with monkeypatch.context() as patch:
        patch.setattr(ica, "ITERATIONS", 0)
        return fit("ica", samples, **parameters).terms


@pytest.mark.parametrize("one_sided", [False, True])
def test_planted_sources_are_found(one_sided, monkeypatch):
    """Their mixing rows at a cosine of .95, of five plantings: nine in ten, and six in ten more than by the start."""
    ours, starts = [], []
    for seed in range(5):
        samples, sources, mixing = planted(seed, one_sided)
        terms = fit("ica", samples, components=12).terms
        ours.append(find_share(mixing, terms.right))
        starts.append(find_share(mixing, fit_start(samples, monkeypatch, components=12).right))
        if one_sided:  # the sign is that of the sources, too
            unit = (sources - sources.mean(dim=0)).T
            cosines = terms.left.double() @ (unit / unit.norm(dim=1, keepdim=True)).T
            assert (cosines.amax(dim=1) > 0.8).all()
    assert np.mean(ours) >= 0.9
    assert np.mean(ours) >= np.mean(starts) + 0.6


@pytest.mark.parametrize("shape", [(300, 8), (300, 40), (20, 30)])
def test_with_all_components_it_is_exact(shape):
    samples = 3 + noise(*shape)
    terms = fit("ica", samples, components=min(shape)).terms
    assert len(terms.strength) == min(shape[0] - 1, shape[1])
    assert error_of(samples, terms) <= 1e-6
    assert torch.allclose(terms.mean, samples.mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("components", [2, 5])
def test_with_fewer_it_misses_what_the_principal_components_miss(components):
    samples = 3 + noise(300, 20) * torch.linspace(3, 1, 20)
    centred = samples.double() - samples.double().mean(dim=0)
    least = torch.linalg.svdvals(centred)[components:].norm() / samples.double().norm()
    terms = fit("ica", samples, components=components).terms
    assert len(terms.strength) == components
    assert error_of(samples, terms) == pytest.approx(float(least), rel=1e-6)


def test_the_order_is_by_kurtosis_the_sign_by_skew():
    """Both by scipy, of the sources in float64."""
    samples = torch.cat([planted(0, one_sided)[0] for one_sided in (False, True)], dim=1)
    terms = fit("ica", samples, components=24).terms
    sources = terms.left.double().numpy()
    assert np.allclose(terms.merit, stats.kurtosis(sources, axis=1), atol=1e-4)
    assert (terms.merit.diff() <= 0).all()
    assert (stats.skew(sources, axis=1) > 0).all()
    assert (terms.strength.diff() > 0).any()


def test_sources_are_uncorrelated_units_about_zero():
    terms = fit("ica", planted(0, one_sided=False)[0], components=12).terms
    assert torch.allclose(terms.left @ terms.left.T, torch.eye(12), atol=1e-5)
    assert torch.allclose(terms.right.norm(dim=1), torch.ones(12), atol=1e-6)
    assert torch.allclose(terms.left.sum(dim=1), torch.zeros(12), atol=1e-4)


def test_samples_in_columns_exchange_the_sides():
    samples = planted(0, one_sided=True)[0]
    rows, columns = (fit("ica", samples, upright, components=6).terms for upright in (True, False))
    assert torch.equal(rows.left, columns.right)
    assert torch.equal(rows.right, columns.left)
    assert all(torch.equal(getattr(rows, one), getattr(columns, one)) for one in ("strength", "merit", "mean"))


def test_another_order_of_the_samples_changes_only_their_side():
    samples = planted(0, one_sided=True)[0]
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(1))
    terms, again = (fit("ica", some, components=12).terms for some in (samples, samples[order]))
    assert torch.allclose(terms.right, again.right, atol=1e-4)
    assert torch.allclose(terms.left[:, order], again.left, atol=1e-4)


def test_the_start_does_not_depend_on_the_signs_of_principal_directions(monkeypatch):
    samples = planted(0, one_sided=True)[0]
    plain, eigh = fit_start(samples, monkeypatch, components=12), np.linalg.eigh

    def flipping(product):
        squares, directions = eigh(product)
        return squares, directions * np.tile([1, -1], 6)

    monkeypatch.setattr(np.linalg, "eigh", flipping)
    assert torch.allclose(fit_start(samples, monkeypatch, components=12).right, plain.right, atol=1e-5)


def test_the_seed_decides_whatever_the_threads(monkeypatch):
    samples = planted(0, one_sided=True)[0]
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(fit("ica", samples, components=12, seed=3).terms)
    finally:
        torch.set_num_threads(before)
    assert are_same(*found)
    one, other = (fit_start(samples, monkeypatch, components=12, seed=seed).right for seed in (3, 4))
    assert find_share(one, other, 0.999) < 0.5


@pytest.mark.parametrize("samples", [torch.zeros(30, 8), torch.zeros(1, 8), noise(1, 8), noise(1, 8).expand(30, 8)])
def test_samples_that_do_not_differ_are_their_mean(samples):
    terms = fit("ica", samples, components=3).terms
    assert (terms.left.shape, terms.right.shape) == ((0, len(samples)), (0, 8))
    assert torch.allclose(terms.mean, samples[0], atol=1e-6)


def test_samples_that_differ_by_rounding_are_their_mean():
    samples = 1 + noise(1, 8).abs().expand(30, 8)
    rounded = torch.where(noise(30, 8) > 0, samples, samples.nextafter(torch.tensor(0.0)))
    assert (rounded != samples).any()
    assert len(fit("ica", rounded, components=3).terms.strength) == 0


@pytest.mark.parametrize(("rows", "d", "components"), [(2, 10, 2), (4, 10, 10), (4, 3, 3)])
def test_no_more_is_found_than_there_is(rows, d, components):
    """Each sample many times."""
    samples = noise(rows, d).repeat(5, 1)
    terms = fit("ica", samples, components=components).terms
    assert len(terms.strength) == min(rows - 1, d)
    assert error_of(samples, terms) <= 1e-6


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**60])
def test_another_scale_changes_only_the_strength(scale):
    samples = planted(0, one_sided=True)[0]
    usual, other = (fit("ica", samples * factor, components=12).terms for factor in (1, scale))
    assert torch.allclose(usual.right, other.right, atol=1e-5)
    assert torch.allclose(usual.strength * scale, other.strength, rtol=1e-5)


def test_progress_is_said_and_ends_where_nothing_moves():
    steps, endless = (
        fit("ica", samples, components=12).steps for samples in (planted(0, one_sided=True)[0], noise(2_000, 12))
    )
    assert {total for _, total in steps + endless} == {ica.ITERATIONS}
    assert (np.diff([done for done, _ in steps]) >= 0).all()
    assert 0 < steps[-1][0] < ica.ITERATIONS - ica.AT_ONCE


def test_a_fit_can_be_left():
    fitting = BASES["ica"].decompose(matrix_of(noise(50, 8)), {"components": 3, "seed": 0})
    next(fitting)
    fitting.close()
    with pytest.raises(StopIteration):
        next(fitting)
