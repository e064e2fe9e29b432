"""The maker of a worker's process: the models of a folder, and the token tables on one device.

Knows no queue and no visitor.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from app.core.steps import Steps
from app.explorer.errors import ComputationFailed
from app.explorer.library import REPAIR, OpenModel
from app.explorer.making.context import ArraysAndFacts, Context
from app.explorer.making.judging import controls
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.running.line import Cost
from app.explorer.running.worker import Maker
from app.explorer.view import Processing
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore, Recipe
from app.store.turns import claim_turn

SIDES = ("read", "write")


ModelOf = Callable[[str, str], OpenModel]
"""Opens the weights of a slug and a fingerprint; ComputationFailed where their files are missing."""


def open_models(data: Path) -> ModelOf:
    """Return the call that opens the folder's models, each once."""
    catalog, opened = Catalog(data), dict[str, OpenModel]()

    def model_of(slug: str, fingerprint: str) -> OpenModel:
        """Open the weights that a recipe names; their slug may be another one by now."""
        if fingerprint not in opened:
            manifest = catalog.by_fingerprint(fingerprint)
            if manifest is None:
                raise ComputationFailed(f"The files of {slug} are missing or damaged. {REPAIR}")
            opened[fingerprint] = OpenModel(slug, manifest, catalog.weights_folder(fingerprint))
        return opened[fingerprint]

    return model_of


def open_maker(data: Path, device: str, store: ArtifactStore) -> Maker:
    """Open the maker of artifacts for the folder's models on that device, with the artifacts in the store."""
    catalog, tables, model_of = Catalog(data), Tables(device), open_models(data)

    def make_artifact(recipe: Recipe, slug: str) -> Steps[ArraysAndFacts]:
        return (yield from run_maker(recipe, MakerInputs(tables, model_of(slug, recipe.fingerprint), store)))

    def prepare_model(slug: str, processing: Processing) -> Steps[None]:
        manifest = catalog.get(slug)
        model = model_of(slug, manifest.fingerprint if manifest else "")
        for done, side in enumerate(SIDES):
            yield done, len(SIDES)
            controls.load_control(Context(tables, model, processing, store), side)

    def go_first(cost: Cost) -> AbstractContextManager[None]:
        return nullcontext() if cost == "batch" else claim_turn(data, tables.device())

    return Maker(make_artifact, prepare_model, tables.let_go, go_first)
