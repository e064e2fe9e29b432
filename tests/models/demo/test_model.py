"""The shipped folder: its files agree with each other, and fit into a wheel."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from app.models import demo
from app.models.demo.network import Network, Size, huggingface_config, huggingface_tensors


@pytest.fixture(scope="module")
def config() -> dict:
    return json.loads((demo.FOLDER / "config.json").read_text())


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return load_file(demo.FOLDER / "model.safetensors")


@pytest.fixture(scope="module")
def card() -> str:
    return (demo.FOLDER / "README.md").read_text(encoding="utf-8")


def test_its_files_are_these_and_at_most_20_mb():
    files = list(demo.FOLDER.iterdir())
    names = {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {file.name for file in files} == names
    assert sum(file.stat().st_size for file in files) <= 20e6


def test_config_and_tensors_agree(config, tensors):
    size = Size(config["vocab_size"], config["n_embd"], config["n_layer"], config["n_head"], config["n_positions"])
    assert config == huggingface_config(size)
    expected = huggingface_tensors(Network(size), torch.float16)
    assert {name: (t.shape, t.dtype) for name, t in tensors.items()} == {
        name: (t.shape, t.dtype) for name, t in expected.items()
    }
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_config_and_tokenizer_agree(config):
    tokenizer = Tokenizer.from_file(str(demo.FOLDER / "tokenizer.json"))
    described = json.loads((demo.FOLDER / "tokenizer_config.json").read_text())
    assert tokenizer.get_vocab_size() == config["vocab_size"]
    assert tokenizer.token_to_id(described["eos_token"]) == config["eos_token_id"]
    assert described["model_max_length"] == config["n_positions"]
    text = "The old doctor’s hat — naïve?\n\n  It cost 1,250 in 1871. 日本"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_config_and_card_agree(config, card):
    assert f"| layers x heads | {config['n_layer']} x {config['n_head']} |" in card
    assert f"| d_model, d_head | {config['n_embd']}, {config['n_embd'] // config['n_head']} |" in card
    assert f"{config['vocab_size']:,}" in card
    assert f"| context | {config['n_positions']} tokens |" in card


def test_the_card_has_what_a_card_needs(card):
    assert card.startswith("---\nlicense: cc-by-sa-4.0\n")
    assert len(re.findall(r"^> \*\*", card, re.MULTILINE)) == 3
    assert "python -m app.models.demo.train --corpus" in card
    for source in ("Project Gutenberg", "Wikipedia", "Python Software Foundation", "Apache-2.0"):
        assert source in card


def test_it_was_trained_well(card):
    assert float(re.search(r"\*\*([\d.]+) bits per byte\*\*", card)[1]) <= 1.65
