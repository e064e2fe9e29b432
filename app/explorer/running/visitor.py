"""Who asks for what is being done: set for each request by whoever lets it in. Knows no addresses."""

from collections.abc import Hashable
from contextvars import ContextVar
from dataclasses import dataclass

VISITOR: ContextVar[str] = ContextVar("VISITOR", default="")
"""The visitor's key; empty for the server itself and its operator."""

GRANTED_SECONDS = 2.0
"""Of computing that one request causes, until the end of a step: what takes longer goes on when it is asked for again."""


@dataclass(eq=False)
class Asking:
    """One request, however often what it asks for is looked for while it waits."""

    begins: Hashable = None
    """The last thing that is not cheap, and that is begun because of it: one at a time."""
    left: float = GRANTED_SECONDS
    """Seconds of computing that it may still cause."""


ASKING: ContextVar[Asking | None] = ContextVar("ASKING", default=None)
"""The request; None for what the server does by itself."""
