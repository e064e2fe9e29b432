"""What Ctrl-C and the system's TERM do to a long command: it says a sentence and is gone within seconds.

Knows nothing of what the command does; that what it had written so far is sound is the command's own care.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Timer
from types import FrameType
from typing import NoReturn

GRACE_SECONDS = 3
"""For temporary files to be removed; then the process goes without: a download may hold it for minutes."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Interrupted(BaseException):
    """Goes through `except Exception`, which the libraries are full of."""


_begun = Event()


def is_interrupted() -> bool:
    """Whether this process is about to end for that reason: what fails now may be a library's word for it."""
    return _begun.is_set()


@contextmanager
def interruptible(sentence: str) -> Iterator[None]:
    """End the process with that sentence, and status 130 or 143, if it is interrupted inside; main thread only."""
    status: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        _begun.set()
        status.append(128 + number)
        start = "\n" if os.isatty(2) else ""  # whatever stands on the line
        os.write(2, f"{start}{sentence}\n".encode())  # not print, which may have been interrupted itself
        timer = Timer(GRACE_SECONDS, os._exit, status)
        timer.daemon = True
        timer.start()
        raise _Interrupted

    before = {each: signal.signal(each, interrupt) for each in SIGNALS}
    try:
        yield
    finally:
        if status:  # whatever a library has made of the interruption
            sys.exit(status[0])
        for each, handler in before.items():
            signal.signal(each, handler)
