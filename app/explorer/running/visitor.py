"""Who asks for what is being done: set for each request by whoever lets it in. Knows no addresses."""

from contextvars import ContextVar

VISITOR: ContextVar[str] = ContextVar("VISITOR", default="")
"""The visitor's key; empty for the server itself and its operator."""
