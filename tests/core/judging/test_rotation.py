"""Random vectors of a span, against what is known of them, and as a control for planted rays."""

import numpy as np
import pytest
import torch
from scipy import stats

from app.core.exact.readout import read, token_table
from app.core.judging.coherence import coherence, lexicon, shared_components
from app.core.judging.rotation import draw_images, draw_in_span
from app.core.judging.significance import compare_to_control

D, H = 40, 6


def rows(n=H, d=D, seed=0):
    """Neither orthogonal nor of one length: a basis that is taken for orthonormal shows."""
    made = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return made * 10.0 ** torch.arange(n)[:, None] / 100 + made[0]


def coordinates(vectors, span):
    """In an orthonormal basis of the span that numpy finds."""
    basis = np.linalg.qr(span.double().numpy().T)[0]
    return vectors.double().numpy() @ basis


def test_unit_vectors_in_the_span():
    found = draw_in_span(rows(), 50, 1)
    assert (found.shape, found.dtype) == ((50, D), torch.float32)
    np.testing.assert_allclose(found.double().norm(dim=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(coordinates(found, rows()), axis=1), 1, atol=1e-6)


def test_no_direction_of_the_span_is_more_likely_than_another():
    """The square of any coordinate of a random unit vector has a Beta distribution."""
    inside = coordinates(draw_in_span(rows(), 4_000, 2), rows())
    for axis in (*np.eye(H), *np.linalg.qr(np.random.default_rng(0).normal(size=(H, H)))[0]):
        assert stats.kstest((inside @ axis) ** 2, stats.beta(0.5, (H - 1) / 2).cdf).pvalue > 1e-3
        assert abs(np.sign(inside @ axis).mean()) < 4 / np.sqrt(4_000)


def test_a_seed_gives_the_same_vectors_and_another_gives_others():
    assert torch.equal(draw_in_span(rows(), 5, 3), draw_in_span(rows(), 5, 3))
    assert (draw_in_span(rows(), 5, 3) * draw_in_span(rows(), 5, 4)).sum(dim=1).abs().max() < 0.999
    independent = draw_in_span(rows(), 500, 3)
    assert abs((independent[:-1] * independent[1:]).sum(dim=1).mean()) < 4 / np.sqrt(500 * H)


def test_dependent_rows_span_what_they_span():
    base = rows(2)
    found = draw_in_span(torch.cat([base, base[:1] * 3, torch.zeros(1, D), base.sum(dim=0)[None]]), 300, 5)
    assert np.linalg.matrix_rank(found.double().numpy(), tol=1e-4) == 2
    np.testing.assert_allclose(np.linalg.norm(coordinates(found, base), axis=1), 1, atol=1e-5)


def test_a_line_has_two_unit_vectors():
    found = draw_in_span(rows(1), 40, 6)
    np.testing.assert_allclose(found.abs(), rows(1).expand(40, D).abs() / rows(1).norm(), atol=1e-6)
    assert set(torch.sign(found[:, 0]).tolist()) == {-1, 1}


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_cannot_be_turned(n):
    with pytest.raises(ValueError, match=f"{n} rows of {D} span nothing"):
        draw_in_span(torch.zeros(n, D), 5, 0)


@pytest.fixture(scope="module")
def clustered():
    """The coherence of + rays in a vocabulary of clusters, and the direction that one of them lies about."""
    generator = torch.Generator().manual_seed(7)
    d, n_clusters = 64, 30
    directions = torch.nn.functional.normalize(torch.randn(n_clusters, d, generator=generator), dim=1)
    vectors = torch.randn(60 * n_clusters, d, generator=generator) + 6 * directions.repeat_interleave(60, dim=0)
    trained = torch.ones(len(vectors), dtype=torch.bool)
    words = lexicon(vectors, trained, *shared_components(vectors, trained))
    table = token_table(vectors)

    def judged(rays):
        return coherence(table, words, read(table, rays, 50).top_ids.long())[:, -1].numpy()

    return judged, directions[0]


def test_a_planted_ray_is_better_than_rotations_and_a_random_basis_of_its_span_is_not(clustered):
    judged, direction = clustered
    generator = torch.Generator().manual_seed(8)
    span = torch.cat([direction[None], torch.randn(15, len(direction), generator=generator)])
    control = judged(draw_in_span(span, 2_000, 9))
    assert compare_to_control(judged(direction[None]), control)[1][0] < 0.01
    unit = np.linalg.qr(span.double().numpy().T)[0].T
    normal = np.random.default_rng(10)
    firsts = [np.linalg.qr(normal.normal(size=(16, 16)))[0][:, 5] @ unit for _ in range(300)]
    p = compare_to_control(judged(torch.from_numpy(np.stack(firsts)).float()), control)[1]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def factors(*strength):
    """Of a matrix with these singular values: its factors, and its right singular vectors."""
    random = np.random.default_rng(9)
    U, V = (np.linalg.qr(random.normal(size=(n, len(strength))))[0] for n in (D + 3, D))
    return [torch.tensor(U).float(), torch.tensor(np.diag(strength) @ V.T).float()], V


def test_images_are_unit_vectors_of_the_span():
    pair, V = factors(3.0, 2.0, 1.0)
    found = draw_images(pair, 50, 1)
    assert (found.shape, found.dtype) == ((50, D), torch.float32)
    inside = found.double().numpy() @ V
    np.testing.assert_allclose(np.linalg.norm(inside, axis=1), 1, atol=1e-5)
    assert not torch.equal(found, draw_images(pair, 50, 2))


def test_a_direction_is_in_an_image_as_its_singular_value_says():
    """Ratios of two coordinates are those of two normals times the ratio of singular values: Cauchy."""
    pair, V = factors(8.0, 2.0)
    inside = draw_images(pair, 4_000, 3).double().numpy() @ V
    assert stats.kstest(inside[:, 0] / inside[:, 1], stats.cauchy(scale=4.0).cdf).pvalue > 1e-3
    # The other side of the same matrix has the same strengths.
    other = draw_images([factor.T for factor in reversed(pair)], 4_000, 4).double().numpy() @ pair[0].double().numpy()
    assert stats.kstest(other[:, 0] / other[:, 1], stats.cauchy(scale=4.0).cdf).pvalue > 1e-3


def test_a_zero_matrix_has_no_images():
    assert draw_images([torch.zeros(7, 2), torch.zeros(2, D)], 5, 0).shape == (0, D)
