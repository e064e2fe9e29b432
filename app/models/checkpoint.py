"""A Hugging Face folder before anything is loaded from it: what it holds, its fingerprint, and why it may be refused.

Reads the headers of the safetensors files itself, so that a model that is already here is recognised in the time that
hashing takes. Knows no torch and no model library.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from app.models.families import architecture_of
from app.models.refusal import ImportRefused

FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float32"}
"""Stored dtypes that are understood, and what they are kept in."""
# What differs between two copies of the same model; keys with a leading underscore go too.
VOLATILE = {"transformers_version", "dtype", "torch_dtype"}


@dataclass(frozen=True)
class Stored:
    """One tensor of the checkpoint and where its bytes are."""

    name: str
    dtype: str
    """In safetensors' words, such as `F16`."""
    shape: tuple[int, ...]
    file: Path
    start: int
    end: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes, some at a time."""
        with self.file.open("rb") as file:
            file.seek(self.start)
            left = self.end - self.start
            while left:
                piece = file.read(min(left, 1 << 20))
                if not piece:
                    raise OSError(f"{self.file.name} was cut short while it was read")
                left -= len(piece)
                yield piece


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
        digest = hashlib.sha256()
        facts = {key: value for key, value in self.config.items() if key not in VOLATILE and not key.startswith("_")}
        digest.update(json.dumps(facts, sort_keys=True).encode())
        digest.update(hashlib.sha256(self.tokenizer).digest())
        for tensor in self.tensors:
            digest.update(json.dumps([tensor.name, tensor.dtype, tensor.shape]).encode())
            for piece in tensor.pieces():
                digest.update(piece)
        return digest.hexdigest()

    @property
    def architecture(self) -> str:
        """The checkpoint's own word for what it is."""
        return str(self.config["architectures"][0])

    @property
    def dtype(self) -> str:
        """The dtype that holds every weight exactly."""
        # Weights and biases have one or two axes; old GPT-2 files also carry attention masks, which have four or none.
        kinds = {FLOATS[tensor.dtype] for tensor in self.tensors if len(tensor.shape) in {1, 2}}
        return kinds.pop() if len(kinds) == 1 else "float32"


def open_checkpoint(folder: Path) -> Checkpoint:
    """What the folder holds; ImportRefused with the reason if it cannot be a model of ours."""
    config = _read_json(folder / "config.json")
    _refuse_by_config(config)
    tensors = tuple(sorted(_stored(folder), key=lambda tensor: tensor.name))
    odd = next((t for t in tensors if len(t.shape) in {1, 2} and t.dtype not in FLOATS), None)
    if odd is not None:
        raise ImportRefused(f"{odd.name} is stored as {odd.dtype}: quantised weights cannot be taken apart exactly")
    return Checkpoint(folder, config, tensors, _read_tokenizer(folder))


def _refuse_by_config(config: dict[str, Any]) -> None:
    if "auto_map" in config:
        raise ImportRefused("the model brings its own code (auto_map), which is never run")
    if "quantization_config" in config:
        raise ImportRefused("the weights are quantised: import the model that they were made from")
    architecture_of(config)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ImportRefused(f"there is no {path.name}: not a Hugging Face model") from error
    except ValueError as error:
        raise ImportRefused(f"{path.name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ImportRefused(f"{path.name} holds no settings")
    return value


def _read_tokenizer(folder: Path) -> bytes:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ImportRefused(
            "there is no tokenizer.json; AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes one"
        )
    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ImportRefused(f"tokenizer.json cannot be read: {error}") from error
    return path.read_bytes()


def _stored(folder: Path) -> Iterator[Stored]:
    """Every tensor of the checkpoint, from its one file or from all that its index names."""
    for path in _weight_files(folder):
        try:
            with safe_open(path, "np"):  # checks lengths and offsets
                pass
        except (SafetensorError, OSError) as error:
            raise ImportRefused(f"{path.name} is damaged or incomplete: {error}") from error
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name, facts in header.items():
            start, end = (8 + length + offset for offset in facts["data_offsets"])
            yield Stored(name, facts["dtype"], tuple(facts["shape"]), path, start, end)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    in_shards = index.is_file()
    names = set(map(str, _read_json(index).get("weight_map", {}).values())) if in_shards else {"model.safetensors"}
    missing = sorted(name for name in names if Path(name).name != name or not (folder / name).is_file())
    if missing or not names:
        only_pickles = "; files that can run code (*.bin, *.pt) are never opened" if any(folder.glob("*.bin")) else ""
        raise ImportRefused(f"there is no {', '.join(missing) or 'safetensors file'}{only_pickles}")
    return [folder / name for name in sorted(names)]
