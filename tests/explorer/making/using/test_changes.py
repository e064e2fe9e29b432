"""What a model says where it is changed: against the library's own model with edited weights, and plain products."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from app.core.address import Address
from app.core.steps import FindingStep
from app.core.steps import run as run_steps
from app.explorer import recipes
from app.explorer.changes import HeadEdit, Steering
from app.explorer.errors import ComputationFailed
from app.explorer.layout import CURVE_AMOUNTS, SET_TOKENS, check_layout
from app.explorer.library import Library
from app.explorer.making.context import Context
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.making.using import changes, prompts
from app.models.catalog import Catalog
from app.models.live.assembly import assemble_model
from app.models.live.changes import HeadChange, output_matrix
from app.models.live.forward import run_model
from app.models.live.layouts import LAYOUTS
from app.store.artifacts import ArtifactStore
from tests.models.live.test_assembly import RUN, opened
from tests.models.live.test_rows import with_edited_weights

IDS = torch.tensor([(7 * n + 3) % 97 for n in range(20)])
AT = 13
KEY = "0123456789abcdef"
DELETED, TRIPLED = HeadEdit(0, 1, 2, "scale", -1.0), HeadEdit(1, 3, 1, "scale", 2.0, "n")
PLAIN = ["llama", "gpt2", "qwen2"]
"""Without biases, with LayerNorm and a learned position, with heads in groups and biases of queries, keys and values."""


class Changing:
    """A model of a family, its text as it ran, and a store with the matrices that edits name."""

    def __init__(self, name, processing, data, folder):
        self.model = Library(Catalog(data)).model(name)
        self.store = ArtifactStore(folder, 10**9)
        self.context = Context(Tables("cpu"), self.model, processing, self.store)
        self.network = assemble_model(*opened(data, name))
        self.run = run_model(self.network, IDS)
        self.directions = prompts._decompose(self.context)
        self.manifest = self.model.manifest

    def keep_matrix(self, edit):
        place = Address(self.model.header.slug, None, edit.layer, edit.head, "ov", "svd")
        recipe = recipes.decomposition(self.model, place, self.context.processing, {})
        if not self.store.exists(recipe):
            self.store.save(recipe, *run_steps(run_maker(recipe, MakerInputs(Tables("cpu"), self.model, self.store))))
        return self.store.read(recipe).arrays

    def keep_mean(self, mean):
        recipe = recipes.use(self.model, self.context.processing, 7)
        self.store.save(recipe, {"mean": mean.astype(np.float32)}, {})
        return recipe

    def outcome(self, edits, draws=0, named=(), statistics=None, at=AT):
        for edit in edits:
            self.keep_matrix(edit)
        asked = recipes.outcome(self.model, KEY, self.context.processing, at, edits, named, statistics, draws)
        arrays = changes.read_outcome(*self.inputs(), asked)
        check_layout("outcome", arrays)
        return arrays

    def inputs(self):
        return self.context, self.network, self.directions, self.run

    def along(self, edit):
        return self.directions.right[edit.layer, edit.head, edit.index]

    def edited_logits(self, *edits):
        """The library's own logits, the edits made in its stored W_O as `W_O (I + eps v v^T)`."""
        network = self.network
        for edit in edits:
            output, along = output_matrix(self.network, edit.layer, edit.head).double(), self.along(edit).double()
            delta = edit.amount * torch.outer(output @ along, along)
            network = with_edited_weights(network, HeadChange(edit.layer, edit.head, delta.float()))
        return logits_of(network)


def logits_of(network):
    with torch.no_grad():
        return network(IDS[None], use_cache=False).logits[0].double()


def divergence_of(was, now):
    before, after = was.log_softmax(-1), now.log_softmax(-1)
    return float((before.exp() * (before - after)).sum())


@pytest.fixture(scope="module")
def changing(member, tmp_path_factory):
    made = {}

    def make(name, processing="folded"):
        if (name, processing) not in made:
            made[name, processing] = Changing(name, processing, member(name).data, tmp_path_factory.mktemp("changes"))
        return made[name, processing]

    return make


