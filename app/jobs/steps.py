"""One step of a job, of computing the matrices of a model or of importing one: how far it is.

Knows nothing of how that is done, or shown.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobStep:
    """How far precomputing is, said several times a layer, or a fit."""

    stage: str
    """What is being done, for people: `L5, folded`."""
    layers_done: int
    layers: int
    matrices_done: int
    """Computed so far."""
    matrices_found: int
    """That were there already, as far as was looked."""
    matrices: int
    """That were asked for."""
    part: float
    """How much of the next one is done, from 0 to 1, where that takes long."""
    unsettled: int
    """Rays whose order the fast pass could not settle, so that every token was scored exactly."""
    rays: int
    """Read out so far."""
    compute_seconds: float
    """Spent computing, and in `write_seconds` writing; the two may overlap."""
    write_seconds: float


@dataclass(frozen=True, slots=True)
class ImportStep:
    """How far an import is."""

    stage: str
    """What is being done, for people: `checking and writing its layers`."""
    done: int
    total: int
    """How much of it; 0 where nothing is counted."""
