"""What comes out of one layer, and that a bridge that computes something else is refused."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.core.rotary import rotate_head
from app.models.catalog import Catalog
from app.models.importing import bridge
from app.models.importing.bridge import compare_logits, open_layer
from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.folder.families import Family
from app.models.importing.importer import import_model
from app.models.refusal import ImportRefused
from app.models.weights import open_weights
from tests.families import write_family


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


SHORT, LONG = [1.0, 1.1, 1.2, 1.3], [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("original", [8, 32])
def test_longrope_turns_a_distance_as_the_shortest_text_that_has_it(tmp_path, original):
    """Against numpy, and against attention of transformers' own model; the proof at import runs 16 tokens."""
    from transformers import AutoModelForCausalLM

    folder = write_family("phi3", tmp_path / "long", max_position_embeddings=128)
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    config |= {"rope_theta": 10_000.0, "original_max_position_embeddings": original}
    config |= {"rope_scaling": {"type": "longrope", "short_factor": SHORT, "long_factor": LONG}}
    (folder / "config.json").write_text(json.dumps(config))
    manifest = import_model(str(folder), tmp_path / "data", report=lambda progress: None)
    weights = open_weights(Catalog(tmp_path / "data").weights_folder(manifest.fingerprint))
    head, rotary = weights.head(0, 3), weights.rotary(0)
    stored = load_file(folder / "model.safetensors")
    W = stored["model.layers.0.self_attn.qkv_proj.weight"].double().numpy().T
    q, k = W[:, 24:32], W[:, 40:48]  # head 3, its keys: 1 of 2
    scale = math.sqrt(1 + math.log(128 / original) / math.log(original))

    def turned(x, position, factor):
        angle = position * 10_000.0 ** (-np.arange(4) / 4) / np.array(factor)
        a, b, cos, sin = x[:, :4], x[:, 4:], np.cos(angle), np.sin(angle)
        return scale * np.hstack([a * cos - b * sin, b * cos + a * sin])

    for distance in (0, 7, original - 1, original, 60):
        factor = LONG if distance >= original else SHORT
        expected = turned(q, 60, factor) @ turned(k, 60 - distance, factor).T
        at = rotate_head(head, rotary, distance)
        np.testing.assert_allclose(at.W_Q.double() @ at.W_K.double().T, expected, atol=2e-6)

    plain = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    ids = torch.arange(61) % 48
    with torch.no_grad():
        x = plain.model.layers[0].input_layernorm(plain.model.embed_tokens(ids))
        pattern = plain(ids[None], output_attentions=True).attentions[0][0, 3, 60]
    keys = range(61 - original)  # those that are not nearer than that
    scores = [x[60] @ (at := rotate_head(head, rotary, 60 - j)).W_Q @ at.W_K.T @ x[j] / math.sqrt(8) for j in keys]
    found, expected = torch.stack(scores), pattern[: len(keys)].log()
    torch.testing.assert_close(found - found[0], expected - expected[0], rtol=0, atol=2e-4)


def test_who_turns_all_texts_alike_keeps_no_other_frequencies(member):
    parameters = open_layer(open_checkpoint(member("llama-yarn").folder), 0).parameters
    assert {name for name in parameters if "rotary" in name} == {"blocks.0.attn.rotary"}
