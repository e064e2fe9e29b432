"""Histories against the formulas written out with d x d matrices and loops, in float64, and what must hold of any."""

import numpy as np
import pytest
import torch

from app.core.changing.histories import (
    accumulate_energy,
    centre_histories,
    flip_signs,
    measure_rv,
    measure_sign_dependence,
    overlap_subspaces,
    score_as_published,
    score_by_gram,
    summarise_history,
)

D = 23
SCORES = [score_as_published, score_by_gram]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def draw(n, seed, d=D):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


def shape_of(stream, rank=None, skips_first=False):
    return summarise_history(stream, rank, skips_first)


def rotate_positions(stream, seed):
    return torch.linalg.qr(draw(len(stream), seed, len(stream))).Q @ stream


@pytest.fixture
def texts():
    """Streams of three texts of different lengths, the last with more positions than coordinates."""
    return [draw(7, 1), draw(11, 2), draw(30, 3)]


def cosine(left, right):
    lengths = np.linalg.norm(left) * np.linalg.norm(right)
    return left @ right / lengths if lengths else 0.0


@pytest.mark.parametrize("skips_first", [False, True])
@pytest.mark.parametrize("rank", [1, 4, 100, None])
@pytest.mark.parametrize("n", [1, 2, 9, D, 40])
def test_a_shape_is_u_times_s(n, rank, skips_first):
    stream = draw(n, n)
    found = shape_of(stream, rank, skips_first)
    U, S, _ = np.linalg.svd(stream[int(skips_first) :].numpy().T, full_matrices=False)
    expected = (U * S)[:, :rank]
    assert found.shape == expected.shape == (D, min(rank or D, n - skips_first, D))
    # Columns have no sign of their own.
    np.testing.assert_allclose(found.abs(), np.abs(expected), atol=1e-11)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-11)


def test_a_coordinate_that_is_never_used_has_a_zero_row(texts):
    for stream in texts:
        stream[:, 4] = 0
    shapes = [shape_of(stream) for stream in texts]
    assert all(float(shape[4].abs().max()) == 0 for shape in shapes)
    for score in SCORES:
        found = score(*shapes)
        assert float(found[4]) == 0
        assert torch.isfinite(found).all()
        assert int((found == 0).sum()) == 1


@pytest.mark.parametrize("rank", [1, 3, None])
def test_published_scores_are_those_of_the_formula(texts, rank):
    shapes = [shape_of(stream, rank) for stream in texts]
    r = min(shape.shape[1] for shape in shapes)
    own, attract, repel = (shape.numpy()[:, :r] for shape in shapes)
    expected = [cosine(own[j], attract[j]) - cosine(own[j], repel[j]) for j in range(D)]
    np.testing.assert_allclose(score_as_published(*shapes), expected, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 3, None])
def test_fixed_scores_are_cosines_of_rows_of_gram_matrices(texts, rank):
    shapes = [shape_of(stream, rank) for stream in texts]
    own, attract, repel = (shape.numpy() @ shape.numpy().T for shape in shapes)
    expected = [cosine(own[j], attract[j]) - cosine(own[j], repel[j]) for j in range(D)]
    np.testing.assert_allclose(score_by_gram(*shapes), expected, atol=1e-12)


def test_fixed_scores_of_all_columns_need_no_svd(texts):
    """With all columns, B B^T is A A^T: the streams themselves are shapes."""
    found = score_by_gram(*(stream.T for stream in texts))
    torch.testing.assert_close(score_by_gram(*map(shape_of, texts)), found, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 4, None])
def test_signs_move_published_scores_and_never_fixed_ones(texts, rank):
    shapes = [shape_of(stream, rank) for stream in texts]
    fixed, published = score_by_gram(*shapes), score_as_published(*shapes)
    generator, moved = seeded(0), 0.0
    for _ in range(8):
        flipped = [flip_signs(shape, generator) for shape in shapes]
        assert float((score_by_gram(*flipped) - fixed).abs().max()) == 0
        moved = max(moved, float((score_as_published(*flipped) - published).abs().max()))
    assert moved > 0.5


@pytest.mark.parametrize("rank", [1, 4, None])
def test_fixed_scores_see_neither_order_nor_rotation_nor_repetition(texts, rank):
    expected = score_by_gram(*(shape_of(stream, rank) for stream in texts))
    changes = [
        lambda stream: rotate_positions(stream, 9),
        lambda stream: stream[torch.randperm(len(stream), generator=seeded(9))],
        lambda stream: stream.repeat(3, 1),
    ]
    for change in changes:
        for at in range(3):
            changed = [change(stream) if place == at else stream for place, stream in enumerate(texts)]
            found = score_by_gram(*(shape_of(stream, rank) for stream in changed))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_roles_cancel_and_swap(texts, score):
    own, attract, repel = map(shape_of, texts)
    assert float(score(own, attract, attract.clone()).abs().max()) == 0
    assert torch.equal(score(own, attract, repel), -score(own, repel, attract))


