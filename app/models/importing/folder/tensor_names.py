"""What the name of a checkpoint's tensor tells: its layer, and whether two names mean one tensor. Knows no torch."""


def layer_of(name: str) -> int | None:
    """The layer that a checkpoint's tensor belongs to.

    Example: layer_of("model.layers.3.mlp.experts.0.w1.weight") -> 3
    """
    at = _place_of_layer(name.split("."))
    return None if at is None else int(name.split(".")[at])


def rename_layer(name: str, layer: int, to: int) -> str:
    """The name with its layer's number changed, if it is that layer's.

    Example: rename_layer("h.3.mlp.weight", 3, 0) -> "h.0.mlp.weight"
    """
    parts = name.split(".")
    at = _place_of_layer(parts)
    if at is not None and int(parts[at]) == layer:
        parts[at] = str(to)
    return ".".join(parts)


def is_same_tensor(one: str, other: str) -> bool:
    """Whether the names agree but for a prefix: a base model's checkpoint leaves it out."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _place_of_layer(parts: list[str]) -> int | None:
    """Which part of a name is its layer's number: the first number in it."""
    return next((i for i, part in enumerate(parts) if part.isdecimal()), None)
