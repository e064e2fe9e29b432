"""What every computation is given, and what it gives. Knows no computation."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from app.explorer.library import OpenModel
from app.explorer.making.tables import Tables
from app.explorer.view import Processing
from app.models.selection import EVERY, Selection
from app.store.artifacts import ArtifactStore

Arrays = dict[str, NDArray[Any]]
Baked = tuple[Arrays, dict[str, Any]]
"""Arrays and facts of an artifact."""


@dataclass(frozen=True)
class Bench:
    """What every computation needs to begin."""

    tables: Tables
    model: OpenModel
    processing: Processing
    store: ArtifactStore
    """Where what others made before is looked for: controls, and the matrices and the bank that some are made of."""
    selection: Selection = EVERY
    """Tokens that readouts show."""
