"""What the page of a dictionary says of its atoms, against plain sums over all pairs, samples and directions."""

import numpy as np
import pytest
import torch

from app.core.address import parse
from app.core.basis import BASES
from app.core.decomposition import Decomposition
from app.core.judging.rays import HEADLINE
from app.core.matrix import TOKEN, WRITE, Matrix
from app.explorer.asking.places import locate_model
from app.explorer.asking.views import check_view
from app.explorer.making.judging import readability
from app.explorer.making.packing import MOST, RANDOM_VECTORS, THRESHOLDS, measure_packing
from app.explorer.visits import browse, orders
from app.explorer.visits.browse import Options
from tests.explorer.dense import D_MODEL
from tests.explorer.steps import run_steps

N_ATOMS = 70
OPTIONS = Options(weights="raw", whole=True, parameters={"atoms": N_ATOMS, "sparsity": 3})


@pytest.fixture(scope="module")
def found(explorer):
    """found(kind) -> the dictionary's page and its artifact."""

    def build(kind):
        address = parse(f"tiny/{kind}/dictionary")
        model = locate_model(explorer, address)
        shown = check_view(model, address, OPTIONS, "raw")
        (artifact,) = orders.fulfil(explorer, orders.order_matrix(model, address, shown))
        return browse.visit_matrix(explorer, address, OPTIONS), artifact.arrays

    return build


@pytest.fixture(scope="module")
def centred(oracle_of):
    """centred(kind, atoms) -> samples less their mean, unit atoms less its direction, principal directions."""

    def build(kind, atoms):
        samples = oracle_of("gpt2").dense(kind, "raw").samples
        mean = samples.mean(axis=0)
        if len(samples) * mean @ mean > 1e-6 * np.square(samples).sum():
            samples, direction = samples - mean, mean / np.linalg.norm(mean)
            atoms = atoms - np.outer(atoms @ direction, direction)
        atoms = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
        return samples, atoms, np.linalg.svd(samples, full_matrices=False)[2]

    return build


def spread(atoms):
    cosines = (atoms @ atoms.T)[np.triu_indices(len(atoms), 1)]
    return np.sqrt((cosines**2).mean())


@pytest.mark.parametrize("kind", ["embed", "heads/write", "heads/read"])
def test_the_cosines_are_those_of_all_pairs(found, centred, oracle_of, kind):
    page, arrays = found(kind)
    raw, packing = arrays["vectors"].astype(np.float64), page.packing
    samples, atoms, _ = centred(kind, raw)
    cosines = (atoms @ atoms.T)[np.triu_indices(len(atoms), 1)]
    n_pairs = len(atoms) * (len(atoms) - 1) // 2
    assert sum(packing.counts) == n_pairs
    assert sum(packing.expected) == pytest.approx(n_pairs)
    counts, edges = np.histogram(cosines, bins=len(packing.counts), range=(-1, 1))
    assert np.abs(np.array(packing.counts) - counts).sum() <= 4  # on an edge, rounding decides
    assert packing.spread == pytest.approx(spread(atoms), rel=1e-5)
    assert packing.spread_with_mean == pytest.approx(spread(raw), rel=1e-5)
    whole = np.square(oracle_of("gpt2").dense(kind, "raw").samples).sum()
    assert packing.mean_share == pytest.approx(1 - np.square(samples).sum() / whole, abs=1e-5)
    assert (packing.spread == packing.spread_with_mean) == (kind != "embed")  # heads stand in the stack with both signs
    assert packing.random_spread == pytest.approx(D_MODEL**-0.5)
    middles = (edges[1:] + edges[:-1]) / 2
    expected = np.array(packing.expected)
    assert np.sqrt((expected * middles**2).sum() / n_pairs) == pytest.approx(D_MODEL**-0.5, rel=1e-3)


def test_what_samples_need_falls_with_more_vectors(found):
    page, _ = found("embed")
    assert [need.who for need in page.packing.needs] == ["atoms", "random", "pca"]
    assert page.packing.thresholds == THRESHOLDS
    for need in page.packing.needs:
        assert len(need.errors) == MOST
        assert all(later <= earlier + 1e-7 for earlier, later in zip(need.errors, need.errors[1:], strict=False))
        for quartiles, stricter in zip(need.quartiles, need.quartiles[1:], strict=False):
            assert list(quartiles) == sorted(quartiles)
            assert all(few <= many for few, many in zip(quartiles, stricter, strict=True))
        assert all(0 < count <= MOST + 1 for quartiles in need.quartiles for count in quartiles)
    atoms, random, _ = page.packing.needs
    assert atoms.errors[2] < random.errors[2]


@pytest.mark.parametrize("threshold", [0, 1])
def test_of_orthonormal_directions_greedy_needs_are_sorted_coordinates(found, centred, threshold):
    """All principal directions are orthonormal, so the best few of a sample are its largest coordinates."""
    page, arrays = found("embed")
    samples, _, Vh = centred("embed", arrays["vectors"])  # 304: fewer than are drawn at most
    coordinates = samples @ Vh.T
    squares = np.sort(coordinates**2, axis=1)[:, ::-1]
    left = 1 - squares.cumsum(axis=1) / squares.sum(axis=1, keepdims=True)
    pca = page.packing.needs[2]
    errors = np.sqrt((left * squares.sum(axis=1, keepdims=True)).sum(axis=0).clip(0) / squares.sum())
    np.testing.assert_allclose(pca.errors, errors[:MOST], atol=1e-5)
    needed = (left > THRESHOLDS[threshold] ** 2).sum(axis=1) + 1
    quartiles = np.quantile(needed, [0.25, 0.5, 0.75], method="lower")
    np.testing.assert_array_equal(pca.quartiles[threshold], quartiles)


