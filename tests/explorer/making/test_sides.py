from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core.address import parse
from app.core.matrix import HEAD, KEY, NEURON, POSITION, QUERY, READ, TOKEN, WRITE
from app.explorer.making import sides
from app.explorer.making.context import Context
from app.explorer.making.decompositions import decompose_matrix
from app.explorer.making.sides import read_side
from app.explorer.making.tables import Tables
from app.models.token_filter import EVERY, TokenFilter
from app.store.artifacts import ArtifactStore
from tests.explorer.steps import run_steps


def vectors(n, d):
    return torch.nn.functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(n)), dim=1)


@pytest.mark.parametrize("side", [READ, QUERY, KEY, WRITE])
@pytest.mark.parametrize("processing", ["raw", "folded"])
def test_the_stream_is_read_as_tokens(context_of, oracle_of, side, processing):
    given = vectors(5, 32)
    found = run_steps(read_side(context_of("llama", processing), side, given))
    scores = given.double().numpy() @ oracle_of("llama").table(side.name, processing).T[:, :97]
    assert found["top_ids"].shape == found["bottom_ids"].shape == (5, 50)
    for row in range(5):
        np.testing.assert_allclose(found["top_scores"][row], np.sort(scores[row])[::-1][:50], atol=1e-5)
        np.testing.assert_allclose(found["bottom_scores"][row], np.sort(scores[row])[:50], atol=1e-5)
        np.testing.assert_allclose(scores[row][found["top_ids"][row]], found["top_scores"][row], atol=1e-5)
    np.testing.assert_array_equal(found["counts"].sum(axis=1), 97)


@pytest.mark.parametrize("side", [NEURON, POSITION, HEAD, TOKEN])
def test_any_other_side_is_read_by_its_own_entries(context_of, side):
    given = vectors(3, 100)
    n_known = 97 if side is TOKEN else 100  # three rows of padding are no tokens
    found = run_steps(read_side(context_of("llama", "raw"), side, given))
    for row, vector in enumerate(given.numpy()):
        order = np.argsort(-vector[:n_known], kind="stable")
        np.testing.assert_array_equal(found["top_ids"][row], order[:50])
        np.testing.assert_array_equal(found["top_scores"][row], vector[order[:50]])
        np.testing.assert_array_equal(found["bottom_ids"][row], order[::-1][:50])
    np.testing.assert_array_equal(found["counts"].sum(axis=1), n_known)


@pytest.mark.parametrize(("side", "d"), [(WRITE, 32), (NEURON, 48)])
def test_parts_are_the_whole(context_of, side, d, monkeypatch):
    context, given, said = context_of("llama", "folded"), vectors(11, d), []
    whole = run_steps(read_side(context, side, given))
    monkeypatch.setattr(sides, "VECTORS_AT_ONCE", 4)
    parts = run_steps(read_side(context, side, given), said)
    assert said == [(0, 11), (4, 11), (8, 11)]
    assert set(parts) == set(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(parts[name], array)


@pytest.mark.parametrize(("side", "d"), [(WRITE, 32), (NEURON, 48), (TOKEN, 100)])
def test_no_vectors_have_no_rows(context_of, side, d):
    found = run_steps(read_side(context_of("llama", "raw"), side, torch.zeros(0, d)))
    assert {len(array) for array in found.values()} == {0}
    assert found["top_ids"].shape[1] == min(50, 97 if side is not NEURON else d)


UNTRAINED = {"read": range(100, 160), "write": range(200, 240)}


@pytest.fixture
def half_trained(seen_of, tmp_path, monkeypatch):
    """half_trained(token_filter): a context of the tiny model where some tokens lie on one point, others at either end."""

    def build(token_filter):
        r, slug = seen_of("gpt2")
        model, draw = r.library.model(slug), torch.Generator().manual_seed(3)
        embeddings = model.weights().embeddings()
        ends = {"read": embeddings.W_E.clone(), "write": embeddings.W_U.T.clone()}
        for end, ids in UNTRAINED.items():
            ends[end][list(ids)] = torch.randn(32, generator=draw) + 0.01 * torch.randn(len(ids), 32, generator=draw)
        changed = replace(embeddings, W_E=ends["read"], W_U=ends["write"].T)
        monkeypatch.setattr(type(model.weights()), "embeddings", lambda _: changed)
        return Context(Tables("cpu"), model, "folded", ArtifactStore(tmp_path / "artifacts", 10**9), token_filter)

    return build


@pytest.mark.parametrize(("kind", "side", "end"), [("embed", "left", "read"), ("unembed", "right", "write")])
def test_plain_leaves_out_what_was_never_trained_on_token_sides_too(half_trained, kind, side, end):
    trained = set(range(1, 300)) - set(UNTRAINED[end])  # 0 is <|endoftext|>
    found = run_steps(decompose_matrix(half_trained(TokenFilter(plain=True)), parse(f"tiny/{kind}"), {}))[0]
    assert set(found[f"{side}_top_ids"].flatten().tolist()) <= trained
    assert set(found[f"{side}_bottom_ids"].flatten().tolist()) <= trained
    np.testing.assert_array_equal(found[f"{side}_counts"].sum(axis=1), len(trained))
    every = run_steps(decompose_matrix(half_trained(EVERY), parse(f"tiny/{kind}"), {}))[0]
    np.testing.assert_array_equal(every[f"{side}_counts"].sum(axis=1), 300)


def test_each_end_has_its_own_tokens_left(half_trained):
    context = half_trained(TokenFilter(plain=True, frequent=200))  # which is where the unembedding's begin
    for end, n_tokens in (("read", 100), ("write", 60)):
        found = run_steps(read_side(context, TOKEN, vectors(3, 304), end))
        np.testing.assert_array_equal(found["counts"].sum(axis=1), n_tokens)
