"""The arrays behind a comparison of bases, against dense float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core.address import parse
from app.core.measuring.comparison import draw_rows, random_vectors, random_vectors_within
from app.explorer import recipes
from app.explorer.layout import MOST_NONZEROS, SPANS
from app.explorer.making.comparison import RANDOM_VECTORS, SEED, compare_bases
from app.store.artifacts import ArtifactStore
from tests.explorer.dense import D_MODEL, explained_shares
from tests.explorer.steps import run_steps


@pytest.fixture(scope="module")
def mlp(context_of, tmp_path_factory):
    """Of an MLP's neurons, with a fit of twenty directions beside what is computed."""
    context, place, fit = context_of("gpt2", "raw"), parse("tiny/L1/mlp-in"), {"components": 20, "seed": 0}
    # A store of its own: a fit of vectors alone is none that pages could show.
    context = replace(context, store=ArtifactStore(tmp_path_factory.mktemp("fits"), 10**9))
    vectors = random_vectors(20, torch.zeros(1, D_MODEL), 3).numpy()
    recipe = recipes.decomposition(context.model, place.in_basis("ica"), context.processing, fit)
    context.store.save(recipe, {"vectors": vectors}, {})
    arrays, facts = run_steps(compare_bases(context, place, {"ica": fit}))
    return arrays, facts, vectors.astype(np.float64)


@pytest.fixture(scope="module")
def samples(oracle_of):
    return oracle_of("gpt2").dense("mlp-in", "raw").samples


@pytest.fixture(scope="module")
def centred(samples):
    return samples - samples.mean(axis=0)


@pytest.fixture(scope="module")
def vectors(mlp, samples):
    """Of every basis, in its own order."""
    norms = np.linalg.norm(samples, axis=1)
    order = np.argsort(-norms, kind="stable")
    return {
        "svd": np.linalg.svd(samples)[2],
        "pca": np.linalg.svd(samples - samples.mean(axis=0))[2],
        "ica": mlp[2],
        "neuron": (samples / norms[:, None])[order],
    }


def greedy(samples, vectors, most):
    """Orthogonal matching pursuit, by least squares after each step."""
    left = np.zeros(most)
    for sample in samples:
        taken, rest = [], sample
        for step in range(min(most, len(vectors))):
            scores = np.abs(vectors @ rest)
            scores[taken] = -1
            taken.append(int(scores.argmax()))
            coefficients = np.linalg.lstsq(vectors[taken].T, sample, rcond=None)[0]
            rest = sample - coefficients @ vectors[taken]
            left[step] += rest @ rest
        left[len(taken) :] += rest @ rest
    return np.sqrt(left / np.square(samples).sum())


def test_what_was_given_and_what_was_computed(mlp, samples, centred):
    _, facts, _ = mlp
    share = facts.pop("mean_share")
    assert share == pytest.approx(1 - np.square(centred).sum() / np.square(samples).sum(), abs=1e-6)
    assert share > 1e-3
    assert facts == {"bases": ["svd", "pca", "ica", "neuron"], "terms": [32, 32, 20, 128]}


@pytest.mark.parametrize("basis", ["svd", "pca", "ica", "neuron"])
def test_errors_are_those_of_greedy_codes_of_centred_samples(mlp, centred, vectors, basis):
    """For every basis alike, whether it takes a mean out itself or not."""
    np.testing.assert_allclose(mlp[0][f"errors_{basis}"][:6], greedy(centred, vectors[basis], 6), atol=1e-5)


def test_more_vectors_are_never_worse_and_all_are_enough(mlp):
    arrays, facts, _ = mlp
    for basis, n_terms in zip(facts["bases"], facts["terms"], strict=True):
        for errors in (arrays[f"errors_{basis}"], arrays[f"control_{basis}"]):
            assert errors.shape == (MOST_NONZEROS,)
            assert (np.diff(errors) <= 1e-7).all()
        if n_terms >= D_MODEL:
            assert arrays[f"errors_{basis}"][-1] < 1e-3
    np.testing.assert_array_equal(arrays["control_svd"], arrays["control_pca"])  # as many random vectors
    np.testing.assert_array_equal(arrays["errors_ica"][19], arrays["errors_ica"][20:])


def test_the_control_is_as_many_random_vectors_of_the_span(mlp, centred):
    control = random_vectors_within(torch.from_numpy(mlp[2]).float(), 20, SEED).double().numpy()
    np.testing.assert_allclose(mlp[0]["control_ica"][:4], greedy(centred, control, 4), atol=1e-5)


@pytest.mark.parametrize("basis", ["svd", "pca", "ica", "neuron"])
def test_explained_energy_is_that_of_the_first_vectors_span(mlp, centred, vectors, basis):
    np.testing.assert_allclose(
        mlp[0][f"explained_{basis}"], explained_shares(centred, vectors[basis], SPANS), atol=1e-5
    )


