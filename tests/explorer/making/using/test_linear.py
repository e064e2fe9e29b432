"""Linear maps between a model's streams, against ridge regression in numpy on the library's own streams."""

import numpy as np
import pytest

from app.core.address import parse
from app.core.using import sinks
from app.core.using.linear import FOLDS
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from tests.explorer.making.using.conftest import TEXT, TOKENS, WINDOWS


def test_a_linear_map_is_that_of_ridge_regression_held_out(texted, make, streams):
    n_layers = texted.model.manifest.n_layers
    made = make(texted, recipes.linear(texted.model, "folded", 0, n_layers, TEXT, None))
    X, Y = streams[0][0], streams[0][n_layers]
    assert made["positions"].tolist() == [len(X), 0]
    fold = np.repeat(np.arange(WINDOWS), TOKENS - 1) % FOLDS
    left = np.zeros_like(Y)
    for out in range(FOLDS):
        rest = fold != out
        x, y = X[rest] - X[rest].mean(0), Y[rest] - Y[rest].mean(0)
        ridge = made["penalty"][0] * (x**2).mean() * len(x) * np.eye(x.shape[1])
        A = np.linalg.solve(x.T @ x + ridge, x.T @ y)
        left[~rest] = Y[~rest] - Y[rest].mean(0) - (X[~rest] - X[rest].mean(0)) @ A
    np.testing.assert_allclose(made["score_coordinates"], 1 - left.var(0) / Y.var(0), atol=1e-4)
    assert made["whole"][0] == pytest.approx(1 - (left**2).sum() / (Y - Y.mean(0)).var(0).sum() / len(Y), abs=1e-4)
    np.testing.assert_allclose(made["end_coordinates"], Y.var(0) / Y.var(0).sum(), atol=1e-5)
    rows = texted.model.weights().embeddings().W_E.double().numpy()
    rows = rows - rows.mean(1, keepdims=True) if texted.model.manifest.normalization == "LN" else rows
    np.testing.assert_allclose(made["embedding_coordinates"], rows.var(0) / rows.var(0).sum(), atol=1e-5)
    falling = made["embedding_pca"]
    assert (np.diff(falling) <= 1e-6).all()
    assert falling.sum() == pytest.approx(1, abs=1e-4)
    assert made["map_random"].mean() == pytest.approx(1, abs=1e-3)
    assert "score_nmf" not in made


def test_atoms_are_scored_where_their_fit_is_named_and_there(texted, make):
    fit = {"components": 3, "seed": 0}
    place = parse(f"{texted.model.header.slug}/embed/nmf")
    recipe = recipes.linear(texted.model, "folded", 0, 1, TEXT, fit)
    with pytest.raises(ComputationFailed, match="not here any more"):
        make(texted, recipe)
    fitted = recipes.decomposition(texted.model, place, "folded", fit)
    atoms = np.eye(texted.model.manifest.d_model, dtype=np.float32)[:3]
    texted.store.save(fitted, {"vectors": atoms}, {})
    made = make(texted, recipe)
    np.testing.assert_array_equal(made["score_nmf"], made["score_coordinates"][:3])
    assert "map_nmf" not in made


def test_sinks_are_left_out(texted, make, streams, monkeypatch):
    monkeypatch.setattr(sinks, "LONG", 1.3)
    made = make(texted, recipes.linear(texted.model, "folded", 0, 2, TEXT, None))
    lengths = np.linalg.norm(streams[0], axis=-1).reshape(-1, WINDOWS, TOKENS - 1)
    usual = np.sort(lengths, axis=-1)[..., (TOKENS - 2) // 2, None]
    kept = ~(lengths > 1.3 * usual).any(axis=0).ravel()
    assert made["positions"].tolist() == [kept.sum(), (~kept).sum()]
    assert 0 < (~kept).sum() < len(kept) / 2
    variances = streams[0][2][kept].var(axis=0)
    np.testing.assert_allclose(made["end_coordinates"], variances / variances.sum(), atol=1e-5)


def test_without_a_text_there_is_a_sentence(texted, make):
    with pytest.raises(ComputationFailed, match=r"is not here: singular-lens statistics \w+ makes it\."):
        make(texted, recipes.linear(texted.model, "folded", 0, 1, 6, None))