@pytest.mark.parametrize("kind", ["embed", "heads/read"])
def test_lonely_atoms_are_far_and_coherent(found, centred, kind):
    page, arrays = found(kind)
    packing = page.packing
    _, atoms, Vh = centred(kind, arrays["vectors"].astype(np.float64))
    cosines = np.abs(atoms @ Vh.T).max(axis=1)
    np.testing.assert_allclose(arrays["lonely_cosines"], cosines, atol=1e-4)
    assert packing.n_far == (cosines < packing.far).sum()
    assert packing.n_coherent == (arrays["coherence"] > packing.coherent).sum()
    assert 0 <= packing.n_lonely <= min(packing.n_far, packing.n_coherent)
    assert len(packing.lonely) == min(packing.n_lonely, 24)
    for atom in packing.lonely:
        row = atom.address.index
        assert atom.address == page.address.direction(row)
        assert atom.cosine == pytest.approx(cosines[row], abs=1e-4)
        assert atom.cosine < packing.far
        assert atom.coherence > packing.coherent


def test_the_control_is_what_random_vectors_do(found, centred):
    page, arrays = found("embed")
    _, random, Vh = centred("embed", np.random.default_rng(0).standard_normal((20_000, D_MODEL)))
    quantiles = np.quantile(np.abs(random @ Vh.T).max(axis=1), [0.05, 0.5, 0.95])
    np.testing.assert_allclose(arrays["lonely_control"][[0, 2, 4]], quantiles, atol=4 / RANDOM_VECTORS**0.5 * 0.1)
    assert page.packing.far == pytest.approx(quantiles[0], abs=0.02)


def test_an_atoms_coherence_is_that_of_its_plus_ray_and_one_random_vector_in_20_has_more(found, context_of):
    _, arrays = found("embed")
    np.testing.assert_array_equal(arrays["coherence"], arrays["right_coherence"][:, 0, HEADLINE])
    vectors = torch.randn(2_000, D_MODEL, generator=torch.Generator().manual_seed(5))
    others = readability.read_and_judge(context_of("gpt2", "raw"), "write", vectors)["coherence"][:, 0, HEADLINE]
    assert (others > arrays["coherence_control"]).mean() == pytest.approx(
        0.05, abs=4 * (0.05 * 0.95 / RANDOM_VECTORS) ** 0.5
    )


@pytest.fixture(scope="module")
def packed(context_of):
    """packed(samples, atoms) -> what is said of them, as if they were of the embedding."""

    def build(samples, atoms):
        samples, atoms = (torch.tensor(rows, dtype=torch.float32) for rows in (samples, atoms))
        eye = torch.eye(len(samples))
        product = Matrix((samples,), TOKEN, WRITE)
        terms = Decomposition(eye[: len(atoms)], torch.ones(len(atoms)), atoms)
        coherence = np.zeros((len(atoms), 2, 3), np.float32)
        return run_steps(measure_packing(context_of("gpt2", "raw"), product, terms, "write", coherence))

    return build


def units(rng, n):
    rows = rng.standard_normal((n, D_MODEL))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_an_atom_that_is_the_mean_is_left_out_and_is_never_lonely(packed):
    rng = np.random.default_rng(0)
    mean = np.eye(D_MODEL)[0]
    samples = units(rng, 200)
    samples += 5 * mean - samples.mean(axis=0)
    arrays = packed(samples, np.vstack([units(rng, 5), mean, units(rng, 5)]))
    assert np.flatnonzero(np.isnan(arrays["lonely_cosines"])).tolist() == [5]
    assert len(arrays["lonely_cosines"]) == len(arrays["coherence"]) == 11
    assert arrays["cosine_counts"].sum() == 45
    assert arrays["mean_share"][0] > 0.9


def test_a_large_mean_changes_nothing(packed):
    """It is in no sample any more, and what atoms have of it is taken out."""
    rng = np.random.default_rng(1)
    mean = np.eye(D_MODEL)[0]
    samples, atoms = units(rng, 200), units(rng, 40)
    samples -= samples.mean(axis=0)
    small = packed(samples + 0.1 * mean, atoms)
    large_atoms = (atoms + 3 * mean) / np.linalg.norm(atoms + 3 * mean, axis=1, keepdims=True)
    large = packed(samples + 10 * mean, large_atoms)
    np.testing.assert_allclose(large["needs_errors_atoms"], small["needs_errors_atoms"], atol=1e-4)
    np.testing.assert_allclose(large["lonely_cosines"], small["lonely_cosines"], atol=1e-3)
    assert large["cosine_spreads"][0] == pytest.approx(small["cosine_spreads"][0], rel=1e-4)
    assert large["cosine_spreads"][1] > 0.8 > 0.3 > small["cosine_spreads"][1]


def test_of_samples_that_are_all_one_nothing_is_said(packed):
    rng = np.random.default_rng(2)
    assert packed(np.ones((20, D_MODEL)), units(rng, 4)) == {}


def test_only_dictionaries_have_a_packing(explorer):
    assert "dictionary" in BASES
    for place in ("tiny/embed", "tiny/embed/pca", "tiny/embed/neuron"):
        assert browse.visit_matrix(explorer, parse(place), Options()).packing is None
