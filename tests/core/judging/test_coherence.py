"""The oracle: numpy in float64, principal components by SVD, and two loops over the pairs of each ray."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.exact.readout import TokenTable, read, token_table
from app.core.judging import coherence as coherence_module
from app.core.judging.coherence import (
    LEAST,
    Lexicon,
    coherence,
    first_coherence,
    lexicon,
    put_chosen_first,
    shared_components,
)
from app.core.judging.collapse import is_trained
from app.core.judging.rays import LENGTHS

N_TOKENS, D_MODEL = 400, 48
ROUNDING = 5e-4
"""Of vectors kept in float16."""


def tokens(n: int = N_TOKENS, d: int = D_MODEL, seed: int = 0) -> torch.Tensor:
    """With a mean, and a spread that differs by axis."""
    draw = torch.Generator().manual_seed(seed)
    turned = torch.linalg.qr(torch.randn(d, d, generator=draw)).Q
    scales = torch.arange(1, d + 1) ** -0.5
    return (torch.randn(n, d, generator=draw) * scales) @ turned + torch.randn(d, generator=draw)


def some_trained(n: int, share: float, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, generator=torch.Generator().manual_seed(seed)) < share


def rays(n: int, k: int, n_tokens: int = N_TOKENS, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(n_tokens, generator=draw)[:k] for _ in range(n)])


def words_of(table: TokenTable, trained: torch.Tensor) -> Lexicon:
    return lexicon(table.vectors, trained, *shared_components(table.vectors, trained))


def bare(vectors: torch.Tensor, trained: torch.Tensor) -> np.ndarray:
    """Unit vectors without what the trained ones share."""
    exact, is_own = vectors.double().numpy(), trained.numpy()
    exact = exact - exact[is_own].mean(axis=0)
    components = np.linalg.svd(exact[is_own])[2][: vectors.shape[1] // 16]
    exact = exact - exact @ components.T @ components
    return exact / np.linalg.norm(exact, axis=1, keepdims=True)


def slowly(units: np.ndarray, trained: torch.Tensor, ray: list[int]) -> list[float]:
    own = [id_ for id_ in ray if trained[id_]]
    found = []
    for length in LENGTHS:
        chosen = own[:length]
        total = weight = 0.0
        for i, one in enumerate(chosen):
            for j, other in enumerate(chosen):
                if i != j:
                    pair = 1 / math.log2(i + 2) / math.log2(j + 2)
                    total, weight = total + pair * units[one] @ units[other], weight + pair
        enough = len(chosen) >= (length if length < LENGTHS[-1] else LEAST)
        found.append(total / weight if enough else math.nan)
    return found


@pytest.mark.parametrize("k", [5, 10, 15, 20, 30, 50, 60])
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_against_the_pairs_one_by_one(k, share):
    vectors, trained = tokens(), some_trained(N_TOKENS, share)
    ids, table = rays(6, k), token_table(vectors)
    found = coherence(table, words_of(table, trained), ids)
    units = bare(vectors, trained)
    expected = [slowly(units, trained, ray) for ray in ids.tolist()]
    np.testing.assert_allclose(found.numpy(), expected, atol=ROUNDING)


@pytest.mark.parametrize("k", [5, 10, 25, 50])
def test_of_the_tokens_that_count_against_the_pairs_one_by_one(k):
    vectors, every, lengths = tokens(), torch.ones(N_TOKENS, dtype=torch.bool), (5, 10, 20)
    rows = rays(8, k)
    chosen = torch.rand(rows.shape, generator=torch.Generator().manual_seed(1)) < torch.linspace(0, 1, 8)[:, None]
    words, units = words_of(token_table(vectors), every), bare(vectors, every)
    found = first_coherence(words, *put_chosen_first(rows, chosen), lengths)
    for i, own in enumerate(found.tolist()):
        left = rows[i][chosen[i]].tolist()
        for length, value in zip(lengths, own, strict=True):
            pairs = [(a, b) for a in range(length) for b in range(length) if a != b]
            if len(left) < length:
                assert math.isnan(value)
                continue
            weights = [1 / math.log2(a + 2) / math.log2(b + 2) for a, b in pairs]
            total = sum(w * units[left[a]] @ units[left[b]] for w, (a, b) in zip(weights, pairs, strict=True))
            assert value == pytest.approx(total / sum(weights), abs=ROUNDING)
    assert found.isfinite().any() == (k >= 5)
    assert found.isnan().any()


def test_the_shared_components_are_the_first_of_an_svd():
    vectors, trained = tokens(), some_trained(N_TOKENS, 0.8)
    mean, components = shared_components(vectors, trained)
    exact = vectors[trained].double().numpy()
    np.testing.assert_allclose(mean, exact.mean(axis=0), atol=1e-6)
    first = np.linalg.svd(exact - exact.mean(axis=0))[2][: D_MODEL // 16]
    assert components.shape == first.shape == (3, D_MODEL)
    np.testing.assert_allclose(components.numpy().T @ components.numpy(), first.T @ first, atol=1e-5)


def test_nothing_shared_is_left():
    vectors, trained = tokens(), some_trained(N_TOKENS, 0.8)
    mean, components = shared_components(vectors, trained)
    words = lexicon(vectors, trained, mean, components)
    assert float((words.units.float() @ components.T).abs().max()) < 1e-3
    torch.testing.assert_close(words.squares, torch.ones(N_TOKENS), atol=2e-3, rtol=0)


def test_few_dimensions_have_no_components_to_lose():
    assert shared_components(tokens(d=15), torch.ones(N_TOKENS, dtype=torch.bool))[1].shape == (0, 15)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_tokens_of_hardly_any_rank_are_not_alike_but_shared(rank):
    """What lies within the first components is gone, and nothing is left to compare."""
    draw = torch.Generator().manual_seed(0)
    vectors = torch.randn(200, rank, generator=draw) @ torch.randn(rank, 32, generator=draw)
    every = torch.ones(200, dtype=torch.bool)
    table = token_table(vectors)
    found = coherence(table, words_of(table, every), rays(4, 50, 200))
    assert found.isfinite().all()
    assert rank or not found.any()


def test_a_vector_that_is_the_mean_counts_as_zero():
    draw = torch.Generator().manual_seed(0)
    half = torch.randn(30, 8, generator=draw)
    vectors = torch.cat([torch.zeros(1, 8), half, -half])
    table, every = token_table(vectors), torch.ones(61, dtype=torch.bool)
    words = words_of(table, every)
    assert float(words.squares[0]) == pytest.approx(0, abs=1e-5)
    first_one = torch.cat([torch.zeros(5, 1, dtype=torch.int64), rays(5, 19, 60) + 1], dim=1)
    units = np.vstack([np.zeros(8), bare(vectors[1:], every[1:])])
    expected = [slowly(units, every, ray)[1] for ray in first_one.tolist()]
    np.testing.assert_allclose(coherence(table, words, first_one)[:, 1], expected, atol=ROUNDING)


def test_a_cluster_is_coherent_and_two_that_are_opposite_are_not():
    draw = torch.Generator().manual_seed(0)
    centre = torch.nn.functional.normalize(torch.randn(1, 32, generator=draw))
    rest = torch.randn(2_000, 32, generator=draw)
    rest *= torch.where(torch.arange(32) < 2, 9.0, 1.0)  # what is shared is not the cluster
    cluster = 9 * centre + 0.1 * torch.randn(40, 32, generator=draw)
    opposite = -9 * centre + 0.1 * torch.randn(40, 32, generator=draw)
    table = token_table(torch.cat([cluster, opposite, rest]))
    ids = torch.stack([torch.arange(20), torch.arange(80).view(2, 40).T.flatten()[:20], 80 + torch.arange(20)])
    alike, opposed, random = coherence(table, words_of(table, torch.ones(2_080, dtype=torch.bool)), ids)[:, 1].tolist()
    assert alike > 0.95
    assert opposed < 0
    assert abs(random) < 0.1


@pytest.mark.parametrize(("n_trained", "known"), [(9, [0, 0, 0]), (10, [1, 0, 0]), (19, [1, 0, 0]), (20, [1, 1, 1])])
def test_too_few_trained_tokens_give_no_number(n_trained, known):
    trained = torch.zeros(N_TOKENS, dtype=torch.bool)
    trained[50 - n_trained :] = True
    table = token_table(tokens())
    found = coherence(table, words_of(table, trained), torch.arange(50)[None])
    assert found.isfinite().int().tolist() == [known]


def test_tokens_that_were_never_trained_are_passed_over():
    vectors, trained = tokens(), some_trained(N_TOKENS, 0.6)
    table = token_table(vectors)
    words, ids = words_of(table, trained), rays(5, 60)
    pure = torch.stack([ray[trained[ray]][:20] for ray in ids])
    # Not to the bit: sums in float16 are rounded where their parts end.
    torch.testing.assert_close(coherence(table, words, ids)[:, :2], coherence(table, words, pure)[:, :2])
    moved = vectors.clone()
    moved[~trained] = torch.randn(int((~trained).sum()), D_MODEL, generator=torch.Generator().manual_seed(5)) * 100
    torch.testing.assert_close(
        coherence(token_table(moved), words_of(token_table(moved), trained), ids), coherence(table, words, ids)
    )


def test_ids_are_the_vocabularys_although_unknown_ones_are_dropped():
    vectors, known = tokens(), torch.arange(N_TOKENS) % 2 == 1
    every = torch.ones(N_TOKENS // 2, dtype=torch.bool)
    dropped, bare_table = token_table(vectors, known), token_table(vectors[known])
    ids = rays(4, 50, N_TOKENS // 2)
    torch.testing.assert_close(
        coherence(dropped, words_of(dropped, every), 2 * ids + 1),
        coherence(bare_table, words_of(bare_table, every), ids),
    )


def test_a_filter_of_tokens_changes_no_ray_that_passes_it():
    vectors, trained, passed = tokens(), some_trained(N_TOKENS, 0.9), torch.arange(N_TOKENS) >= 100
    whole, part = token_table(vectors), token_table(vectors, passed)
    shared = shared_components(vectors, trained)
    ids = rays(5, 50, N_TOKENS - 100) + 100
    torch.testing.assert_close(
        coherence(part, lexicon(part.vectors, trained[passed], *shared), ids),
        coherence(whole, lexicon(whole.vectors, trained, *shared), ids),
    )


def test_sizes_of_the_vectors_do_not_matter():
    table, large, every = token_table(tokens()), token_table(tokens() * 37), torch.ones(N_TOKENS, dtype=torch.bool)
    ids = rays(5, 50)
    torch.testing.assert_close(
        coherence(large, words_of(large, every), ids), coherence(table, words_of(table, every), ids), atol=1e-4, rtol=0
    )


def judged(vectors: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Both rays of each direction, from nothing but the token vectors."""
    table = token_table(vectors)
    words, found = words_of(table, is_trained(vectors)), read(table, directions)
    return torch.stack([coherence(table, words, ids) for ids in (found.top_ids, found.bottom_ids)], dim=1)


