"""Planted linear maps are found, in the basis they were planted in; none is found where nothing is linear."""

import numpy as np
import pytest
import torch

from app.core.using.linear import (
    FOLDS,
    average_blocks,
    diagonal_share,
    fit_linear_map,
    map_in_basis,
    score_directions,
    variances_along,
)

N, D, WINDOWS = 1_200, 12, 8


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rotation(seed=5):
    return torch.linalg.qr(random(D, D, seed=seed))[0]


@pytest.fixture(scope="module")
def windows():
    return torch.arange(N) % WINDOWS


@pytest.fixture(scope="module")
def x():
    return random(N, D, seed=1) + 3


def test_a_planted_map_is_found_with_its_noise(x, windows):
    planted, noise = random(D, D, seed=2), torch.linspace(0.5, 8, D) * random(N, D, seed=3)
    y = x @ planted + noise - 7
    found = fit_linear_map(x, y, windows)
    true = 1 - noise.var(0) / y.var(0)
    scored = score_directions(found, torch.eye(D))
    torch.testing.assert_close(scored, true, atol=0.04, rtol=0)
    torch.testing.assert_close(found.matrix, planted, atol=0.9, rtol=0)
    assert (found.left.sum() / found.there.sum()).item() == pytest.approx(
        float(noise.var(0).sum() / y.var(0).sum()), abs=0.03
    )


def test_it_is_diagonal_in_the_basis_where_it_was_planted(x, windows):
    basis = rotation()
    planted = basis.T @ torch.diag(torch.linspace(1, 2, D, dtype=torch.float64)) @ basis
    found = fit_linear_map(x, x @ planted + 0.1 * random(N, D, seed=3), windows)
    own = map_in_basis(found.matrix, basis)
    assert diagonal_share(own) > 0.99
    torch.testing.assert_close(own.diagonal(), torch.linspace(1, 2, D, dtype=torch.float64), atol=0.05, rtol=0)
    sheared = fit_linear_map(x, x @ basis + 0.1 * random(N, D, seed=3), windows)
    assert diagonal_share(sheared.matrix) < 0.3


def test_nothing_is_found_where_the_later_stream_is_another(x, windows):
    found = fit_linear_map(x, random(N, D, seed=4), windows)
    assert score_directions(found, rotation()).abs().max() < 0.03
    assert 1 - float(found.left.sum() / found.there.sum()) < 0.01


def test_ridge_is_the_plain_formula_and_its_penalty_is_chosen_by_windows_held_out(x, windows):
    y = x @ random(D, D, seed=2) + 4 * random(N, D, seed=3)
    found = fit_linear_map(x, y, windows)
    held = np.zeros((N, D))
    X, Y, fold = x.numpy(), y.numpy(), windows.numpy() % FOLDS

    def plain(X, Y):
        X, Y = X - X.mean(0), Y - Y.mean(0)
        n, s = len(X), (X**2).mean()
        return np.linalg.solve(X.T @ X / n + found.penalty * s * np.eye(D), X.T @ Y / n)

    np.testing.assert_allclose(found.matrix.numpy(), plain(X, Y), atol=1e-9)
    for out in range(FOLDS):
        rest = fold != out
        held[~rest] = (Y[~rest] - Y[rest].mean(0)) - (X[~rest] - X[rest].mean(0)) @ plain(X[rest], Y[rest])
    np.testing.assert_allclose(found.residual.numpy(), np.cov(held.T, bias=True), atol=1e-9)
    np.testing.assert_allclose(found.left.sum(), (held**2).sum(), rtol=1e-9)


def test_rotations_change_no_total_and_the_identity_is_scored(x, windows):
    y = x + 0.5 * random(N, D, seed=3)
    found, turn = fit_linear_map(x, y, windows), rotation()
    turned = fit_linear_map(x @ turn.T, y @ turn.T, windows)
    assert float(turned.left.sum() / turned.there.sum()) == pytest.approx(float(found.left.sum() / found.there.sum()))
    assert turned.unmoved == pytest.approx(found.unmoved)
    assert found.unmoved == pytest.approx(1 - 0.25 / 1.25, abs=0.02)
    for basis in (torch.eye(D), turn):
        assert variances_along(found.residual, basis).sum() == pytest.approx(float(found.residual.trace()))
        assert map_in_basis(found.matrix, basis).norm() == pytest.approx(float(found.matrix.norm()))
    torch.testing.assert_close(score_directions(turned, torch.eye(D)), score_directions(found, turn))


def test_a_stream_that_does_not_vary_predicts_nothing(x, windows):
    found = fit_linear_map(torch.ones(N, D), x, windows)
    assert not found.matrix.any()
    assert score_directions(found, torch.eye(D)).abs().max() < 0.02
    still = fit_linear_map(x, torch.ones(N, D), windows)
    assert score_directions(still, torch.eye(D)).isnan().all()


def test_too_few_windows_are_refused(x):
    with pytest.raises(ValueError, match="at least 4 windows of text, and there are 3"):
        fit_linear_map(x, x, torch.arange(N) % 3)


def test_blocks_are_means():
    squares = random(7, 7).square()
    whole = average_blocks(squares, 3)
    assert whole.shape == (3, 3)
    assert whole[0, 2] == pytest.approx(float(squares[:3, 5:].mean()))
    assert torch.equal(average_blocks(squares, 20), squares)