@pytest.mark.parametrize("name", RUN)
def test_the_outcome_is_that_of_edited_weights(changing, name):
    live = changing(name, "raw" if name in {"gemma2", "olmo2"} else "folded")
    found = live.outcome([DELETED, TRIPLED], named=(5, 60))
    was, now = (logits[AT] for logits in (logits_of(live.network), live.edited_logits(DELETED, TRIPLED)))
    top = torch.from_numpy(found["top"]).long()
    for row, logits in enumerate((was, now)):
        np.testing.assert_allclose(found["chance"][row], logits.softmax(-1)[top], rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(found["named_chance"][row], logits.softmax(-1)[[5, 60]], rtol=2e-3, atol=1e-6)
        assert {*logits.topk(10).indices.tolist()} <= {*top.tolist()}
    assert float(found["divergence"][0]) == pytest.approx(divergence_of(was, now), rel=1e-2, abs=1e-6)
    assert divergence_of(was, now) > 1e-5


@pytest.mark.parametrize("name", PLAIN)
def test_the_course_is_the_divergence_everywhere(changing, name):
    live = changing(name)
    found = live.outcome([DELETED])
    was, now = logits_of(live.network), live.edited_logits(DELETED)
    expected = [divergence_of(*pair) for pair in zip(was, now, strict=True)]
    np.testing.assert_allclose(found["course"], expected, rtol=1e-2, atol=1e-6)
    assert float(found["course"][AT]) == pytest.approx(float(found["divergence"][0]), rel=1e-4)


@pytest.mark.parametrize("name", PLAIN)
def test_nothing_more_changes_nothing(changing, name):
    found = changing(name).outcome([HeadEdit(0, 1, 2)], draws=2)
    np.testing.assert_array_equal(found["chance"][0], found["chance"][1])
    assert not found["divergence"].any()
    assert not found["energy"].any()


@pytest.mark.parametrize("name", PLAIN)
def test_energy_is_the_share_that_the_direction_has_of_the_heads_output(changing, name):
    live = changing(name)
    found = live.outcome([DELETED], draws=8)
    written = live.run.mixed[0][1:, 1] @ output_matrix(live.network, 0, 1)
    share = float((written @ live.along(DELETED)).square().sum() / written.square().sum())
    assert float(found["energy"][0]) == pytest.approx(share, rel=1e-4)
    assert len(set(found["energy"].tolist())) == 9
    # Amounts count by their squares.
    thrice = live.outcome([HeadEdit(0, 1, 2, "scale", 3.0)])
    assert float(thrice["energy"][0]) == pytest.approx(9 * share, rel=1e-4)


def test_random_directions_are_the_same_whatever_else_is_asked(changing):
    live = changing("llama")
    one, eight = live.outcome([DELETED], draws=1), live.outcome([DELETED], draws=8, named=(3,))
    assert one["divergence"].tolist() == pytest.approx(eight["divergence"][:2].tolist(), rel=1e-4)
    assert len({*eight["divergence"].tolist()}) == 9


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("end", ["p", "n"])
def test_the_set_is_that_of_the_directions_own_page(changing, name, end):
    live = changing(name)
    edit = HeadEdit(0, 1, 2, "scale", -1.0, end)
    found, page = live.outcome([edit]), live.keep_matrix(edit)
    ids = page["right_top_ids" if end == "p" else "right_bottom_ids"][2][:SET_TOKENS]
    np.testing.assert_array_equal(found["set_ids"][0], ids)
    chances = logits_of(live.network)[AT].softmax(-1)
    assert float(found["set_chance"][0, 0]) == pytest.approx(float(chances[ids.astype(int)].sum()), rel=1e-3)
    assert found["set_sign"].tolist() == [1 if end == "p" else -1]


@pytest.mark.parametrize("name", PLAIN)
def test_without_a_named_end_it_is_the_one_that_is_written(changing, name):
    live = changing(name)
    signs = {at: live.outcome([DELETED], at=at)["set_sign"].item() for at in range(4, 20)}
    for at, sign in signs.items():
        (tensors,) = [changes.read_head_tensors(live.context, 0, 1)]
        written = live.run.mixed[0][at, 1] @ output_matrix(live.network, 0, 1) - tensors.b_V @ tensors.W_O
        assert sign == (1 if float(written @ live.along(DELETED)) >= 0 else -1)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("processing", ["folded", "raw"])
def test_a_mean_is_written_everywhere_and_changes_nothing_where_it_is_the_mean(changing, name, processing):
    """With each direction's mean over the text itself, what is added has mean 0, and is what keeps it at its mean."""
    live = changing(name, processing)
    edit = HeadEdit(1, 2, 0, "mean")
    written = live.run.mixed[1][:, 2] @ output_matrix(live.network, 1, 2)
    tensors = changes.read_head_tensors(live.context, 1, 2)
    attended = (written - tensors.b_V @ tensors.W_O) @ live.directions.right[1, 2].T / live.directions.strength[1, 2]
    mean = np.zeros((live.manifest.n_layers, live.manifest.n_heads, live.manifest.d_head))
    mean[1, 2] = attended.mean(0).numpy()
    statistics = live.keep_mean(mean)
    asked = recipes.outcome(live.model, KEY, processing, AT, [edit], (), statistics, 0)
    editor = changes.HeadEditor(*live.inputs(), asked)
    for draw in (None, 0):
        (change,) = editor.make_row(draw)
        added = live.run.mixed[1][:, 2] @ change.delta + change.constant
        scale = float(written.abs().max())
        assert float(added.mean(0).abs().max()) < 1e-5 * scale
        assert float(added.abs().max()) > 1e-3 * scale
        # What it does not touch: all that is orthogonal to the one direction.
        along = torch.linalg.svd(added, full_matrices=False)
        assert float(along.S[1] / along.S[0]) < 1e-4
        after = (written + added) @ along.Vh[0]
        assert float(after.std()) < 1e-4 * scale


@pytest.mark.parametrize("name", PLAIN)
def test_only_leaves_a_head_nothing_else(changing, name):
    live = changing(name)
    edits = [HeadEdit(0, 1, n, "only") for n in (0, 2)]
    asked = recipes.outcome(live.model, KEY, "folded", AT, edits, (), None, 0)
    (change,) = changes.HeadEditor(*live.inputs(), asked).make_row()
    written = live.run.mixed[0][:, 1] @ (output_matrix(live.network, 0, 1) + change.delta)
    kept = live.directions.right[0, 1, [0, 2]]
    torch.testing.assert_close(written @ kept.T @ kept, written, rtol=1e-4, atol=1e-6)
    whole = live.run.mixed[0][:, 1] @ output_matrix(live.network, 0, 1)
    torch.testing.assert_close(written @ kept.T, whole @ kept.T, rtol=1e-4, atol=1e-6)


def test_the_curve_is_made_of_outcomes(changing):
    live = changing("llama")
    live.keep_matrix(DELETED)
    asked = recipes.curve(live.model, KEY, "folded", AT, [HeadEdit(0, 1, 2, "scale", 1.0)])
    found = changes.read_curve(*live.inputs(), asked)
    check_layout("curve", found)
    for n in (0, 6, 10):
        one = live.outcome([HeadEdit(0, 1, 2, "scale", CURVE_AMOUNTS[n])], draws=1)
        assert float(found["divergence"][n]) == pytest.approx(float(one["divergence"][0]), rel=1e-3, abs=1e-7)
        assert float(found["random"][n]) == pytest.approx(float(one["divergence"][1]), rel=1e-3, abs=1e-7)
        assert float(found["set_chance"][n]) == pytest.approx(float(one["set_chance"][1, 0]), rel=1e-3)
    assert found["divergence"][-1] > found["divergence"][4]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("end", "amount"), [("p", 0.5), ("n", 0.5), ("p", -1.5)])
