"""Streams drawn to another prompt: against the library's own model with hooks of the tests' own, and rules written out."""

import numpy as np
import pytest
import torch

from app.explorer import recipes
from app.explorer.changes import Contrast
from app.explorer.layout import STUDIED, check_layout
from app.explorer.making.using import changes, contrasts
from app.models.live.forward import run_model
from app.models.live.layouts import LAYOUTS
from tests.explorer.making.using.test_changes import AT, IDS, Changing, divergence_of, logits_of

ATTRACT = torch.tensor([(11 * n + 5) % 97 for n in range(9)])
REPEL = torch.tensor([(5 * n + 2) % 97 for n in range(7)])
KEYS = ("00000000000000aa", "ffffffffffffffff")
LAYER = 1


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def live(request, member, tmp_path_factory):
    """A model, and the streams of two other prompts that enter a layer of it."""
    made = Changing(request.param, "folded", member(request.param).data, tmp_path_factory.mktemp("contrasts"))
    made.others = [run_model(made.network, ids).streams[LAYER] for ids in (ATTRACT, REPEL)]
    return made


def ask(live, rule, amount=1.0, draws=2, named=(5, 60)):
    asked = recipes.outcome(
        live.model, "0" * 16, "folded", AT, Contrast(LAYER, rule, amount, *KEYS), named, None, draws
    )
    found = changes.read_outcome(*live.inputs(), asked, live.others)
    check_layout("outcome", found)
    return found


def with_hook(live, change):
    layer = live.network.get_submodule(LAYOUTS[type(live.network).__name__].modules.layers)[LAYER]

    def hook(_module, given, named):
        stream = (given[0] if given else named["hidden_states"]).clone()
        change(stream[0])
        return ((stream, *given[1:]), named) if given else (given, named | {"hidden_states": stream})

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        return logits_of(live.network)
    finally:
        handle.remove()


def scores_written_out(own, attract, repel):
    """Cosines of the rows of whole Gram matrices, without first positions."""
    grams = [one[1:].double().T @ one[1:].double() for one in (own, attract, repel)]
    to = [torch.nn.functional.cosine_similarity(grams[0], gram, dim=1) for gram in grams[1:]]
    return to[0] - to[1]


def published_written_out(own, attract, repel):
    """As the paper has it: U diag(S) of each, cut to the shortest."""
    r = min(map(len, (own, attract, repel)))
    shapes = []
    for one in (own, attract, repel):
        left, strength, _ = torch.linalg.svd(one.double().T, full_matrices=False)
        shapes.append(left[:, :r] * strength[:r])
    to = [torch.nn.functional.cosine_similarity(shapes[0], shape, dim=1) for shape in shapes[1:]]
    return to[0] - to[1]


def test_the_fixed_rule_multiplies_coordinates_behind_the_first_position(live):
    found, scores = ask(live, "fixed", 0.7), scores_written_out(live.run.streams[LAYER], *live.others)

    def change(stream):
        stream[1:] *= (1 + 0.7 * scores).float()

    was, now = logits_of(live.network), with_hook(live, change)
    assert divergence_of(was[AT], now[AT]) > 1e-5
    assert float(found["divergence"][0]) == pytest.approx(divergence_of(was[AT], now[AT]), rel=2e-2)
    np.testing.assert_allclose(found["named_chance"][1], now[AT].softmax(-1)[[5, 60]], rtol=5e-3)
    assert found["set_ids"].shape == (0, 20)


def test_the_published_rule_is_its_formula_at_all_positions(live):
    """Up to the signs that each SVD chose: where all signs agree the scores are equal, and sizes of products always are."""
    own = live.run.streams[LAYER]
    found = contrasts.score_coordinates("published", own, *live.others)
    expected = published_written_out(own, *live.others)
    assert found.shape == expected.shape
    assert float(found.abs().max()) <= 2
    (change,) = contrasts.Contraster(own, *live.others, Contrast(LAYER, "published", 0.5, *KEYS), 0).make_row()
    assert change.first == 0
    torch.testing.assert_close(change.scale, (1 + 0.5 * found).float())


@pytest.mark.parametrize("rule", ["last", "front"])
def test_differences_are_added(live, rule):
    found = ask(live, rule, 2.0)
    attract, repel = live.others

    def change(stream):
        if rule == "last":
            stream[1:] += 2 * (attract[-1] - repel[-1])
        else:
            stream[1:7] += 2 * (attract[1:7] - repel[1:7])

    was, now = logits_of(live.network), with_hook(live, change)
    assert float(found["divergence"][0]) == pytest.approx(divergence_of(was[AT], now[AT]), rel=2e-2)


