"""The context that every computation is given, and the type of its result. Knows no computation."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from app.explorer.library import OpenModel
from app.explorer.making.tables import Tables
from app.explorer.view import Processing
from app.models.token_filter import EVERY, TokenFilter
from app.store.artifacts import ArtifactStore

Arrays = dict[str, NDArray[Any]]
ArraysAndFacts = tuple[Arrays, dict[str, Any]]
"""Arrays and facts of an artifact."""


@dataclass(frozen=True)
class Context:
    """The context of a computation: token tables, model, weight processing, store and token filter."""

    tables: Tables
    model: OpenModel
    processing: Processing
    store: ArtifactStore
    """The store of other artifacts: controls, and the matrices and the bank that some artifacts are made from."""
    token_filter: TokenFilter = EVERY
    """The tokens that readouts show."""
