"""Whether an error means that there was not enough memory, in whoever's words. Knows no torch."""

import errno

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
