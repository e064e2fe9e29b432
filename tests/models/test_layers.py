import shutil

import pytest

from app.models.catalog import Catalog
from app.models.layers import layer_file, rotates
from app.models.refusal import WeightsDamaged


@pytest.fixture
def folder_of(families_data):
    """The folder of a family's weights."""
    catalog = Catalog(families_data)
    return lambda family: catalog.weights_folder(catalog.get(family).fingerprint)


def test_it_says_which_layers_turn_queries_and_keys(folder_of):
    assert [rotates(folder_of("smollm3"), layer) for layer in range(2)] == [True, False]
    assert rotates(folder_of("llama"), 1)
    assert not rotates(folder_of("bert"), 1)


def test_a_header_that_does_not_agree_with_itself_is_not_believed(folder_of, tmp_path):
    folder = shutil.copytree(folder_of("llama"), tmp_path / "copy")
    path = folder / layer_file(1)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'blocks.1.attn.rotary":{', b'blocks.1.attn.rotarx":{', 1))
    with pytest.raises(WeightsDamaged, match=r"^layer-001\.safetensors of these weights is damaged"):
        rotates(folder, 1)


@pytest.mark.parametrize("size", [0, 7, 100])
def test_a_file_cut_short_or_gone_is_named(folder_of, tmp_path, size):
    folder = shutil.copytree(folder_of("llama"), tmp_path / "copy")
    path = folder / layer_file(0)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsDamaged, match=r"^layer-000\.safetensors of these weights cannot be read"):
        rotates(folder, 0)
    path.unlink()
    with pytest.raises(WeightsDamaged, match=r"^layer-000\.safetensors of these weights is missing"):
        rotates(folder, 0)
