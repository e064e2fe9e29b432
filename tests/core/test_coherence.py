import itertools

import pytest
import torch
from torch.nn.functional import cosine_similarity

from app.core.coherence import coherence
from app.core.readout import token_table


def test_against_the_pairs_one_by_one():
    vectors = torch.randn(200, 16) + 2
    ids = torch.stack([torch.randperm(200)[:6] for _ in range(5)])
    centred = vectors.double() - vectors.double().mean(dim=0)
    ours = coherence(token_table(vectors), ids)
    for value, row in zip(ours.tolist(), ids.tolist(), strict=True):
        pairs = [cosine_similarity(centred[a], centred[b], dim=0).item() for a, b in itertools.combinations(row, 2)]
        assert value == pytest.approx(sum(pairs) / len(pairs), abs=1e-5)


def test_a_cluster_is_coherent_and_a_pair_of_opposites_is_not():
    direction = torch.randn(16)
    vectors = torch.cat(
        [torch.randn(100, 16) * 0.01, direction + torch.randn(10, 16) * 0.01, -direction.expand(10, 16)]
    )
    table = token_table(vectors)
    cluster, opposite = coherence(table, torch.tensor([[100, 101, 102, 103], [100, 101, 110, 111]])).tolist()
    assert cluster > 0.99
    assert opposite == pytest.approx(-1 / 3, abs=0.02)


def test_ids_are_the_vocabularys_although_unknown_ones_are_dropped():
    vectors, known = torch.randn(50, 8), torch.arange(50) % 2 == 1
    ids = torch.tensor([[1, 3, 41]])
    dropped = coherence(token_table(vectors, known), ids)
    assert dropped.item() == pytest.approx(coherence(token_table(vectors[known]), ids // 2).item())


def test_a_vector_that_is_the_mean_counts_as_zero():
    vectors = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    assert coherence(token_table(vectors), torch.tensor([[0, 2]])).item() == 0


def test_one_token_has_no_pairs():
    with pytest.raises(ValueError, match="at least 2 tokens a ray, got 1"):
        coherence(token_table(torch.randn(5, 3)), torch.tensor([[1]]))
