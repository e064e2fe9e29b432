"""Allowance of memory for an import, by its checkpoint's tensors, and the system's limit on it.

Memory counts that the process can write to (RLIMIT_DATA), including weights just written, which are mapped to be
checked: address space is no measure, since libraries reserve far more of it than they use. The checkpoint is read,
never mapped: how much lies in one file makes no difference. The allowance is generous: imports of Llamas of 4096
dimensions with 1,000 to 64,000 tokens took at most 4.7 GiB, five layers in float32 beside the libraries. An import that
asks for more does so because of its config.
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
"""Bytes for the model libraries themselves and their work at any size; they hold 1.4 GiB on one thread."""
OF_A_THREAD = 128 << 20
"""Bytes that libraries set aside for each processor."""
LAYERS, ENDS = 8, 4
"""Copies of the largest layer in float32, and of everything outside layers."""


def bytes_allowed(tensors: Iterable[Stored | Packed]) -> int:
    """Compute the bytes that importing a checkpoint with these tensors may take."""
    sizes: dict[int | None, int] = defaultdict(int)
    for tensor in tensors:
        sizes[layer_of(tensor.name)] += 4 * tensor.size
    ends = sizes.pop(None, 0)
    processors = os.cpu_count() or 1
    largest = max(sizes.values(), default=0)
    return LIBRARIES + OF_A_THREAD * processors + LAYERS * largest + ENDS * ends


@contextmanager
def limit_memory(n_bytes: int) -> Iterator[None]:
    """Limit the memory that this process may take beyond what it has, where the system keeps account of it.

    MemoryError at any allocation beyond the limit, whichever library makes it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    taken = _memory_taken()
    if taken is not None:
        with suppress(ValueError, OSError):  # not every system allows it
            resource.setrlimit(resource.RLIMIT_DATA, (min([taken + n_bytes, *known]), hard))
    try:
        yield
    except ImportRefused:  # even if it speaks of memory
        raise
    except Exception as error:  # each library raises its own when memory is short
        if not is_of_memory(error):
            raise
        raise MemoryError from error
    finally:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _memory_taken() -> int | None:
    """Return the bytes that count against the limit so far; None where the system does not tell."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(fields[5]) * resource.getpagesize()
