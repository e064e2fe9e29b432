"""Conversion of a checkpoint to weights, a layer at a time: opened, written, read back, checked against the model.

Memory does not grow with the number of layers. Finished files are in the staging folder's journal, and are not written
again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

import torch
from safetensors import safe_open
from torch import Tensor

from app.models.importing.allowance import bytes_allowed, limit_memory
from app.models.importing.alone import n_layers_of
from app.models.importing.bridge import BridgedLayer, open_layer
from app.models.importing.folder.checkpoint import Checkpoint, Stored
from app.models.importing.folder.families import architecture_of
from app.models.importing.folder.keys import keep_heeded
from app.models.importing.folder.stored_values import read_blocks, read_tensor, refuse_unfinite
from app.models.importing.folder.tensor_names import layer_of, name_in_layer
from app.models.importing.selftest import Checks, Run, check_ends, check_layer
from app.models.importing.staging import JournalEntry, Staging
from app.models.live.assembly import equals_stored
from app.models.live.layouts import LAYOUTS
from app.models.manifest import Shape
from app.models.refusal import ImportRefused
from app.models.weights import (
    CONFIG_FILE,
    EMBEDDINGS_FILE,
    TOKENIZER_FILE,
    Weights,
    layer_file,
    write_document,
    write_tensors,
)

ROWS = 4096
"""Tokens compared at a time."""


@dataclass(frozen=True)
class Converted:
    """The manifest's fields of the same names that conversion finds."""

    shape: Shape
    still_layers: list[int]
    checks: Checks
    files: dict[str, str]
    assembled: bool


def convert(
    checkpoint: Checkpoint, fingerprint: str, staging: Staging, report: Callable[[int, int], None]
) -> Converted:
    """Fill the staging folder."""
    with limit_memory(bytes_allowed(checkpoint.tensors)):
        return _convert_layers(checkpoint, fingerprint, staging, report)


def _convert_layers(
    checkpoint: Checkpoint, fingerprint: str, staging: Staging, report: Callable[[int, int], None]
) -> Converted:
    n_layers = n_layers_of(checkpoint)
    done = staging.entries()
    staging.keep(done)
    for layer in range(n_layers):
        report(layer, n_layers)
        if layer == 0 and EMBEDDINGS_FILE not in done:
            done.pop(layer_file(0), None)  # the ends are checked with the first layer
        if layer_file(layer) not in done:
            for entry in _convert_layer(checkpoint, fingerprint, staging, layer):
                staging.add(entry)
                done[entry.file] = entry
    if TOKENIZER_FILE not in done:
        sum_ = write_document(staging.folder / TOKENIZER_FILE, checkpoint.tokenizer)
        done[TOKENIZER_FILE] = JournalEntry(TOKENIZER_FILE, sum_, {})
    assembled = all(done[layer_file(layer)].facts["assembled"] for layer in range(n_layers))
    if assembled and CONFIG_FILE not in done:
        opened = {"architectures": [architecture_of(checkpoint.config)]}
        config = json.dumps(keep_heeded(checkpoint.config) | opened, sort_keys=True).encode()
        done[CONFIG_FILE] = JournalEntry(CONFIG_FILE, write_document(staging.folder / CONFIG_FILE, config), {})
    report(n_layers, n_layers)
    shape = _shape_of(done.values())
    turning = [done[layer_file(layer)].facts["rotary"] for layer in range(n_layers)]
    still = [layer for layer in range(n_layers) if shape.positions == "rotary" and not turning[layer]]
    files = {name: entry.sha256 for name, entry in done.items()}
    return Converted(shape, still, _largest_errors(done.values()), files, assembled)


