"""A position run again without something: against the whole text run with the library, its output edited by a hook."""

import pytest
import torch

from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model
from app.models.live.layouts import LAYOUTS
from app.models.live.removal import Removal, run_without
from tests.models.live.test_assembly import RUN, opened

IDS = torch.arange(24) * 7 % 97
TOLERANCE = 2e-5


@pytest.fixture(scope="module", params=RUN)
def live(member, request):
    weights, manifest = opened(member(request.param).data, request.param)
    model = assemble_model(weights, manifest)
    return model, run_model(model, IDS), manifest


def edited(model, ids, at, removal):
    """The last logits before a cap of the whole text, a projection's output changed at one position alone."""
    modules = LAYOUTS[type(model).__name__].modules
    layer = model.get_submodule(modules.layers)[removal.layer]

    def subtract(_module, _given, made):
        made = made.clone()
        made[0, at] -= removal.written
        return made

    seen = []
    hooks = [
        layer.get_submodule(modules.attention).get_submodule(modules.projection).register_forward_hook(subtract),
        model.get_output_embeddings().register_forward_hook(lambda *call: seen.append(call[-1])),
    ]
    try:
        with torch.no_grad():
            model(ids[None], use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return seen[0][0, at]


@pytest.mark.parametrize("at", [0, 9, 23])
def test_rows_are_the_text_run_without_each(live, at):
    model, run, manifest = live
    generator = torch.Generator().manual_seed(at)
    removals = [
        Removal(layer, torch.randn(manifest.d_model, generator=generator) * run.streams[layer, at].std())
        for layer in (manifest.n_layers - 1, 0, 0, 1)
    ]
    clean, without = run_without(model, run, at, removals)
    nothing = edited(model, IDS, at, Removal(0, torch.zeros(manifest.d_model)))
    scale = float(nothing.abs().max())
    assert float((clean - nothing).abs().max()) < TOLERANCE * scale
    for row, removal in zip(without, removals, strict=True):
        expected = edited(model, IDS, at, removal)
        assert float((expected - nothing).abs().max()) > 100 * TOLERANCE * scale
        assert float((row - expected).abs().max()) < TOLERANCE * scale


def test_nothing_removed_changes_nothing_and_leaves_no_hook(live):
    model, run, manifest = live
    clean, (same,) = run_without(model, run, 11, [Removal(1, torch.zeros(manifest.d_model))])
    torch.testing.assert_close(same, clean, rtol=1e-5, atol=1e-5)
    assert torch.equal(run_model(model, IDS).logits, run.logits)


def test_no_removal_gives_no_row(live):
    model, run, _ = live
    clean, without = run_without(model, run, 3, [])
    assert without.shape == (0, len(clean))


def test_a_position_that_is_not_there_is_refused(live):
    model, run, _ = live
    with pytest.raises(ValueError, match="positions 0 to 23"):
        run_without(model, run, 24, [])
