"""The warm-up after a server's start: worker, slow imports, and the tables and controls of its first model.

The first visitor to a matrix that nobody has opened then waits for that matrix alone. It is batch work, a step at a
time, so that visitors go first. Knows no pages.
"""

from contextlib import suppress

from app.core.address import Address
from app.explorer.asking.places import find_model
from app.explorer.asking.views import Options
from app.explorer.errors import Busy, ExplorerError
from app.explorer.pages.search import Inquiry
from app.explorer.resources import Resources
from app.explorer.running.errand import Preparation
from app.explorer.visits.finding.search import SUGGESTED, search


def warm_up(r: Resources) -> bool:
    """Queue the warm-up of the first available model, unless visitors fill the queue; False while a model is coming.

    Where visits have nothing computed, there is nothing to warm up but the search.
    """
    model = next((model for slug in r.slugs if (model := find_model(r, slug))), None)
    if model is None:
        return not any(_is_coming(r, slug) for slug in r.slugs)
    if not r.computes_for_visits:
        return True
    slug = model.header.slug
    with suppress(Busy):
        r.queue.submit(
            slug, [Preparation(slug, model.processing_shown_first(r.default_weights))], f"Preparing {slug}.", "batch"
        )
    return True


def search_once(r: Resources) -> None:
    """Search the first available model once, since the first search takes seconds to read and prove its bank.

    Where visits have nothing computed, each model: many come at once there, and to any of them.
    """
    slugs = [slug for slug in r.slugs if find_model(r, slug)]
    for slug in slugs[:1] if r.computes_for_visits else slugs:
        with suppress(ExplorerError):  # a missing or damaged bank is reported to whoever searches
            search(r, Address(slug), Options(), Inquiry(SUGGESTED[0]))


def _is_coming(r: Resources, slug: str) -> bool:
    progress = r.imports.of(slug)
    return progress is not None and progress.state == "importing"
