import pytest
import torch

from app.core import blocks, gram
from app.core.bases.svd import decompose_all, svd_by_gram
from app.core.basis import BASES
from app.core.circuits import CIRCUITS, ov_constant
from app.core.matrix import READ, WRITE, Matrix
from tests.core.conftest import decompose, make_upright_and_not, split_by_sample_side, terms_of

PARTS = ("left", "strength", "right")


def matrix_of(strength: list[float], d_left: int = 48, d_right: int = 40) -> Matrix:
    """A matrix with these singular values, its factors mixed so that neither shows them."""
    h = len(strength)
    U, V = (torch.linalg.qr(torch.randn(d, h, dtype=torch.float64)).Q for d in (d_left, d_right))
    mix = torch.randn(h, h, dtype=torch.float64)
    values = torch.tensor(strength, dtype=torch.float64)
    return Matrix(((U * values @ mix).float(), (torch.linalg.inv(mix) @ V.T).float()), READ, WRITE)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(params=["ov", "qk"])
def matrix(request, head) -> Matrix:
    return CIRCUITS[request.param](head)


def test_unit_vectors_in_order_that_sum_to_the_matrix(matrix):
    terms = terms_of("svd", matrix)
    for side in (terms.left, terms.right):
        assert torch.allclose(side.norm(dim=1), torch.ones(len(side)), atol=1e-6)
    assert (terms.strength.diff() <= 0).all()
    assert torch.allclose(terms.reconstruct(), matrix.dense(), atol=1e-5 * float(terms.strength[0]))
    assert {terms.left.dtype, terms.strength.dtype, terms.right.dtype} == {torch.float32}


def test_against_the_dense_svd(matrix):
    U, strength, Vh = torch.linalg.svd(matrix.dense())
    terms = decompose(matrix)
    rank = len(terms.strength)
    assert rank == 8
    assert ((terms.strength.double() - strength[:rank]).abs() / strength[0]).max() <= 1e-5
    for ours, theirs in ((terms.left, U.T[:rank]), (terms.right, Vh[:rank])):
        projectors = torch.einsum("ri,rj->rij", ours.double(), ours.double())
        assert torch.allclose(projectors, torch.einsum("ri,rj->rij", theirs, theirs), atol=1e-5)


def test_equal_strengths_agree_as_blocks():
    matrix = matrix_of([5, 3, 3, 3, 1, 1])
    _, _, Vh = torch.linalg.svd(matrix.dense())
    right = decompose(matrix).right.double()
    for block in (slice(0, 1), slice(1, 4), slice(4, 6)):
        assert torch.allclose(right[block].T @ right[block], Vh[:6][block].T @ Vh[:6][block], atol=1e-5)


def test_singular_vectors_map_to_each_other(matrix):
    terms, dense = decompose(matrix), matrix.dense()
    scale = float(terms.strength[0])
    assert torch.allclose(dense @ terms.right.double().T, terms.left.T * terms.strength.double(), atol=1e-5 * scale)
    assert torch.allclose(
        terms.left.double() @ dense, terms.strength.double()[:, None] * terms.right, atol=1e-5 * scale
    )
    for side in (terms.left, terms.right):
        assert torch.allclose(side @ side.T, torch.eye(len(side)), atol=1e-5)


def test_the_directions_are_the_heads_forward_pass(head):
    pattern = torch.rand(4, 4).softmax(dim=1)
    x = torch.randn(4, 48)
    output = pattern @ (x @ head.W_V + head.b_V) @ head.W_O + head.b_O
    terms = decompose(CIRCUITS["ov"](head))
    read = (pattern @ x) @ terms.left.T
    assert torch.allclose((read * terms.strength) @ terms.right + ov_constant(head), output, atol=1e-3)


