import math

import pytest
from tokenizers import Tokenizer

from app.models import demo
from app.models.demo.evaluate import bits_per_byte, draw_samples
from app.models.demo.network import Network, Size
from app.models.demo.train import save_network, save_tokenizer

TEXTS = ["The doctor took off his hat and went home. " * 30, "Ünïcode weighs more bytes."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that has learned nothing: every token is as likely as any other."""
    folder = tmp_path_factory.mktemp("uniform")
    tokenizer = Tokenizer.from_file(str(demo.FOLDER / "tokenizer.json"))
    size = Size(d_vocab=tokenizer.get_vocab_size(), d_model=8, n_layers=1, n_heads=1, n_ctx=96)
    network = Network(size)
    for parameter in network.parameters():
        parameter.data.zero_()
    save_network(network, folder)
    save_tokenizer(tokenizer, size, folder)
    return folder


def test_a_model_that_knows_nothing_needs_the_logarithm_of_the_vocabulary(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    n_tokens = sum(len(tokenizer.encode(text).ids) for text in TEXTS)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    expected = n_tokens * math.log2(tokenizer.get_vocab_size()) / n_bytes
    assert bits_per_byte(folder, TEXTS) == pytest.approx(expected, rel=1e-5)


def test_the_shipped_model_knows_something(folder):
    assert bits_per_byte(demo.FOLDER, TEXTS) < 0.5 * bits_per_byte(folder, TEXTS)


def test_samples_are_the_same_each_time(folder):
    first = draw_samples(folder, seed=3)
    assert first == draw_samples(folder, seed=3)
    assert first != draw_samples(folder, seed=4)
    assert [prompt for prompt, _text in first][1] == "The capital of France is"
