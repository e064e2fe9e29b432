"""What a layer's file says of itself without its tensors: for pages, which must not wait for torch.

Knows the names in the file, not the numbers.
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from app.models.refusal import WeightsDamaged


def layer_file(layer: int) -> str:
    """The name of the file that holds a layer."""
    return f"layer-{layer:03d}.safetensors"


def rotates(folder: Path, layer: int) -> bool:
    """Whether that layer turns queries and keys by their positions; WeightsDamaged if its file cannot tell."""
    name = layer_file(layer)
    try:
        with safe_open(folder / name, "np") as file:
            names = set(file.keys())
            summed = set(json.loads(file.metadata()["sums"]))
    except FileNotFoundError as error:
        raise WeightsDamaged(f"{name} of these weights is missing") from error
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsDamaged(f"{name} of these weights cannot be read: it is damaged or cut short") from error
    if names != summed:
        raise WeightsDamaged(f"{name} of these weights is damaged: its header does not agree with itself")
    return f"blocks.{layer}.attn.rotary" in names
