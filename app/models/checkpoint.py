"""A Hugging Face folder before anything is loaded from it: what it holds, its fingerprint, and why it may be refused.

Reads the headers of the safetensors files itself, so that a model that is already here is recognised in the time that
hashing takes, and so that no library sees what has not been looked at. Links are followed (the hub's cache is made of
them), but no name may lead out of the folder. Knows no torch and no model library.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from app.models.document import quoted, read_document
from app.models.families import architecture_of
from app.models.fingerprint import PIECE, Fingerprint, take_fingerprint
from app.models.header import MOST_TENSORS, Stored, read_header
from app.models.refusal import ImportRefused
from app.models.tokenizer import read_tokenizer

__all__ = ["Checkpoint", "Stored", "open_checkpoint"]

FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float32"}
"""Stored dtypes that are understood, and what they are kept in."""
# What differs between two copies of the same model; keys with a leading underscore go too.
VOLATILE = {"transformers_version", "dtype", "torch_dtype"}
LARGEST_CONFIG = 4_000_000
LARGEST_INDEX = 16_000_000
MOST_SHARDS = 1000
CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\.safetensors")
COUNTS = {
    2**14: ("num_attention_heads", "n_head", "num_key_value_heads", "num_kv_heads", "head_dim"),
    2**20: ("hidden_size", "n_embd", "d_model"),
    2**24: ("vocab_size", "intermediate_size", "n_inner", "ffn_dim", "max_position_embeddings", "n_positions", "n_ctx"),
    1000: ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
}
"""What configs count, by the most of it that is believed: libraries make room for whatever a config says."""
SEVERAL = re.compile(r"(text|vision|audio|speech|image|video|thinker|talker|vq|encoder|decoder|backbone)_config")
"""Keys of configs that describe several networks."""
QUANTISED = ("quantization_config", "compression_config", "quantization")
# Old checkpoints keep these beside their weights; libraries make them anew.
BUFFERS = re.compile(r"(.*\.)?(position_ids|token_type_ids|inv_freq|masked_bias)")


@dataclass(frozen=True)
class Checkpoint:
    """A folder that may be imported, as far as one can tell from outside."""

    folder: Path
    config: dict[str, Any]
    tensors: tuple[Stored, ...]
    """In the order of their names."""
    tokenizer: bytes
    """`tokenizer.json` as it is."""

    def fingerprint(self) -> str:
        """64 digits over tensors, config and tokenizer: the same for the same model, wherever and whenever imported."""
        return self._fingerprint.digits

    def tensor(self, name: str) -> Stored:
        """The tensor of that name."""
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def pieces(self, tensor: Stored, size: int = PIECE) -> Iterator[bytes]:
        """Its bytes, so many at a time; ImportRefused behind the last if they are not those of the fingerprint."""
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
        """The dtype that holds every weight exactly."""
        kinds = {FLOATS[tensor.dtype] for tensor in self.tensors if not _is_buffer(tensor)}
        return kinds.pop() if len(kinds) == 1 else "float32"


def open_checkpoint(folder: Path) -> Checkpoint:
    """What the folder holds; ImportRefused with the reason if it cannot be a model of ours."""
    try:
        return _open(folder)
    except OSError as error:
        raise ImportRefused(f"the folder cannot be read: {error.strerror or type(error).__name__}") from error


def _open(folder: Path) -> Checkpoint:
    config = _read_config(folder)
    _refuse_code(config, folder)
    _refuse_by_config(config)
    _refuse_counts(config)
    tensors = tuple(sorted(_stored(folder), key=lambda tensor: tensor.name))
    _refuse_by_tensors(tensors, config)
    return Checkpoint(folder, config, tensors, read_tokenizer(folder, config.get("vocab_size")))


def _read_config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").exists():
        adapter = (folder / "adapter_config.json").exists()
        raise ImportRefused(
            "the folder holds an adapter, not a model: merge it into its model (merge_and_unload) and import the result"
            if adapter
            else "there is no config.json: not a Hugging Face model"
        )
    return read_document(folder / "config.json", LARGEST_CONFIG)


def _refuse_code(config: dict[str, Any], folder: Path) -> None:
    """No code of the model's own, wherever it is named, and no files that libraries would open besides ours."""
    settings = {"config.json": config}
    if (folder / "tokenizer_config.json").exists():
        settings["tokenizer_config.json"] = read_document(folder / "tokenizer_config.json", LARGEST_CONFIG)
    for name, document in settings.items():
        if _mentions(document, "auto_map"):
            raise ImportRefused(
                f"the model brings its own code (auto_map in {name}), which is never run. If its architecture is one "
                "that can be read without that code, import a copy of the folder without the entry"
            )
    if "transformers_weights" in config:
        raise ImportRefused(
            "config.json names another file for its weights (transformers_weights): save the model anew"
        )
    if (folder / "adapter_config.json").exists():
        raise ImportRefused(
            "an adapter lies beside the model (adapter_config.json): merge it, or import a copy without"
        )


