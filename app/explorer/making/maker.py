"""What makes things in a worker's process: the models of a folder, and what is read with on one device.

Knows no queue, and not who asks.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from app.core.steps import Steps
from app.explorer.errors import ComputationFailed
from app.explorer.library import REPAIR, Library, OpenModel
from app.explorer.making import controls
from app.explorer.making.bench import Baked, Bench
from app.explorer.making.make import Context, make
from app.explorer.making.tables import Tables
from app.explorer.pages import Processing
from app.explorer.running.line import Cost
from app.explorer.running.worker import Maker
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore, Recipe
from app.store.turns import going_first

SIDES = ("read", "write")


def open_maker(data: Path, device: str, store: ArtifactStore) -> Maker:
    """What makes the artifacts of the folder's models on that device, with what is in the store."""
    library, tables = Library(Catalog(data)), Tables(device)

    def model_of(slug: str) -> OpenModel:
        if model := library.model(slug):
            return model
        raise ComputationFailed(f"The files of {slug} are missing or damaged. {REPAIR}")

    def make_artifact(recipe: Recipe, slug: str) -> Steps[Baked]:
        return (yield from make(recipe, Context(tables, model_of(slug), store)))

    def prepare_model(slug: str, processing: Processing) -> Steps[None]:
        for done, side in enumerate(SIDES):
            yield done, len(SIDES)
            controls.control(Bench(tables, model_of(slug), processing, store), side)

    def go_first(cost: Cost) -> AbstractContextManager[None]:
        return nullcontext() if cost == "batch" else going_first(data, tables.device())

    return Maker(make_artifact, prepare_model, go_first)
