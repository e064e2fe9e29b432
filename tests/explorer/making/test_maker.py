import pytest

from app.core.address import parse
from app.core.steps import run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.layout import check_layout
from app.explorer.making.maker import open_maker
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
    with pytest.raises(ComputationFailed, match="gone are missing"):
        run(opened.make(recipe, "gone"))


def test_jobs_stand_back_behind_what_somebody_waits_for(opened, fresh_data):
    with opened.turn("batch"):
        assert not is_taken(fresh_data, "cpu")
    for cost in ("cheap", "dear"):
        with opened.turn(cost):
            assert is_taken(fresh_data, "cpu")
    assert not is_taken(fresh_data, "cpu")
