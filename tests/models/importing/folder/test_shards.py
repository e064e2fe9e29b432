"""Files of weights that disagree with their index, and files that people have in their place."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.folder.header import read_header
from app.models.importing.folder.shards import read_stored
from app.models.importing.folder.tokenizer import read_tokenizer
from app.models.importing.source import find_source
from app.models.refusal import ImportRefused

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123456\n"
FIRST, SECOND = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))
INDEX = "model.safetensors.index.json"


@pytest.fixture
def written(tmp_path):
    """Writes shards with tensors of these names, and an index that has each where it says."""

    def write(files, index):
        for file, names in files.items():
            save_file({name: np.ones((3, 4), np.float32) for name in names}, tmp_path / file)
        if index is not None:
            (tmp_path / INDEX).write_text(json.dumps({"weight_map": index}))
        return tmp_path

    return write


FILES = {FIRST: ["wte.weight", "h.0.w"], SECOND: ["h.1.w"]}
MAP = {"wte.weight": FIRST, "h.0.w": FIRST, "h.1.w": SECOND}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ([], {}),
        ([], {"lm_head.weight": SECOND}),
        ([], {"embed_out.weight": FIRST}),
        ([], {"cls.predictions.decoder.weight": FIRST, "cls.predictions.decoder.bias": FIRST}),
        ([], {"model.layers.0.self_attn.rotary_emb.inv_freq": SECOND}),
        (["model.layers.0.self_attn.rotary_emb.inv_freq"], {}),
        (["embeddings.position_ids"], {}),
    ],
)
def test_tied_tensors_and_buffers_may_be_in_one_and_not_in_the_other(written, more, named):
    folder = written(FILES | {SECOND: FILES[SECOND] + more}, MAP | named)
    assert sorted(tensor.name for tensor in read_stored(folder)) == sorted(MAP)


@pytest.mark.parametrize(
    ("files", "index", "words"),
    [
        (FILES, MAP | {"h.2.w": SECOND}, f"has h.2.w in {SECOND}, which does not hold it"),
        (FILES, MAP | {"\x1b[31m": SECOND}, r"has \x1b[31m in"),
        (FILES, MAP | {"h.1.w": FIRST} | {"x": SECOND}, f"h.1.w is in {SECOND}, but {INDEX} has it in {FIRST}"),
        (
            FILES | {SECOND: ["h.1.w", "lm_head.weight"]},
            MAP,
            f"lm_head.weight is in {SECOND}, but {INDEX} has it in no",
        ),
        (FILES | {SECOND: ["h.1.w", "h.0.w"]}, MAP, f"h.0.w is in {SECOND}, but {INDEX} has it in {FIRST}"),
        ({FIRST: FILES[FIRST]}, MAP, f"there is no {SECOND}, which the index names"),
        (FILES, None, f"there is no {INDEX}, which says what is in {FIRST} and its like"),
        ({"model.fp16.safetensors": ["w"]}, None, "no model.safetensors: if model.fp16.safetensors is the whole model"),
        ({"consolidated.safetensors": ["w"]}, None, "consolidated.safetensors has its maker's own names for tensors"),
        ({"consolidated-00001-of-00002.safetensors": ["w"]}, None, "has its maker's own names for tensors"),
        ({}, None, "there is no model.safetensors; files that can run code"),
    ],
)
def test_the_tensor_or_the_file_at_fault_is_named(written, files, index, words):
    with pytest.raises(ImportRefused) as refusal:
        list(read_stored(written(files, index)))
    assert words in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("model.safetensors", lambda folder: read_header(folder / "model.safetensors")),
        ("tokenizer.json", lambda folder: read_tokenizer(folder, None)),
        ("config.json", open_checkpoint),
        (INDEX, lambda folder: list(read_stored(folder))),
    ],
)
def test_a_pointer_of_git_lfs_is_named(tmp_path, name, read):
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(ImportRefused, match=rf"^{name} is a Git LFS pointer, .*: run git lfs pull$"):
        read(tmp_path)


def test_a_gguf_file_under_another_name_is_told(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"GGUF" + bytes(96))
    with pytest.raises(ImportRefused, match=r"^model.safetensors is a GGUF file under another name"):
        read_header(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
def test_a_file_is_no_folder(tmp_path, monkeypatch, name):
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for word in (str(tmp_path / name), name):
        with pytest.raises(
            ImportRefused, match=rf"'{name}' is a file, and no GGUF file: give the folder that it is in"
        ):
            find_source(word)