@pytest.mark.parametrize("first", SPANS)
def test_overlaps_are_principal_angles(mlp, vectors, first):
    arrays, facts, _ = mlp
    overlaps, smallest = arrays[f"overlaps_{first}"], arrays[f"smallest_{first}"]
    np.testing.assert_array_equal(overlaps, overlaps.T)
    np.testing.assert_array_equal(np.diag(overlaps), 1)
    for i, one in enumerate(facts["bases"]):
        for j, other in enumerate(facts["bases"][:i]):
            Q, R = (np.linalg.qr(vectors[name][:first].T)[0] for name in (one, other))
            cosines = np.linalg.svd(Q.T @ R)[1]
            assert overlaps[i, j] == pytest.approx((cosines**2).mean(), abs=1e-4)
            assert smallest[i, j] == pytest.approx(cosines.min(), abs=1e-4)
    if first >= D_MODEL:
        np.testing.assert_allclose(overlaps, 1, atol=1e-5)  # each spans all there is


@pytest.mark.parametrize(("one", "other"), [("svd", "pca"), ("pca", "svd"), ("svd", "neuron"), ("neuron", "ica")])
def test_partners_are_the_largest_cosines(mlp, vectors, one, other):
    arrays = mlp[0]
    cosines = vectors[one][:12] @ vectors[other].T
    indices, shown = arrays[f"partner_{one}_{other}"][:12], arrays[f"cosine_{one}_{other}"][:12]
    best = np.abs(cosines).max(axis=1)
    clear = np.sort(np.abs(cosines), axis=1)[:, -2] < best - 1e-4
    assert clear.sum() > 8
    np.testing.assert_array_equal(indices[clear], np.abs(cosines).argmax(axis=1)[clear])
    np.testing.assert_allclose(np.abs(shown), best, atol=1e-4)
    assert f"partner_{one}_{one}" not in arrays


def test_a_cosine_has_the_sign_that_both_pages_show(mlp, explorer):
    """Signs of singular directions are a rule, so the cosine between two pages' vectors has one."""
    arrays, given = mlp[0], mlp[2]
    rows = arrays["partner_ica_svd"]
    canonical = ended_svd(explorer)
    products = (given * canonical[rows]).sum(axis=1)
    np.testing.assert_allclose(arrays["cosine_ica_svd"], products, atol=1e-4)


def ended_svd(explorer):
    """The left vectors as their pages have them: right's largest entry is positive."""
    W = explorer.library.model("tiny").weights().mlp(1).W_in.double().numpy()
    U, _, Vh = np.linalg.svd(W, full_matrices=False)
    return (U * np.sign(Vh[np.arange(len(Vh)), np.abs(Vh).argmax(axis=1)])).T


def test_near_is_what_random_vectors_of_the_span_reach(mlp, vectors):
    for basis, other in (("svd", "ica"), ("pca", "svd"), ("svd", "neuron"), ("ica", "svd")):
        rows = np.linalg.svd(vectors[basis], full_matrices=False)[2]
        random = np.random.default_rng(1).standard_normal((5_000, len(rows))) @ rows
        random /= np.linalg.norm(random, axis=1, keepdims=True)
        expected = np.quantile(np.abs(random @ vectors[other].T).max(axis=1), 0.95)
        assert mlp[0][f"near_{basis}_{other}"][0] == pytest.approx(expected, abs=0.04)
    assert RANDOM_VECTORS >= 256


def test_a_heads_directions_are_held_against_random_vectors_of_its_span(context_of):
    """Random vectors of the whole stream would leave what lies outside of these."""
    arrays, _ = run_steps(compare_bases(context_of("gpt2", "raw"), parse("tiny/L0/H1/ov"), {}))
    assert arrays["control_svd"][-1] < 1e-3  # as many are enough for every sample


def test_samples_are_drawn_where_they_are_many_and_centred_by_the_mean_of_all(
    context_of, monkeypatch, samples, vectors
):
    monkeypatch.setattr(recipes, "COMPARISON_ROWS", 40)
    arrays, _ = run_steps(compare_bases(context_of("gpt2", "raw"), parse("tiny/L1/mlp-in"), {}))
    assert arrays["errors_svd"][-1] < 1e-3
    drawn = draw_rows(torch.arange(len(samples))[:, None].float(), 40, SEED)[:, 0].long().numpy()
    expected = greedy((samples - samples.mean(axis=0))[drawn], vectors["svd"], 4)
    np.testing.assert_allclose(arrays["errors_svd"][:4], expected, atol=1e-5)


@pytest.mark.parametrize("place", ["tiny/L0/H1/ov", "tiny/pos", "tiny/heads/read", "tiny/embed"])
def test_every_kind_of_matrix_can_be_compared(context_of, place):
    said = []
    arrays, facts = run_steps(compare_bases(context_of("gpt2", "folded"), parse(place), {}), said)
    assert len(facts["bases"]) >= 2
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert all(0 <= done <= total for done, total in said)
