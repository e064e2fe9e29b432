"""What a model does with a prompt, against the library's own logits, hooks on its modules, and the plain products."""

import numpy as np
import pytest
import torch

from app.core.address import Address
from app.core.steps import run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.library import Library
from app.explorer.making.context import Context
from app.explorer.making.heads import decompose_heads
from app.explorer.making.make import MAKERS
from app.explorer.making.tables import Tables
from app.explorer.making.using import prompts
from app.explorer.making.using.texts import norm_for_heads
from app.models.catalog import Catalog
from app.models.live.assembly import assemble_model
from app.models.live.forward import read_logits, run_model
from app.models.live.removal import Removal
from app.store.prompts import PromptStore
from tests.models.live.test_assembly import RUN, opened
from tests.models.live.test_removal import edited

IDS = [(7 * n + 3) % 97 for n in range(20)]
AT = 13
POST_NORMED = {"gemma2", "olmo2"}
PLAIN = [name for name in RUN if name not in POST_NORMED]


class Asked:
    """A family's model, a prompt of it, and the maker of a live process over both."""

    def __init__(self, name, processing, data, folder):
        self.name, self.slug, self.data = name, name, data
        self.model = Library(Catalog(data)).model(name)
        self.context = Context(Tables("cpu"), self.model, processing, PromptStore(folder).results)
        self.store = PromptStore(folder)
        self.key = self.store.put(self.model.fingerprint, IDS, None)
        self.maker = prompts.open_prompt_maker(data, "cpu", self.store)
        weights, manifest = opened(data, name)
        self.weights, self.manifest = weights, manifest
        self.network = assemble_model(weights, manifest)
        self.run = run_model(self.network, torch.tensor(IDS))

    def prompt(self, token=None, against=None, at=AT):
        return self.make(recipes.prompt(self.model, self.key, self.context.processing, at, token, against))

    def removals(self, places, token, against=None, draws=2):
        directions = [self.direction(*place) for place in places]
        asked = recipes.removals(self.model, self.key, self.context.processing, AT, token, against, directions, draws)
        return self.make(asked)

    def course(self, *place):
        return self.make(recipes.course(self.model, self.key, self.context.processing, self.direction(*place)))

    def make(self, recipe):
        return run(self.maker.make(recipe, self.slug))[0]

    def direction(self, layer, head, index):
        return Address(self.slug, None, layer, head, "ov", "svd", index)

    def terms(self, layer, head):
        (found,) = decompose_heads(self.context, layer, [(head, "ov")])
        return found.terms

    def raw_logits(self):
        """The logits at AT before any cap, in float64, by the network's own modules in float32."""
        found = read_logits(self.network, self.run.streams[-1, AT]).double()
        cap = getattr(self.network.config, "final_logit_softcapping", None)
        return cap * torch.atanh(found / cap) if cap else found


@pytest.fixture(scope="module")
def asked_of(member, tmp_path_factory):
    made = {}

    def ask(name, processing="folded"):
        if (name, processing) not in made:
            folder = tmp_path_factory.mktemp("prompts")
            made[name, processing] = Asked(name, processing, member(name).data, folder)
        return made[name, processing]

    return ask


def test_each_kind_of_artifact_has_one_maker():
    assert not set(MAKERS) & set(prompts.MAKERS)


@pytest.mark.parametrize("name", RUN)
@pytest.mark.parametrize(("token", "against"), [(None, None), (5, None), (5, 60)])
def test_parts_add_up_to_the_librarys_logit(asked_of, name, token, against):
    asked = asked_of(name, "raw" if name in POST_NORMED else "folded")
    found, logits = asked.prompt(token, against), asked.raw_logits()
    chosen = int(found["token"][0])
    expected = float(logits[chosen] - (logits.mean() if against is None else logits[against]))
    parts = sum(float(found[part].sum()) for part in ("embedding", "constant", "attention", "mlp"))
    assert parts == pytest.approx(expected, abs=5e-4)
    assert float(found["logit"][0]) == pytest.approx(expected, abs=5e-4)
    assert chosen == (int(asked.run.logits[AT].argmax()) if token is None else token)
    chances = asked.run.logits.double().softmax(-1)
    assert float(found["chance"][0]) == pytest.approx(float(chances[AT, chosen]), rel=1e-4)
    np.testing.assert_array_equal(found["next_ids"], asked.run.logits.topk(10).indices)
    np.testing.assert_allclose(found["next_chances"], chances.topk(10).values, rtol=1e-4)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("processing", ["folded", "raw"])