def test_the_sign_rule(matrix):
    right = decompose(matrix).right
    assert (right.gather(1, right.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_a_lapack_that_flips_signs_changes_nothing(matrix, monkeypatch):
    plain = decompose(matrix)
    svd = torch.linalg.svd
    flips = []

    def flipping(middle, full_matrices):
        U, strength, Vh = svd(middle, full_matrices=full_matrices)
        sign = torch.tensor([-1.0, 1.0] * 4, dtype=U.dtype)
        flips.append(sign)
        return U * sign, strength, Vh * sign[:, None]

    monkeypatch.setattr(torch.linalg, "svd", flipping)
    flipped = decompose(matrix)
    assert flips
    for name in PARTS:
        assert torch.equal(getattr(plain, name), getattr(flipped, name))


def test_another_number_of_threads_changes_no_sign(matrix):
    before = torch.get_num_threads()
    plain = decompose(matrix)
    try:
        torch.set_num_threads(2 if before == 1 else 1)
        again = decompose(matrix)
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(plain.left, again.left, atol=1e-6)
    assert torch.allclose(plain.right, again.right, atol=1e-6)


def test_null_directions_are_left_out():
    floor = 48 * torch.finfo(torch.float32).eps
    assert len(decompose(matrix_of([1, 0.5, 20 * floor])).strength) == 3
    flat = matrix_of([1, 0.5, 0.25])
    twice = Matrix((torch.cat([flat.factors[0]] * 2, dim=1), torch.cat([flat.factors[1]] * 2)), READ, WRITE)
    assert len(decompose(twice).strength) == 3


def test_a_zero_matrix_has_no_directions():
    terms = decompose(Matrix((torch.zeros(48, 8), torch.randn(8, 40)), READ, WRITE))
    assert (terms.left.shape, terms.strength.shape, terms.right.shape) == ((0, 48), (0,), (0, 40))
    assert not terms.reconstruct().any()


def test_tiny_weights_are_not_null():
    matrix = matrix_of([5, 3, 1])
    tiny = Matrix((matrix.factors[0] * 1e-18, matrix.factors[1] * 1e-18), READ, WRITE)
    assert torch.allclose(decompose(tiny).right, decompose(matrix).right, atol=1e-5)


def test_more_inner_than_outer_dimensions():
    A, B = torch.randn(6, 10), torch.randn(10, 5)
    terms = decompose(Matrix((A, B), READ, WRITE))
    assert terms.left.shape == (5, 6)
    assert torch.allclose(terms.reconstruct(), A.double() @ B.double(), atol=1e-4)


@pytest.mark.parametrize("scale", [1e-25, 1e-30])
def test_directions_that_float32_cannot_hold_are_none(scale):
    """Their strengths would be rounded to zero, and everything that divides by them to nonsense."""
    draw = torch.Generator().manual_seed(0)
    A, B = (torch.randn(shape, generator=draw) * scale for shape in ((32, 8), (8, 32)))
    assert len(decompose(Matrix((A, B), READ, WRITE)).strength) == 0


def test_small_directions_are_directions():
    draw = torch.Generator().manual_seed(0)
    A, B = (torch.randn(shape, generator=draw) for shape in ((32, 8), (8, 32)))
    usual, small = (decompose(Matrix((A * scale, B), READ, WRITE)) for scale in (1, 2.0**-80))
    assert torch.equal(usual.strength * 2.0**-80, small.strength)


def test_matrices_taken_together_are_as_each_alone():
    matrices = [Matrix((torch.randn(48, 8), torch.randn(8, 40)), READ, WRITE) for _ in range(5)]
    matrices.append(Matrix((torch.zeros(48, 8), torch.randn(8, 40)), READ, WRITE))
    matrices.append(matrix_of([1, 0.5, 0.25, 0, 0, 0, 0, 0]))
    for matrix, terms in zip(matrices, decompose_all(matrices), strict=True):
        alone = decompose(matrix)
        assert len(terms.strength) == len(alone.strength)
        for name in PARTS:
            assert torch.allclose(getattr(terms, name), getattr(alone, name), atol=1e-6)


def test_matrices_of_different_shapes_are_not_taken_together():
    one, other = (Matrix((torch.randn(d, 8), torch.randn(8, d)), READ, WRITE) for d in (48, 40))
    with pytest.raises(ValueError, match="one shape, got 2"):
        decompose_all([one, other])


@pytest.mark.parametrize("shape", [(8, 8), (10, 5), (5, 10)])
def test_svds_by_gram_are_svds(shape):
    """As a GPU finds them: strengths over six orders of magnitude, to the digits that squaring leaves."""
    U, V = (torch.linalg.qr(torch.randn(4, n, min(shape), dtype=torch.float64)).Q for n in shape)
    strength = torch.logspace(0, -6, min(shape), dtype=torch.float64)
    middle = (U * strength) @ V.mT
    ours = svd_by_gram(middle)
    assert torch.allclose((ours[0] * ours[1][:, None]) @ ours[2], middle, atol=1e-12)
    assert ((ours[1] / strength - 1).abs() <= 1e-15 / strength.square() + 1e-14).all()
    one = torch.eye(min(shape), dtype=torch.float64).expand(4, -1, -1)
    assert torch.allclose(ours[0].mT @ ours[0], one, atol=1e-3)  # the last direction has four digits left
    assert torch.allclose((ours[0].mT @ ours[0])[:, :3, :3], one[:, :3, :3], atol=1e-9)


def test_decompositions_by_gram_agree(matrix, monkeypatch):
    plain = decompose(matrix)
    monkeypatch.setattr(torch.linalg, "svd", lambda middle, full_matrices: svd_by_gram(middle))
    gram = decompose(matrix)
    assert torch.allclose(gram.strength, plain.strength, rtol=1e-5)
    for ours, theirs in ((gram.left, plain.left), (gram.right, plain.right)):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.fixture(params=[0, 2**28], ids=["gram", "plain"])
def _way(request, monkeypatch):
    """Whatever the size: by eigenvectors of the Gram matrix in several blocks, or by a plain SVD."""
    monkeypatch.setattr(gram, "SMALL", request.param)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 8 * 24)


def planted(n: int, strength: list[float], d: int = 24) -> torch.Tensor:
    """Samples with these singular values and no others, to float32."""
    U, V = (torch.linalg.qr(torch.randn(size, len(strength), dtype=torch.float64)).Q for size in (n, d))
    return ((U * torch.tensor(strength, dtype=torch.float64)) @ V.T).float()


@pytest.mark.parametrize("n", [1, 10, 24, 25, 100])
@pytest.mark.usefixtures("_way")
def test_one_factor_against_the_dense_svd(n):
    samples = torch.randn(n, 24)
    for matrix in make_upright_and_not(samples):
        terms = terms_of("svd", matrix)
        U, strength, Vh = torch.linalg.svd(matrix.dense(), full_matrices=False)
        assert torch.allclose(terms.strength.double(), strength, rtol=1e-6)
        sign = (terms.right.double() * Vh).sum(dim=1, keepdim=True).sign()
        assert torch.allclose(terms.right.double() * sign, Vh, atol=1e-5)
        assert torch.allclose(terms.left.double() * sign, U.T, atol=1e-5)
        assert (terms.right.gather(1, terms.right.abs().argmax(dim=1, keepdim=True)) > 0).all()
        assert torch.allclose(terms.reconstruct(), matrix.dense(), atol=1e-5)


@pytest.mark.usefixtures("_way")
def test_planted_strengths_over_four_decades():
    strength = [10 ** (-step / 2) for step in range(9)]
    for matrix in make_upright_and_not(planted(200, strength)):
        terms = terms_of("svd", matrix)
        assert torch.allclose(terms.strength, torch.tensor(strength), rtol=1e-3)
        for side in (terms.left, terms.right):
            assert torch.allclose(side @ side.T, torch.eye(9), atol=1e-4)


@pytest.mark.usefixtures("_way")
def test_null_directions_of_one_factor_are_left_out():
    floor = 24 * torch.finfo(torch.float32).eps
    for matrix in make_upright_and_not(planted(200, [1, 0.5, 20 * floor, floor / 20])):
        assert len(terms_of("svd", matrix).strength) == 3


@pytest.mark.parametrize("n", [3, 100])
@pytest.mark.usefixtures("_way")
def test_hostile_samples(n):
    for samples, rank in (
        (torch.zeros(n, 24), 0),
        (torch.ones(n, 24), 1),
        (torch.randn(1, 24).expand(n, 24).contiguous(), 1),
        (torch.eye(n, 24)[:1].repeat(n, 1), 1),
        (torch.randn(2, 24).repeat(n, 1), 2),
        (torch.randn(n, 24) * 1e-30, min(n, 24)),
    ):
        for matrix in make_upright_and_not(samples):
            terms = terms_of("svd", matrix)
            assert len(terms.strength) == rank
            assert torch.allclose(terms.reconstruct(), matrix.dense(), atol=1e-5)


@pytest.mark.usefixtures("_way")
def test_the_order_of_samples_is_only_theirs():
    samples, order = planted(60, [4, 3, 2, 1]), torch.randperm(60)
    (plain, _), (shuffled, _) = make_upright_and_not(samples), make_upright_and_not(samples[order])
    one, other = terms_of("svd", plain), terms_of("svd", shuffled)
    assert torch.allclose(one.right, other.right, atol=1e-5)
    assert torch.allclose(one.left[:, order], other.left, atol=1e-5)


@pytest.mark.usefixtures("_way")
def test_a_matrix_on_its_side_has_the_other_sides():
    upright, not_upright = make_upright_and_not(planted(60, [4, 3, 2, 1]))
    one, other = terms_of("svd", upright), terms_of("svd", not_upright)
    assert torch.allclose(one.strength, other.strength, rtol=1e-6)
    for ours, theirs in zip(split_by_sample_side(upright, one), split_by_sample_side(not_upright, other), strict=True):
        sign = (ours * theirs).sum(dim=1, keepdim=True).sign()
        assert torch.allclose(ours, theirs * sign, atol=1e-5)


def test_another_number_of_threads_changes_no_term(monkeypatch):
    monkeypatch.setattr(gram, "SMALL", 0)
    matrix, _ = make_upright_and_not(planted(2000, [float(32 - step) for step in range(32)], 64))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(terms_of("svd", matrix))
    finally:
        torch.set_num_threads(before)
    for name in PARTS:
        assert torch.allclose(getattr(found[0], name), getattr(found[1], name), rtol=1e-5, atol=1e-5)


def test_a_closed_generator_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(gram, "SMALL", 0)
    steps = BASES["svd"].decompose(make_upright_and_not(torch.randn(100, 24))[0], {})
    assert next(steps) == (0, 200)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)
