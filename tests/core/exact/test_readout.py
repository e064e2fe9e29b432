"""The oracle is numpy in float64: a full product, sorted by (score, id)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.circuits import CIRCUITS
from app.core.exact import proposal
from app.core.exact import readout as readout_module
from app.core.exact.readout import TokenTable, read, token_table
from tests.core.conftest import decompose

FIELDS = ("top_ids", "top_scores", "bottom_ids", "bottom_scores", "counts", "low", "high")


def oracle(vectors: torch.Tensor, table: torch.Tensor, k: int, ids: np.ndarray | None = None):
    """Top and bottom ids and scores; numbers small enough to be summed exactly where ties matter."""
    scores = vectors.double().numpy() @ table.double().numpy().T
    ids = np.arange(len(table)) if ids is None else ids
    top = np.stack([np.lexsort((ids, -row))[:k] for row in scores])
    bottom = np.stack([np.lexsort((ids, row))[:k] for row in scores])
    return ids[top], np.take_along_axis(scores, top, 1), ids[bottom], np.take_along_axis(scores, bottom, 1)


@pytest.fixture(params=[torch.float32, torch.bfloat16, torch.float16], ids=str)
def prepared(request):
    """prepared(vectors, known) -> a table that proposes in float32 or in fewer bits; exact it is with any."""
    return lambda vectors, known=None: token_table(vectors, known, request.param)


@pytest.fixture
def check(prepared):
    return lambda vectors, table, k=50: checked(prepared(table), vectors, table, k)


def checked(prepared_table: TokenTable, vectors: torch.Tensor, table: torch.Tensor, k: int = 50):
    readout = read(prepared_table, vectors, k)
    top, top_scores, bottom, bottom_scores = oracle(vectors, table, k)
    assert (readout.top_ids.numpy() == top).all()
    assert (readout.bottom_ids.numpy() == bottom).all()
    np.testing.assert_allclose(readout.top_scores.numpy(), top_scores, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(readout.bottom_scores.numpy(), bottom_scores, rtol=1e-12, atol=1e-300)
    first = readout_module.read_first_tokens(prepared_table, vectors, k).numpy()
    assert (first == np.stack([top, bottom], axis=1)).all()
    return readout


def whole_numbers(*shape: int, most: int = 3) -> torch.Tensor:
    """Few different values, so ties are everywhere, and every sum is exact in any order."""
    return torch.randint(-most, most + 1, shape).float()


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("n_tokens", [1, 49, 50, 64, 65, 8191, 8192, 9001, 20_000])
def test_random_tables_of_any_size(n_tokens, check):
    readout = check(torch.randn(5, 32), torch.randn(n_tokens, 32), k=50)
    assert readout.top_ids.shape == (5, min(50, n_tokens))
    assert readout.unsettled <= 4


def test_ties_go_to_the_smaller_id(check):
    readout = check(whole_numbers(6, 8, most=1), whole_numbers(12_000, 8, most=1))
    assert readout.unsettled > 0


def test_duplicate_tokens(check):
    check(
        torch.randn(4, 24), torch.randn(400, 24).repeat_interleave(25, dim=0)[torch.randperm(10_000)][:, :].contiguous()
    )


def test_one_vector_for_all(check):
    readout = check(whole_numbers(3, 16), whole_numbers(1, 16).expand(9000, 16).contiguous())
    assert readout.top_ids.tolist() == [list(range(50))] * 3
    assert readout.bottom_ids.tolist() == [list(range(50))] * 3


def test_gaps_that_float32_cannot_see(check):
    base = torch.zeros(10_000, 4)
    base[:, 0] = 1
    base[:, 1] = torch.randperm(10_000) * 2.0**-40
    vectors = torch.tensor([[1.0, 1.0, 0, 0], [1.0, -1.0, 0, 0]])
    readout = check(vectors, base)
    assert readout.unsettled == 4
    assert len(set((vectors @ base.T)[0].tolist())) == 1


def test_one_long_token_unsettles_but_misleads_nobody(check):
    table = torch.randn(10_000, 64)
    table[1234] *= 1e9
    assert check(torch.randn(3, 64), table).unsettled == 6


def test_zeros_of_either_sign_are_equal(check):
    table = torch.zeros(9000, 3)
    table[::2] = -0.0
    readout = check(torch.tensor([[0.0, -0.0, 1.0], [-1.0, 2.0, -0.0]]), table)
    assert readout.top_ids.tolist() == [list(range(50))] * 2
    assert not torch.signbit(readout.top_scores).any()
    assert not torch.signbit(readout.bottom_scores).any()


@pytest.mark.parametrize("scales", [(1e-15, 1e-15), (1e-22, 1e-22), (1.0, 1e-30), (1e15, 1e15)])
def test_scales_far_from_one(scales, check):
    of_vectors, of_table = scales
    check(torch.randn(3, 32) * of_vectors, torch.randn(10_000, 32) * of_table)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e18])
def test_lengths_beyond_what_float32_can_square(scale):
    table = torch.randn(1000, 32) * scale
    lengths = np.sqrt((table.double().numpy() ** 2).sum(1))
    np.testing.assert_allclose(token_table(table).norms.numpy(), lengths, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@settings(max_examples=25)
@given(data=st.data())
def test_small_adversarial_tables(dtype, data):
    d, n_tokens = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 40))
    values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-20, 1 + 2.0**-20, 1024.0])
    draw = st.lists(st.lists(values, min_size=d, max_size=d), min_size=n_tokens, max_size=n_tokens)
    table = torch.tensor(data.draw(draw))
    checked(token_table(table, None, dtype), torch.randn(2, d).sign(), table, k=data.draw(st.integers(1, 60)))


def test_unknown_ids_never_appear(prepared):
    table = torch.randn(12_000, 16)
    table[5000:] *= 100
    known = torch.arange(12_000) < 5000
    known[::7] = False
    readout = read(prepared(table, known), torch.randn(4, 16), 50)
    for ids in (readout.top_ids, readout.bottom_ids):
        assert known[ids].all()
    assert (readout.counts.sum(dim=1) == known.sum()).all()


def test_fewer_known_tokens_than_asked_for():
    known = torch.zeros(10_000, dtype=torch.bool)
    known[[17, 4, 9999]] = True
    readout = read(token_table(torch.randn(10_000, 16), known), torch.randn(2, 16), 50)
    assert [sorted(row) for row in readout.top_ids.tolist()] == [[4, 17, 9999]] * 2
    assert readout.top_ids.tolist() == readout.bottom_ids.flip(1).tolist()


def test_any_batch_gives_the_same_bits(prepared):
    table, vectors = prepared(torch.randn(100_000, 32)), torch.randn(90, 32)
    together = read(table, vectors)
    alone = [read(table, vector[None]) for vector in vectors[[0, 41, 42, 89]]]
    for name in ("top_ids", "top_scores", "bottom_ids", "bottom_scores", "low", "high"):
        assert torch.equal(getattr(together, name)[[0, 41, 42, 89]], torch.cat([getattr(one, name) for one in alone]))


def test_another_number_of_threads_gives_the_same_tokens(head, prepared):
    table = prepared(torch.randn(9000, 48))
    before = torch.get_num_threads()
    readouts = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            terms = decompose(CIRCUITS["ov"](head))
            readouts.append((read(table, terms.left), read(table, terms.right)))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*readouts, strict=True):
        assert torch.equal(one.top_ids, two.top_ids)
        assert torch.equal(one.bottom_ids, two.bottom_ids)


def test_a_multiplication_of_fewer_bits_misleads_nobody(monkeypatch, check):
    """A device that rounds to 2 bits behind the back of the bound."""
    vectors, table = torch.randn(3, 64), torch.randn(10_000, 64)
    product = torch.mm

    def rough(a, b, out):
        return out.copy_(product(few(a).float(), few(b).float()))

    def few(x):
        mantissa, exponent = torch.frexp(x.float())
        return torch.ldexp((mantissa * 4).round(), exponent - 2)

    monkeypatch.setattr(torch, "mm", rough)
    assert check(vectors, table).unsettled == 6


def test_shares_read_side_by_side_are_the_same(monkeypatch, prepared):
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        vectors, table = torch.randn(100, 16), prepared(torch.randn(9000, 16))
        alone = read(table, vectors)
        monkeypatch.setattr(readout_module, "BATCH", 30)
        beside = read(table, vectors)
    finally:
        torch.set_num_threads(threads)
    for name in ("top_ids", "top_scores", "bottom_ids", "bottom_scores", "low", "high"):
        assert torch.equal(getattr(alone, name), getattr(beside, name)), name


def test_more_vectors_than_are_read_at_once(monkeypatch, check):
    monkeypatch.setattr(readout_module, "AT_ONCE", 7)
    monkeypatch.setattr(readout_module, "BATCH_BYTES", 1)
    check(torch.randn(75, 16), torch.randn(9000, 16))


def test_few_bits_settle_what_they_can():
    """Random tables are settled in bfloat16; the rest is handed on, not settled by hope."""
    table = torch.randn(20_000, 256)
    readout = checked(token_table(table, None, torch.bfloat16), torch.randn(40, 256), table)
    assert readout.unsettled <= 8
    crowded = table[:1] + 1e-3 * torch.randn(20_000, 256)
    readout = checked(token_table(crowded, None, torch.bfloat16), table[:4], crowded)
    assert readout.unsettled == 8


def test_each_ray_has_room_for_the_candidates_that_it_needs(monkeypatch):
    """Rounding takes more of some vectors than of others, and tokens crowd about the k-th place of some rays."""
    few_large = torch.randn(60, 128) * torch.logspace(0, -1.5, 128)
    vectors, table = torch.cat([few_large, torch.randn(60, 128)]), torch.randn(12_000, 128)
    table[:3000] = torch.nn.functional.normalize(table[:3000], dim=1) * 14
    prepared_table = token_table(table, None, torch.bfloat16)
    assert checked(prepared_table, vectors, table).unsettled <= 1
    monkeypatch.setattr(proposal, "ROOM", 1.0)
    assert read(prepared_table, vectors).unsettled > 10


def test_only_what_may_be_among_the_first_is_scored(monkeypatch, prepared):
    """Room is made for twice as many; most rays need half of it."""
    asked = []
    score = readout_module.near_products
    monkeypatch.setattr(readout_module, "near_products", lambda *args: asked.append(args) or score(*args))
    table = prepared(torch.randn(20_000, 256))
    read(table, torch.randn(30, 256))
    wanted = asked[0][3].sum(dim=1).double().mean()
    assert wanted <= 0.75 * 2 * proposal.candidates_for(table.proposals[0], 50, readout_module.SPARE)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1), (torch.bfloat16, 40), (torch.float16, 8)])
def test_the_spread_of_scores(dtype, most):
    """`most` tokens of 9000 may be counted on the wrong side of the middle: quick scores are so near."""
    table, vectors = torch.randn(9000, 16), torch.randn(3, 16)
    readout = read(token_table(table, None, dtype), vectors)
    scores = vectors.double() @ table.double().T
    assert torch.allclose(readout.low, scores.amin(dim=1), rtol=1e-12)
    assert torch.allclose(readout.high, scores.amax(dim=1), rtol=1e-12)
    assert (readout.counts.sum(dim=1) == 9000).all()
    middle = (readout.low + readout.high) / 2
    below = (scores < middle[:, None]).sum(dim=1)
    assert (readout.counts[:, :24].sum(dim=1) - below).abs().max() <= most


def test_no_vectors_no_rows():
    readout = read(token_table(torch.randn(9000, 16)), torch.empty(0, 16))
    assert [len(getattr(readout, name)) for name in FIELDS] == [0] * 7


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_bad_numbers_are_refused(bad):
    table, vectors = torch.randn(100, 8), torch.randn(2, 8)
    broken = vectors.clone()
    broken[1, 3] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        read(token_table(table), broken)
    table[7, 0] = bad
    with pytest.raises(ValueError, match="NaN"):
        token_table(table)


def test_no_token_known():
    with pytest.raises(ValueError, match="none of the 5 tokens"):
        token_table(torch.randn(5, 3), torch.zeros(5, dtype=torch.bool))


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(k):
    with pytest.raises(ValueError, match="at least 1"):
        read(token_table(torch.randn(5, 3)), torch.randn(1, 3), k)


def test_a_table_of_known_tokens_only_is_not_copied():
    vectors = torch.randn(100, 8)
    assert token_table(vectors).vectors.data_ptr() == vectors.data_ptr()
    assert isinstance(token_table(vectors), TokenTable)
