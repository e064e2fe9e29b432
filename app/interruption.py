"""Interruption of a long command by Ctrl-C or TERM: it prints a sentence and ends within seconds.

Knows nothing of what the command does; the command itself must keep what it has written sound.
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
"""Time to remove temporary files; then the process ends without: a download may hold it for minutes."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Interrupted(BaseException):
    """Passes through `except Exception`, which the libraries are full of."""


_begun = Event()


def is_interrupted() -> bool:
    """Return whether this process is about to end: errors from now on may be due to the interruption."""
    return _begun.is_set()


@contextmanager
def exit_on_interrupt(sentence: str) -> Iterator[None]:
    """End the process with that sentence, and status 130 or 143, if it is interrupted inside; main thread only."""
    status: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        _begun.set()
        status.append(128 + number)
        start = "\n" if os.isatty(2) else ""  # the line may hold other text
        os.write(2, f"{start}{sentence}\n".encode())  # not print, which may be the call that was interrupted
        timer = Timer(GRACE_SECONDS, os._exit, status)
        timer.daemon = True
        timer.start()
        raise _Interrupted

    before = {each: signal.signal(each, interrupt) for each in SIGNALS}
    try:
        yield
    finally:
        if status:  # also if a library has caught or replaced the exception
            sys.exit(status[0])
        for each, handler in before.items():
            signal.signal(each, handler)
