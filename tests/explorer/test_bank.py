"""What a bank is made of, told from a model's facts alone."""

import subprocess
import sys
from dataclasses import replace

import pytest

from app.explorer import bank, recipes
from app.explorer.bank import count_directions, count_rows, count_shadow, has_neurons, is_halved, part_bytes, parts_of
from app.explorer.library import OpenModel

SMOLLM2 = {
    "n_layers": 30,
    "n_heads": 9,
    "n_kv_heads": 3,
    "d_head": 64,
    "d_model": 576,
    "d_mlp": 1_536,
    "d_vocab": 49_152,
    "gated": True,
    "normalization": "RMS",
}
LLAMA3 = SMOLLM2 | {"n_layers": 32, "n_heads": 32, "d_head": 128, "d_model": 4_096, "d_mlp": 14_336, "d_vocab": 128_256}


@pytest.fixture
def shaped(explorer):
    """shaped(facts) -> a model of that shape, of which nothing but its facts is there."""
    tiny = explorer.library.model("tiny")
    return lambda facts: OpenModel("shaped", replace(tiny.manifest, **facts), tiny.folder)


@pytest.mark.parametrize(("facts", "n"), [(SMOLLM2, 122_112), (LLAMA3, 925_696)])
def test_every_direction_and_side_is_a_row(shaped, facts, n):
    model = shaped(facts)
    parts = [part for part in parts_of(model, "folded") if part.kind == "bank" and part.basis == "svd"]
    assert len(parts) == facts["n_layers"] + 1
    assert sum(count_rows(model, "folded", part) for part in parts) == n
    assert count_directions(model, "folded", "read") + count_directions(model, "folded", "write") == n
    assert 3 * count_shadow(model, "folded", "read") + 2 >= count_directions(model, "folded", "read")


def test_what_is_there_first_can_be_searched_before_the_bank_is_whole(shaped):
    """A search needs all tokens, and any of the layers."""
    kinds = [(part.kind, part.basis) for part in parts_of(shaped(SMOLLM2), "folded")]
    first = kinds.index(("bank", "svd"))
    assert {kind for kind, _ in kinds[:first]} == {"words", "tokens"}
    assert not {"words", "tokens"} & {kind for kind, _ in kinds[first:]}


def test_raw_tied_weights_have_one_end_and_one_embedding(shaped):
    model = shaped(SMOLLM2 | {"tied": True})
    assert bank.ends_of(model, "folded") == ("read", "write")
    assert bank.ends_of(model, "raw") == ("read",)
    assert count_directions(model, "raw", "read") == 122_112 - 576
    subjects = [part.subject for part in parts_of(model, "raw")]
    assert not [subject for subject in subjects if "write" in subject]
    assert "words/read/1" in subjects


def test_large_models_keep_halves_and_the_largest_no_neurons(shaped):
    small, large = shaped(SMOLLM2), shaped(LLAMA3)
    assert not is_halved(small, "folded", "svd")
    assert is_halved(large, "folded", "svd")
    assert has_neurons(small, "folded")
    assert not has_neurons(large, "folded")
    assert not [part for part in parts_of(large, "folded") if part.basis == "neuron"]
    part = recipes.bank(large, 3, "folded")
    assert 2 * 4_096 * 28_672 < part_bytes(large, "folded", part, halved=True) < 1.1 * 2 * 4_096 * 28_672


def test_no_two_parts_have_one_name(shaped):
    model = shaped(SMOLLM2)
    parts = [part for processing in ("folded", "raw") for part in parts_of(model, processing)]
    assert len({part.hash for part in parts}) == len(parts)


def test_a_reader_needs_no_torch():
    script = "import sys; import app.explorer.reading.finding.bank; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
