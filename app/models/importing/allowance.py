"""How much memory an import may take, by what its checkpoint holds, and the limit that the system then watches.

What counts is memory that the process can write to (RLIMIT_DATA), weights just written among it, which are mapped so
to be checked: address space is no measure, since libraries reserve far more of it than they use. The checkpoint is read,
never mapped: how much lies in one file makes no difference. Generous: imports of Llamas of 4096 dimensions with 1,000
to 64,000 tokens took at most 4.7 GiB, five layers in float32 beside the libraries.
What asks for more was led to it by its config.
"""

import os
import resource
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.models.importing.folder.header import Stored
from app.models.importing.folder.tensor_names import layer_of
from app.models.importing.gguf.header import Packed
from app.models.memory import is_of_memory
from app.models.refusal import ImportRefused

LIBRARIES = 4 << 30
"""Bytes for the model libraries themselves and what they do at any size; they hold 1.4 GiB on one thread."""
OF_A_THREAD = 128 << 20
"""What libraries set aside for each processor."""
LAYERS, ENDS = 8, 4
"""Copies of the largest layer in float32, and of everything outside layers."""


def bytes_allowed(tensors: Iterable[Stored | Packed]) -> int:
    """Bytes that importing a checkpoint with these tensors may take."""
    sizes: dict[int | None, int] = defaultdict(int)
    for tensor in tensors:
        sizes[layer_of(tensor.name)] += 4 * tensor.size
    ends = sizes.pop(None, 0)
    processors = os.cpu_count() or 1
    largest = max(sizes.values(), default=0)
    return LIBRARIES + OF_A_THREAD * processors + LAYERS * largest + ENDS * ends


@contextmanager
def confine(n_bytes: int) -> Iterator[None]:
    """Let this process take so many bytes more than it has, and no more, where the system keeps account of them.

    MemoryError at what asks for more, whichever library asks.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    taken = _taken()
    if taken is not None:
        with suppress(ValueError, OSError):  # not every system lets us
            resource.setrlimit(resource.RLIMIT_DATA, (min([taken + n_bytes, *known]), hard))
    try:
        yield
    except ImportRefused:  # whatever its words
        raise
    except Exception as error:  # each library has its own
        if not is_of_memory(error):
            raise
        raise MemoryError from error
    finally:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _taken() -> int | None:
    """Bytes that count against the limit so far; None where the system does not tell."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(fields[5]) * resource.getpagesize()
