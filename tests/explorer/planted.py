"""A tiny GPT-2 with planted rays. Knows the planted tokens, and nothing of searches."""

import random
import string

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

D_VOCAB, D_MODEL, D_HEAD = 1600, 64, 16
N_SHARED = 4
"""Directions that all tokens share: as many as are removed before tokens are compared."""
FREQUENT, WORDS, UNTRAINED = range(1, 31), range(100, 150), range(200, 245)
SPELT, OTHERS = range(300, 350), range(400, 450)
PLANTED = [
    (1, "ov", 0, "notable", WORDS),
    (1, "ov", 1, "frequency", FREQUENT),
    (1, "ov", 2, "glitch", UNTRAINED),
    (0, "mlp-in", -1, "notable", SPELT),
    (0, "mlp-out", -1, "notable", OTHERS),
]
"""(layer, kind, head, label, tokens) written, or read, by the first direction of the matrix."""


def write_planted(folder, write_gpt2):
    """Write the checkpoint: clusters of tokens, and matrices whose first direction points at one of them each."""
    write_gpt2(folder, _tokenizer(), seed=2, n_embd=D_MODEL)
    tensors = load_file(folder / "model.safetensors")
    noise = np.random.default_rng(0)
    W_E = tensors["transformer.wte.weight"]
    # Orthogonal, and without a mean, which the norms remove.
    random_ = noise.normal(size=(D_MODEL, N_SHARED + len(PLANTED)))
    basis = np.linalg.qr(np.c_[np.ones(D_MODEL), random_])[0].T[1:]
    W_E[:] = 0.3 * noise.normal(size=W_E.shape) + 2 * noise.normal(size=(D_VOCAB, N_SHARED)) @ basis[:N_SHARED]
    tensors["transformer.ln_f.weight"][:] = 1
    for name in ("ln_1", "ln_2"):
        for layer in range(2):
            tensors[f"transformer.h.{layer}.{name}.weight"][:] = 1
    for (layer, kind, head, _, tokens), direction in zip(PLANTED, basis[N_SHARED:], strict=True):
        if tokens is UNTRAINED:
            W_E[list(tokens)] = noise.normal(size=(len(tokens), D_MODEL)) * 0.01
        W_E[list(tokens)] += 2 * direction
        block = f"transformer.h.{layer}"
        if kind == "ov":
            tensors[f"{block}.attn.c_proj.weight"][head * D_HEAD] = 60 * direction
        elif kind == "mlp-in":
            tensors[f"{block}.mlp.c_fc.weight"][:, 0] = 60 * direction
        else:
            tensors[f"{block}.mlp.c_proj.weight"][0] = 60 * direction
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def _tokenizer():
    letters = random.Random(0)
    vocabulary = {"<|endoftext|>": 0}
    while len(vocabulary) < D_VOCAB:
        start = "qua" if len(vocabulary) in SPELT else ""
        word = start + "".join(letters.choices(string.ascii_lowercase, k=6 - len(start)))
        vocabulary.setdefault(f"Ġ{word}", len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer
