"""The demo model's evaluation for its card: bits per byte on held-out text, and samples.

Works on the exported folder through transformers, so the figures are those of the files that ship.
"""

import math
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

PROMPTS = ("The old doctor took off his hat and", "The capital of France is", "To make the bread, first")


def bits_per_byte(folder: Path, texts: list[str]) -> float:
    """Measure the mean bits that the model needs per UTF-8 byte of the texts.

    Each text stands behind `<|endoftext|>` and is cut into windows of n_ctx tokens without overlap: the first tokens
    of a window are predicted from little context, which makes the figure a cautious one.
    """
    model, tokenizer = _load(folder)
    end, n_ctx = model.config.eos_token_id, model.config.n_positions
    nats = 0.0
    for encoding in tokenizer.encode_batch(texts):
        row = torch.tensor([end, *encoding.ids])
        for start in range(0, len(row) - 1, n_ctx):
            window = row[start : start + n_ctx + 1]
            with torch.no_grad():
                logits = model(window[None, :-1]).logits[0].float()
            nats += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    return nats / math.log(2) / sum(len(text.encode()) for text in texts)


def draw_samples(folder: Path, seed: int = 0) -> list[tuple[str, str]]:
    """Draw a (prompt, continuation) pair for each prompt, at temperature 0.8 from the top 40 tokens."""
    model, tokenizer = _load(folder)
    torch.manual_seed(seed)
    drawn = []
    for prompt in PROMPTS:
        ids = torch.tensor([[model.config.eos_token_id, *tokenizer.encode(prompt).ids]])
        with torch.no_grad():
            out = model.generate(ids, max_new_tokens=60, do_sample=True, temperature=0.8, top_k=40, pad_token_id=0)
        drawn.append((prompt, tokenizer.decode(out[0, ids.shape[1] :].tolist())))
    return drawn


def _load(folder: Path) -> tuple[GPT2LMHeadModel, Tokenizer]:
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))
