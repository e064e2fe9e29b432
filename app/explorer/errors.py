"""The errors that a visitor can cause or meet, in words that say what to do next. Knows no status codes."""

from concurrent.futures import Future
from typing import Any


class ExplorerError(Exception):
    """Carries a message fit for a page: no path, no traceback, nothing of the machine."""


class UnknownAddress(ExplorerError):
    """Nothing of that name is here; the message names the valid range."""


class UnknownPrompt(UnknownAddress):
    """There is no prompt of that key here."""


class NamesNothing(UnknownAddress):
    """The text names no place, there or not: it may be words."""


class NotBuilt(ExplorerError):
    """The answer needs something that only precomputing builds, and that is missing; the message has the command."""

    def __init__(self, message: str, command: str = "") -> None:
        super().__init__(message)
        self.command = command


class NotComputedHere(ExplorerError):
    """Nobody computed it beforehand, and this server computes nothing for visits; the message names what is there."""


class BadOption(ExplorerError):
    """A query value is outside its range, or means nothing for this model; the message names the range."""


class OtherValue(BadOption):
    """The option has other values; `near` has (spelling, shown form) of some that may have been meant."""

    def __init__(self, message: str, name: str, near: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message)
        self.name, self.near = name, near


class UnknownToken(OtherValue):
    """The text is no single token of the model."""

    def __init__(self, message: str, near: tuple[tuple[str, str], ...], name: str = "token") -> None:
        super().__init__(message, name, near)


class NotReady(ExplorerError):
    """The answer is being computed; ask again shortly."""

    def __init__(
        self,
        message: str,
        done: int = 0,
        total: int = 0,
        pending: "tuple[Future[Any], ...]" = (),
        *,
        rests: bool = False,
        goes_on: bool = False,
    ) -> None:
        super().__init__(message)
        self.done, self.total = done, total
        """The progress: done of total; total is 0 where there is nothing to count."""
        self.pending = pending
        """The computations that must end before asking again can help; empty where nobody can wait for them."""
        self.rests = rests
        """Whether the work is paused, or soon will be, until somebody asks again: the sooner, the better."""
        self.goes_on = goes_on
        """Whether the work goes on though nobody asks again."""


class Importing(NotReady):
    """The model itself is still being imported; `job` imports it, once that is noted."""

    def __init__(self, message: str, done: int, total: int, job: str | None) -> None:
        super().__init__(message, done, total)
        self.job = job


class Busy(ExplorerError):
    """The line is full, or full for this visitor, or the server ends; ask again in `retry_after` seconds."""

    retry_after = 5


class TooManyPrompts(Busy):
    """As many prompts wait for a model as may, or as one visitor may have waiting."""


class PromptsRefused(ExplorerError):
    """This visitor may run no model on this server; the message says who may."""


class ComputationFailed(ExplorerError):
    """This one computation failed and the others go on; it may be tried again in `retry_after` seconds."""

    retry_after = 10


class NotImported(ComputationFailed):
    """The model's import failed or was cancelled; `job` was to import it, and asking again brings nothing."""

    retry_after = 0

    def __init__(self, message: str, job: str | None) -> None:
        super().__init__(message)
        self.job = job
