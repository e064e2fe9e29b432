"""The names of the kinds of matrices that a census counts. Knows no numbers."""

from app.explorer.groups import AXES, CUT, PRINCIPAL, matrix_and_side

NAMES: dict[str, str] = {
    "qk-query": "QK query",
    "qk-key": "QK key",
    "ov-read": "OV read",
    "ov-write": "OV write",
    "mlp-in": "MLP in",
    "mlp-gate": "MLP gate",
    "mlp-out": "MLP out",
    "embed": "embedding",
    "unembed": "unembedding",
    "ov-read-used": "output axes, read",
    "ov-write-used": "output axes, write",
    "embed-pca": "principal components of the embedding",
}


def name_group(group: str, d_head: int) -> str:
    """Name a group of matrices.

    Example: name_group("mlp-out-cut", 64) -> "64 neurons of MLP out"
    """
    matrix = group.removesuffix(CUT)
    if matrix == group:
        return NAMES[group]
    return f"embedding in {d_head} dimensions" if matrix == "embed" else f"{d_head} neurons of {NAMES[matrix]}"


def name_ends(group: str, d_head: int) -> str:
    """Name the ends of a group's directions.

    Example: name_ends("ov-write", 64) -> "OV write ends"
    """
    name = name_group(group, d_head)
    if group.endswith(AXES):
        return f"{matrix_and_side(group)[1]} ends of output axes"
    if not group.endswith((CUT, PRINCIPAL)):
        return f"{name} ends"
    return f"ends of {'' if name[0].isdigit() else 'the '}{name}"
