"""Planted streams that hold the vectors of unlikely tokens are found, and their absence is not."""

import numpy as np
import pytest
import torch

from app.core.using.unlikely import NEAR, choose_unlikely, match_frequencies, measure_spans

N, D, VOCABULARY, M, LAYERS = 60, 64, 400, 16, 5


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def table():
    """Vectors that share a direction, as those of models do."""
    return random(VOCABULARY, D, seed=1) + 1.5


@pytest.fixture(scope="module")
def sets():
    generator = torch.Generator().manual_seed(2)
    chosen = torch.stack([torch.randperm(VOCABULARY, generator=generator)[:M] for _ in range(N)])
    return chosen, match_frequencies(chosen, torch.ones(VOCABULARY, dtype=torch.bool), generator)


def ratio(own, others):
    return (own.sum(1) / others.sum(1)).numpy()


def test_streams_that_hold_the_set_in_the_middle_are_found_there_alone(table, sets):
    streams = random(LAYERS, N, D, seed=3)
    vectors = table - table.mean(0)
    for t, ids in enumerate(sets[0]):
        streams[2, t] += 3 * vectors[ids].T @ random(M, seed=10 + t)
    found = measure_spans(streams, torch.zeros(LAYERS, D), table, *sets)
    for own, others in ((found.own, found.others), (found.own_without, found.others_without)):
        assert ratio(own, others)[2] > 3
        np.testing.assert_allclose(ratio(own, others)[[0, 1, 3, 4]], 1, atol=0.2)
    assert found.undone[2].mean() < -0.9  # what is there is taken away behind it


def test_what_all_vectors_share_is_no_finding(table, sets):
    """Streams that are long along the mean vector alone have more in the span of any set, and as much at other positions."""
    streams = random(LAYERS, N, D, seed=3) + 2 * table.mean(0)
    found = measure_spans(streams, streams.mean(1), table, *sets)
    np.testing.assert_allclose(ratio(found.own, found.others), 1, atol=0.2)
    assert ratio(found.naive, found.own).min() > 1.5


def test_a_push_against_the_set_is_signed_and_only_in_its_mean(table, sets):
    streams = random(LAYERS, N, D, seed=3)
    vectors = table - table.mean(0)
    for t, ids in enumerate(sets[0]):
        streams[-1, t] -= 4 * vectors[ids].mean(0)
    found = measure_spans(streams, torch.zeros(LAYERS, D), table, *sets)
    assert found.signed[-1].mean() < -0.5 < found.signed_others[-1].mean()
    assert ratio(found.own, found.others)[-1] > 2
    assert ratio(found.own_without, found.others_without)[-1] < 1.2


def test_shares_are_those_of_a_projection(table, sets):
    streams, means = random(LAYERS, N, D, seed=3), random(LAYERS, D, seed=4)
    found = measure_spans(streams, means, table, *sets)
    T, chosen = table.numpy(), sets[0].numpy()
    layer, t, other = 1, 7, 9
    centred = streams.numpy() - means.numpy()[:, None]

    def share(of, vectors):
        projector = vectors.T @ np.linalg.pinv(vectors.T)
        return (projector @ of) @ of / (of @ of)

    own = T[chosen[t]] - T.mean(0)
    assert found.own[layer, t] == pytest.approx(share(centred[layer, t], own))
    assert found.naive[layer, t] == pytest.approx(share(streams.numpy()[layer, t], T[chosen[t]]))
    assert found.matched[layer, t] == pytest.approx(share(streams.numpy()[layer, t], T[sets[1].numpy()[t]]))
    others = [share(centred[layer, one], own) for one in range(N) if one != t]
    assert found.others[layer, t] == pytest.approx(np.mean(others))
    assert found.own_without[layer, t] < found.own[layer, t]
    assert other != t


def test_the_least_likely_are_chosen_among_those_that_may_be():
    logits, allowed = torch.arange(10.0)[None], torch.arange(10) % 2 == 1
    assert choose_unlikely(logits, allowed, 3).tolist() == [[1, 3, 5]]
    with pytest.raises(ValueError, match="6 tokens are chosen of 5 that may be"):
        choose_unlikely(logits, allowed, 6)


def test_tokens_about_as_frequent_are_near_and_allowed():
    allowed = torch.arange(1_000) % 3 > 0
    chosen = allowed.nonzero().flatten()[torch.tensor([[0, 300, 665]])]
    found = match_frequencies(chosen, allowed, torch.Generator().manual_seed(0))
    assert allowed[found].all()
    assert (found != chosen).all()
    assert (found - chosen).abs().max() <= 1.5 * NEAR + 2
