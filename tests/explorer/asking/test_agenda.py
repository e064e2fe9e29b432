"""What is computed before anyone asks: no tab of the embedding is left out, and what is there is told by names of files."""

import pytest

from app.core.basis import BASES
from app.explorer import recipes
from app.explorer.asking import agenda as module
from app.explorer.asking.agenda import (
    axes_task,
    fills_gallery,
    is_done,
    list_tasks,
    public_tasks,
    streams_task,
    use_task,
)
from app.explorer.asking.streams import list_recipes
from app.explorer.inventory import places_of
from app.explorer.library import Library
from app.explorer.making.tables import Tables
from app.jobs.precompute import precompute
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore
from app.store.jobs import Task


@pytest.fixture
def model(fresh_data):
    return Library(Catalog(fresh_data)).model("tiny")


@pytest.fixture
def store(fresh_data):
    return ArtifactStore(fresh_data / "artifacts", 10**9)


def test_every_matrix_comes_first_and_no_tab_of_the_embedding_is_a_dead_end(model):
    first, *fits = list_tasks(model, "folded")
    assert first.basis == "svd"
    assert set(first.matrices) == {"ov", "qk", "mlp-in", "mlp-out", "embed", "unembed", "pos"} | {
        "heads/write",
        "heads/read",
        "bank",
    }
    assert {task.matrices for task in fits} == {("embed",)}
    fitted = {basis.name for basis in BASES.values() if basis.is_fitted and "embed" in basis.kinds}
    assert fitted | {"pca", "frequency"} == {task.basis for task in fits}
    assert [task.basis for task in fits][:2] == ["pca", "frequency"]  # seconds each
    nmf = next(task for task in fits if task.basis == "nmf")
    assert dict(nmf.parameters)["components"] == 32  # 64, where there are so many dimensions


def test_statistics_are_of_models_that_run_and_are_done_when_they_are_there(store, model, member):
    (task,) = use_task(model, "folded")
    assert task.matrices == ("use",)
    assert not is_done(store, model, task)
    for recipe in recipes.use_wholes(model, "folded"):
        assert not is_done(store, model, task)
        store.write(recipe, {}, {})
    assert is_done(store, model, task)
    (task,) = streams_task(model, "folded")
    assert task.matrices == ("linear-0-2", "unlikely")
    assert not is_done(store, model, task)
    for word in task.matrices:
        for recipe in list_recipes(store, model, "folded", word):
            store.write(recipe, {}, {})
    assert is_done(store, model, task)
    bert = Library(Catalog(member("bert").data)).model("bert")
    assert use_task(bert, "raw") == axes_task(bert, "raw") == streams_task(bert, "raw") == []


def test_axes_are_left_to_do_until_those_of_every_head_are_there(store, model):
    """Which statistics they are fitted to is known before these are made."""
    (task,) = axes_task(model, "folded")
    wanted = [*module._task_recipes(store, model, task)]
    number = recipes.number_of_statistics(model, "folded")
    assert len(wanted) == model.header.n_layers * model.header.n_heads
    assert {dict(recipe.parameters)["statistics"] for recipe in wanted} == {number}
    assert not is_done(store, model, task)
    for recipe in recipes.use_wholes(model, "folded"):
        store.write(recipe, {}, {})
    assert [*module._task_recipes(store, model, task)] == wanted
    for recipe in wanted:
        store.write(recipe, {}, {})
    assert is_done(store, model, task)


def test_a_public_server_has_what_pages_lead_to_as_well(store, model, monkeypatch):
    neurons, vectors = public_tasks(model, "folded")
    assert (neurons.basis, set(neurons.matrices)) == ("neuron", set(model.header.layer_kinds))
    assert vectors.matrices == ("vectors",)
    wanted = [*module._task_recipes(store, model, vectors)]
    matrices = [place for layer in (0, 1, None) for place in places_of(model.header, layer, "folded")]
    assert {recipe.subject for recipe in wanted} == {f"{place.path}/vectors" for place in matrices}
    assert not is_done(store, model, vectors)
    for recipe in wanted:
        store.write(recipe, {}, {})
    assert is_done(store, model, vectors)
    monkeypatch.setattr(module, "MOST_VECTORS_IN_ALL", 1)
    assert public_tasks(model, "folded") == [neurons]


def test_an_encoder_has_an_agenda_of_its_own(member):
    bert = Library(Catalog(member("bert").data)).model("bert")
    assert {task.processings for task in list_tasks(bert, "folded")} == {("raw",)}


@pytest.mark.parametrize("basis", ["svd", "pca"])
def test_a_task_is_done_when_all_that_it_leaves_is_there(store, model, basis):
    task = next(task for task in list_tasks(model, "folded") if task.basis == basis)
    assert not is_done(store, model, task)
    list(precompute(store, Tables("cpu"), model, task))
    assert is_done(store, model, task)
    for recipe in module._task_recipes(store, model, task):
        path = store.path(recipe)
        path.rename(away := path.with_suffix(".away"))
        assert not is_done(store, model, task)
        away.rename(path)
    assert is_done(store, model, task)


def test_only_a_task_of_every_matrix_brings_the_gallery(model):
    every = list_tasks(model, "folded")[0]
    assert fills_gallery(model, every, "folded")
    assert not fills_gallery(model, every, "raw")
    assert not fills_gallery(model, Task(), "folded")
    assert not fills_gallery(model, Task(every.matrices, basis="pca"), "folded")
    assert fills_gallery(model, Task(tuple(word for word in every.matrices if word != "bank")), "folded")


def test_the_bank_is_part_of_what_is_left_to_do(store, model):
    every = list_tasks(model, "folded")[0]
    without = Task(tuple(word for word in every.matrices if word != "bank"))
    list(precompute(store, Tables("cpu"), model, without))
    assert is_done(store, model, without)
    assert not is_done(store, model, every)
    list(precompute(store, Tables("cpu"), model, Task(("bank",))))
    assert is_done(store, model, every)
