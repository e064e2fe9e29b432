"""Memory: recognise when it ran out, and give freed memory back to the system. Knows no torch."""

import ctypes
import errno
import sys
from contextlib import suppress

WORDS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to map segment",
    "can't start new thread",
)
"""Words of torch on a CPU and a GPU, of the system, of its library loader, and of Python for a thread's stack."""


def is_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(words in str(error).lower() for words in WORDS)


def give_back() -> None:
    """Return freed memory to the system, where its C library would keep it for each thread (glibc)."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
