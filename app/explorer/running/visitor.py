"""The visitor and the request that a computation is for, set for each request when it is admitted. Knows no addresses."""

from collections.abc import Hashable
from contextvars import ContextVar
from dataclasses import dataclass

VISITOR: ContextVar[str] = ContextVar("VISITOR", default="")
"""The visitor's key; empty for the server itself and its operator."""

GRANTED_SECONDS = 2.0
"""Seconds of computing that one request may cause, until the end of a step: what takes longer goes on when it is asked
for again."""


@dataclass(eq=False)
class VisitorRequest:
    """One request, however often the things it asks for are looked up while it waits."""

    begins: Hashable = None
    """The last computation that is not cheap and was begun for this request: one at a time."""
    left: float = GRANTED_SECONDS
    """Seconds of computing that the request may still cause."""


ASKING: ContextVar[VisitorRequest | None] = ContextVar("ASKING", default=None)
"""The request; None for the server's own work."""
