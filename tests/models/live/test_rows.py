"""Changed texts in rows: against the library's own model with edited weights, and with hooks written out; no hook stays."""

import copy

import pytest
import torch

from app.core.changing.choice import choose_likeliest, draw_tokens
from app.core.changing.edits import scale_directions, turn_directions
from app.models.live.assembly import assemble_model
from app.models.live.changes import HeadChange, StreamChange, apply_changes, output_matrix
from app.models.live.forward import read_logits, run_model
from app.models.live.layouts import LAYOUTS
from app.models.live.rows import continue_rows, run_rows
from tests.models.live.test_assembly import RUN, opened

IDS = torch.arange(24) * 7 % 97
EXACT = 1e-10


@pytest.fixture(scope="module", params=RUN)
def live(member, request):
    """A model of each family that is run, in float64, and a text that it ran."""
    weights, manifest = opened(member(request.param).data, request.param)
    model = assemble_model(weights, manifest).double()
    return model, run_model(model, IDS), manifest


def modules_of(model):
    return LAYOUTS[type(model).__name__].modules


def edit_of(model, layer, head, amounts=(-1.0, 3.0), seed=0):
    output = output_matrix(model, layer, head)
    span = torch.linalg.svd(output, full_matrices=False).Vh
    _, along = turn_directions(span, len(amounts), torch.Generator().manual_seed(seed))
    delta = scale_directions(output, along, torch.tensor(amounts, dtype=output.dtype))
    return HeadChange(layer, head, delta), along


def with_edited_weights(model, change):
    """A copy of the model whose stored W_O has the edit in it."""
    other = copy.deepcopy(model)
    modules = modules_of(other)
    projection = other.get_submodule(f"{modules.layers}.{change.layer}.{modules.attention}.{modules.projection}")
    rows = slice(change.head * len(change.delta), (change.head + 1) * len(change.delta))
    with torch.no_grad():
        if type(projection).__name__ == "Conv1D":
            projection.weight[rows] += change.delta
        else:
            projection.weight[:, rows] += change.delta.T
    return other


def hooks_of(model):
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


def last_logits(model, stream):
    return read_logits(model, stream)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_row_is_the_text_run_with_edited_weights(live, layer):
    model, run, _ = live
    changes = [edit_of(model, layer, head, seed=head)[0] for head in (1, 2)]
    streams, _ = run_rows(model, run, [[], changes[:1], changes[1:]])
    for row, change in zip(streams[1:], changes, strict=True):
        with torch.no_grad():
            expected = with_edited_weights(model, change)(IDS[None], use_cache=False).logits[0]
        found = last_logits(model, row)
        assert float((expected - run.logits).abs().max()) > 1e-4
        assert float((found - expected).abs().max()) < EXACT * float(expected.abs().max())
    torch.testing.assert_close(last_logits(model, streams[0]), run.logits, rtol=EXACT, atol=EXACT)


def test_edits_of_one_row_add_up(live):
    model, run, _ = live
    changes = [edit_of(model, 0, 1)[0], edit_of(model, 1, 3)[0]]
    streams, _ = run_rows(model, run, [changes])
    both = with_edited_weights(with_edited_weights(model, changes[0]), changes[1])
    with torch.no_grad():
        expected = both(IDS[None], use_cache=False).logits[0]
    torch.testing.assert_close(last_logits(model, streams[0]), expected, rtol=EXACT, atol=EXACT)


def test_what_is_deleted_is_written_nowhere_and_its_siblings_write_as_before(live):
    """Heads that share their values, too: an edit of the values would change those of the whole group."""
    model, _, manifest = live
    change, along = edit_of(model, 0, 1, (-1.0,))
    modules, seen = modules_of(model), []
    attention = model.get_submodule(f"{modules.layers}.0.{modules.attention}")
    handle = attention.get_submodule(modules.projection).register_forward_hook(
        lambda _module, given, made: seen.append((given[0], made))
    )
    with apply_changes(model, [[], [change]], 0), torch.no_grad():
        model(IDS[None].expand(2, -1), use_cache=False)
    handle.remove()
    before, after = (
        seen[0][0][0].unflatten(-1, (manifest.n_heads, -1)),
        seen[0][0][1].unflatten(-1, (manifest.n_heads, -1)),
    )
    assert torch.equal(before, after)
    own = before[:, 1] @ (output_matrix(model, 0, 1) + change.delta)
    assert float((before[:, 1] @ output_matrix(model, 0, 1) @ along.T).abs().max()) > 1e-4
    assert float((own @ along.T).abs().max()) < 1e-12


def test_no_change_gives_the_same_numbers(live):
    """An amount of 0 changes no byte beside the text as it was."""
    model, run, _ = live
    zero = edit_of(model, 0, 1, (0.0,))[0]
    streams, _ = run_rows(model, run, [[zero], [zero]])
    plain, _ = run_rows(model, run, [[HeadChange(0, 1, torch.zeros_like(zero.delta))], []])
    assert torch.equal(streams[0], streams[1])
    assert torch.equal(plain[0], plain[1])