def _convert_layer(checkpoint: Checkpoint, fingerprint: str, staging: Staging, layer: int) -> Iterator[JournalEntry]:
    """Write a layer, with the first one both ends as well, and check what was written."""
    bridged = open_layer(checkpoint, layer)
    weights = Weights(staging.folder, fingerprint, bridged.shape)
    run = Run(bridged.activations, bridged.ids, bridged.scale, bridged.cap)
    dtype = getattr(torch, checkpoint.dtype)
    kept = {name: tensor if ".attn.rotary" in name else tensor.to(dtype) for name, tensor in bridged.parameters.items()}
    sum_ = write_tensors(staging.folder / layer_file(layer), kept, fingerprint)
    rotary = f"blocks.{layer}.attn.rotary" in bridged.parameters
    facts = {"shape": asdict(bridged.shape), "n_params": bridged.n_params, "rotary": rotary}
    facts["assembled"] = _makes_stored(checkpoint, kept, layer)
    yield JournalEntry(layer_file(layer), sum_, facts | {"checks": check_layer(weights, layer, run)})
    if layer == 0:
        del kept
        sum_ = _write_ends(checkpoint, bridged, staging, fingerprint, dtype)
        facts = {"n_params": bridged.n_params_ends, "checks": check_ends(weights, run)}
        yield JournalEntry(EMBEDDINGS_FILE, sum_, facts)


def _makes_stored(checkpoint: Checkpoint, kept: Mapping[str, Tensor], layer: int) -> bool:
    """Return whether a layer's weights make the checkpoint's own parameters: False for families that are not run."""
    layout = LAYOUTS.get(architecture_of(checkpoint.config))
    if layout is None:
        return False
    parts = {name.removeprefix(f"blocks.{layer}."): tensor for name, tensor in kept.items()}
    stored = {
        own: read_tensor(checkpoint, tensor)
        for tensor in checkpoint.tensors
        if layer_of(tensor.name) == layer and (own := name_in_layer(tensor.name)) in layout.layer
    }
    return equals_stored(layout, parts, stored)


def _write_ends(
    checkpoint: Checkpoint, bridged: BridgedLayer, staging: Staging, fingerprint: str, dtype: torch.dtype
) -> str:
    """Write embedding, unembedding and final norm; each row is proven to be the checkpoint's after writing."""
    ends = {name: tensor.to(dtype) for name, tensor in bridged.ends.items()}
    sources = {"embed.W_E": bridged.W_E, "unembed.W_U": bridged.W_U, "unembed.b_U": bridged.b_U}
    stored = {name: checkpoint.tensor(source) for name, source in sources.items() if source is not None}
    for name, tensor in stored.items():
        ends[name] = _read_end(checkpoint, tensor, dtype, is_turned=name == "unembed.W_U")
    sum_ = write_tensors(staging.folder / EMBEDDINGS_FILE, ends, fingerprint)
    del ends
    with safe_open(staging.folder / EMBEDDINGS_FILE, "pt") as file:
        for name, tensor in stored.items():
            written = file.get_tensor(name)
            _refuse_other_rows(checkpoint, tensor, written.T if name == "unembed.W_U" else written)
    return sum_


def _read_end(checkpoint: Checkpoint, stored: Stored, dtype: torch.dtype, *, is_turned: bool) -> Tensor:
    """Read one of the two matrices, or the bias, as it is kept; ImportRefused if it is not finite."""
    kept = torch.empty(stored.shape[::-1] if is_turned else stored.shape, dtype=dtype)
    rows_of_kept = kept.T if is_turned else kept
    for rows, values in read_blocks(checkpoint, stored, ROWS):
        refuse_unfinite(stored.name, values)
        rows_of_kept[rows] = values.to(dtype)
    return kept


def _refuse_other_rows(checkpoint: Checkpoint, stored: Stored, written: Tensor) -> None:
    same = (
        torch.equal(values.to(written.dtype), written[rows]) for rows, values in read_blocks(checkpoint, stored, ROWS)
    )
    if stored.shape != tuple(written.shape) or not all(same):
        raise ImportRefused(f"{stored.name} was not written as it is in the checkpoint: tokens would be read wrongly")


def _shape_of(entries: Iterable[JournalEntry]) -> Shape:
    """Return the model's shape, which all its layers must agree on."""
    found = [entry.facts for entry in entries]
    n_params = sum(facts.get("n_params", 0) for facts in found)
    together = {replace(Shape(**facts["shape"]), n_params=n_params) for facts in found if "shape" in facts}
    if len(together) > 1:
        raise ImportRefused("the layers of this model differ in shape: such models cannot be read")
    return together.pop()


def _largest_errors(entries: Iterable[JournalEntry]) -> Checks:
    """Return the largest error of each identity over all layers."""
    worst: Checks = {}
    for entry in entries:
        for name, error in entry.facts.get("checks", {}).items():
            worst[name] = max(error, worst.get(name, 0.0))
    return worst
