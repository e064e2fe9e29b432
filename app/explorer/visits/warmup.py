"""What a server does soon after its start, before anyone asks: the worker, the slow imports, and what readouts of its first
model are read with and judged by.

The first visitor to a matrix that nobody has opened then waits for that matrix alone. Batch work, a step at a time, so
a visitor who is quicker goes first. Knows no pages.
"""

from contextlib import suppress

from app.core.address import Address
from app.explorer.asking.places import here
from app.explorer.asking.views import Options
from app.explorer.errors import Busy, ExplorerError
from app.explorer.pages.search import Inquiry
from app.explorer.resources import Resources
from app.explorer.running.queue import Preparation
from app.explorer.visits.finding.search import SUGGESTED, search


def warm_up(r: Resources) -> bool:
    """Put the warm-up of the first model that is here in line, unless visitors fill it; False while none is."""
    model = next((model for slug in r.slugs if (model := here(r, slug))), None)
    if model is None:
        return not any(_is_coming(r, slug) for slug in r.slugs)
    slug = model.header.slug
    with suppress(Busy):
        r.queue.submit(slug, [Preparation(slug, model.shown_first(r.default_weights))], f"Preparing {slug}.", "batch")
    return True


def search_once(r: Resources) -> None:
    """Search the first model that is here once: the first search reads what it needs and proves it whole, for seconds."""
    slug = next((slug for slug in r.slugs if here(r, slug)), None)
    if slug is not None:
        with suppress(ExplorerError):  # what is not there, or damaged, is told to whoever asks for it
            search(r, Address(slug), Options(), Inquiry(SUGGESTED[0]))


def _is_coming(r: Resources, slug: str) -> bool:
    progress = r.imports.of(slug)
    return progress is not None and progress.state == "importing"
