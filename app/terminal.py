"""What commands say on a terminal: lines, progress and logs, none of which can control it. Knows no command."""

import logging
import shutil
import sys
from typing import Any, NoReturn

import typer

from app.core.plain_text import spell_out


def say(line: str, *, err: bool = False) -> None:
    """Print a line whose names of files and folders cannot control the terminal."""
    typer.echo(spell_out(line), err=err)


def stop(*lines: str) -> NoReturn:
    """End the command with exit status 1, after these lines on stderr, the first of them after the command's name."""
    say(f"singular-lens: {lines[0]}", err=True)
    for line in lines[1:]:
        say(line, err=True)
    raise typer.Exit(1)


def format_bytes(size: int) -> str:
    """Format a size with three digits: `3 bytes`, `1.5 KiB`, …"""
    if size < 1024:
        return f"{size} bytes"
    power = min(4, (size.bit_length() - 1) // 10)
    return f"{size / 1024**power:.1f} {('KiB', 'MiB', 'GiB', 'TiB')[power - 1]}"


BAR = 20
"""Characters of a full bar, where there is room."""


class ProgressLine:
    """Progress of a command, on stderr: one line that changes on a terminal, occasional lines elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._tenth = 0

    def show(self, words: str, done: int = 0, total: int = 0) -> None:
        """Replace the line; elsewhere than on a terminal, print one only for each tenth of the total."""
        tenth = 10 * done // total if total else 0
        if self._terminal:
            columns = shutil.get_terminal_size().columns - 1  # a second line would stay
            width = BAR if columns >= 100 else BAR // 2
            bar = f"{'█' * (width * done // total):░<{width}} {done / total:4.0%} " if total else ""
            line = f"{bar}{words}"[:columns]
            typer.echo(f"\r\x1b[K{line}", err=True, nl=False)
        elif tenth > self._tenth:
            typer.echo(f"{words}, {done / total:.0%}", err=True)
        self._tenth = tenth

    def clear(self) -> None:
        """Clear the line for other output."""
        if self._terminal:
            typer.echo("\r\x1b[K", err=True, nl=False)


class PlainLines(logging.Formatter):
    """Log formatter whose messages and tracebacks cannot control the terminal, nor look like another message.

    A message is one line whatever it says, and every line of a traceback is indented.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Format the message as one line."""
        return spell_out(super().formatMessage(record).rstrip("\n"))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Indent the lines of a traceback."""
        return _indent_lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """Indent the lines of a stack."""
        return _indent_lines(super().formatStack(stack_info))


def _indent_lines(lines: str) -> str:
    return "\n".join(f"  {spell_out(line)}" for line in lines.split("\n"))
