"""Memory that there is not enough of, and that is not needed any more. Knows no torch."""

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
"""Of torch on a CPU and on a GPU, of the system, of its loader for a library, and of Python for a thread's stack."""


def is_of_memory(error: BaseException) -> bool:
    """Tell whether memory was too small."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(words in str(error).lower() for words in WORDS)


def give_back() -> None:
    """Hand the system what this process has freed, where its C library keeps that for later (glibc, for each thread)."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
