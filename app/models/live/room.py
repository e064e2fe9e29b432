"""Room for a model that runs: the memory that it takes, and what the machine has left. Knows no torch."""

from contextlib import suppress
from pathlib import Path

from app.models.manifest import Manifest

LIBRARIES = 450 * 2**20
"""Bytes of the model libraries themselves."""
FLOAT = 4
"""Bytes of each parameter while it runs."""
COPIES = 1.5
"""Bytes taken while parameters are put together, for each byte of them that stays."""
CGROUP = Path("/sys/fs/cgroup")


def estimate_room(manifest: Manifest, n_tokens: int) -> int:
    """Estimate the bytes that running the model takes, on a text of so many tokens, once it is loaded."""
    shape = manifest
    parameters = FLOAT * shape.n_params
    directions = 2 * FLOAT * shape.n_layers * shape.n_heads * shape.d_head * shape.d_model
    of_a_token = shape.n_layers * (4 * shape.d_model + shape.d_mlp + shape.n_heads * n_tokens) + 2 * shape.d_vocab
    return LIBRARIES + parameters + directions + FLOAT * n_tokens * of_a_token


def estimate_loading(manifest: Manifest) -> int:
    """Estimate the bytes that are taken at most while the model is loaded, besides the libraries."""
    return int(COPIES * FLOAT * manifest.n_params)


def measure_free() -> int | None:
    """Measure the bytes of memory that are left to new work; None where the system does not tell."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        words = next(line.split() for line in lines if line.startswith("MemAvailable:"))
        found.append(1024 * int(words[1]))
    with suppress(OSError, ValueError):  # "max" is no number: there is no limit
        most = int((CGROUP / "memory.max").read_text(encoding="ascii"))
        found.append(max(0, most - int((CGROUP / "memory.current").read_text(encoding="ascii"))))
    return min(found, default=None)
