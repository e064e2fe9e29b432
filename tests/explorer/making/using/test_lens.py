"""What a prompt's stream says at every layer, against the library's own hidden states and its own head."""

import shutil

import numpy as np
import pytest
import torch

from app.core.steps import run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.models.live.layouts import LAYOUTS
from app.store.artifacts import ArtifactStore
from tests.explorer.making.using.test_prompts import IDS, Asked

FAMILIES = ("gpt2", "llama", "gemma2")


@pytest.fixture(scope="module", params=FAMILIES)
def asked(request, member, tmp_path_factory):
    """A family's model in a data folder of its own."""
    folder = tmp_path_factory.mktemp("lens")
    data = shutil.copytree(member(request.param).data, folder / "data", ignore=shutil.ignore_patterns("artifacts"))
    return Asked(request.param, "raw", data, folder / "prompts")


@pytest.fixture(scope="module")
def store(asked):
    """The artifacts that the live process reads."""
    return ArtifactStore(asked.data / "artifacts", 10**8)


@pytest.fixture(scope="module")
def mean(asked, store):
    """A mean stream that is made up, the same chances of all tokens, and their recipe."""
    shape = asked.manifest.n_layers + 1, asked.manifest.d_model
    n = asked.network.get_output_embeddings().weight.shape[0]
    arrays = {
        "mean": np.random.default_rng(1).normal(size=shape).astype(np.float32),
        "chance": np.full(n, 1 / n, np.float32),
    }
    recipe = recipes.use_streams(asked.model, "raw")
    store.write(recipe, arrays, {})
    return recipe, torch.from_numpy(arrays["mean"]), n


def hidden_states(asked):
    """The stream at every point as the library gives it, the end before its norm; and what it makes of one."""
    network = asked.network
    modules = LAYOUTS[type(network).__name__].modules
    with torch.no_grad():
        states = network(torch.tensor([IDS]), output_hidden_states=True).hidden_states
    # The library's last one is behind the norm: the last layer is run again for the one before it.
    streams = torch.stack([*(state[0] for state in states[:-1]), asked.run.streams[-1]])
    cap = getattr(network.config, "final_logit_softcapping", None)

    def to_logits(stream):
        logits = network.get_output_embeddings()(network.get_submodule(modules.final_norm)(stream))
        return cap * torch.tanh(logits / cap) if cap else logits

    return streams, to_logits


def test_the_raw_lens_is_the_models_head_on_every_hidden_state(asked):
    found = asked.make(recipes.lens(asked.model, asked.key, None, shifted=False))
    streams, to_logits = hidden_states(asked)
    with torch.no_grad():
        logits = to_logits(streams).double()
        end = asked.network(torch.tensor([IDS])).logits[0].double().log_softmax(-1)
    chances = logits.log_softmax(-1)
    np.testing.assert_array_equal(found["top"], logits.argmax(-1))
    np.testing.assert_allclose(found["divergence"], (end.exp() * (end - chances)).sum(-1), atol=2e-5)
    best = end.argmax(-1)
    own = logits.gather(-1, best.expand(len(logits), -1)[..., None])
    np.testing.assert_array_equal(found["rank"], 1 + (logits > own).sum(-1))
    assert np.isnan(found["constant"]).all()


def test_what_layers_add_sums_to_the_logit_with_the_embedding(asked):
    found = asked.make(recipes.lens(asked.model, asked.key, None, shifted=False))
    for at in (4, 13):
        whole = asked.make(recipes.prompt(asked.model, asked.key, "raw", at, None, None))
        np.testing.assert_allclose(found["attention"][:, at], whole["attention"], atol=2e-5)
        np.testing.assert_allclose(found["mlp"][:, at], whole["mlp"], atol=2e-5)
        rest = whole["embedding"] + whole["constant"]
        np.testing.assert_allclose(found["embedding"][at : at + 1], rest, atol=2e-5)


def test_the_shifted_lens_adds_what_the_mean_lacks(asked, mean):
    recipe, means, n = mean
    found = asked.make(recipes.lens(asked.model, asked.key, recipe, shifted=True))
    streams, to_logits = hidden_states(asked)
    with torch.no_grad():
        logits = to_logits(streams + (means[-1] - means)[:, None])
    np.testing.assert_array_equal(found["top"], logits.argmax(-1))
    end = logits[-1].double().log_softmax(-1)
    np.testing.assert_allclose(found["constant"], np.log(n) + (end.exp() * end).sum(-1), atol=1e-4)


def test_shares_are_of_the_stream_less_its_mean_in_the_bases_span(asked, store, mean):
    recipe, means, _ = mean
    of_basis = recipes.embedding_vectors(asked.model, "raw", "svd", {})
    store.write(of_basis, *run(run_maker(of_basis, MakerInputs(Tables("cpu"), asked.model, store))))
    found = asked.make(recipes.spans(asked.model, asked.key, "raw", "svd", {}, recipe, shifted=True))
    W_E = asked.weights.embeddings().W_E.double().numpy()
    right = np.linalg.svd(W_E, full_matrices=False)[2]
    moved = (hidden_states(asked)[0] - means[:, None]).double().numpy()
    for at, size in enumerate(found["size"].tolist()):
        shares = np.square(moved @ right[:size].T).sum(axis=-1) / np.square(moved).sum(axis=-1)
        np.testing.assert_allclose(found["share"][..., at], shares, atol=2e-4)
        assert found["random"][at] == pytest.approx(size / asked.manifest.d_model)


def test_what_is_gone_is_said(asked, mean):
    recipe, _, _ = mean
    with pytest.raises(ComputationFailed, match="vectors of the basis pca"):
        asked.make(recipes.spans(asked.model, asked.key, "raw", "pca", {}, recipe, shifted=True))
    other = recipes.use_streams(asked.model, "raw", text=77)
    with pytest.raises(ComputationFailed, match="statistics that this lens needs"):
        asked.make(recipes.lens(asked.model, asked.key, other, shifted=True))
