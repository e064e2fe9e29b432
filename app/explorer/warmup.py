"""What a server does soon after its start, before anyone asks: the slow imports, and what readouts of its first model
are read with and judged by.

The first visitor to a matrix that nobody has opened then waits for that matrix alone. Batch work, a step at a time, so
a visitor who is quicker goes first. Knows no pages.
"""

from contextlib import suppress

from app.core.steps import Steps
from app.explorer.errors import Busy
from app.explorer.library import OpenModel
from app.explorer.making import controls
from app.explorer.making.bench import Bench
from app.explorer.places import here
from app.explorer.resources import Resources

SIDES = ("read", "write")


def warm_up(r: Resources) -> bool:
    """Put the warm-up of the first model that is here in line, unless visitors fill it; False while none is."""
    model = next((model for slug in r.slugs if (model := here(r, slug))), None)
    if model is None:
        return not any(_is_coming(r, slug) for slug in r.slugs)
    with suppress(Busy):
        r.queue.submit("warm-up", lambda: _steps(r, model), f"Preparing {model.header.slug}.", "batch")
    return True


def _is_coming(r: Resources, slug: str) -> bool:
    progress = r.imports.of(slug)
    return progress is not None and progress.state == "importing"


def _steps(r: Resources, model: OpenModel) -> Steps[None]:
    for done, side in enumerate(SIDES):
        yield done, len(SIDES)
        processing = model.shown_first(r.default_weights)
        controls.control(Bench(r.tables, model, processing, r.store), side)
