from dataclasses import replace

import numpy as np
import pytest

from app.core.address import parse
from app.core.steps import run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.layout import check_layout
from app.explorer.making.maker import open_maker
from app.models.importing.importer import import_model
from app.store.artifacts import ArtifactStore
from app.store.turns import is_taken


@pytest.fixture
def opened(fresh_data):
    return open_maker(fresh_data, "cpu", ArtifactStore(fresh_data / "artifacts", 10**9))


def test_a_recipe_and_a_name_are_enough(opened, explorer):
    recipe = recipes.decomposition(explorer.library.model("tiny"), parse("tiny/L1/H2/ov"), "raw", {})
    arrays, facts = run(opened.make(recipe, "tiny"))
    check_layout("decomposition", arrays)
    assert "scores" in facts
    with pytest.raises(ComputationFailed, match="tiny are missing"):
        run(opened.make(replace(recipe, fingerprint="0" * 64), "tiny"))


def test_weights_are_those_that_the_recipe_names_whatever_has_the_name_by_now(fresh_data, explorer, hostile_folder):
    recipe = recipes.decomposition(explorer.library.model("tiny"), parse("tiny/L1/H2/ov"), "raw", {})
    expected, _ = run(
        open_maker(fresh_data, "cpu", ArtifactStore(fresh_data / "artifacts", 10**9)).make(recipe, "tiny")
    )
    (fresh_data / "models" / "tiny.json").unlink()
    import_model(str(hostile_folder), fresh_data, slug="tiny", report=lambda step: None)
    later = open_maker(fresh_data, "cpu", ArtifactStore(fresh_data / "artifacts", 10**9))
    arrays, _ = run(later.make(recipe, "tiny"))
    np.testing.assert_array_equal(arrays["strength"], expected["strength"])


def test_jobs_stand_back_behind_what_somebody_waits_for(opened, fresh_data):
    with opened.turn("batch"):
        assert not is_taken(fresh_data, "cpu")
    for cost in ("cheap", "dear"):
        with opened.turn(cost):
            assert is_taken(fresh_data, "cpu")
    assert not is_taken(fresh_data, "cpu")
