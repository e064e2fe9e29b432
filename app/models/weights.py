"""A model's weights on disk: safetensors files under TransformerLens names, read one head or MLP at a time.

`embeddings.safetensors` holds W_E, W_U, W_pos and the final norm, `layer-000.safetensors` and so on the blocks, in the
dtype of the checkpoint; `manifest.json` and `tokenizer.json` lie beside them. Keys and values are kept once for the
queries that share them. Every tensor, and every head's slice of one, has its checksum in the file's header: what is
read is proven, and a damaged file raises WeightsDamaged. Knows no model library: these are the tensors that the
importer checked and wrote.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from app.core.circuits import Head
from app.core.folding import Norms
from app.core.mlp import Mlp
from app.core.noise import Noise, noise_of_steps
from app.core.rotary import Pairing, Rotary
from app.models.manifest import Manifest, Shape, file_sum, read_manifest
from app.models.memory import is_of_memory
from app.models.refusal import WeightsDamaged

EMBEDDINGS_FILE = "embeddings.safetensors"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "config.json"
"""What the model is built with when it is run; beside weights that can be put together again."""
BY_HEAD = ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "q_norm", "k_norm")
"""Tensors of attention whose first axis is heads."""
PAIRINGS: tuple[Pairing, ...] = ("halves", "neighbours")
"""Pairings by the first number of `attn.rotary`; its second is the scale, then come the frequencies.

Frequencies for long texts are in `attn.rotary_long`, behind the length in tokens of the longest other text.
"""


@dataclass(frozen=True)
class Embeddings:
    """Embedding, unembedding and final norm of the model, float32, as stored."""

    W_E: Float[Tensor, "d_vocab d_model"]
    W_U: Float[Tensor, "d_model d_vocab"]
    """A view of W_E's memory if the model is tied."""
    final_gain: Float[Tensor, " d_model"] | None
    final_shift: Float[Tensor, " d_model"] | None
    """Shift of the norm before the unembedding; None where it has none."""
    b_U: Float[Tensor, " d_vocab"] | None
    embed_gain: Float[Tensor, " d_model"] | None
    embed_shift: Float[Tensor, " d_model"] | None
    """Shift of the norm between the embedding and the stream, which Bloom has."""