@pytest.mark.parametrize("rule", ["fixed", "last", "front"])
def test_swapped_roles_are_the_last_row(live, rule):
    found = ask(live, rule, 0.5)
    turned = live.others[::-1]
    asked = recipes.outcome(
        live.model, "0" * 16, "folded", AT, Contrast(LAYER, rule, 0.5, *KEYS[::-1]), (5, 60), None, 2
    )
    swapped = changes.read_outcome(*live.inputs(), asked, turned)
    assert len(found["divergence"]) == 4
    assert float(found["divergence"][-1]) == pytest.approx(float(swapped["divergence"][0]), rel=1e-3)
    np.testing.assert_allclose(found["named_chance"][-1], swapped["named_chance"][1], rtol=1e-3)


def test_random_changes_have_the_same_scores_or_lengths(live):
    own = live.run.streams[LAYER]
    for rule in ("fixed", "last", "front"):
        one = contrasts.Contraster(own, *live.others, Contrast(LAYER, rule, 1.0, *KEYS), 0)
        ((mine,), (first,), (second,)) = (one.make_row(draw) for draw in (None, 0, 1))
        if rule == "fixed":
            assert torch.equal(first.scale.sort().values, mine.scale.sort().values)
            assert not torch.equal(first.scale, second.scale)
        else:
            torch.testing.assert_close(first.shift.norm(dim=-1), mine.shift.norm(dim=-1))
            assert not torch.equal(first.shift, second.shift)


def test_histories_are_compared(live):
    asked = recipes.histories(live.model, "0" * 16, LAYER, *KEYS)
    found = contrasts.compare_histories(live.run, live.others, asked)
    check_layout("histories", found)
    own = live.run.streams[LAYER]
    np.testing.assert_allclose(found["score"][0], scores_written_out(own, *live.others), atol=1e-4)
    squares = torch.linalg.svdvals(own.double()).square()
    assert float(found["kept"][0, 0]) == pytest.approx(float(squares[0] / squares.sum()), rel=1e-5)
    squares = torch.linalg.svdvals(own[1:].double()).square()
    assert float(found["kept"][1, 0]) == pytest.approx(float(squares[0] / squares.sum()), rel=1e-5)
    assert np.isnan(found["kept"][1, -1])
    lengths = own.norm(dim=-1)
    assert float(found["scale"][0]) == pytest.approx(float(lengths[0] / lengths[1:].median()), rel=1e-5)
    assert found["dependence"][0] > 0


def test_a_study_has_whole_histories_at_its_end_and_each_rule_at_each_amount(live):
    asked = recipes.study(live.model, "0" * 16, LAYER, *KEYS, 1.0, (5, 60))
    found = contrasts.study_contrast(live.network, live.run, live.others, asked)
    check_layout("study", found)
    assert found["rank"].tolist() == [1, 2, 4, 6]
    assert found["likeness"][-1] == pytest.approx(1, abs=1e-3) or found["kept"][-1] < 1
    scores = scores_written_out(live.run.streams[LAYER], *live.others)

    def change(stream):
        stream[1:] *= (1 + STUDIED["fixed"][5] * scores).float()

    was, now = logits_of(live.network)[-1], with_hook(live, change)[-1]
    assert float(found["before"][0]) == pytest.approx(float(was[5] - was[60]), abs=1e-3)
    assert float(found["odds"][0, 5]) == pytest.approx(float(now[5] - now[60]), abs=2e-3)
    assert float(found["divergence"][0, 5]) == pytest.approx(divergence_of(was, now), rel=3e-2, abs=1e-6)
    attract, repel = live.others
    n = min(len(attract), len(repel), len(IDS))

    def push_front(stream):
        stream[1:n] += STUDIED["front"][4] * (attract[1:n] - repel[1:n])

    def push_all(stream):
        stream[1:] += STUDIED["last"][7] * (attract[-1] - repel[-1])

    for row, place, push in ((1, 7, push_all), (2, 4, push_front)):
        now = with_hook(live, push)[-1]
        assert float(found["odds"][row, place]) == pytest.approx(float(now[5] - now[60]), abs=2e-3)
        assert float(found["divergence"][row, place]) == pytest.approx(divergence_of(was, now), rel=3e-2, abs=1e-6)


def test_new_positions_are_changed_too(live):
    asked = recipes.continuation(live.model, "0" * 16, "folded", Contrast(LAYER, "last", 3.0, *KEYS), None, 5, None)
    steps = changes.continue_text(*live.inputs(), asked, live.others)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        found = end.value["ids"][1].tolist()
    attract, repel = live.others
    text = IDS

    for token in found:
        layer = live.network.get_submodule(LAYOUTS[type(live.network).__name__].modules.layers)[LAYER]

        def hook(_module, given, named):
            stream = (given[0] if given else named["hidden_states"]).clone()
            stream[:, 1:] += 3 * (attract[-1] - repel[-1])
            return ((stream, *given[1:]), named) if given else (given, named | {"hidden_states": stream})

        handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
        with torch.no_grad():
            logits = live.network(text[None], use_cache=False).logits[0, -1]
        handle.remove()
        assert int(logits.argmax()) == token
        text = torch.cat([text, logits.argmax()[None]])
