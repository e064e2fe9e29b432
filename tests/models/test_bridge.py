"""What comes out of one layer, and that a bridge that computes something else is refused."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.models import bridge
from app.models.bridge import compare_logits, open_layer
from app.models.checkpoint import open_checkpoint
from app.models.families import Family
from app.models.refusal import ImportRefused


@pytest.mark.parametrize("layer", [0, 1])
def test_a_layer_alone_has_its_own_tensors(gpt2_folder, layer):
    found = open_layer(open_checkpoint(gpt2_folder), layer)
    stored = load_file(gpt2_folder / "model.safetensors")
    assert {name.split(".")[1] for name in found.parameters} == {str(layer)}
    assert torch.equal(found.parameters[f"blocks.{layer}.mlp.W_in"], stored[f"transformer.h.{layer}.mlp.c_fc.weight"])
    assert torch.equal(found.ends["pos_embed.W_pos"], stored["transformer.wpe.weight"])
    assert (found.W_E, found.W_U) == ("transformer.wte.weight", None)


def test_it_runs_as_a_layer_of_the_whole_model_would(gpt2_folder):
    """Fed with what the first layer of the whole model gets, it writes what that layer writes."""
    from transformers import GPT2LMHeadModel

    found = open_layer(open_checkpoint(gpt2_folder), 0)
    whole = GPT2LMHeadModel.from_pretrained(gpt2_folder, attn_implementation="eager").eval()
    with torch.no_grad():
        states = whole(found.ids[None], output_hidden_states=True).hidden_states
    torch.testing.assert_close(found.activations["blocks.0.hook_in"], states[0])
    torch.testing.assert_close(found.activations["blocks.0.hook_out"], states[1], rtol=1e-5, atol=1e-4)


def test_a_base_models_names_are_understood(gpt2_folder, tmp_path):
    """As the hub has GPT-2: without the prefix of the model with a head, and with masks among its tensors."""
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    bare["h.0.attn.bias"] = torch.ones(1, 1, 32, 32)
    save_file(bare, folder / "model.safetensors")
    found, expected = (open_layer(open_checkpoint(each), 0) for each in (folder, gpt2_folder))
    assert found.W_E == "wte.weight"
    assert (found.n_params, found.n_params_ends) == (expected.n_params, expected.n_params_ends)
    assert all(torch.equal(found.parameters[name], tensor) for name, tensor in expected.parameters.items())


def test_a_bridge_that_swaps_heads_is_refused(gpt2_folder, monkeypatch):
    honest = bridge._boot

    def swapped(*args):
        booted = honest(*args)
        with torch.no_grad():
            W_V = booted.blocks[0].attn.W_V
            W_V[[0, 1]] = W_V[[1, 0]]
        return booted

    monkeypatch.setattr(bridge, "_boot", swapped)
    with pytest.raises(ImportRefused, match="logits differ"):
        open_layer(open_checkpoint(gpt2_folder), 1)


def test_an_mlp_reads_the_norm_whose_output_it_gets():
    one, other, third = torch.randn(3, 1, 4, 8)
    for ln1, ln2, expected in ((one, other, "ln2"), (other, one, "ln1"), (other, other, "ln2"), (other, None, "ln1")):
        shown = {"blocks.0.mlp.hook_in": other, "blocks.0.ln1.hook_out": ln1}
        shown |= {} if ln2 is None else {"blocks.0.ln2.hook_out": ln2}
        assert bridge._mlp_reads(shown, Family("x")) == expected
    shown = {"blocks.0.mlp.hook_in": other, "blocks.0.ln1.hook_out": other}
    assert bridge._mlp_reads(shown, Family("x", encoder=True)) == "stream"
    assert bridge._mlp_reads({"blocks.0.mlp.hook_in": other}, Family("x")) == "stream"
    with pytest.raises(ImportRefused, match="what its MLP reads"):
        bridge._mlp_reads(shown | {"blocks.0.mlp.hook_in": third}, Family("x"))


@pytest.mark.parametrize("name", ["gpt2", "llama", "mixtral", "gemma3", "bert"])
def test_any_value_in_any_place_of_the_config_is_opened_or_refused(member, name, long):
    """Nothing else is raised, whatever stands there."""
    checkpoint = open_checkpoint(member(name).folder)
    values = (None, "x", -3, 0, 2**20, 1.5, [], {}, [1, 2], {"rope_type": "yarn"})
    keys = list(checkpoint.config)[:: 1 if long else 4]
    opened = 0
    for key in keys:
        for value in values if long else values[:3]:
            try:
                open_layer(replace(checkpoint, config=checkpoint.config | {key: value}), 1)
                opened += 1
            except ImportRefused:
                pass
    assert 0 < opened < len(keys) * len(values)


def test_logits_are_compared_relative_to_the_largest():
    expected = torch.tensor([[100.0, 1.0]])
    compare_logits(expected, expected + 0.009)
    for found in (expected + 0.02, expected * torch.nan):
        with pytest.raises(ImportRefused, match="logits differ"):
            compare_logits(expected, found)
