"""A model's weights on disk: safetensors files under TransformerLens names and shapes, read one head at a time.

`embeddings.safetensors` holds W_E, W_U and the final norm, `layer-000.safetensors` and so on the blocks, in the dtype
of the checkpoint; `manifest.json` and `tokenizer.json` lie beside them. Knows no model library: what is read here is
what the importer checked and wrote.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from app.core.circuits import Head
from app.models.manifest import Manifest, read_manifest, write_manifest

EMBEDDINGS_FILE = "embeddings.safetensors"


@dataclass(frozen=True)
class Embeddings:
    """Both ends of the model, float32, as stored."""

    W_E: Float[Tensor, "d_vocab d_model"]
    W_U: Float[Tensor, "d_model d_vocab"]
    """Where the model is tied, a view of W_E's memory."""
    final_gain: Float[Tensor, " d_model"] | None
    final_shift: Float[Tensor, " d_model"] | None
    """Of the norm before the unembedding; None where it has none."""
    b_U: Float[Tensor, " d_vocab"] | None


@dataclass(frozen=True)
class Weights:
    """Opened weights: a folder and its manifest; tensors are read when asked for and not kept."""

    folder: Path
    manifest: Manifest

    def head(self, layer: int, head: int) -> Head:
        """That head's tensors; ValueError naming the valid range if the model has no such head."""
        facts = self.manifest
        if not (0 <= layer < facts.n_layers and 0 <= head < facts.n_heads):
            raise ValueError(
                f"L{layer}H{head} is not here: layers are 0 to {facts.n_layers - 1}, heads 0 to {facts.n_heads - 1}"
            )
        # Queries that share a key/value head stand next to each other.
        kv_head = head // (facts.n_heads // facts.n_kv_heads)
        prefix = f"blocks.{layer}.attn"
        with safe_open(self.folder / layer_file(layer), "pt") as file:
            read = {
                name: file.get_slice(f"{prefix}.{name}")[kv_head if name[-1] in "KV" else head].float()
                for name in ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V")
            }
            return Head(**read, b_O=file.get_tensor(f"{prefix}.b_O").float())

    def norm(self, layer: int) -> tuple[Float[Tensor, " d_model"] | None, Float[Tensor, " d_model"] | None]:
        """Gain and shift of the norm before that layer's attention; None for what it does not have."""
        with safe_open(self.folder / layer_file(layer), "pt") as file:
            return _optional(file, f"blocks.{layer}.ln1.w"), _optional(file, f"blocks.{layer}.ln1.b")

    def embeddings(self) -> Embeddings:
        """Embedding, unembedding and final norm: all of them, some hundred megabytes for a real model."""
        with safe_open(self.folder / EMBEDDINGS_FILE, "pt") as file:
            W_E = file.get_tensor("embed.W_E").float()
            return Embeddings(
                W_E=W_E,
                W_U=W_E.T if self.manifest.tied else file.get_tensor("unembed.W_U").float(),
                final_gain=_optional(file, "ln_final.w"),
                final_shift=_optional(file, "ln_final.b"),
                b_U=_optional(file, "unembed.b_U"),
            )


def layer_file(layer: int) -> str:
    """The name of the file that holds a layer."""
    return f"layer-{layer:03d}.safetensors"


def open_weights(folder: Path) -> Weights:
    """The weights of an imported model; FileNotFoundError or ValueError if the folder holds none of ours."""
    return Weights(folder, read_manifest(folder))


def write_weights(folder: Path, manifest: Manifest, parameters: dict[str, Tensor], tokenizer: bytes) -> None:
    """Write a new folder of weights, every file of it safe on the disk before this returns."""
    folder.mkdir(parents=True)
    dtype = getattr(torch, manifest.dtype)
    files: dict[str, dict[str, Tensor]] = {}
    for name, tensor in parameters.items():
        room, _, rest = name.partition(".")
        file = layer_file(int(rest.split(".")[0])) if room == "blocks" else EMBEDDINGS_FILE
        files.setdefault(file, {})[name] = tensor
    for file, tensors in files.items():
        # One file at a time is copied: views and other dtypes would double the model's memory.
        (folder / file).write_bytes(save({name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}))
    (folder / "tokenizer.json").write_bytes(tokenizer)
    write_manifest(folder, manifest)
    for path in [*folder.iterdir(), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _optional(file: Any, name: str) -> Tensor | None:
    """A tensor that not every model has."""
    return file.get_tensor(name).float() if name in file.keys() else None  # noqa: SIM118 (it is no mapping)
