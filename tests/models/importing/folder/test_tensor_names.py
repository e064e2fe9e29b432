import pytest

from app.models.importing.folder.tensor_names import is_same_tensor, layer_of, rename_layer


@pytest.mark.parametrize(
    ("name", "layer"),
    [("model.layers.3.mlp.experts.0.w1.weight", 3), ("h.11.attn.bias", 11), ("wte.weight", None), ("ln_1.bias", None)],
)
def test_the_first_number_of_a_name_is_its_layer(name, layer):
    assert layer_of(name) == layer


def test_only_the_layers_own_number_is_changed():
    assert rename_layer("layers.3.experts.3.w1", 3, 0) == "layers.0.experts.3.w1"
    assert rename_layer("layers.2.experts.3.w1", 3, 0) == "layers.2.experts.3.w1"
    assert rename_layer("wte.weight", 3, 0) == "wte.weight"


def test_a_base_models_names_lack_a_prefix():
    assert is_same_tensor("wte.weight", "transformer.wte.weight")
    assert is_same_tensor("transformer.wte.weight", "wte.weight")
    assert not is_same_tensor("te.weight", "wte.weight")
