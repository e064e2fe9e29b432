"""The imports of the models that were missing when a server started: its first jobs, one after the other.

Knows nothing of what an import does. A failed one is tried again when the server starts again, or when a visitor who
may asks for it.
"""

import logging
from contextlib import suppress

from app.explorer.asking.places import require_served
from app.explorer.errors import BadOption, ExplorerError, NotImported
from app.explorer.resources import Resources
from app.jobs.runner import Runner
from app.store.jobs import Job

logger = logging.getLogger(__name__)


def import_missing(r: Resources, runner: Runner) -> None:
    """Put an import of each missing model in line, before all other jobs."""
    for slug in r.imports.slugs:
        with suppress(ExplorerError):  # the model's pages show the failure
            start_import(r, runner, slug)


def start_import(r: Resources, runner: Runner, slug: str) -> Job:
    """Put the model's import in line, or find it there; BadOption where this server has nothing to import.

    NotImported where the data folder cannot be written: then it does not take the model either.
    """
    require_served(r, slug)
    known = r.imports.of(slug)
    if known is None or known.state == "done":
        raise BadOption(f"{slug} is imported already: its pages are there.")
    try:
        return runner.start_import(slug, known.source, r.imports)
    except OSError as error:
        words = f"files could not be read or written: {error.strerror or type(error).__name__}"
        r.imports.refuse(slug, words)
        logger.error("%s could not be imported into %s: %s", slug, r.data, error)
        raise NotImported(f"{slug} could not be imported: {words}", None) from error
