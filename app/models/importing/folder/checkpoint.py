"""Checkpoint: a Hugging Face folder before anything is loaded, its contents, fingerprint and reasons to refuse it.

Reads the headers of the safetensors files itself, so that a model that is already here is recognised in the time that
hashing takes, and so that no library sees unchecked files. Links are followed (the hub's cache is made of them), but no
name may lead out of the folder. Knows no torch and no model library.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from app.models.importing.folder.document import quote_word, read_document
from app.models.importing.folder.families import architecture_of
from app.models.importing.folder.fingerprint import PIECE, Fingerprint, take_fingerprint
from app.models.importing.folder.header import Stored
from app.models.importing.folder.keys import keep_heeded
from app.models.importing.folder.shards import is_buffer, read_stored
from app.models.importing.folder.tokenizer import read_tokenizer
from app.models.refusal import ImportRefused

__all__ = ["Checkpoint", "Stored", "open_checkpoint"]

FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float32"}
"""Supported stored dtypes, and the dtypes that they are kept in."""
# Keys that differ between two copies of the same model; keys with a leading underscore are left out, too.
VOLATILE = {"transformers_version", "dtype", "torch_dtype", "auto_map"}
LARGEST_CONFIG = 4_000_000
CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
SEVERAL = re.compile(r"(text|vision|audio|speech|image|video|thinker|talker|vq|encoder|decoder|backbone)_config")
"""Keys of configs that describe several networks."""
QUANTISED = ("quantization_config", "compression_config", "quantization")


@dataclass(frozen=True)
class Checkpoint:
    """A folder that may be imported, as far as its files show."""

    folder: Path
    config: dict[str, Any]
    tensors: tuple[Stored, ...]
    """Tensors in the order of their names."""
    tokenizer: bytes
    """The bytes of `tokenizer.json`."""

    def fingerprint(self) -> str:
        """64 digits over tensors, config and tokenizer: the same for the same model, wherever and whenever imported."""
        return self._fingerprint.digits

    def tensor(self, name: str) -> Stored:
        """Return the tensor of that name."""
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def pieces(self, tensor: Stored, size: int = PIECE) -> Iterator[bytes]:
        """Yield a tensor's bytes in pieces; ImportRefused after the last if they are not those of the fingerprint."""
        return self._fingerprint.pieces(tensor, size)

    @cached_property
    def _fingerprint(self) -> Fingerprint:
        facts = {key: value for key, value in self.config.items() if key not in VOLATILE and not key.startswith("_")}
        return take_fingerprint(facts, self.tokenizer, self.tensors)

    @property
    def architecture(self) -> str:
        """The checkpoint's own word for what it is."""
        return str(self.config["architectures"][0])

    @property
    def dtype(self) -> str:
        """The dtype of the kept weights: one that holds each exactly, or float32 if they are float64."""
        kinds = {FLOATS[dtype] for dtype in self._dtypes}
        return kinds.pop() if len(kinds) == 1 else "float32"

    @property
    def rounded(self) -> bool:
        """True if a weight is kept in fewer bits than it has."""
        return "F64" in self._dtypes

    @property
    def _dtypes(self) -> set[str]:
        return {tensor.dtype for tensor in self.tensors if not is_buffer(tensor)}


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read what the folder holds; ImportRefused with the reason if it cannot be imported."""
    try:
        return _open(folder)
    except OSError as error:
        raise ImportRefused(f"the folder cannot be read: {error.strerror or type(error).__name__}") from error


def _open(folder: Path) -> Checkpoint:
    config = _read_config(folder)
    _refuse_by_config(config, folder)
    keep_heeded(config)
    tensors = tuple(sorted(read_stored(folder), key=lambda tensor: tensor.name))
    _refuse_by_tensors(tensors, config)
    return Checkpoint(folder, config, tensors, read_tokenizer(folder, config.get("vocab_size")))


def _read_config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").exists():
        adapter = (folder / "adapter_config.json").exists()
        raise ImportRefused(
            "the folder holds an adapter, not a model: merge it into its model (merge_and_unload) and import the result"
            if adapter
            else "there is no config.json: not a Hugging Face model, and no GGUF file either"
        )
    return read_document(folder / "config.json", LARGEST_CONFIG)


def _refuse_by_config(config: dict[str, Any], folder: Path) -> None:
    if "transformers_weights" in config:
        raise ImportRefused(
            "config.json names another file for its weights (transformers_weights): save the model anew"
        )
    if (folder / "adapter_config.json").exists():
        raise ImportRefused(
            "an adapter lies beside the model (adapter_config.json): merge it, or import a copy without"
        )
    architectures = config.get("architectures")
    if not (isinstance(architectures, list) and architectures and all(map(_is_class, architectures))):
        raise ImportRefused(
            f"config.json has {quote_word(architectures)} for its architectures: expected a list such as "
            f'["GPT2LMHeadModel"], which model.save_pretrained(folder) writes'
        )
    architecture = architectures[0]
    several = next((key for key, value in config.items() if SEVERAL.fullmatch(key) and value is not None), None)
    if several is not None:
        raise ImportRefused(
            f"{architecture} is made of several networks ({several}): save its language model by itself and import that"
        )
    if any(config.get(key) is not None for key in QUANTISED):
        raise ImportRefused("the weights are quantised: import the model that they were made from")
    try:
        architecture_of(config)
    except ImportRefused as refusal:
        # A model that needs no code of its own is read all the same: the entry is not followed and not passed on.
        if _has_key(config, "auto_map"):
            raise ImportRefused(
                f"the model brings its own code (auto_map in config.json), which is never run, and {refusal}"
            ) from refusal
        raise


def _has_key(value: Any, key: str) -> bool:
    """Return whether the key is anywhere in the settings; `document` has bounded their depth."""
    if isinstance(value, dict):
        return key in value or any(_has_key(part, key) for part in value.values())
    return isinstance(value, list) and any(_has_key(part, key) for part in value)


def _is_class(name: Any) -> bool:
    return isinstance(name, str) and CLASS.fullmatch(name) is not None


def _refuse_by_tensors(tensors: tuple[Stored, ...], config: dict[str, Any]) -> None:
    odd = next((tensor for tensor in tensors if tensor.dtype not in FLOATS and not is_buffer(tensor)), None)
    if odd is not None:
        raise ImportRefused(
            f"{odd.name} is stored as {odd.dtype}: quantised weights cannot be taken apart exactly. "
            "Import the model that they were made from"
        )
    layers = _largest_count(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    if layers > len(tensors):
        raise ImportRefused(f"config.json has {layers} layers, but there are only {len(tensors)} tensors")
    rows, width = _largest_count(config, "vocab_size"), _largest_count(config, "hidden_size", "n_embd", "d_model")
    if rows * width > sum(tensor.size for tensor in tensors):
        raise ImportRefused(f"config.json has {rows} tokens of {width} numbers, more than all tensors hold together")


def _largest_count(config: dict[str, Any], *names: str) -> int:
    """Return the largest count under these names; 1 where the config leaves it to the library."""
    return max(config.get(name) or 1 for name in names)
