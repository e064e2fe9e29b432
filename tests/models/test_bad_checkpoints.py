"""Every bad checkpoint through the command: a sentence, exit status 1, and not one file in the data folder."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import httpx2
import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from app.__main__ import cli
from app.models.catalog import Catalog
from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.importer import import_model
from app.models.refusal import ImportRefused
from app.store.presence import LOCK_FILE

MODEL, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"


@pytest.fixture
def folder(gpt2_folder, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(gpt2_folder, tmp_path / "secret-place" / "copy")


@pytest.fixture
def refused(tmp_path):
    """Runs `import`, which must be refused in order and leave nothing; returns what it said."""

    def refused(*words, data=tmp_path / "data"):
        before = files(data)
        result = CliRunner().invoke(cli, ["import", *map(str, words), "--data", str(data)])
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit)
        assert files(data) == before
        said = result.output.splitlines()[-1]
        assert said.startswith("singular-lens: ")
        assert said.isprintable()
        assert "Traceback" not in result.output
        assert "secret-place" not in said
        return said

    return refused


def files(data):
    """What an import left, besides the note of how it ended."""
    found = (path for path in data.rglob("*") if not path.is_dir() and path.name != LOCK_FILE)
    return sorted(path for path in found if path.parent != data / "jobs")


def config(**facts):
    def change(folder):
        file = folder / CONFIG
        file.write_text(json.dumps(json.loads(file.read_text()) | facts))

    return change


def text(name, content):
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def gone(name):
    return lambda folder: (folder / name).unlink()


def header(change):
    """The file with its header changed, and the same tensors behind it."""

    def spoil(folder):
        file = folder / MODEL
        raw = file.read_bytes()
        end = 8 + int.from_bytes(raw[:8], "little")
        described = json.loads(raw[8:end])
        changed = json.dumps(change(described) or described).encode()
        file.write_bytes(len(changed).to_bytes(8, "little") + changed + raw[end:])

    return spoil


def entry(**facts):
    return header(lambda described: described["transformer.wte.weight"].update(facts))


def tensors(change):
    def spoil(folder):
        stored = load_file(folder / MODEL)
        change(stored)
        save_file(stored, folder / MODEL)

    return spoil


def in_shards(folder):
    """The tensors in two files; returns their index, which is written too."""
    stored = load_file(folder / MODEL)
    (folder / MODEL).unlink()
    shards = {f"model-0000{i}-of-00002.safetensors": list(stored)[i - 1 :: 2] for i in (1, 2)}
    for file, names in shards.items():
        save_file({name: stored[name] for name in names}, folder / file)
    index = {"weight_map": {name: file for file, names in shards.items() for name in names}}
    (folder / INDEX).write_text(json.dumps(index))
    return index["weight_map"]


def shards(change):
    def spoil(folder):
        weight_map = in_shards(folder)
        change(weight_map)
        (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))

    return spoil


def swap(weight_map):
    first, second = (next(n for n, file in weight_map.items() if f"0000{i}-of" in file) for i in (1, 2))
    weight_map[first], weight_map[second] = weight_map[second], weight_map[first]


def twice(folder):
    in_shards(folder)
    first, second = sorted(folder.glob("model-*"))
    save_file(load_file(first) | load_file(second), second)


def instead(name, make):
    def spoil(folder):
        (folder / name).unlink()
        make(folder / name)

    return spoil


def packed(dtype):
    return tensors(lambda stored: stored.update({"transformer.h.0.mlp.c_fc.weight": torch.zeros(9, 9).to(dtype)}))


def tokenizer(change):
    def spoil(folder):
        described = json.loads((folder / "tokenizer.json").read_text())
        change(described)
        (folder / "tokenizer.json").write_text(json.dumps(described))

    return spoil


def cut(n_bytes):
    return lambda folder: os.truncate(folder / MODEL, n_bytes)


def in_a_pickle(folder):
    (folder / MODEL).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cposix\nsystem\n(S'touch marker'\ntR.")


def hole(described):
    for facts in list(described.values()):
        if "data_offsets" in facts:
            facts["data_offsets"] = [offset + 4 * (offset > 0) for offset in facts["data_offsets"]]


def many(described):
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    described.update({f"t{i}": empty for i in range(20_001)})


def wide(folder):
    (folder / MODEL).write_bytes((20_000_000).to_bytes(8, "little") + b"{}" + b" " * 20_000_000)


BAD = {
    "no config": (gone(CONFIG), "there is no config.json"),
    "an adapter": (lambda f: (f / CONFIG).rename(f / "adapter_config.json"), "merge it into its model"),
    "an adapter beside": (text("adapter_config.json", "{}"), "an adapter lies beside"),
    "other weights named": (config(transformers_weights="other.safetensors"), "transformers_weights"),
    "config is no JSON": (text(CONFIG, "{"), "config.json is not JSON"),
    "config is a list": (text(CONFIG, "[]"), "should be a JSON object"),
    "config is not UTF-8": (text(CONFIG, b'{"a": "\xff"}'), "not text in UTF-8"),
    "config is empty": (text(CONFIG, ""), "config.json is not JSON"),
    "config is deep": (text(CONFIG, '{"a":' * 10_000 + "1" + "}" * 10_000), "nested deeper than 64"),
    "config of 100 MB": (lambda f: os.truncate(f / CONFIG, 100_000_000), "config.json is larger than 4 MB"),
    "config is a folder": (instead(CONFIG, lambda path: path.mkdir()), "config.json is not a file"),
    "config is a pipe": (instead(CONFIG, os.mkfifo), "config.json is not a file"),
    "config is a loop": (instead(CONFIG, lambda path: path.symlink_to(CONFIG)), "config.json"),
    "NaN": (config(layer_norm_epsilon=float("nan")), "NaN"),
    "integers as strings": (config(n_layer="2"), "'2' for n_layer: expected a whole number from 1 to 1,000"),
    "integers as floats": (config(n_embd=32.0), "32.0 for n_embd"),
    "true for a count": (config(n_head=True), "True for n_head"),
    "negative": (config(n_head=-4), "-4 for n_head"),
    "none at all": (config(vocab_size=0), "0 for vocab_size"),
    "10**30": (config(vocab_size=10**30), "for vocab_size: expected"),
    "10**5000": (text(CONFIG, '{"vocab_size": 1' + "0" * 5000 + "}"), "a number of 5001 digits"),
    "more layers than tensors": (config(n_layer=1000), "has 1000 layers, but there are only"),
    "more tokens than numbers": (config(vocab_size=2**24), "more than all tensors hold"),
    "unknown architecture": (config(architectures=["MadeUpForCausalLM"]), "MadeUpForCausalLM is not among"),
    "an architecture without heads": (config(architectures=["MambaForCausalLM"]), "its layers have no attention heads"),
    "no architectures": (config(architectures=None), "has None for its architectures"),
    "empty architectures": (config(architectures=[]), r"has \[\] for its architectures"),
    "architectures a string": (config(architectures="GPT2LMHeadModel"), "for its architectures"),
    "architectures not strings": (config(architectures=[{"GPT2LMHeadModel": 1}]), "for its architectures"),
    "a hostile architecture": (config(architectures=["\x1b[31m\ud800"]), r"\\x1b.*for its architectures"),
    "a path for an architecture": (config(architectures=["../x"]), "for its architectures"),
    "quantised by config": (config(quantization_config={"bits": 4}), "quantised"),
    "quantised, compressed": (config(compression_config={"format": "pack"}), "quantised"),
    "quantised to 8 bits": (packed(torch.int8), "c_fc.weight is stored as I8: quantised"),
    "quantised to FP8": (packed(torch.float8_e4m3fn), "c_fc.weight is stored as F8_E4M3: quantised"),
    "packed in integers": (packed(torch.int32), "c_fc.weight is stored as I32: quantised"),
    "multimodal, seeing": (config(vision_config={"depth": 2}), r"several networks \(vision_config\)"),
    "multimodal, text apart": (config(text_config={}), r"several networks \(text_config\)"),
    "no tokenizer": (gone("tokenizer.json"), "there is no tokenizer.json; AutoTokenizer"),
    "tokenizer is none": (text("tokenizer.json", "{}"), "tokenizer.json cannot be read"),
    "tokenizer is deep": (text("tokenizer.json", '{"a":' * 100_000), "nested deeper"),
    "tokenizer is huge": (lambda f: os.truncate(f / "tokenizer.json", 2**40), "tokenizer.json is larger than 64 MB"),
    "tokenizer of another": (tokenizer(lambda t: t["model"]["vocab"].update(the=304)), "another model's tokenizer"),
    "negative id": (tokenizer(lambda t: t["model"]["vocab"].update(the=-1)), "-1 for an id"),
    "two texts for an id": (tokenizer(lambda t: t["model"]["vocab"].update(the=7)), "two pieces the same id"),
    "an id that is a word": (tokenizer(lambda t: t["model"]["vocab"].update(the="7")), "'7' for an id"),
    "half a character": (tokenizer(lambda t: t["added_tokens"][0].update(content="\ud800")), "cannot be read"),
    "only a pickle": (in_a_pickle, "never opened: model.save_pretrained"),
    "no weights": (gone(MODEL), "there is no model.safetensors"),
    "weights are a folder": (instead(MODEL, lambda path: path.mkdir()), "is not a file"),
    "weights are a pipe": (instead(MODEL, os.mkfifo), "is not a file"),
    "zero bytes": (cut(0), "is empty"),
    "half a length": (cut(5), "is cut short"),
    "half a header": (cut(100), "ends inside its header"),
    "half the tensors": (cut(50_000), "is cut short or damaged"),
    "header > 10 MB": (wide, "header has 20,000,000 bytes"),
    "header beyond the file": (text(MODEL, (5_000_000).to_bytes(8, "little") + b"{}"), "ends inside its header"),
    "header is no JSON": (text(MODEL, (4).to_bytes(8, "little") + b"\x80\x02}q"), "not text in UTF-8|not JSON"),
    "header is a list": (text(MODEL, (2).to_bytes(8, "little") + b"[]"), "should be a JSON object"),
    "header is deep": (header(lambda _: {"a": json.loads("[" * 500 + "]" * 500)}), "nested deeper"),
    "> 20,000 tensors": (header(many), r"20,0\d\d tensors: at most 20,000"),
    "overlapping": (entry(shape=[1, 1], data_offsets=[0, 4]), "shares bytes|no tensor owns"),
    "a hole": (header(hole), "but the file has|no tensor owns|do not agree"),
    "offsets beyond": (entry(data_offsets=[0, 10**9]), "but the file has"),
    "negative shape": (entry(shape=[-304, -32]), "which no tensor has"),
    "huge shape": (entry(shape=[10**30, 32]), "which no tensor has"),
    "float shape": (entry(shape=[304.0, 32]), "which no tensor has"),
    "shape and bytes": (entry(shape=[304, 33]), "do not agree"),
    "dtype and bytes": (entry(dtype="F16"), "do not agree"),
    "unknown dtype": (entry(dtype="F7"), "none of the format's"),
    "index is none": (lambda f: (in_shards(f), text(INDEX, "{}")(f)), "names no tensors"),
    "index is a list": (lambda f: (in_shards(f), text(INDEX, '{"weight_map": [1]}')(f)), "names no tensors"),
    "shard outside": (shards(lambda m: m.update({"wte": "../model.safetensors"})), r"'\.\./model.safetensors', which"),
    "shard absolute": (shards(lambda m: m.update({"wte": "/etc/x.safetensors"})), "'/etc/x.safetensors', which"),
    "shard a pickle": (shards(lambda m: m.update({"wte": "pytorch_model.bin"})), "which is no safetensors file"),
    "shard no string": (shards(lambda m: m.update({"wte": 7})), "names 7, which"),
    "shard missing": (lambda f: (in_shards(f), gone("model-00002-of-00002.safetensors")(f)), "no model-00002-of"),
    "tensor in another shard": (shards(swap), "has it in model-0000"),
    "tensor nowhere": (
        shards(lambda m: m.update({"wte": min(m.values())})),
        "has wte in model-00001.*, which does not hold it",
    ),
    "tensor unnamed": (shards(lambda m: m.pop("transformer.wte.weight")), "has it in no file"),
    "tensor in two shards": (twice, "but model.safetensors.index.json has it in model-00001"),
}


@pytest.mark.parametrize(("spoil", "words"), BAD.values(), ids=BAD)
def test_a_bad_checkpoint_is_refused_in_a_sentence(folder, refused, spoil, words):
    spoil(folder)
    said = refused(folder)
    assert re.search(words, said)
    assert len(said) < 400


CODE = "open(__file__ + '.marker', 'w')\nclass Model: pass\n"
AUTO_MAP = {"AutoConfig": "modeling.Model", "AutoModelForCausalLM": "modeling.Model", "AutoTokenizer": "modeling.Model"}


@pytest.mark.parametrize(
    ("bring", "words"),
    [
        (config(architectures=["Model"], auto_map=AUTO_MAP), "Model is not among the architectures"),
        (config(architectures=["Phi3SmallForCausalLM"], part=[{"auto_map": AUTO_MAP}]), "Phi3Small"),
        (config(model_type="mine", auto_map=AUTO_MAP), "'mine' for its model_type, but GPT2LMHeadModel is 'gpt2'"),
    ],
)
def test_a_models_own_code_is_never_imported(folder, bring, words):
    (folder / "modeling.py").write_text(CODE)
    bring(folder)
    with pytest.raises(
        ImportRefused, match=r"own code \(auto_map in config.json\), which is never run, and "
    ) as refusal:
        open_checkpoint(folder)
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 500
    assert not list(folder.glob("*.marker"))


def test_a_model_that_needs_no_code_of_its_own_is_imported_as_if_it_brought_none(folder, gpt2_folder, tmp_path):
    (folder / "modeling.py").write_text(CODE)
    config(auto_map=AUTO_MAP)(folder)
    text("tokenizer_config.json", json.dumps({"auto_map": AUTO_MAP}))(folder)
    manifest = import_model(str(folder), tmp_path / "data", report=lambda progress: None)
    assert manifest.fingerprint == open_checkpoint(gpt2_folder).fingerprint()
    assert not list(folder.glob("*.marker"))


def test_code_that_nothing_names_is_not_imported_either(folder, tmp_path):
    for name in ("modeling.py", "modeling_gpt2.py", "configuration_gpt2.py", "tokenizers.py", "__init__.py"):
        (folder / name).write_text(CODE)
    result = CliRunner().invoke(cli, ["import", str(folder), "--data", str(tmp_path / "data")])
    assert result.exit_code == 0, result.output
    assert not list(folder.glob("*.marker"))


def test_the_hubs_own_layout_is_links_and_works(gpt2_folder, tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / ("c" * 40)
    blobs = tmp_path / "models--a--b" / "blobs"
    shutil.copytree(gpt2_folder, blobs)
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        file.rename(blobs / f"{file.stem}-blob")
        (snapshot / file.name).symlink_to(f"../../blobs/{file.stem}-blob")
    assert open_checkpoint(snapshot).fingerprint() == open_checkpoint(gpt2_folder).fingerprint()


def test_shards_are_one_model(folder, gpt2_folder):
    in_shards(folder)
    assert open_checkpoint(folder).fingerprint() == open_checkpoint(gpt2_folder).fingerprint()


def test_names_that_cannot_be_had(folder, refused, tiny_data, tmp_path):
    assert "is no name for a model" in refused(folder, "--name", "No Slug")
    assert "is a page of the app" in refused(folder, "--name", "api")
    data = shutil.copytree(tiny_data, tmp_path / "taken")
    config(layer_norm_epsilon=1e-3)(folder)
    assert "already names other weights" in refused(folder, "--name", "tiny", data=data)


def test_a_data_folder_that_cannot_be_one(folder, tmp_path):
    (tmp_path / "file").write_text("kept")
    for data in (tmp_path / "file", tmp_path / "file" / "below"):
        result = CliRunner().invoke(cli, ["import", str(folder), "--data", str(data)])
        assert result.exit_code == 1
        assert "cannot keep weights in" in result.output
        assert "Choose another folder with --data" in result.output
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_that_may_not_be_read(folder, refused, monkeypatch):
    really = os.open

    def forbid(path, *args, **options):
        if str(path).endswith((CONFIG, "secret-place")):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really(path, *args, **options)

    monkeypatch.setattr(os, "open", forbid)
    assert "config.json cannot be opened: Permission denied" in refused(folder)


def test_a_full_disk(folder, refused, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in refused(folder)


RESPONSE = httpx2.Response(503, request=httpx2.Request("GET", "https://hub"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RepositoryNotFoundError("/secret-place", response=RESPONSE), "neither a folder here nor a public model"),
        (GatedRepoError("/secret-place", response=RESPONSE), "is gated"),
        (HfHubHTTPError("/secret-place", response=RESPONSE), "the hub answered 503. Try again later"),
        (LocalEntryNotFoundError("/secret-place"), "the hub cannot be reached"),
        (ConnectionError("/secret-place"), "the hub cannot be reached"),
    ],
)
def test_a_hub_that_does_not_give(refused, monkeypatch, error, words):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert words in refused("someone/some-model")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}, "the hub cannot be reached"),
    ],
)
def test_without_a_network_the_command_ends_in_a_sentence(tmp_path, environment, words):
    command = [sys.executable, "-m", "app", "import", "someone/some-model", "--data", str(tmp_path / "data")]
    environment = os.environ | {"HF_HOME": str(tmp_path / "hub"), "NO_PROXY": "*"} | environment
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 1
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
    assert files(tmp_path / "data") == []


def test_interrupted_it_ends_and_run_again_it_completes(folder, tmp_path, long):
    command = [sys.executable, "-m", "app", "import", str(folder), "--name", "copy", "--data", str(tmp_path / "data")]
    signals = [signal.SIGINT, signal.SIGTERM]
    for i in range(12 if long else 2):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while not process.stderr.readline().startswith("loading the model libraries"):
                pass
            time.sleep(i * 0.3)
            process.send_signal(signals[i % 2])
            _out, errors = process.communicate(timeout=60)
        if process.returncode == 0:  # it was quicker
            shutil.rmtree(tmp_path / "data")
            continue
        assert process.returncode == 128 + signals[i % 2]
        assert errors == "singular-lens: interrupted. Running the same command again continues\n"
        assert Catalog(tmp_path / "data").entries() == {}
    subprocess.run(command, stderr=subprocess.PIPE, timeout=120, check=True)
    assert Catalog(tmp_path / "data").get("copy") is not None


HOSTILE = (b"-1", b"1e999", b"null", b"[", b"]", b"{", b"}", b'"', b"\\ud800", b"\xff", b"\0", b"9" * 30, b"true", b",")


@st.composite
def mutations(draw):
    """A file of a checkpoint, where in it (as a share), how many bytes go there, and what comes instead."""
    file = draw(st.sampled_from([MODEL, CONFIG, "tokenizer.json", INDEX]))
    place = draw(st.floats(0, 1, exclude_max=True))
    return file, place, draw(st.integers(0, 12)), draw(st.binary(max_size=3) | st.sampled_from(HOSTILE))


def outcome(folder):
    """The refusal's words, or nothing for a checkpoint that can be used."""
    try:
        checkpoint = open_checkpoint(folder)
    except ImportRefused as refusal:
        return str(refusal)
    assert len(checkpoint.fingerprint()) == 64
    assert (checkpoint.architecture, checkpoint.dtype) == ("GPT2LMHeadModel", "float32")
    return ""


def test_any_damage_is_refused_or_harmless(gpt2_folder, tmp_path, long):
    whole, several = (shutil.copytree(gpt2_folder, tmp_path / name) for name in ("whole", "several"))
    in_shards(several)

    @settings(max_examples=5000 if long else 250)
    @given(mutations())
    def damage(mutation):
        name, place, n_bytes, instead = mutation
        file = (several if name == INDEX else whole) / name
        raw = file.read_bytes()
        reach = 8 + int.from_bytes(raw[:8], "little") if name == MODEL else len(raw)
        start = int(place * reach)
        file.write_bytes(raw[:start] + instead + raw[start + n_bytes :])
        try:
            said = outcome(file.parent)
        finally:
            file.write_bytes(raw)
        assert not said or (said.isprintable() and len(said) < 500 and str(tmp_path) not in said)

    damage()
