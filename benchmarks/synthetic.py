"""A checkpoint of GPT-2 small's shape with random weights, so that nothing needs to be downloaded."""

import json
import random
import string
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel

N_LAYERS, N_HEADS, D_MODEL, D_VOCAB = 12, 12, 768, 50_257


def write_gpt2_small(folder: Path) -> Path:
    """Write the checkpoint and its tokenizer to the folder, unless they exist; return the folder."""
    if (folder / "tokenizer.json").is_file():
        return folder
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=D_VOCAB, n_embd=D_MODEL, n_layer=N_LAYERS, n_head=N_HEADS)
    network = GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in network.parameters():  # gains and biases that matter, as in a trained model
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    network.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab=_make_vocabulary(), merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _make_vocabulary() -> dict[str, int]:
    """Make the tokens: all bytes, then words of 3 to 10 random letters behind GPT-2's sign for a space."""
    letters = random.Random(0)
    tokens = dict.fromkeys(pre_tokenizers.ByteLevel.alphabet())
    while len(tokens) < D_VOCAB:
        tokens["Ġ" + "".join(letters.choices(string.ascii_lowercase, k=letters.randint(3, 10)))] = None
    return {token: id_ for id_, token in enumerate(tokens)}
