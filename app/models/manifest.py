"""What is known of an imported model without opening its tensors: the file `manifest.json` beside them.

Knows no torch, so that pages can say what a model is before anything heavy is imported.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

FORMAT = 1
"""Version of the folder's layout; weights in another format are imported again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What must be known of a model to use its tensors."""

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
    has_positions: bool
    """Positions have learned vectors in the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Shape):
    """The facts of one model's weights."""

    format: int
    fingerprint: str
    """64 hexadecimal digits over tensors, config and tokenizer."""
    name: str
    """As people know it: `gpt2`, `singular-lens demo`."""
    source: str
    """A hub id, `demo` or `local folder`; never a path."""
    revision: str | None
    """The commit on the hub; None where there is none."""
    architecture: str
    """The checkpoint's own word, such as `GPT2LMHeadModel`."""
    dtype: str
    """What the tensors are stored in: `float16`, `bfloat16` or `float32`."""


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder of weights; FileNotFoundError if there is none, ValueError if it is not ours."""
    file = folder / "manifest.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(f"{file} is not in format {FORMAT}")
    try:
        return Manifest(**facts)
    except TypeError as error:
        raise ValueError(f"{file} is damaged: {error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into a folder of weights."""
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