def test_a_push_is_added_to_the_stream_at_all_positions_but_the_first(changing, name, end, amount):
    """Against a hook of the tests' own before the layer; its size is the median length of the reference text, or of this."""
    live = changing(name)
    of = HeadEdit(0, 2, 1, "scale", 0.0, end)
    live.keep_matrix(of)
    asked = recipes.outcome(live.model, KEY, "folded", AT, Steering(1, of, amount), (), None, 8)
    found = changes.read_outcome(*live.inputs(), asked)
    check_layout("outcome", found)
    size = float(live.run.streams[1, 1:].norm(dim=-1).median())
    assert float(found["size"][0]) == pytest.approx(size, rel=1e-5)
    shift = amount * size * live.along(of) * (-1 if end == "n" else 1)
    layer = live.network.get_submodule(LAYOUTS[type(live.network).__name__].modules.layers)[1]

    def push(_module, given, named):
        stream = (given[0] if given else named["hidden_states"]).clone()
        stream[:, 1:] += shift
        return ((stream, *given[1:]), named) if given else (given, named | {"hidden_states": stream})

    handle = layer.register_forward_pre_hook(push, with_kwargs=True)
    now = logits_of(live.network)
    handle.remove()
    expected = divergence_of(logits_of(live.network)[AT], now[AT])
    assert float(found["divergence"][0]) == pytest.approx(expected, rel=1e-2, abs=1e-6)
    assert found["course"][0] < 1e-9
    assert found["set_sign"].tolist() == [1 if end == "p" else -1]
    assert len({*found["divergence"].tolist()}) == 9