@pytest.mark.parametrize("score", SCORES)
def test_a_text_is_drawn_to_itself(texts, score):
    own, _, unrelated = map(shape_of, texts)
    found = score(own, own, unrelated)
    assert float(found.min()) > 0
    assert float(found.max()) < 2


def test_fixed_scores_tell_which_coordinates_agree():
    """Own and attract share one direction, repel another: the coordinates of the first go up, of the second down."""
    n, d = 12, 8
    first, second = torch.zeros(2, d, dtype=torch.float64)
    first[:4], second[4:] = 1, 1
    own = draw(n, 1, 1) * first + draw(n, 2, 1) * second
    found = score_by_gram(*(shape_of(stream) for stream in (own, draw(n, 3, 1) * first, draw(n, 4, 1) * second)))
    assert (found[:4] > 0.5).all()
    assert (found[4:] < -0.5).all()


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("size", [1e-60, 1, 1e60])
def test_scores_are_within_bounds_at_any_size(score, size):
    """Cosines that are 1 or -1 come out beyond it in some of so many cases, if nothing is done."""
    for seed in range(20):
        one, own = shape_of(size * draw(1, seed)), shape_of(size * draw(5, seed))
        assert float(score(one, one, -one).abs().max()) <= 2
        alone = score(own, own, torch.zeros(D, 1))
        assert float(alone.max()) <= 1
        assert float(score(own, -own, torch.zeros(D, 1)).abs().max()) <= 1
        assert float((alone - 1).abs().max()) < 1e-12


def test_rows_that_rounding_drowns_stay_within_bounds():
    """Rows a billionth of one that they are orthogonal to: the squares of many come out below 0."""
    for seed in range(20):
        shape = draw(D, seed, 5)
        shape[1:] = 1e-9 * (shape[1:] - torch.outer(shape[1:] @ shape[0], shape[0]) / shape[0].square().sum())
        assert float(score_by_gram(shape, shape, torch.zeros(D, 1)).abs().max()) <= 1


@pytest.mark.parametrize("score", SCORES)
def test_histories_of_nothing_score_0(texts, score):
    full, zero, none = shape_of(texts[0]), shape_of(torch.zeros(5, D)), shape_of(draw(1, 1), skips_first=True)
    assert none.shape == (D, 0)
    for empty in (zero, none):
        assert float(score(empty, full, full).abs().max()) == 0
        assert float(score(full, empty, empty).abs().max()) == 0
    assert float(score_by_gram(full, full, zero).min()) == pytest.approx(1)


def test_flips_are_signs_of_columns(texts):
    shape = shape_of(texts[2]).float()
    flipped = flip_signs(shape, seeded(1))
    assert flipped.dtype == shape.dtype
    signs = (flipped / shape)[0]
    assert torch.equal(flipped, shape * signs)
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert torch.equal(flipped, flip_signs(shape, seeded(1)))


def test_sign_dependence_is_the_mean_over_draws(texts):
    shapes = [shape_of(stream) for stream in texts]
    found = measure_sign_dependence(*shapes, 5, seeded(4))
    generator, given = seeded(4), score_as_published(*shapes)
    moved = [score_as_published(*(flip_signs(each, generator) for each in shapes)) - given for _ in range(5)]
    assert found.movement == pytest.approx(float(torch.stack(moved).abs().mean()))
    assert found.size == pytest.approx(float(given.abs().mean()))
    assert found.movement > found.size / 2


def test_of_one_column_signs_decide_everything():
    """With one column a score is -2, 0 or 2; of opposite shapes it is 2 or -2, and 0 with half the signs."""
    own = shape_of(draw(1, 1))
    found = measure_sign_dependence(own, own, -own, 400, seeded(0))
    assert found.size == pytest.approx(2)
    assert found.movement == pytest.approx(0.5 * 2 + 0.25 * 4, abs=0.3)


@pytest.mark.parametrize("skips_first", [False, True])
@pytest.mark.parametrize("n", [2, 9, 40])
def test_energy_is_that_of_numpys_singular_values(n, skips_first):
    stream = draw(n, n)
    squares = np.linalg.svd(stream[int(skips_first) :].numpy(), compute_uv=False) ** 2
    found = accumulate_energy(stream.float(), skips_first)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, np.cumsum(squares) / squares.sum(), rtol=1e-6)
    exact = accumulate_energy(stream, skips_first)
    np.testing.assert_allclose(exact, np.cumsum(squares) / squares.sum(), rtol=1e-12)
    assert float(exact[-1]) == 1


