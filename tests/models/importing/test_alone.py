"""What is refused of one layer, by the name that the checkpoint has for it."""

import json
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.models.importing.alone import n_layers_of, open_alone
from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.refusal import ImportRefused
from tests.families import write_family


@pytest.fixture
def spoil(gpt2_folder, tmp_path):
    """The checkpoint with its tensors changed."""

    def build(change):
        folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")
        return open_checkpoint(folder)

    return build


def with_config(folder, facts):
    """The checkpoint as its config would be with those facts."""
    checkpoint = open_checkpoint(folder)
    return replace(checkpoint, config=checkpoint.config | facts)


def test_a_parameter_that_is_missing_is_refused_not_made_up(spoil):
    checkpoint = spoil(lambda tensors: tensors.pop("transformer.h.1.attn.c_attn.weight"))
    open_alone(checkpoint, 0)
    with pytest.raises(ImportRefused, match=r"lacks transformer\.h\.1\.attn\.c_attn\.weight$"):
        open_alone(checkpoint, 1)


def test_many_missing_parameters_are_counted(spoil):
    checkpoint = spoil(lambda tensors: [tensors.pop(name) for name in list(tensors) if ".mlp." in name])
    with pytest.raises(ImportRefused, match="and 1 more"):
        open_alone(checkpoint, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_by_name(spoil, value):
    checkpoint = spoil(lambda tensors: tensors["transformer.h.1.mlp.c_fc.weight"][3].fill_(value))
    with pytest.raises(ImportRefused, match=r"h\.1\.mlp\.c_fc\.weight holds values that are no numbers"):
        open_alone(checkpoint, 1)


def test_what_float32_cannot_hold_is_refused_by_name(spoil):
    def widen(tensors):
        name = "transformer.h.1.mlp.c_fc.weight"
        tensors[name] = tensors[name].double()
        tensors[name][3, 5] = -1e39

    checkpoint = spoil(widen)
    open_alone(checkpoint, 0)
    with pytest.raises(ImportRefused, match=r"h\.1\.mlp\.c_fc\.weight holds numbers of up to 1e\+39, beyond float32"):
        open_alone(checkpoint, 1)


@pytest.mark.parametrize("name", ["transformer.wpe.weight", "transformer.wte.weight", "transformer.h.1.mlp.c_fc.bias"])
def test_a_shape_that_does_not_fit_is_refused_by_name(spoil, name):
    checkpoint = spoil(lambda tensors: tensors.update({name: torch.zeros(31, 32)}))
    with pytest.raises(ImportRefused, match=rf"of another shape than the config says: {name}"):
        open_alone(checkpoint, 1)


@pytest.mark.parametrize("facts", [{"n_head": 5}, {"activation_function": "magic"}])
def test_a_config_that_makes_no_sense_is_refused(gpt2_folder, facts):
    with pytest.raises(ImportRefused, match="transformers cannot open the model"):
        open_alone(with_config(gpt2_folder, facts), 0)


@pytest.mark.parametrize("facts", [{"n_embd": 2**20}, {"n_inner": 2**24}, {"n_positions": 2**24}])
def test_a_config_of_a_giant_takes_no_memory(gpt2_folder, facts):
    with pytest.raises(ImportRefused, match=r"speaks of [\d,]+ numbers in this layer, the checkpoint holds 14,336"):
        open_alone(with_config(gpt2_folder, facts), 0)


@pytest.mark.parametrize(("family", "facts"), [("gpt-neo", 2**17), ("bigcode", 2**17), ("gptj", 2**24)])
def test_a_mask_over_more_positions_than_anyone_has_takes_no_memory(tmp_path, family, facts):
    key = "max_position_embeddings" if family == "gpt-neo" else "n_positions"
    with pytest.raises(ImportRefused, match=r"tables of [\d,]+ bytes beside the weights.*at most 1,073,741,824"):
        open_alone(with_config(write_family(family, tmp_path / family), {key: facts, "rotary_dim": 32}), 0)


def test_neurons_that_are_not_the_checkpoints_are_refused(gpt2_folder):
    with pytest.raises(ImportRefused, match=r"of another shape than the config says: transformer\.h\.0\.mlp"):
        open_alone(with_config(gpt2_folder, {"n_inner": 64}), 0)


LABELS = {f"{i}": f"LABEL_{i}" for i in range(50)}
IDLE = {"num_labels": 10**9, "id2label": LABELS, "label2id": LABELS, "per_layer_config": {"0": {"n_head": 1}}}
LOADED = {"_attn_implementation": "somebody/kernel@main", "attn_implementation": "flash_attention_2"}
LOADED |= {"_attn_implementation_internal": "somebody/kernel@main", "_experts_implementation": "somebody/kernel"}
FOLLOWED = {"auto_map": {"AutoModelForCausalLM": "modeling.Model"}, "name_or_path": "somebody/model", "dtype": "int8"}


@pytest.mark.parametrize("facts", [IDLE, LOADED, FOLLOWED | {"use_cache": False, "return_dict": False}])
def test_what_no_weight_depends_on_is_not_handed_to_the_library(gpt2_folder, monkeypatch, facts):
    """The library would list a billion labels, and ask the hub for a kernel of that name."""
    from transformers import GPT2Config, modeling_utils

    handed, from_dict = {}, GPT2Config.from_dict
    monkeypatch.setattr(GPT2Config, "from_dict", lambda facts: handed.update(facts) or from_dict(facts))

    def load(*_args, **_options):
        raise AssertionError("a kernel was asked for")

    # Where the package is installed, these fetch and run what the hub has under that name.
    monkeypatch.setitem(sys.modules, "kernels", SimpleNamespace(get_kernel=load, get_local_kernel=load))
    monkeypatch.setattr(modeling_utils, "lazy_import_flash_attention", load)
    alone = open_alone(with_config(gpt2_folder, facts), 0)
    assert not handed.keys() & facts.keys()
    assert alone.plain.config._attn_implementation == alone.config._attn_implementation == "eager"


@pytest.mark.parametrize("padding", [None, 0, 1, 5])
def test_a_roberta_counts_positions_as_the_whole_does(member, padding):
    """Every token is run at the position that it has in the whole model, and none is taken for padding."""
    alone = open_alone(with_config(member("roberta").folder, {"pad_token_id": padding}), 0)
    embeddings = alone.plain.roberta.embeddings
    with torch.no_grad():
        places = embeddings.create_position_ids_from_input_ids(alone.probe[None], embeddings.padding_idx)
    assert places.tolist() == [[(padding or 0) + 1 + i for i in range(16)]]


@pytest.mark.parametrize("padding", [-3, 40, 2**20, "x", 1.5])
def test_a_roberta_whose_padding_makes_no_sense_is_refused(member, padding):
    from app.models.importing.bridge import open_layer

    with pytest.raises(ImportRefused):
        open_layer(with_config(member("roberta").folder, {"pad_token_id": padding}), 0)


@pytest.mark.parametrize("n_layer", [1, 3, 1000])
def test_layers_that_are_not_the_configs_are_refused(gpt2_folder, n_layer):
    with pytest.raises(
        ImportRefused, match=rf"speaks of {n_layer} layers, counted from 0, and its tensors go to layer 1"
    ):
        n_layers_of(with_config(gpt2_folder, {"n_layer": n_layer}))


@pytest.mark.parametrize("tied", [True, False])
def test_an_unembedding_that_only_the_index_names_is_missed_unless_it_is_tied(tmp_path, tied):
    folder = write_family("llama", tmp_path / "tied", tie_word_embeddings=tied)
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("lm_head.weight", None)
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model-00001-of-00001.safetensors")
    named = dict.fromkeys([*tensors, "lm_head.weight"], "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": named}))
    checkpoint = open_checkpoint(folder)
    if tied:
        assert open_alone(checkpoint, 0).plain.lm_head.weight.shape[1] == 32
    else:
        with pytest.raises(ImportRefused, match=r"lacks lm_head\.weight$"):
            open_alone(checkpoint, 0)