def _mentions(value: Any, key: str) -> bool:
    """Whether the key is anywhere in the settings; `document` has bounded their depth."""
    if isinstance(value, dict):
        return key in value or any(_mentions(part, key) for part in value.values())
    return isinstance(value, list) and any(_mentions(part, key) for part in value)


def _refuse_by_config(config: dict[str, Any]) -> None:
    architectures = config.get("architectures")
    if not (isinstance(architectures, list) and architectures and all(map(_is_class, architectures))):
        raise ImportRefused(
            f"config.json has {quoted(architectures)} for its architectures: expected a list such as "
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
    architecture_of(config)


def _is_class(name: Any) -> bool:
    return isinstance(name, str) and CLASS.fullmatch(name) is not None


def _refuse_counts(config: dict[str, Any]) -> None:
    for most, key in ((most, key) for most, keys in COUNTS.items() for key in keys):
        value = config.get(key)
        if value is not None and not (type(value) is int and 1 <= value <= most):
            raise ImportRefused(
                f"config.json has {quoted(value)} for {key}: expected a whole number from 1 to {most:,}"
            )


def _refuse_by_tensors(tensors: tuple[Stored, ...], config: dict[str, Any]) -> None:
    odd = next((tensor for tensor in tensors if tensor.dtype not in FLOATS and not _is_buffer(tensor)), None)
    if odd is not None:
        raise ImportRefused(
            f"{odd.name} is stored as {odd.dtype}: quantised weights cannot be taken apart exactly. "
            "Import the model that they were made from"
        )
    layers = _count(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    if layers > len(tensors):
        raise ImportRefused(f"config.json has {layers} layers, but there are only {len(tensors)} tensors")
    rows, width = _count(config, "vocab_size"), _count(config, "hidden_size", "n_embd", "d_model")
    if rows * width > sum(tensor.size for tensor in tensors):
        raise ImportRefused(f"config.json has {rows} tokens of {width} numbers, more than all tensors hold together")


def _count(config: dict[str, Any], *names: str) -> int:
    """The largest count under these names; 1 where the config leaves it to the library."""
    return max(config.get(name) or 1 for name in names)


def _is_buffer(tensor: Stored) -> bool:
    """Whether it is no weight: a position's number, or a causal mask, which has four axes or none."""
    return BUFFERS.fullmatch(tensor.name) is not None or (len(tensor.shape) == 4 and tensor.shape[:2] == (1, 1))


def _stored(folder: Path) -> Iterator[Stored]:
    """Every tensor of the checkpoint, from its one file or from all that its index names."""
    index = folder / "model.safetensors.index.json"
    one = folder / "model.safetensors"
    # Where both are there, libraries open the one file.
    return _in_shards(folder, index) if index.exists() and not one.exists() else iter(_in_file(one))


def _in_file(path: Path) -> list[Stored]:
    if not path.exists():
        raise ImportRefused(
            f"there is no {path.name}; files that can run code (*.bin, *.pt) are never opened: "
            "model.save_pretrained(folder) writes safetensors"
        )
    tensors = read_header(path)
    try:
        with safe_open(path, "np"):  # a second opinion
            pass
    except SafetensorError as error:
        raise ImportRefused(f"{path.name} is damaged or incomplete: {error}") from error
    return tensors


def _in_shards(folder: Path, index: Path) -> Iterator[Stored]:
    """The tensors of all shards, each in the one that the index names; ImportRefused where they disagree."""
    waited = _weight_map(index)
    found = 0
    for shard in sorted(set(waited.values())):
        for tensor in _in_file(folder / shard):
            if waited.get(tensor.name) != shard:
                raise ImportRefused(
                    f"{tensor.name} is in {shard}, but {index.name} has it in {waited.get(tensor.name, 'no file')}: "
                    "the files are not of one model"
                )
            found += 1
            yield tensor
    if found < len(waited):
        raise ImportRefused(f"{index.name} names {len(waited)} tensors, but the files hold {found}: fetch them again")


def _weight_map(index: Path) -> dict[str, str]:
    """Tensors and their shards as the index has them; ImportRefused if a shard is no plain name of a file."""
    shards = read_document(index, LARGEST_INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ImportRefused(f"{index.name} names no tensors")
    if len(shards) > MOST_TENSORS:
        raise ImportRefused(f"{index.name} names {len(shards):,} tensors: at most {MOST_TENSORS:,} are read")
    for shard in shards.values():
        if not (isinstance(shard, str) and SHARD.fullmatch(shard)):
            raise ImportRefused(f"{index.name} names {quoted(shard)}, which is no safetensors file of this folder")
    if len(set(shards.values())) > MOST_SHARDS:
        raise ImportRefused(f"{index.name} names more than {MOST_SHARDS} files")
    return shards
