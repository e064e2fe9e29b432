"""Manifest: the facts of an imported model that are known without its tensors, from the `manifest.json` beside them.

Knows no torch, so that pages can describe a model before anything heavy is imported.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

FORMAT = 3
"""Version of the folder's layout; weights in another format are imported again."""

MlpReads = Literal["ln2", "ln1", "stream"]
"""The norm through which an MLP reads: its own, attention's (blocks in parallel), or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The facts of a model that its tensors cannot be used without."""

    n_layers: int
    n_heads: int
    n_kv_heads: int
    """Key/value heads; smaller than n_heads where queries share them."""
    d_model: int
    d_head: int
    d_vocab: int
    """Rows of the embedding, padding included."""
    n_ctx: int
    n_params: int
    """Tied parameters counted once."""
    tied: bool
    """Embedding and unembedding are one matrix."""
    normalization: Literal["LN", "RMS"]
    eps: float
    """Added to the variance under the norm's square root."""
    gain_offset: float
    """Added to every stored gain: Gemma stores gains less one."""
    positions: Literal["learned", "rotary", "alibi"]
    """Kind of positions: vectors in the stream, rotated queries and keys, or a slope on the scores."""
    encoder: bool
    """The model reads both ways (BERT): its stream is behind norms that cannot be folded, and it has no unembedding."""
    reads_normed: bool
    """Attention reads the stream through a norm, as almost everywhere (OLMo-2 does not)."""
    post_norm: bool
    """The heads' output passes through a norm on its way to the stream (Gemma 2, OLMo-2)."""
    qk_norm: Literal["none", "RMS", "LN"]
    """Queries and keys pass through norms of their own."""
    qk_norm_over_heads: bool
    """The norms of queries and keys take all heads of a token together."""
    sinks: bool
    """Attention may go to nothing (GPT-OSS): a head's weights on tokens need not sum to one."""
    n_experts: int
    """Experts of each MLP; 0 where it is one dense MLP."""
    d_mlp: int
    """Neurons of each dense MLP; 0 where it is a mixture of experts."""
    gated: bool
    """Each dense MLP has a W_gate beside W_in."""
    mlp_reads: MlpReads
    """The norm through which the MLP reads the stream; none in OLMo-2 and encoders."""
    mlp_post_norm: bool
    """The MLP's output passes through a norm on its way to the stream (Gemma 2, OLMo-2)."""


@dataclass(frozen=True, slots=True)
class Quantisation:
    """The rounding of the weights to few levels before they were imported."""

    kind: str
    """The kind of most of their numbers, in llama.cpp's words, such as `Q4_1`."""
    bits: int
    """Bits of each number, in that kind."""
    steps: dict[str, list[float]]
    """Root mean square, over the numbers of a head (of queries or of keys and values) or of a whole matrix, of the distance
    between the levels of their block: by the matrix's name in the weights, such as `blocks.3.attn.W_V`. 0 where it is
    stored as it is; not said of matrices whose levels are unevenly spaced."""
    others: dict[str, str] = field(default_factory=dict)
    """Matrices of another kind, by their names in the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Shape):
    """The facts of one model's weights."""

    format: int
    fingerprint: str
    """64 hexadecimal digits over tensors, config and tokenizer."""
    name: str
    """The model's name for people: `gpt2`, `singular-lens demo`."""
    source: str
    """A hub id, `demo`, a package and its version, `local folder` or `local file`; never a path."""
    revision: str | None
    """The commit on the hub; None where there is none."""
    architecture: str
    """The checkpoint's own word for it, such as `GPT2LMHeadModel`."""
    dtype: str
    """The dtype that the tensors are stored in: `float16`, `bfloat16` or `float32`."""
    still_layers: list[int]
    """Layers of a rotary model that rotate nothing, as some of SmolLM3's."""
    checks: dict[str, float]
    """Largest relative error over all layers, by the identity that the imported tensors were checked for."""
    files: dict[str, str]
    """SHA-256 of every other file of the folder, by its name."""
    rounded: bool = False
    """The checkpoint has numbers of float64, which are kept as float32. Missing in old manifests."""
    quantisation: Quantisation | None = None
    """Rounding of the weights to fewer levels than their dtype has; None if none is known."""
    assembled: bool | None = None
    """The weights make the checkpoint's own parameters, number for number, so that the model can be run from them; None
    in manifests of versions that did not prove it."""
    hub: str | None = None
    """The hub id of the model that they are said to be; None where nothing says it."""
    licence: str | None = None
    """The licence as the folder or file writes it; None where neither does."""


class OtherFormat(ValueError):
    """The weights are in the format of another version; the message says which, and what becomes of them."""

    def __init__(self, written: int) -> None:
        fate = (
            "the next import of this model writes them anew, and so does serve"
            if written < FORMAT
            else "a newer version of singular-lens wrote them, and opens them"
        )
        super().__init__(f"weights in format {written}, and this version reads format {FORMAT}: {fate}")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest in a folder of weights; FileNotFoundError if there is none, ValueError if it is not ours."""
    file = folder / "manifest.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    written = facts.get("format") if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or not isinstance(written, int):
        raise ValueError(f"{file.name} is damaged: it says no format")
    if written != FORMAT:
        raise OtherFormat(written)
    if facts.pop("sha256", None) != _checksum(facts):
        raise ValueError(f"{file.name} is damaged: its checksum does not match")
    try:
        if facts.get("quantisation") is not None:
            facts["quantisation"] = Quantisation(**facts["quantisation"])
        return Manifest(**facts)
    except TypeError as error:
        raise ValueError(f"{file.name} is damaged: {error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into a folder of weights; it is safely on disk when this returns."""
    facts = asdict(manifest)
    text = json.dumps(facts | {"sha256": _checksum(facts)}, indent=2, sort_keys=True) + "\n"
    with (folder / "manifest.json").open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def verify_weights(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Yield (file, fault or None) for every file of a folder of weights, every byte read."""
    try:
        manifest = read_manifest(folder)
    except FileNotFoundError:
        yield "manifest.json", "it is missing"
        return
    except (OSError, ValueError) as error:
        yield "manifest.json", str(error)
        return
    yield "manifest.json", None
    for name, expected in sorted(manifest.files.items()):
        try:
            yield name, None if file_sum(folder / name) == expected else "its checksum does not match"
        except FileNotFoundError:
            yield name, "it is missing"
        except OSError as error:
            yield name, f"it cannot be read ({error.strerror})"


def file_sum(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