def test_a_sink_is_all_the_energy_until_it_is_left_out():
    stream = draw(20, 1)
    stream[0] *= 1000
    assert float(accumulate_energy(stream, False)[0]) > 0.999
    assert float(accumulate_energy(stream, True)[0]) < 0.5


def test_histories_of_nothing_keep_no_energy():
    assert accumulate_energy(torch.zeros(3, D), True).tolist() == [0, 0]
    assert accumulate_energy(draw(1, 1), True).tolist() == []
    assert accumulate_energy(draw(1, 1), False).tolist() == [1]


def test_centred_histories_have_no_first_position_and_no_mean(texts):
    found = centre_histories(texts)
    rows = np.concatenate([stream[1:].numpy() for stream in texts])
    mean = sum(rows) / len(rows)
    for centred, stream in zip(found, texts, strict=True):
        np.testing.assert_allclose(centred, stream[1:].numpy() - mean, atol=1e-12)
    assert float(torch.cat(found).mean(0).abs().max()) < 1e-12
    assert [len(each) for each in centre_histories([draw(1, 1), draw(3, 2)])] == [0, 2]


def test_rv_is_that_of_the_formula(texts):
    for a in texts:
        for b in texts:
            A, B = a.numpy().T, b.numpy().T
            expected = np.linalg.norm(A.T @ B) ** 2 / (np.linalg.norm(A.T @ A) * np.linalg.norm(B.T @ B))
            grams = np.sum((A @ A.T) * (B @ B.T)) / (np.linalg.norm(A @ A.T) * np.linalg.norm(B @ B.T))
            assert measure_rv(a, b) == pytest.approx(expected, abs=1e-12)
            assert measure_rv(a, b) == pytest.approx(grams, abs=1e-12)


def test_rv_of_the_same_is_1_and_of_what_shares_nothing_0(texts):
    for stream in (*texts, draw(1, 5)):
        assert 1 - 1e-12 < measure_rv(stream, stream) <= 1
        assert 1 - 1e-12 < measure_rv(stream, 3 * rotate_positions(stream, 8)) <= 1
    left, right = texts[0].clone(), texts[1].clone()
    left[:, :10], right[:, 10:] = 0, 0
    assert measure_rv(left, right) == 0
    assert overlap_subspaces(left, right, 4) < 1e-12


@pytest.mark.parametrize("k", [1, 3, 7])
def test_overlap_is_that_of_the_formula(texts, k):
    for a in texts:
        for b in texts:
            U, V = (np.linalg.svd(each.numpy().T)[0][:, :k] for each in (a, b))
            assert overlap_subspaces(a, b, k) == pytest.approx(np.linalg.norm(U.T @ V) ** 2 / k, abs=1e-12)


@pytest.mark.parametrize("k", [1, 4])
def test_overlap_with_itself_is_1_and_at_random_k_of_d(texts, k):
    for stream in texts:
        assert overlap_subspaces(stream, stream, k) == pytest.approx(1, abs=1e-12)
        assert overlap_subspaces(stream, rotate_positions(stream, 8), k) == pytest.approx(1, abs=1e-12)
    chance = [overlap_subspaces(draw(9, 2 * seed), draw(9, 2 * seed + 1), k) for seed in range(300)]
    assert np.mean(chance) == pytest.approx(k / D, rel=0.2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dimensions_that_a_history_lacks_overlap_with_nothing(dtype):
    """A text of one position, or of two that are the same up to rounding, has one dimension."""
    one = draw(1, 1).to(dtype)
    again = torch.cat([one, one / 3, one * 0.7])
    assert overlap_subspaces(one, one, 4) == pytest.approx(1 / 4)
    assert overlap_subspaces(again, again, 4) == pytest.approx(1 / 4)
    assert overlap_subspaces(again, one, 1) == pytest.approx(1)


def test_histories_of_nothing_are_like_none(texts):
    for empty in (torch.zeros(5, D), torch.zeros(0, D)):
        assert measure_rv(empty, texts[0]) == measure_rv(texts[0], empty) == measure_rv(empty, empty) == 0
        assert overlap_subspaces(empty, texts[0], 2) == overlap_subspaces(empty, empty, 2) == 0


def test_what_cannot_be_is_refused(texts):
    with pytest.raises(ValueError, match="cut to 1 column at least, not to 0"):
        summarise_history(texts[0], 0, False)
    with pytest.raises(ValueError, match="1 dimension at least, not 0"):
        overlap_subspaces(texts[0], texts[1], 0)
    with pytest.raises(ValueError, match="once at least, not 0 times"):
        measure_sign_dependence(*map(shape_of, texts), 0, seeded(0))