@dataclass(frozen=True)
class Weights:
    """Opened weights: a folder and what is known of it; tensors are read when asked for and not kept."""

    folder: Path
    fingerprint: str
    facts: Shape
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Distance of a quantised weight's levels, for each head or for the whole matrix, by the weight's name."""

    def head(self, layer: int, head: int) -> Head:
        """Read that head's tensors; ValueError naming the valid range if the model has no such head."""
        self._check(layer, head)
        rows = dict.fromkeys(("W_K", "W_V", "b_K", "b_V"), self._kv_head(head))
        rows |= dict.fromkeys(("W_Q", "W_O", "b_Q"), head)
        prefix = f"blocks.{layer}.attn"
        with self._open(layer_file(layer)) as file:
            read = {name: file.tensor(f"{prefix}.{name}", row).float() for name, row in rows.items()}
            W = {name: read[name] for name in ("W_Q", "W_K", "W_V", "W_O")}
            noise = {name: self._noise(f"{prefix}.{name}", W[name], rows[name]) for name in W}
            return Head(**read, b_O=file.tensor(f"{prefix}.b_O").float(), noise=_drop_unknown(noise))

    def norms(self, layer: int, head: int) -> Norms:
        """Read the norms around that head; ValueError naming the valid range if the model has no such head."""
        self._check(layer, head)
        prefix = f"blocks.{layer}"
        with self._open(layer_file(layer)) as file:
            return Norms(
                center=self.facts.normalization == "LN" and self.facts.reads_normed,
                gain=self._gain(file, f"{prefix}.ln1.w") if self.facts.reads_normed else None,
                shift=file.tensor_or_none(f"{prefix}.ln1.b") if self.facts.reads_normed else None,
                post_gain=self._gain(file, f"{prefix}.ln1_post.w"),
                query_gain=self._gain(file, f"{prefix}.attn.q_norm", head),
                key_gain=self._gain(file, f"{prefix}.attn.k_norm", self._kv_head(head)),
                center_heads=self.facts.qk_norm == "LN",
            )

    def mlp(self, layer: int) -> Mlp:
        """Read that layer's MLP; ValueError if the model has no such layer, or mixtures of experts for MLPs."""
        self._check_layer(layer)
        m = self.facts.d_mlp
        if not m:
            raise ValueError("its MLPs are mixtures of experts: they have no matrices that every token passes through")
        prefix = f"blocks.{layer}.mlp"
        with self._open(layer_file(layer)) as file:

            def bias(name: str, n: int) -> Tensor:
                stored = file.tensor_or_none(f"{prefix}.{name}")
                return torch.zeros(n) if stored is None else stored

            names = ("W_in", "W_out", *(("W_gate",) if self.facts.gated else ()))
            read = {name: file.tensor(f"{prefix}.{name}").float() for name in names}
            return Mlp(
                W_in=read["W_in"],
                W_gate=read.get("W_gate"),
                W_out=read["W_out"],
                b_in=bias("b_in", m),
                b_gate=bias("b_gate", m) if self.facts.gated else None,
                b_out=bias("b_out", self.facts.d_model),
                noise=_drop_unknown({name: self._noise(f"{prefix}.{name}", W) for name, W in read.items()}),
            )

    def mlp_norms(self, layer: int) -> Norms:
        """Read the norms around that layer's MLP; ValueError naming the valid range if there is no such layer."""
        self._check_layer(layer)
        prefix, reads = f"blocks.{layer}", self.facts.mlp_reads
        with self._open(layer_file(layer)) as file:
            return Norms(
                center=self.facts.normalization == "LN" and reads != "stream",
                gain=self._gain(file, f"{prefix}.{reads}.w") if reads != "stream" else None,
                shift=file.tensor_or_none(f"{prefix}.{reads}.b") if reads != "stream" else None,
                post_gain=self._gain(file, f"{prefix}.ln2_post.w"),
            )

    def rotary(self, layer: int) -> Rotary | None:
        """Read how that layer rotates queries and keys; None where it does not."""
        self._check_layer(layer)
        with self._open(layer_file(layer)) as file:
            stored = file.tensor_or_none(f"blocks.{layer}.attn.rotary")
            long = file.tensor_or_none(f"blocks.{layer}.attn.rotary_long")
        if stored is None:
            return None
        rotary = Rotary(stored[2:], PAIRINGS[int(stored[0])], float(stored[1]))
        return rotary if long is None else replace(rotary, long=long[1:], original=int(long[0]))

    def layer(self, layer: int) -> dict[str, Tensor]:
        """Read every tensor of that layer, float32, by TransformerLens names."""
        self._check_layer(layer)
        with self._open(layer_file(layer)) as file:
            return {name: file.tensor(name).float() for name in file.names}

    def config(self) -> dict[str, Any]:
        """Read what the model is built with when it is run, of weights that are."""
        try:
            found: dict[str, Any] = json.loads((self.folder / CONFIG_FILE).read_bytes())
        except FileNotFoundError as error:
            raise WeightsDamaged(f"{CONFIG_FILE} of these weights is missing") from error
        except (OSError, ValueError) as error:
            raise WeightsDamaged(f"{CONFIG_FILE} of these weights cannot be read: it is damaged") from error
        return found

    def ends(self) -> dict[str, Tensor]:
        """Read every tensor outside of the layers, float32, by TransformerLens names; W_U is missing if it is W_E."""
        with self._open(EMBEDDINGS_FILE) as file:
            return {name: file.tensor(name).float() for name in file.names}

    def embeddings(self) -> Embeddings:
        """Read embedding, unembedding and final norm: some hundred megabytes for a real model."""
        with self._open(EMBEDDINGS_FILE) as file:
            W_E = file.tensor("embed.W_E").float()
            return Embeddings(
                W_E=W_E,
                W_U=W_E.T if self.facts.tied else file.tensor("unembed.W_U").float(),
                final_gain=self._gain(file, "ln_final.w"),
                final_shift=file.tensor_or_none("ln_final.b"),
                b_U=file.tensor_or_none("unembed.b_U"),
                embed_gain=file.tensor_or_none("embed_ln.w"),
                embed_shift=file.tensor_or_none("embed_ln.b"),
            )

    def positions(self) -> Float[Tensor, "n_ctx d_model"] | None:
        """Read W_pos, float32, from the first position of a token; None where positions are not learned."""
        if self.facts.positions != "learned":
            return None
        with self._open(EMBEDDINGS_FILE) as file:
            return file.tensor("pos_embed.W_pos").float()

    def noise_of_embedding(self, W_E: Float[Tensor, "d_vocab d_model"]) -> Noise | None:
        """Compute the noise of the embedding's numbers; None if it is unknown."""
        noise = self._noise("embed.W_E", W_E.T)
        return noise and noise.transposed

    def noise_of_unembedding(self, W_U: Float[Tensor, "d_model d_vocab"]) -> Noise | None:
        """Compute the noise of the unembedding's numbers; None if it is unknown."""
        return self._noise("embed.W_E" if self.facts.tied else "unembed.W_U", W_U)

    def noise_of_positions(self, W_pos: Float[Tensor, "n_ctx d_model"]) -> Noise | None:
        """Compute the noise of the positions' numbers; None if it is unknown."""
        noise = self._noise("pos_embed.W_pos", W_pos.T)
        return noise and noise.transposed

    def _noise(self, name: str, weights: Float[Tensor, "n m"], row: int = 0) -> Noise | None:
        """Compute the noise of a head's row of a weight, or of a whole one, whose blocks lie within a column each."""
        steps = self.steps.get(name)
        return None if steps is None else noise_of_steps(weights, steps[row])

    def _gain(self, file: "ProvenFile", name: str, row: int | None = None) -> Tensor | None:
        stored = file.tensor_or_none(name, row)
        return None if stored is None else stored + self.facts.gain_offset

    def _kv_head(self, head: int) -> int:
        # Queries that share a key/value head are consecutive.
        return head // (self.facts.n_heads // self.facts.n_kv_heads)

    def _check(self, layer: int, head: int) -> None:
        n_layers, n_heads = self.facts.n_layers, self.facts.n_heads
        if not (0 <= layer < n_layers and 0 <= head < n_heads):
            raise ValueError(f"L{layer}H{head} is not here: layers are 0 to {n_layers - 1}, heads 0 to {n_heads - 1}")

    def _check_layer(self, layer: int) -> None:
        if not 0 <= layer < self.facts.n_layers:
            raise ValueError(f"L{layer} is not here: layers are 0 to {self.facts.n_layers - 1}")

    @contextmanager
    def _open(self, name: str) -> Iterator["ProvenFile"]:
        try:
            with safe_open(self.folder / name, "pt") as file:
                yield ProvenFile(name, self.fingerprint, file)
        except FileNotFoundError as error:
            raise WeightsDamaged(f"{name} of these weights is missing") from error
        except (SafetensorError, OSError) as error:
            if is_of_memory(error):
                raise MemoryError from error
            raise WeightsDamaged(f"{name} of these weights cannot be read: it is damaged or cut short") from error