def test_directions_and_biases_are_what_the_heads_add(asked_of, name, processing):
    """What heads add besides directions is a constant before the final norm's scale: the same at every position."""
    asked = asked_of(name, processing)
    rests = []
    for at in (AT, 19):
        found = asked.prompt(5, at=at)
        directions = (found["weight"] * found["attended"]).sum(axis=(1, 2))
        scale = float(asked.run.streams[-1, at].double().var(unbiased=False) + asked.manifest.eps) ** -0.5
        if asked.manifest.normalization == "RMS":
            scale = float(asked.run.streams[-1, at].double().square().mean() + asked.manifest.eps) ** -0.5
        rests.append((found["attention"] - directions) / scale)
        assert np.abs(directions).max() > 1e-3
    np.testing.assert_allclose(rests[0], rests[1], atol=5e-5)
    if asked.name in {"llama"}:  # no biases at all
        np.testing.assert_allclose(rests[0], 0, atol=5e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_neurons_are_those_that_add_most(asked_of, name):
    asked = asked_of(name)
    found = asked.make(recipes.neurons(asked.model, asked.key, "folded", AT, 5, None))
    logits = []
    for layer in range(asked.manifest.n_layers):
        W_out, ends = asked.weights.mlp(layer).W_out.double(), asked.weights.embeddings()
        gain = torch.ones(()) if ends.final_gain is None else ends.final_gain.double()
        column = (ends.W_U[:, 5] - ends.W_U.mean(dim=1)).double() * gain
        if asked.manifest.normalization == "LN":
            column = column - column.mean()
        stream = asked.run.streams[-1, AT].double()
        centred = stream - stream.mean() if asked.manifest.normalization == "LN" else stream
        scale = (centred.square().mean() + asked.manifest.eps).rsqrt()
        logits.append(asked.run.neurons[layer][AT].double() * (W_out @ column) * scale)
    every = torch.stack(logits)
    best = every.abs().flatten().topk(10).values
    np.testing.assert_allclose(np.abs(found["direct"]), best, rtol=1e-3, atol=1e-6)
    at = found["layer"].astype(int), found["unit"].astype(int)
    np.testing.assert_allclose(found["direct"], every[at], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(
        found["activation"], torch.stack([one[AT] for one in asked.run.neurons])[at], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("name", RUN)
def test_a_course_is_read_attended_and_ends_in_the_prompt(asked_of, name):
    asked = asked_of(name, "raw" if name in POST_NORMED else "folded")
    found = asked.course(1, 3, 2)
    seen = norm_for_heads(asked.context, 1, asked.run.streams[1]).double()
    read = seen @ asked.terms(1, 3).left[2].double()
    np.testing.assert_allclose(found["read"], read, atol=1e-5)
    np.testing.assert_allclose(found["pattern"], asked.run.patterns[1][3], atol=1e-6)
    np.testing.assert_allclose(found["attended"], asked.run.patterns[1][3].double() @ read, atol=1e-5)
    assert float(asked.prompt()["attended"][1, 3, 2]) == pytest.approx(float(found["attended"][AT]), abs=1e-5)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("against", [None, 60])
def test_totals_are_what_the_library_loses_without_the_direction(asked_of, name, against):
    asked, places = asked_of(name), [(1, 3, 2), (0, 0, 0), (0, 2, 1)]
    found = asked.removals(places, 5, against)
    logits = edited(asked.network, torch.tensor(IDS), AT, Removal(0, torch.zeros(asked.manifest.d_model))).double()
    for (layer, head, index), total in zip(places, found["total"], strict=True):
        term = asked.terms(layer, head)
        amount = float(asked.course(layer, head, index)["attended"][AT])
        written = term.strength[index] * amount * term.right[index]
        without = edited(asked.network, torch.tensor(IDS), AT, Removal(layer, written)).double()
        rest = (lambda of: of.mean()) if against is None else (lambda of: of[against])
        assert total == pytest.approx(float((logits[5] - rest(logits)) - (without[5] - rest(without))), abs=5e-5)
    assert found["random"].shape == (3, 2)
    assert (found["random"] != 0).all()
    again = asked.removals(places, 5, against)
    np.testing.assert_array_equal(found["random"], again["random"])


def test_only_the_own_head_of_a_group_is_touched(asked_of):
    """Heads that share keys and values write apart: a direction of one is taken away there alone."""
    asked = asked_of("llama")
    assert asked.manifest.n_kv_heads < asked.manifest.n_heads
    totals = asked.removals([(0, head, 0) for head in range(asked.manifest.n_heads)], 5)["total"]
    assert len(set(np.round(totals, 9).tolist())) == asked.manifest.n_heads


@pytest.mark.parametrize("name", sorted(POST_NORMED))
def test_no_share_is_told_of_what_a_norm_follows(asked_of, name):
    found = asked_of(name, "raw").prompt()
    assert "weight" not in found
    assert {"attended", "attention", "mlp", "logit"} <= set(found)


def test_a_prompt_that_was_deleted_is_not_computed(asked_of):
    asked = asked_of("gpt2")
    key = asked.store.put(asked.model.fingerprint, IDS[:5], None)
    asked.store.delete(asked.model.fingerprint, key)
    with pytest.raises(ComputationFailed, match="deleted"):
        asked.make(recipes.prompt(asked.model, key, "folded", 2, None, None))


def test_a_model_that_does_not_fit_is_refused_with_its_size(asked_of, monkeypatch):
    asked = asked_of("gpt2")
    monkeypatch.setattr(prompts, "measure_free", lambda: 2**28)
    fresh = prompts.open_prompt_maker(asked.data, "cpu", asked.store)
    with pytest.raises(ComputationFailed, match=r"takes about 0\.\d GiB of memory, and 0\.2 GiB are left"):
        run(fresh.make(recipes.prompt(asked.model, asked.key, "folded", AT, None, None), asked.slug))


def test_another_model_takes_the_first_ones_place(asked_of):
    one, other = asked_of("gpt2"), asked_of("llama")
    for asked in (one, other, one):
        key = one.store.put(asked.model.fingerprint, IDS, None)
        made = run(one.maker.make(recipes.prompt(asked.model, key, "folded", AT, None, None), asked.slug))[0]
        np.testing.assert_allclose(made["next_chances"], asked.prompt()["next_chances"], rtol=1e-5)
