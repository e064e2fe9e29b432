import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.models.importing.folder import shards
from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.refusal import ImportRefused


@pytest.fixture
def folder(gpt2_folder, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(gpt2_folder, tmp_path / "copy")


def change_config(folder, **facts):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def change_tensors(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def in_shards(folder):
    """The same tensors in two files and an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = list(tensors)
    files = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, members in files.items():
        save_file({name: tensors[name] for name in members}, folder / file)
    weight_map = {name: file for file, members in files.items() for name in members}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_what_a_folder_holds(gpt2_folder):
    found = open_checkpoint(gpt2_folder)
    expected = load_file(gpt2_folder / "model.safetensors")
    assert [tensor.name for tensor in found.tensors] == sorted(expected)
    for tensor in found.tensors:
        assert tensor.shape == tuple(expected[tensor.name].shape)
        assert b"".join(tensor.pieces(100)) == expected[tensor.name].numpy().tobytes()
    assert (found.architecture, found.dtype) == ("GPT2LMHeadModel", "float32")


@pytest.mark.parametrize(
    "change",
    [
        in_shards,
        lambda folder: change_config(folder, transformers_version="9", _name_or_path="/elsewhere", dtype="float64"),
        lambda folder: change_config(folder, auto_map={"AutoModel": "x.Y"}),
        lambda folder: (folder / "README.md").write_text("a note"),
        lambda folder: (folder / "config.json").write_text(
            json.dumps(dict(reversed(json.loads((folder / "config.json").read_text()).items())))
        ),
    ],
)
def test_the_fingerprint_is_of_the_model_not_of_its_packing(gpt2_folder, folder, change):
    change(folder)
    assert open_checkpoint(folder).fingerprint() == open_checkpoint(gpt2_folder).fingerprint()


def one_bit(tensors):
    tensors["transformer.h.1.attn.c_attn.weight"].view(torch.int32)[3, 5] ^= 1


def another_name(tensors):
    tensors["transformer.h.1.attn.c_attn.weights"] = tensors.pop("transformer.h.1.attn.c_attn.weight")


def another_shape(tensors):
    tensors["transformer.h.0.mlp.c_fc.weight"] = tensors["transformer.h.0.mlp.c_fc.weight"].view(64, 64)


def two_swapped(tensors):
    first, second = (f"transformer.h.0.ln_{i}.weight" for i in (1, 2))
    tensors[first], tensors[second] = tensors[second], tensors[first]


@pytest.mark.parametrize(
    "change",
    [
        *(lambda folder, change=change: change_tensors(folder, change) for change in (one_bit, another_name)),
        *(lambda folder, change=change: change_tensors(folder, change) for change in (another_shape, two_swapped)),
        lambda folder: change_config(folder, layer_norm_epsilon=1e-6),
        lambda folder: (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + "\n"),
    ],
)
def test_anything_that_matters_changes_the_fingerprint(gpt2_folder, folder, change):
    change(folder)
    assert open_checkpoint(folder).fingerprint() != open_checkpoint(gpt2_folder).fingerprint()


def cut(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])


def only_pickles(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def a_shard_is_gone(folder):
    in_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def a_shard_is_elsewhere(folder):
    in_shards(folder)
    index = {"weight_map": {"wte.weight": "../tiny/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def an_empty_index(folder):
    in_shards(folder)
    (folder / "model.safetensors.index.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json holds no settings"),
        (lambda folder: change_config(folder, architectures=["X"], auto_map={"": "x.Y"}), "own code"),
        (lambda folder: change_config(folder, model_type="llama"), "'llama' for its model_type"),
        (lambda folder: change_config(folder, quantization_config={}), "quantised"),
        (lambda folder: change_config(folder, architectures=["Made_upForCausalLM"]), "Made_upForCausalLM is not among"),
        (lambda folder: change_config(folder, architectures=None), "None for its architectures"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json cannot be read"),
        (
            lambda folder: change_tensors(folder, lambda t: t.update({"x": torch.zeros(2, dtype=torch.int8)})),
            "x is.*I8",
        ),
        (cut, "is cut short or damaged"),
        (only_pickles, r"no model.safetensors; files that can run code .* never opened"),
        (a_shard_is_gone, "no model-00002-of-00002.safetensors"),
        (a_shard_is_elsewhere, r"'\.\./tiny/model.safetensors', which is no"),
        (an_empty_index, "names no tensors"),
    ],
)
def test_refusals_say_why(folder, spoil, words):
    spoil(folder)
    with pytest.raises(ImportRefused, match=words):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("dtypes", "kept", "rounded"),
    [
        ((torch.float16, torch.float16), "float16", False),
        ((torch.bfloat16, torch.bfloat16), "bfloat16", False),
        ((torch.float16, torch.bfloat16), "float32", False),
        ((torch.float64, torch.float64), "float32", True),
        ((torch.float16, torch.float64), "float32", True),
    ],
)
def test_the_dtype_holds_every_weight_or_it_is_said_that_they_are_rounded(folder, dtypes, kept, rounded):
    def change(tensors):
        for i, name in enumerate(tensors):
            tensors[name] = tensors[name].to(dtypes[i % 2])
        # Old GPT-2 files carry these, whatever the dtype of their weights.
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 32, 32, dtype=torch.uint8)
        tensors["h.0.attn.masked_bias"] = torch.tensor(-1e4)

    change_tensors(folder, change)
    found = open_checkpoint(folder)
    assert (found.dtype, found.rounded) == (kept, rounded)


def test_where_one_file_and_an_index_are_there_the_file_is_meant(folder, gpt2_folder):
    """As the libraries have it, which open the weights after us."""
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"x": "../elsewhere"}}')
    assert open_checkpoint(folder).fingerprint() == open_checkpoint(gpt2_folder).fingerprint()


def test_what_is_no_weight_may_be_no_float(folder):
    buffers = {
        "bert.embeddings.position_ids": torch.arange(512)[None],
        "h.0.attn.bias": torch.ones(1, 1, 32, 32, dtype=torch.bool),
        "h.0.attn.masked_bias": torch.tensor(-1, dtype=torch.int64),
        "layers.0.rotary_emb.inv_freq": torch.ones(4, dtype=torch.float64),
    }
    change_tensors(folder, lambda tensors: tensors.update(buffers))
    assert open_checkpoint(folder).dtype == "float32"
    change_tensors(folder, lambda tensors: tensors.update({"h.0.experts": torch.ones(2, 3, 4, dtype=torch.uint8)}))
    with pytest.raises(ImportRefused, match=r"h\.0\.experts is stored as U8"):
        open_checkpoint(folder)


@pytest.mark.parametrize("key", ["quantization_config", "text_config", "n_inner"])
def test_what_a_config_leaves_empty_is_not_there(folder, key):
    change_config(folder, **{key: None})
    assert open_checkpoint(folder).architecture == "GPT2LMHeadModel"


def test_a_folder_that_breaks_while_it_is_read(folder, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(shards, "read_header", fail)
    with pytest.raises(ImportRefused, match=r"the folder cannot be read: Input/output error$"):
        open_checkpoint(folder)
