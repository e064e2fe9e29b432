"""Conversion of a GGUF file to a checkpoint's folder, a layer at a time: config.json, tokenizer.json, safetensors.

Every number is kept exactly, in the smallest dtype that holds all numbers of its tensor; llama.cpp's own order of rows,
transposed matrices and gains plus one are undone. The folder is then imported as any other. Knows neither where the
file comes from nor what becomes of the folder.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

import torch
from jaxtyping import Float32
from safetensors.torch import save_file
from torch import Tensor

from app.core.steps import Steps
from app.models.importing.allowance import bytes_allowed, limit_memory
from app.models.importing.alone import explain_failure
from app.models.importing.folder.keys import MOST_FACTORS, keep_heeded
from app.models.importing.gguf.header import GgufHeader, Packed
from app.models.importing.gguf.layouts import (
    FACTORS,
    IN_LAYER,
    LAYOUTS,
    Config,
    Layout,
    checkpoint_names,
    config_of,
    heads_of,
    layout_of,
)
from app.models.importing.gguf.library import PLAIN, tokenizer_of, unpack_rows
from app.models.importing.gguf.steps import StepSizes
from app.models.manifest import Quantisation
from app.models.refusal import ImportRefused

PIECE = 1 << 22
"""Numbers that are unpacked at a time."""
SMALLER = (torch.bfloat16, torch.float16)
INDEX = "model.safetensors.index.json"


def convert_gguf(
    path: Path, header: GgufHeader, folder: Path, report: Callable[[int, int], None]
) -> Quantisation | None:
    """Write a checkpoint into the folder from a file with that header; returns its quantisation, None if there is none.

    `report` is told how many groups of tensors are written, of how many. ImportRefused with the reason if the file cannot
    be read.
    """
    steps = _convert_tensors(path, header, layout_of(header), folder)
    with limit_memory(bytes_allowed(header.tensors.values())):
        while True:
            try:
                done, total = next(steps)
            except StopIteration as end:
                quantisation: Quantisation | None = end.value
                return quantisation
            except (ImportRefused, OSError):
                raise
            except Exception as error:  # such as shapes that no such model has, or any error of a library
                raise explain_failure(f"{path.name} cannot be unpacked", error) from error
            report(done, total)  # outside the try: its errors are no fault of the file


def _convert_tensors(path: Path, header: GgufHeader, layout: Layout, folder: Path) -> Steps[Quantisation | None]:
    tensors = _select_weights(header, path)
    factors = {name: _read_factors(path, header.tensors[name]) for name in FACTORS if name in header.tensors}
    tied = "output.weight" not in tensors
    config = config_of(layout, header, tied=tied, factors=factors)
    try:
        keep_heeded(config)
    except ImportRefused as refusal:
        raise ImportRefused(f"what the file says of itself makes no model: {refusal}") from refusal
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer_of(header.facts), encoding="utf-8")
    n_heads, n_kv_heads = heads_of(config)
    steps = StepSizes(n_heads, n_kv_heads, is_fused=layout is LAYOUTS["phi3"])
    groups = [list(group) for _, group in groupby(sorted(tensors.values(), key=_sort_key), key=_layer_of)]
    files: dict[str, str] = {}
    for at, group in enumerate(groups):
        yield at, len(groups)
        shard = f"model-{at + 1:05}-of-{len(groups):05}.safetensors"
        written = {}
        for tensor in group:
            for name, values in _rename_tensor(path, layout, config, tensor, steps):
                if name in files or name in written:
                    raise ImportRefused(f"the file has two tensors that are {name}")
                written[name] = values
        save_file(written, folder / shard, {"format": "pt"})
        files |= dict.fromkeys(written, shard)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": files}), encoding="utf-8")
    return _quantisation(tensors.values(), steps, tied=tied)


def _read_factors(path: Path, tensor: Packed) -> list[float]:
    if tensor.size > MOST_FACTORS:
        raise ImportRefused(f"the file has {tensor.size:,} factors in {tensor.name}: at most {MOST_FACTORS:,} are read")
    found: list[float] = _read_numbers(path, tensor).flatten().tolist()
    if not all(math.isfinite(factor) and factor > 0 for factor in found):
        raise ImportRefused(f"the file has factors in {tensor.name} that are not numbers above 0")
    return found


def _select_weights(header: GgufHeader, path: Path) -> dict[str, Packed]:
    """Select the file's weights, without an unembedding that equals the embedding byte by byte."""
    tensors = {name: tensor for name, tensor in header.tensors.items() if name not in FACTORS}
    embedding, output = tensors.get("token_embd.weight"), tensors.get("output.weight")
    if embedding and output and (embedding.kind, embedding.shape) == (output.kind, output.shape):
        pairs = zip(_read_pieces(path, embedding), _read_pieces(path, output), strict=True)
        if all(torch.equal(one, other) for one, other in pairs):
            del tensors["output.weight"]
    return tensors


