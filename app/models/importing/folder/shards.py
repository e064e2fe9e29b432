"""Weight files of a folder: one, or several with their index, and other files that may lie there instead.

Trusts neither the index nor the files alone: where the two disagree, the tensor at fault is named.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from app.models.importing.folder.document import quote_word, read_document
from app.models.importing.folder.header import MOST_TENSORS, Stored, read_header
from app.models.memory import is_of_memory
from app.models.refusal import ImportRefused

LARGEST_INDEX = 16_000_000
MOST_SHARDS = 1000
ONE_FILE = "model.safetensors"
PART = re.compile(r"model-\d+-of-\d+\.safetensors")
SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\.safetensors")
# Old checkpoints store these buffers beside their weights; libraries recompute them.
BUFFERS = re.compile(r"(.*\.)?(position_ids|token_type_ids|inv_freq|masked_bias)")
UNEMBEDDINGS = re.compile(r"(.*\.)?(lm_head|embed_out|decoder)\.(weight|bias)")
"""Tensors that a tied model may lack: the embedding takes their place."""


def read_stored(folder: Path) -> Iterator[Stored]:
    """List every tensor of the checkpoint, from its one file or from all that its index names."""
    index = folder / f"{ONE_FILE}.index.json"
    one = folder / ONE_FILE
    # If both exist, libraries open the one file.
    return _read_shards(folder, index) if index.exists() and not one.exists() else iter(_read_file(one))


def _read_file(path: Path) -> list[Stored]:
    if not path.exists():
        raise _explain_missing(path)
    tensors = read_header(path)
    try:
        with safe_open(path, "np"):  # a second opinion
            pass
    except SafetensorError as error:
        if is_of_memory(error):
            raise MemoryError from error
        raise ImportRefused(f"{path.name} is damaged or incomplete: {error}") from error
    return tensors


def _explain_missing(path: Path) -> ImportRefused:
    """Explain why there is no such file of weights, by what else lies there."""
    if path.name != ONE_FILE:
        return ImportRefused(f"there is no {path.name}, which the index names: fetch or copy it too")
    others = sorted(file.name for file in path.parent.iterdir() if SHARD.fullmatch(file.name))
    if not others:
        return ImportRefused(
            f"there is no {path.name}; files that can run code (*.bin, *.pt) are never opened: "
            "model.save_pretrained(folder) writes safetensors"
        )
    first = others[0]
    if PART.fullmatch(first):
        help_ = f"no {ONE_FILE}.index.json, which says what is in {first} and its like: fetch or copy it too"
    elif first.startswith("consolidated"):
        help_ = (
            f"no {path.name}: {first} has its maker's own names for tensors. Import the form of Hugging Face instead"
        )
    else:
        help_ = f"no {path.name}: if {first} is the whole model, import a copy of the folder where it has that name"
    return ImportRefused(f"there is {help_}")


def _read_shards(folder: Path, index: Path) -> Iterator[Stored]:
    """Yield the tensors of all shards, each in the one that the index names; ImportRefused by name where they disagree.

    A buffer may be in a file and not in the index, and an unembedding the other way round: where it is tied, files
    have it once, and the index of an older library twice. One that is not tied is missed when its layer is opened.
    """
    waited = _read_weight_map(index)
    found = set()
    for shard in sorted(set(waited.values())):
        for tensor in _read_file(folder / shard):
            if tensor.name not in waited and is_buffer(tensor):
                continue
            if waited.get(tensor.name) != shard:
                raise ImportRefused(
                    f"{tensor.name} is in {shard}, but {index.name} has it in {waited.get(tensor.name, 'no file')}: "
                    "the files are not of one model"
                )
            found.add(tensor.name)
            yield tensor
    for name in sorted(waited.keys() - found):
        if not (UNEMBEDDINGS.fullmatch(name) or BUFFERS.fullmatch(name)):
            raise ImportRefused(
                f"{index.name} has {quote_word(name)[1:-1]} in {waited[name]}, which does not hold it: the files are not of "
                "one model, or of two versions of it. Fetch them again"
            )


def _read_weight_map(index: Path) -> dict[str, str]:
    """Read the index's tensors and their shards; ImportRefused if a shard is no plain name of a file."""
    shards = read_document(index, LARGEST_INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ImportRefused(f"{index.name} names no tensors")
    if len(shards) > MOST_TENSORS:
        raise ImportRefused(f"{index.name} names {len(shards):,} tensors: at most {MOST_TENSORS:,} are read")
    for shard in shards.values():
        if not (isinstance(shard, str) and SHARD.fullmatch(shard)):
            raise ImportRefused(f"{index.name} names {quote_word(shard)}, which is no safetensors file of this folder")
    if len(set(shards.values())) > MOST_SHARDS:
        raise ImportRefused(f"{index.name} names more than {MOST_SHARDS} files")
    return shards


def is_buffer(tensor: Stored) -> bool:
    """Return whether it is no weight but a buffer: position ids, or a causal mask, which has four axes or none."""
    return BUFFERS.fullmatch(tensor.name) is not None or (len(tensor.shape) == 4 and tensor.shape[:2] == (1, 1))