@pytest.fixture(scope="module")
def directions() -> torch.Tensor:
    return torch.randn(40, D_MODEL, generator=torch.Generator().manual_seed(7))


def test_a_direction_turned_round_has_its_rays_swapped(directions):
    vectors = tokens(1_000)
    torch.testing.assert_close(judged(vectors, -directions), judged(vectors, directions).flip(1), atol=1e-4, rtol=0)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**30))
def test_the_order_of_ids_in_the_vocabulary_does_not_matter(seed):
    vectors, given_ = tokens(1_000), torch.randn(20, D_MODEL, generator=torch.Generator().manual_seed(8))
    order = torch.randperm(1_000, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(judged(vectors[order], given_), judged(vectors, given_), atol=1e-4, rtol=0)


def test_the_number_of_threads_does_not_matter(directions):
    vectors, before, found = tokens(1_000), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(judged(vectors, directions))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(found[2], found[0], atol=1e-4, rtol=0)


def test_blocks_are_the_whole(directions, monkeypatch):
    vectors = tokens(1_000)
    whole = judged(vectors, directions)
    monkeypatch.setattr(coherence_module, "BLOCK", 37)
    torch.testing.assert_close(judged(vectors, directions), whole, atol=1e-4, rtol=0)


def test_no_rays():
    table, every = token_table(tokens()), torch.ones(N_TOKENS, dtype=torch.bool)
    assert coherence(table, words_of(table, every), torch.zeros(0, 50, dtype=torch.int64)).shape == (0, len(LENGTHS))
