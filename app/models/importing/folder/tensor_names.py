"""Names of a checkpoint's tensors: the layer in a name, and whether two names mean one tensor. Knows no torch."""


def layer_of(name: str) -> int | None:
    """Return the layer that a checkpoint's tensor belongs to.

    Example: layer_of("model.layers.3.mlp.experts.0.w1.weight") -> 3
    """
    at = _place_of_layer(name.split("."))
    return None if at is None else int(name.split(".")[at])


def rename_layer(name: str, layer: int, to: int) -> str:
    """Change the layer's number in a name, if it is that layer's.

    Example: rename_layer("h.3.mlp.weight", 3, 0) -> "h.0.mlp.weight"
    """
    parts = name.split(".")
    at = _place_of_layer(parts)
    if at is not None and int(parts[at]) == layer:
        parts[at] = str(to)
    return ".".join(parts)


def name_in_layer(name: str) -> str:
    """Return what a name says behind its layer's number; the whole name where it has none.

    Example: name_in_layer("model.layers.3.mlp.up_proj.weight") -> "mlp.up_proj.weight"
    """
    parts = name.split(".")
    at = _place_of_layer(parts)
    return name if at is None else ".".join(parts[at + 1 :])


def is_same_tensor(one: str, other: str) -> bool:
    """Return whether the names agree but for a prefix: a base model's checkpoint leaves it out."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _place_of_layer(parts: list[str]) -> int | None:
    """Find the part of a name that is its layer's number: the first number in it."""
    return next((i for i, part in enumerate(parts) if part.isdecimal()), None)