class ProvenFile:
    """One opened file, whose tensors are returned only if their bytes have the checksum they were written with."""

    def __init__(self, name: str, fingerprint: str, file: Any) -> None:
        self._name, self._fingerprint, self._file = name, fingerprint, file
        try:
            self._sums: dict[str, list[str]] = json.loads((file.metadata() or {})["sums"])
            self.names = set(file.keys())
        except (KeyError, ValueError) as error:
            raise self._damage_error() from error
        if self.names != set(self._sums):
            raise self._damage_error()

    def tensor(self, name: str, row: int | None = None) -> Tensor:
        """Read a tensor as stored, or that row of one kept by heads."""
        if name not in self.names:
            raise self._damage_error()
        tensor: Tensor = self._file.get_tensor(name) if row is None else self._file.get_slice(name)[row]
        found = (
            _checksums(name, tensor, self._fingerprint)
            if row is None
            else [_checksum(name, tensor, self._fingerprint, row)]
        )
        expected = self._sums[name] if row is None else self._sums[name][row : row + 1]
        if found != expected:
            raise self._damage_error()
        return tensor

    def tensor_or_none(self, name: str, row: int | None = None) -> Tensor | None:
        """Read a tensor that not every model has, float32; None if it is missing."""
        return self.tensor(name, row).float() if name in self.names else None

    def _damage_error(self) -> WeightsDamaged:
        return WeightsDamaged(f"{self._name} of these weights is damaged: its checksum does not match")


def _drop_unknown(noise: Mapping[str, Noise | None]) -> dict[str, Noise]:
    return {name: errors for name, errors in noise.items() if errors is not None}


def layer_file(layer: int) -> str:
    """Return the name of the file that holds a layer."""
    return f"layer-{layer:03d}.safetensors"


def open_weights(folder: Path, manifest: Manifest | None = None) -> Weights:
    """Open the weights of an imported model; FileNotFoundError or ValueError if the folder holds none of ours."""
    facts = manifest or read_manifest(folder)
    quantisation = facts.quantisation
    return Weights(folder, facts.fingerprint, facts, {} if quantisation is None else quantisation.steps)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], fingerprint: str) -> str:
    """Write one file of weights, safely on disk under its name when this returns its SHA-256."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    sums = {name: _checksums(name, tensor, fingerprint) for name, tensor in whole.items()}
    unfinished = path.with_suffix(".part")
    unfinished.touch()
    mode = unfinished.stat().st_mode
    try:
        save_file(whole, unfinished, {"sums": json.dumps(sums)})
    except SafetensorError as error:  # what the library makes of a full disk
        raise OSError(str(error)) from error
    unfinished.chmod(mode)  # the library makes files that only their owner may read
    _sync(unfinished)
    unfinished.replace(path)
    _sync(path.parent)
    return file_sum(path)


def write_document(path: Path, content: bytes) -> str:
    """Write the tokenizer or the config beside the tensors; returns its SHA-256."""
    path.write_bytes(content)
    _sync(path)
    return file_sum(path)


def _checksums(name: str, tensor: Tensor, fingerprint: str) -> list[str]:
    """Compute the checksum of the tensor, or of each head's part of it."""
    if ".attn." in name and name.rpartition(".")[2] in BY_HEAD:
        return [_checksum(name, part, fingerprint, row) for row, part in enumerate(tensor)]
    return [_checksum(name, tensor, fingerprint, None)]


def _checksum(name: str, tensor: Tensor, fingerprint: str, row: int | None) -> str:
    """Compute a checksum over dtype and shape as well as over the bytes: a header that lies about them is noticed."""
    digest = hashlib.sha256(f"{fingerprint} {name} {row} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