def test_a_constant_is_added_at_every_position(live):
    model, run, manifest = live
    if manifest.post_norm or type(model).__name__ == "GPTNeoXForCausalLM":
        pytest.skip("what is added passes a norm first, or the MLP beside it reads another stream")
    change = HeadChange(
        1, 0, torch.zeros(manifest.d_head, manifest.d_model).double(), torch.ones(manifest.d_model).double()
    )
    (row,), _ = run_rows(model, run, [[change]])
    layer = model.get_submodule(modules_of(model).layers)[1]
    expected = run.streams[1] + run.attention[1] + 1
    seen = []
    handle = layer.get_submodule("mlp").register_forward_hook(lambda _module, _given, made: seen.append(made[0]))
    run_rows(model, run, [[change]])
    handle.remove()
    torch.testing.assert_close(row, expected + seen[0], rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("first", [0, 1, 9])
def test_the_stream_is_changed_from_a_position_on(live, first):
    model, run, manifest = live
    generator = torch.Generator().manual_seed(1)
    scale, shift = (torch.randn(manifest.d_model, generator=generator).double() for _ in range(2))
    streams, _ = run_rows(model, run, [[], [StreamChange(1, first, scale, shift)]])
    layer = model.get_submodule(modules_of(model).layers)[1]

    def change(_module, given, named):
        stream = (given[0] if given else named["hidden_states"]).clone()
        stream[:, first:] = stream[:, first:] * scale + shift
        return ((stream, *given[1:]), named) if given else (given, named | {"hidden_states": stream})

    handle = layer.register_forward_pre_hook(change, with_kwargs=True)
    with torch.no_grad():
        expected = model(IDS[None], use_cache=False).logits[0]
    handle.remove()
    torch.testing.assert_close(last_logits(model, streams[1]), expected, rtol=EXACT, atol=EXACT)
    assert torch.equal(streams[1][:first], streams[0][:first])


def test_shifts_of_their_own_positions_leave_the_others(live):
    model, run, manifest = live
    shift = torch.ones(3, manifest.d_model).double()
    streams, _ = run_rows(model, run, [[], [StreamChange(1, 4, shift=shift)]])
    assert torch.equal(streams[1][:4], streams[0][:4])
    whole = [StreamChange(1, 4, shift=torch.cat([shift, torch.zeros(17, manifest.d_model).double()]))]
    torch.testing.assert_close(run_rows(model, run, [whole])[0][0], streams[1], rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_that_is_not_there_is_refused(live, layer):
    model, run, manifest = live
    with pytest.raises(ValueError, match="layers 0 to 1"):
        run_rows(model, run, [[StreamChange(layer, 1, shift=torch.zeros(manifest.d_model).double())]])


def rows_of(model, manifest):
    shift = torch.randn(manifest.d_model, generator=torch.Generator().manual_seed(4)).double()
    return [[], [edit_of(model, 0, 1, (8.0,))[0]], [StreamChange(1, 1, shift=shift)]]


@pytest.mark.parametrize("sampled", [False, True])
def test_continued_rows_are_those_run_whole_at_every_token(live, sampled):
    """Cached decoding against the whole text run again for each token: first positions are told by where they are."""
    model, run, manifest = live
    rows, n = rows_of(model, manifest), 12
    generator = torch.Generator().manual_seed(3)
    choose = (lambda logits: draw_tokens(logits, generator)) if sampled else choose_likeliest
    found = torch.stack([*continue_rows(model, run, rows, n, choose, ())], 1)
    assert found.shape == (len(rows), n)
    generator = torch.Generator().manual_seed(3)
    texts = [IDS] * len(rows)
    for position in range(n):
        logits = torch.stack(
            [
                last_logits(model, run_rows(model, run_model(model, text), [row])[0][0, -1])
                for text, row in zip(texts, rows, strict=True)
            ]
        )
        chosen = choose(logits)
        assert torch.equal(chosen, found[:, position])
        texts = [torch.cat([text, one[None]]) for text, one in zip(texts, chosen, strict=True)]


def test_the_text_as_it_was_goes_on_as_the_library_continues_it(live):
    model, run, _ = live
    (found,) = torch.stack([*continue_rows(model, run, [[]], 10, choose_likeliest, ())], 1)
    asked = {"max_new_tokens": 10, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    asked["attention_mask"] = torch.ones_like(IDS)[None]  # or an id that pads would be masked
    assert torch.equal(found, model.generate(IDS[None], **asked)[0, len(IDS) :])


def test_a_text_ends_where_all_rows_have_ended(live):
    model, run, _ = live
    (whole,) = torch.stack([*continue_rows(model, run, [[]], 10, choose_likeliest, ())], 1)
    end = int(whole[4])
    at = whole.tolist().index(end)
    assert len([*continue_rows(model, run, [[]], 10, choose_likeliest, {end})]) == at + 1


def test_no_hook_outlives_a_token_or_a_broken_run(live):
    model, run, manifest = live
    before = hooks_of(model)
    going_on = continue_rows(model, run, rows_of(model, manifest), 5, choose_likeliest, ())
    next(going_on)
    assert hooks_of(model) == before
    next(going_on)
    assert hooks_of(model) == before
    going_on.close()
    with pytest.raises(RuntimeError):
        run_rows(model, run, [[HeadChange(0, 0, torch.zeros(1, 1).double())]])
    assert hooks_of(model) == before
    assert torch.equal(run_model(model, IDS).logits, run.logits)
