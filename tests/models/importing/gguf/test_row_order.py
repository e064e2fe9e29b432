"""The two losses are the library's own, of the model as it is and with its rows in pairs; a worse order is refused."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.gguf import row_order
from app.models.refusal import ImportRefused
from tests.families import WORDS, write_family
from tests.llama_cpp import permute_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_family("llama-3.1", tmp_path_factory.mktemp("x") / "llama", tie_word_embeddings=False)
    tokenizer = Tokenizer(models.WordLevel({word: 2 * id_ for id_, word in enumerate(WORDS)}, unk_token="bak"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def loss(folder):
    import transformers

    ids = torch.tensor([Tokenizer.from_file(str(folder / "tokenizer.json")).encode(row_order.SENTENCE).ids])
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    with torch.no_grad():
        return model(ids, labels=ids).loss.item()


@pytest.fixture(autouse=True)
def of_its_words(monkeypatch):
    """A sentence of the tiny vocabulary."""
    monkeypatch.setattr(row_order, "SENTENCE", " ".join(WORDS[::5]))


def test_losses_are_the_librarys(folder, tmp_path):
    now, before = row_order.losses_of(open_checkpoint(folder))
    stored = load_file(folder / "model.safetensors")
    for name, tensor in stored.items():
        if "q_proj" in name or "k_proj" in name:
            stored[name] = permute_rows(tensor, 4, 4 if "q_proj" in name else 2).contiguous()
    for file in ("config.json", "tokenizer.json"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    save_file(stored, tmp_path / "model.safetensors", {"format": "pt"})
    assert now == pytest.approx(loss(folder), rel=1e-5)
    assert before == pytest.approx(loss(tmp_path), rel=1e-5)
    assert abs(now - before) > 1e-3


@pytest.mark.parametrize(
    ("losses", "is_refused"),
    [
        ((1.0, 2.0), False),
        ((2.0, 1.0), True),
        ((2.0, 2.0), False),
        ((math.log(100) + 1, 0.9 * math.log(100)), False),  # it has learnt nothing
        ((math.nan, math.nan), False),  # which is refused by name, later
    ],
)
def test_the_lower_loss_is_to_be_that_of_the_order_chosen(folder, monkeypatch, losses, is_refused):
    monkeypatch.setattr(row_order, "losses_of", lambda checkpoint: losses)
    if not is_refused:
        row_order.refuse_other_rows(open_checkpoint(folder))
        return
    with pytest.raises(ImportRefused, match=r"\(2.00 nats a token\) than without \(1.00\)"):
        row_order.refuse_other_rows(open_checkpoint(folder))


def test_weights_that_do_not_fit_are_refused(folder, tmp_path):
    stored = load_file(folder / "model.safetensors")
    stored["model.layers.1.mlp.up_proj.weight"] = torch.zeros(7, 7)
    for file in ("config.json", "tokenizer.json"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    save_file(stored, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ImportRefused, match=r"transformers cannot open the model: .*up_proj"):
        row_order.refuse_other_rows(open_checkpoint(tmp_path))
