"""Models that are put together again from imported weights compute what the library's own do."""

import shutil
from dataclasses import replace

import pytest
import torch

from app.models.catalog import Catalog
from app.models.importing.importer import import_model
from app.models.live.assembly import assemble_model, equals_stored
from app.models.live.families import ARCHITECTURES, NotAssembled
from app.models.live.layouts import LAYOUTS
from app.models.refusal import WeightsDamaged
from app.models.weights import CONFIG_FILE, layer_file, open_weights
from tests.families import FAMILIES, write_family

RUN = [name for name, (architecture, _) in FAMILIES.items() if architecture in LAYOUTS]


def opened(data, slug):
    """The weights of that model in a data folder, and their manifest."""
    catalog = Catalog(data)
    manifest = catalog.get(slug)
    return open_weights(catalog.weights_folder(manifest.fingerprint)), manifest


def logits_of(model, ids):
    with torch.no_grad():
        return model(ids).logits


def own_model(folder, name):
    import transformers

    build = getattr(transformers, FAMILIES[name][0])
    return build.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def test_the_families_that_are_run_are_here():
    assert {FAMILIES[name][0] for name in RUN} == set(LAYOUTS) == set(ARCHITECTURES)


@pytest.mark.parametrize("name", RUN)
def test_logits_are_those_of_the_librarys_own_model(member, name):
    weights, manifest = opened(member(name).data, name)
    ids = torch.arange(80).reshape(2, 40) % 97
    assert manifest.assembled
    found = logits_of(assemble_model(weights, manifest), ids)
    assert torch.equal(found, logits_of(own_model(member(name).folder, name), ids))


def test_biases_of_zero_are_made_anew(tmp_path):
    folder = write_family("gpt2", tmp_path / "checkpoint")
    network = own_model(folder, "gpt2")
    with torch.no_grad():
        for block in network.transformer.h:
            block.mlp.c_fc.bias.zero_()
    network.save_pretrained(folder)
    import_model(str(folder), tmp_path / "data", slug="still", report=lambda progress: None)
    weights, manifest = opened(tmp_path / "data", "still")
    assert "blocks.0.mlp.b_in" not in weights.layer(0)
    ids = torch.arange(20)[None]
    assert torch.equal(logits_of(assemble_model(weights, manifest), ids), logits_of(network, ids))


def test_half_precision_is_run_as_it_is_stored(tmp_path):
    folder = write_family("llama", tmp_path / "checkpoint", dtype=torch.bfloat16)
    import_model(str(folder), tmp_path / "data", slug="half", report=lambda progress: None)
    ids = torch.arange(20)[None]
    assert torch.equal(
        logits_of(assemble_model(*opened(tmp_path / "data", "half")), ids), logits_of(own_model(folder, "llama"), ids)
    )


@pytest.mark.parametrize("name", ["mistral", "bloom", "mixtral", "bert"])
def test_other_families_are_not_run(member, name):
    weights, manifest = opened(member(name).data, name)
    assert manifest.assembled is False
    assert not (weights.folder / CONFIG_FILE).exists()
    with pytest.raises(NotAssembled, match=rf"{FAMILIES[name][0]} is not run here.*GPT2LMHeadModel"):
        assemble_model(weights, manifest)


def test_weights_of_an_older_version_are_imported_again(member):
    weights, manifest = opened(member("llama").data, "llama")
    with pytest.raises(NotAssembled, match="import them again"):
        assemble_model(weights, replace(manifest, assembled=None))


@pytest.mark.parametrize("content", [None, b"{", b"\xff\xfe"])
def test_a_config_that_is_damaged_is_told(member, tmp_path, content):
    data = shutil.copytree(member("llama").data, tmp_path / "data")
    weights, manifest = opened(data, "llama")
    config = weights.folder / CONFIG_FILE
    config.unlink() if content is None else config.write_bytes(content)
    with pytest.raises(WeightsDamaged, match=r"config\.json of these weights"):
        assemble_model(weights, manifest)


def test_a_damaged_layer_is_told(member, tmp_path):
    data = shutil.copytree(member("gpt2").data, tmp_path / "data")
    weights, manifest = opened(data, "gpt2")
    file = weights.folder / layer_file(1)
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(WeightsDamaged):
        assemble_model(weights, manifest)


def test_parts_that_make_other_parameters_are_noticed(member):
    weights, _ = opened(member("llama").data, "llama")
    parts = {name.removeprefix("blocks.1."): tensor for name, tensor in weights.layer(1).items()}
    state = own_model(member("llama").folder, "llama").model.layers[1].state_dict()
    layout = LAYOUTS["LlamaForCausalLM"]
    assert equals_stored(layout, parts, state)
    turned = parts | {"mlp.W_in": parts["mlp.W_gate"], "mlp.W_gate": parts["mlp.W_in"]}
    off = parts | {"ln2.w": parts["ln2.w"] + torch.tensor([1e-6] + [0.0] * 31)}
    swapped = parts | {"attn.W_Q": parts["attn.W_Q"].flip(0)}
    lacking = {name: tensor for name, tensor in parts.items() if name != "ln1.w"}
    for wrong in (turned, off, swapped, lacking):
        assert not equals_stored(layout, wrong, state)


def test_weights_that_are_not_the_checkpoints_are_never_called_its_model(tmp_path, monkeypatch):
    layout = LAYOUTS["LlamaForCausalLM"]
    other = replace(layout, layer={**layout.layer, "mlp.up_proj.weight": layout.layer["mlp.gate_proj.weight"]})
    monkeypatch.setitem(LAYOUTS, "LlamaForCausalLM", other)
    folder = write_family("llama", tmp_path / "checkpoint")
    manifest = import_model(str(folder), tmp_path / "data", slug="other", report=lambda progress: None)
    assert manifest.assembled is False
    with pytest.raises(NotAssembled, match="not proven"):
        assemble_model(open_weights(Catalog(tmp_path / "data").weights_folder(manifest.fingerprint)), manifest)
