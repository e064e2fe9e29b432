"""Prompts on a server: where they are kept, the line before the live model, and what a prompt may be. Holds; does nothing."""

from dataclasses import dataclass

from app.explorer.running.batches import Batches
from app.explorer.running.queue import ComputeQueue
from app.store.experiments import ExperimentStore
from app.store.prompts import PromptStore


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server's prompts."""

    tokens: int
    text_bytes: int
    continued: bool = True
    """Prompts may be continued."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of a server."""

    store: PromptStore
    experiments: ExperimentStore
    queue: ComputeQueue
    """The line before the one process that runs models."""
    batches: Batches
    """Many prompts at a time, before that line."""
    limits: Limits
