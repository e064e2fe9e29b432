"""Who asks for what is being done: set for each request by whoever lets it in. Knows no addresses."""

from collections.abc import Hashable
from contextvars import ContextVar
from dataclasses import dataclass

VISITOR: ContextVar[str] = ContextVar("VISITOR", default="")
"""The visitor's key; empty for the server itself and its operator."""


@dataclass(eq=False)
class Asking:
    """One request, however often what it asks for is looked for while it waits."""

    begins: Hashable = None
    """The one thing that is not cheap, and that is begun because of it."""


ASKING: ContextVar[Asking | None] = ContextVar("ASKING", default=None)
"""The request; None for what the server does by itself."""
