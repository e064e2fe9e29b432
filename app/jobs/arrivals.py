"""The models that were missing when a server started, imported by its first jobs, one after the other.

Knows nothing of what an import does. What failed is tried again when the server starts again, or a visitor who may asks.
"""

import logging
from contextlib import suppress

from app.explorer.asking.places import served
from app.explorer.errors import BadOption, ExplorerError, NotImported
from app.explorer.resources import Resources
from app.jobs.runner import Runner
from app.store.jobs import Job

logger = logging.getLogger(__name__)


def bring_missing(r: Resources, runner: Runner) -> None:
    """Put an import of each of them in line, before all other jobs."""
    for slug in r.imports.slugs:
        with suppress(ExplorerError):  # the pages of the model say it
            bring(r, runner, slug)


def bring(r: Resources, runner: Runner, slug: str) -> Job:
    """The job that imports the model, in line or found there; BadOption where this server has nothing to import.

    NotImported where the data folder takes no note of it: then it does not take the model either.
    """
    served(r, slug)
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
