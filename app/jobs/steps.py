"""One step of a job, which computes the matrices of a model or imports one, with its progress.

Knows nothing of how that is done, or shown.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobStep:
    """The progress of precomputing, reported several times a layer, or a fit."""

    stage: str
    """The current stage, for people: `L5, folded`."""
    layers_done: int
    layers: int
    matrices_done: int
    """Matrices computed so far."""
    matrices_found: int
    """Matrices that were stored already, as far as the job has looked."""
    matrices: int
    """Matrices that were asked for."""
    part: float
    """The share of the next matrix that is done, from 0 to 1, where that takes long."""
    unsettled: int
    """Rays whose order the fast pass could not settle, so that every token was scored exactly."""
    rays: int
    """Rays read out so far."""
    compute_seconds: float
    """Seconds of computing, and in `write_seconds` of writing; the two may overlap."""
    write_seconds: float


@dataclass(frozen=True, slots=True)
class ImportStep:
    """The progress of an import."""

    stage: str
    """The current stage, for people: `checking and writing its layers`."""
    done: int
    total: int
    """How much the stage has to do; 0 where nothing is counted."""