def _layer_of(tensor: Packed) -> int:
    """Return the tensor's layer; negative and unique for a tensor outside the layers."""
    inside = IN_LAYER.fullmatch(tensor.name)
    return int(inside[1]) if inside else -1 - (tensor.name == "output.weight")


def _sort_key(tensor: Packed) -> tuple[int, str]:
    return _layer_of(tensor), tensor.name


def _rename_tensor(
    path: Path, layout: Layout, config: Config, tensor: Packed, steps: StepSizes
) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensor under a checkpoint's name, or its rows under theirs."""
    names = checkpoint_names(layout, tensor)
    if not names:
        return
    values = _read_numbers(path, tensor, steps)
    inside = IN_LAYER.fullmatch(tensor.name)
    stem = inside[2] if inside else tensor.name.rpartition(".")[0]
    if stem in layout.paired:
        values = unpair_rows(values, config[layout.paired[stem]])
    if stem in layout.turned and len(tensor.shape) == 2:
        values = values.T
    if stem in layout.lifted:
        values = (values.double() - 1).float()
    if len(names) == 1:
        yield names[0], _to_smallest_dtype(values if len(tensor.shape) > 1 else values.flatten(), tensor)
        return
    for name, row in zip(names, values, strict=True):
        yield name, _to_smallest_dtype(row, tensor)


def unpair_rows(rows: Float32[Tensor, "rows columns"], n_heads: int) -> Float32[Tensor, "rows columns"]:
    """Reorder rows of heads whose rotary pairs are neighbours to transformers' order: first halves before second ones.

    ImportRefused if they are not rows of so many heads.
    """
    # A bias comes as a single row.
    by_row = rows.T if len(rows) == 1 else rows
    if len(by_row) % (2 * n_heads):
        raise ImportRefused(
            f"the file has {len(by_row)} rows of queries or keys, which are not those of {n_heads} heads"
        )
    unpaired = by_row.reshape(n_heads, -1, 2, by_row.shape[1]).transpose(1, 2).reshape(by_row.shape)
    return unpaired.T if len(rows) == 1 else unpaired


def _read_numbers(path: Path, tensor: Packed, steps: StepSizes | None = None) -> Float32[Tensor, "rows columns"]:
    """Read all of a tensor, float32, its first axes in one; notes its step sizes in `steps`."""
    rows = torch.empty(tensor.size // tensor.shape[-1], tensor.shape[-1])
    at = 0
    for raw in _read_pieces(path, tensor):
        part = unpack_rows(raw, tensor)
        rows[at : at + len(part)] = part
        at += len(part)
        if steps is not None:
            steps.add(raw, tensor)
    return rows


def _read_pieces(path: Path, tensor: Packed) -> Iterator[Tensor]:
    """Yield the tensor's bytes, whole rows at a time; OSError if the file has become shorter."""
    size = max(1, PIECE // tensor.shape[-1]) * tensor.row_bytes
    with path.open("rb") as file:
        file.seek(tensor.start)
        left = tensor.n_bytes
        while left:
            piece = bytearray(file.read(wanted := min(left, size)))
            if len(piece) < wanted:
                raise OSError(f"{path.name} was cut short while it was read")
            left -= wanted
            yield torch.frombuffer(piece, dtype=torch.uint8)


def _to_smallest_dtype(values: Tensor, tensor: Packed) -> Tensor:
    """Convert the values to the smallest dtype that holds them all; of two as small, to the file's own."""
    own = PLAIN.get(tensor.kind.name)
    for dtype in sorted(SMALLER, key=lambda dtype: dtype != own):
        small = values.to(dtype)
        if torch.equal(small.float(), values):
            return small.contiguous()
    return values.contiguous()


def _quantisation(tensors: Iterable[Packed], steps: StepSizes, *, tied: bool) -> Quantisation | None:
    """Find the kind that most numbers of the matrices are stored as; None if all are stored as they are."""
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        if tensor.kind.name not in PLAIN:
            sizes[tensor.kind.name] += tensor.size
    if not sizes:
        return None
    kind = sizes.most_common(1)[0][0]
    by_matrix = steps.by_matrix()
    others = {name: other for name, other in steps.kinds().items() if other != kind}
    if tied and "embed.W_E" in by_matrix:
        by_matrix["unembed.W_U"] = by_matrix["embed.W_E"]
    if tied and "embed.W_E" in others:
        others["unembed.W_U"] = others["embed.W_E"]
    return Quantisation(kind, int(kind.lstrip("IQ")[0]), by_matrix, others)
