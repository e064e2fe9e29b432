"""What is refused of one layer, by the name that the checkpoint has for it."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.models.alone import layer_of, n_layers_of, open_alone
from app.models.checkpoint import open_checkpoint
from app.models.refusal import ImportRefused


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


@pytest.mark.parametrize("name", ["transformer.wpe.weight", "transformer.wte.weight", "transformer.h.1.mlp.c_fc.bias"])
def test_a_shape_that_does_not_fit_is_refused_by_name(spoil, name):
    checkpoint = spoil(lambda tensors: tensors.update({name: torch.zeros(31, 32)}))
    with pytest.raises(ImportRefused, match=rf"of another shape than the config says: {name}"):
        open_alone(checkpoint, 1)


@pytest.mark.parametrize("facts", [{"n_head": 5}, {"n_embd": "wide"}, {"activation_function": "magic"}])
def test_a_config_that_makes_no_sense_is_refused(gpt2_folder, facts):
    with pytest.raises(ImportRefused, match="transformers cannot open the model"):
        open_alone(with_config(gpt2_folder, facts), 0)


@pytest.mark.parametrize("name", ["vocab_size", "n_embd", "n_head", "n_positions"])
@pytest.mark.parametrize("value", [-1, 10**30])
def test_a_size_out_of_range_is_refused(gpt2_folder, name, value):
    with pytest.raises(ImportRefused, match=rf"is {value}: a number from 1 to 2147483647 is meant"):
        open_alone(with_config(gpt2_folder, {name: value}), 0)


@pytest.mark.parametrize("facts", [{"n_embd": 2**20}, {"n_inner": 2**30}, {"n_positions": 2**30}])
def test_a_config_of_a_giant_takes_no_memory(gpt2_folder, facts):
    with pytest.raises(ImportRefused, match=r"speaks of [\d,]+ numbers in this layer, the checkpoint holds 14,336"):
        open_alone(with_config(gpt2_folder, facts), 0)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"n_inner": 64}, r"of another shape than the config says: transformer\.h\.0\.mlp"),
        ({"n_inner": -4}, "transformers cannot open the model"),
        ({"n_inner": "128"}, "transformers cannot open the model"),
        ({"n_inner": 0.5}, "transformers cannot open the model"),
    ],
)
def test_neurons_that_are_not_the_checkpoints_are_refused(gpt2_folder, facts, words):
    with pytest.raises(ImportRefused, match=words):
        open_alone(with_config(gpt2_folder, facts), 0)


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
    from app.models.bridge import open_layer

    with pytest.raises(ImportRefused):
        open_layer(with_config(member("roberta").folder, {"pad_token_id": padding}), 0)


@pytest.mark.parametrize("n_layer", [1, 3, 1000])
def test_layers_that_are_not_the_configs_are_refused(gpt2_folder, n_layer):
    with pytest.raises(
        ImportRefused, match=rf"speaks of {n_layer} layers, counted from 0, and its tensors go to layer 1"
    ):
        n_layers_of(with_config(gpt2_folder, {"n_layer": n_layer}))


def test_a_tower_of_layers_takes_no_memory(gpt2_folder):
    with pytest.raises(ImportRefused, match="more than 10,000 layers"):
        n_layers_of(with_config(gpt2_folder, {"n_layer": 10**12}))


@pytest.mark.parametrize(
    ("name", "layer"),
    [("model.layers.3.mlp.experts.0.w1.weight", 3), ("h.11.attn.bias", 11), ("wte.weight", None), ("ln_1.bias", None)],
)
def test_the_first_number_of_a_name_is_its_layer(name, layer):
    assert layer_of(name) == layer
