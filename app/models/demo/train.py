"""Train the demo model: `python -m app.models.demo.train --corpus DIR`.

One command from a folder of text to the shipped folder: tokenizer, training, export in float16, and a model card with
the figures measured on what was exported. Seeded; another processor or number of threads rounds differently, and the
weights differ a little. Knows nothing of the explorer.
"""

import json
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from jaxtyping import Int
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from app.models.demo import FOLDER
from app.models.demo.card import Figures, model_card
from app.models.demo.corpus import heldout_file, read_documents, training_files
from app.models.demo.evaluate import bits_per_byte, draw_samples
from app.models.demo.network import Network, Size, huggingface_config, huggingface_tensors
from app.models.demo.tokenizer import END, train_tokenizer


@dataclass(frozen=True)
class Schedule:
    """Training hyperparameters."""

    steps: int = 7_000
    """Updates: 28.7M tokens with these batches, 1.1 passes over the corpus."""
    batch: int = 16
    """Sequences an update; small batches learn more from the same tokens early on."""
    peak_rate: float = 2e-3
    """Learning rate after the warm-up; it decays linearly to zero."""
    warmup: int = 300
    """Updates of linear warm-up."""
    weight_decay: float = 0.1
    """On matrices only."""
    seed: int = 0


def main(
    corpus: Annotated[Path, typer.Option(help="Folder of train-*.txt.xz and valid.txt.xz.")],
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")] = FOLDER,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Processor threads to use.")] = 2,
) -> None:
    """Train the demo model on a corpus and write it, with its card, as a Hugging Face folder."""
    started = time.monotonic()
    torch.set_num_threads(threads)
    size, schedule = Size(), Schedule()
    texts = list(read_documents(training_files(corpus)))
    heldout = list(read_documents([heldout_file(corpus)]))
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(texts, size.d_vocab)
    save_tokenizer(tokenizer, size, out)
    network = fit(encode(tokenizer, texts), size, schedule)
    save_network(network, out)
    figures = Figures(
        size=size,
        tokens_seen=schedule.steps * schedule.batch * size.n_ctx,
        bits_per_byte=bits_per_byte(out, heldout),
        hours=(time.monotonic() - started) / 3600,
        threads=threads,
        machine=f"{platform.machine()}, no GPU, torch {torch.__version__}",
        samples=draw_samples(out),
    )
    (out / "README.md").write_text(model_card(figures), encoding="utf-8")
    print(f"{figures.bits_per_byte:.3f} bits per byte held out, {figures.hours:.2f} h: {out}")


def encode(tokenizer: Tokenizer, texts: list[str]) -> Int[Tensor, " tokens"]:
    """Encode all documents as one row of ids, `<|endoftext|>` before each."""
    end = tokenizer.token_to_id(END)
    rows = []
    for start in range(0, len(texts), 64):
        for encoding in tokenizer.encode_batch(texts[start : start + 64]):
            rows.append(torch.tensor([end, *encoding.ids]))
    return torch.cat(rows)


def batches(ids: Int[Tensor, " tokens"], size: Size, schedule: Schedule) -> Iterator[Int[Tensor, "batch window"]]:
    """Yield `schedule.steps` batches of windows of n_ctx + 1 ids; each pass over the text in a new order."""
    generator = torch.Generator().manual_seed(schedule.seed)
    n_windows = (len(ids) - 1) // size.n_ctx
    order = torch.empty(0, dtype=torch.long)
    for _ in range(schedule.steps):
        if len(order) < schedule.batch:
            order = torch.cat([order, torch.randperm(n_windows, generator=generator)])
        chosen, order = order[: schedule.batch], order[schedule.batch :]
        yield torch.stack([ids[i * size.n_ctx : (i + 1) * size.n_ctx + 1] for i in chosen.tolist()])


def fit(ids: Int[Tensor, " tokens"], size: Size, schedule: Schedule) -> Network:
    """Train a network on the ids; prints the loss as it goes."""
    torch.manual_seed(schedule.seed)
    network = Network(size)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in network.parameters() if p.dim() == 2], "weight_decay": schedule.weight_decay},
            {"params": [p for p in network.parameters() if p.dim() == 1], "weight_decay": 0.0},
        ],
        lr=schedule.peak_rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    loss_of = torch.compile(lambda inputs, targets: _loss(network, inputs, targets))
    started, recent = time.monotonic(), 0.0
    for step, window in enumerate(batches(ids, size, schedule)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, schedule)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(window[:, :-1].contiguous(), window[:, 1:].contiguous())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if step % 50 == 0:
            minutes = (time.monotonic() - started) / 60
            print(f"step {step}/{schedule.steps}  loss {recent:.3f}  {minutes:.1f} min", flush=True)
    return network


def learning_rate(step: int, schedule: Schedule) -> float:
    """Compute the learning rate: linear warm-up, then linear decay to zero at the last step."""
    if step < schedule.warmup:
        return schedule.peak_rate * (step + 1) / schedule.warmup
    return schedule.peak_rate * (schedule.steps - step) / (schedule.steps - schedule.warmup)


def _loss(network: Network, inputs: Tensor, targets: Tensor) -> Tensor:
    logits = network(inputs)
    return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), targets.view(-1))


def save_tokenizer(tokenizer: Tokenizer, size: Size, out: Path) -> None:
    """Write `tokenizer.json` and the config that lets transformers open it."""
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "unk_token": END,
        "model_max_length": size.n_ctx,
        "clean_up_tokenization_spaces": False,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def save_network(network: Network, out: Path) -> None:
    """Write `config.json` and `model.safetensors` in float16; ValueError if a weight is not finite there."""
    tensors = huggingface_tensors(network, torch.float16)
    for name, tensor in tensors.items():
        if not math.isfinite(tensor.float().abs().max().item()):
            raise ValueError(f"{name} has a value that float16 cannot hold")
    (out / "config.json").write_text(json.dumps(huggingface_config(network.size), indent=2) + "\n", encoding="utf-8")
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    typer.run(main)