def test_a_push_is_as_long_as_the_reference_text_has_it(changing):
    live = changing("llama")
    of = HeadEdit(0, 2, 1, "scale", 0.0, "p")
    live.keep_matrix(of)
    recipe = recipes.use(live.model, "folded", 9)
    live.store.save(recipe, {"stream": np.array([3.0, 5.0], np.float32)}, {})
    asked = recipes.outcome(live.model, KEY, "folded", AT, Steering(1, of, 1.0), (), recipe, 1)
    found = changes.read_outcome(*live.inputs(), asked)
    assert float(found["size"][0]) == pytest.approx(5 * live.manifest.d_model**0.5, rel=1e-6)
    one = changes._open_changer(*live.inputs(), asked, ())
    for draw in (None, 0):
        (change,) = one.make_row(draw)
        assert float(change.shift.norm()) == pytest.approx(5 * live.manifest.d_model**0.5, rel=1e-5)
        assert (change.layer, change.first) == (1, 1)


def continued(live, edits, n_tokens=10, seed=None):
    asked = recipes.continuation(live.model, KEY, "folded", edits, None, n_tokens, seed)
    steps, told = changes.continue_text(*live.inputs(), asked), []
    try:
        while True:
            told.append(next(steps))
    except StopIteration as end:
        check_layout("continuation", end.value)
        return end.value, told


@pytest.mark.parametrize("seed", [None, 4])
def test_a_continuation_tells_its_tokens_as_they_come(changing, seed):
    live = changing("llama")
    found, told = continued(live, [HeadEdit(0, 1, 0, "scale", 10.0)], seed=seed)
    assert all(isinstance(step, FindingStep) for step in told)
    for n, step in enumerate(told, 1):
        assert np.array_equal(np.reshape(step.so_far, (2, n)), found["ids"][:, :n])
    again, _ = continued(live, [HeadEdit(0, 1, 0, "scale", 10.0)], seed=seed)
    np.testing.assert_array_equal(found["ids"], again["ids"])


def test_another_seed_gives_another_text(changing):
    live = changing("llama")
    texts = {tuple(continued(live, [DELETED], seed=seed)[0]["ids"][0]) for seed in range(4)}
    assert len(texts) == 4


def test_surprise_is_what_the_plain_model_makes_of_each_token(changing):
    live = changing("gpt2")
    found, _ = continued(live, [HeadEdit(0, 1, 0, "scale", 10.0)])
    for ids, surprise in zip(found["ids"], found["surprise"], strict=True):
        with torch.no_grad():
            whole = torch.cat([IDS, torch.from_numpy(ids).long()])
            logits = live.network(whole[None]).logits[0].double().log_softmax(-1)
        expected = [-float(logits[len(IDS) - 1 + n, id_]) for n, id_ in enumerate(ids)]
        np.testing.assert_allclose(surprise, expected, rtol=1e-4, atol=1e-5)


def test_behind_its_end_a_row_says_nothing(changing, monkeypatch):
    live = changing("llama")
    plain, _ = continued(live, [DELETED])
    end = int(plain["ids"][0, 3])
    monkeypatch.setattr(changes, "_list_ends", lambda network: {end})
    found, _ = continued(live, [DELETED])
    at = found["ids"][0].tolist().index(end)
    assert (found["ids"][0, at + 1 :] == -1).all()
    assert np.isnan(found["surprise"][0, at + 1 :]).all()
    assert np.isfinite(found["surprise"][0, : at + 1]).all()


def test_a_direction_beyond_the_rank_and_a_missing_mean_are_refused(changing):
    live = changing("llama")
    strength = live.directions.strength.clone()
    strength[0, 1, 2] = 0
    asked = recipes.outcome(live.model, KEY, "folded", AT, [DELETED], (), None, 0)
    with pytest.raises(ComputationFailed, match="L0H1 writes nothing along direction 2"):
        changes.HeadEditor(live.context, live.network, SimpleNamespace(strength=strength), live.run, asked)
    gone = recipes.use(live.model, "folded", 99)
    asked = recipes.outcome(live.model, KEY, "folded", AT, [HeadEdit(0, 1, 2, "mean")], (), gone, 0)
    with pytest.raises(ComputationFailed, match="not here any more"):
        changes.HeadEditor(*live.inputs(), asked)
