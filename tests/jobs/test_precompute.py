"""What a run keeps is what visits would have computed; two runs share the work; a run that ended is gone on with."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.core import policy
from app.core.address import CIRCUITS, parse
from app.explorer import recipes
from app.explorer.asking.tasks import read_wish, target_matrices
from app.explorer.asking.views import check_view
from app.explorer.bank import parts_of
from app.explorer.errors import BadOption, ComputationFailed
from app.explorer.inventory import places_of
from app.explorer.library import Library
from app.explorer.making import decompositions, heads
from app.explorer.making.finding import bank
from app.explorer.making.judging import census, gallery
from app.explorer.making.tables import Tables
from app.explorer.visits import browse, orders
from app.explorer.visits.browse import Options
from app.jobs import layers, singles
from app.jobs import precompute as module
from app.jobs.precompute import DiskRefuses, estimate_bytes, precompute
from app.models.catalog import Catalog
from app.models.weights import EMBEDDINGS_FILE, layer_file
from app.store.artifacts import ArtifactStore
from app.store.jobs import Task
from app.store.locks import claim_file
from app.store.shelf import WRITE_BITS


@pytest.fixture
def model(fresh_data):
    return Library(Catalog(fresh_data)).model("tiny")


@pytest.fixture
def store(fresh_data):
    return ArtifactStore(fresh_data / "artifacts", 10**9)


def run(store, model, **how):
    return list(precompute(store, Tables("cpu"), model, Task(**how)))


def files(store: ArtifactStore, *, with_controls: bool = False) -> dict[str, bytes]:
    """Artifacts by name; what they are judged by stands beside them."""
    found = {str(path.relative_to(store.root)): path.read_bytes() for path in store.root.rglob("*.safetensors")}
    return {name: data for name, data in found.items() if with_controls or "/control/" not in name}


def assert_as_visited(store, r, model, processing="folded"):
    """Every artifact of the run against what the pages of another server compute one by one."""
    for layer in range(model.manifest.n_layers):
        for head in range(model.manifest.n_heads):
            for circuit in CIRCUITS:
                recipe = recipes.matrix(model, layer, head, circuit, processing)
                address = parse(f"tiny/L{layer}/H{head}/{circuit}")
                browse.visit_matrix(r, address, Options(weights=processing))
                assert_same(store.read(recipe), r.store.read(recipe))
        recipe = recipes.layer(model, layer, processing)
        browse.visit_layer(r, parse(f"tiny/L{layer}"), Options(weights=processing))
        assert_same(store.read(recipe), r.store.read(recipe))
    visited = r.library.model("tiny")
    order = orders.order_scores(visited, processing)
    orders.fulfil(r, order)
    assert_same(store.read(order.recipe), r.store.read(order.recipe))


def assert_same(one, other):
    assert set(one.arrays) == set(other.arrays)
    assert set(one.facts) == set(other.facts)
    for name, array in one.arrays.items():
        if name.endswith("_ids"):
            np.testing.assert_array_equal(array, other.arrays[name])
        elif name.endswith("_counts"):  # of quick scores, which differ in their last bits
            np.testing.assert_array_equal(array.sum(axis=-1), other.arrays[name].sum(axis=-1))
        else:
            np.testing.assert_allclose(array, other.arrays[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("processing", ["folded", "raw"])
@pytest.mark.parametrize("vectors", [10**6, 1])
def test_a_run_keeps_what_visits_would_have_computed(
    store, model, open_explorer, tiny_data, tmp_path, processing, vectors, monkeypatch
):
    monkeypatch.setattr(layers, "VECTORS_AT_ONCE", vectors)
    last = run(store, model, processings=(processing,))[-1]
    assert (last.layers_done, last.layers, last.matrices_done, last.matrices_found, last.matrices) == (2, 2, 16, 0, 16)
    assert last.rays >= 2 * 16 * 2 * model.manifest.d_head
    r = open_explorer(shutil.copytree(tiny_data, tmp_path / "visited", ignore=shutil.ignore_patterns("artifacts")))
    assert_as_visited(store, r, model, processing)


def test_what_is_there_is_left_as_it_is(store, model, monkeypatch):
    run(store, model)
    before = files(store)
    monkeypatch.setattr(heads, "read_out_heads", None)  # nothing is read out again
    last = run(store, model)[-1]
    assert (last.matrices_done, last.matrices_found, last.layers_done) == (0, 16, 2)
    assert files(store) == before


@pytest.mark.parametrize("is_map_there", [True, False])
def test_a_file_that_is_damaged_is_made_again(store, model, is_map_there):
    run(store, model)
    before = files(store)
    damaged = store.path(recipes.matrix(model, 1, 2, "qk", "folded"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    if not is_map_there:
        store.path(recipes.scores(model, "folded")).unlink()
    assert run(store, model)[-1].matrices_done == 1
    assert files(store).keys() == before.keys()
    assert files(store)[str(store.path(recipes.scores(model, "folded")).relative_to(store.root))]


def test_one_circuit_alone(store, model):
    last = run(store, model, matrices=("qk",))[-1]
    assert (last.matrices_done, last.matrices) == (8, 8)
    assert {Path(name).parent.name for name in files(store)} == {"qk"}
    last = run(store, model)[-1]
    assert (last.matrices_done, last.matrices_found) == (8, 8)
    assert store.exists(recipes.layer(model, 1, "folded"))


def test_both_processings(store, model):
    last = run(store, model, processings=("raw", "folded"))[-1]
    assert (last.layers_done, last.matrices_done, last.matrices) == (4, 32, 32)


def test_what_was_begun_is_gone_on_with(store, model):
    steps = precompute(store, Tables("cpu"), model)
    for step in steps:
        if step.matrices_done:
            break
    steps.close()
    kept = len(list(store.root.rglob("qk/*.safetensors")))
    assert 0 < kept < 8
    last = run(store, model)[-1]
    assert last.matrices_found == 2 * kept
    assert last.matrices_found + last.matrices_done == 16


def test_two_runs_share_the_work(store, model, monkeypatch):
    monkeypatch.setattr(layers, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(layers, "VECTORS_AT_ONCE", 1)
    barrier, ends = threading.Barrier(2), []

    def go():
        barrier.wait(30)
        ends.append(run(store, model)[-1])

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(end.matrices_done for end in ends) == 16
    assert all(end.layers_done == 2 for end in ends)
    assert store.exists(recipes.scores(model, "folded"))


def test_a_layer_that_another_process_is_at_comes_last(store, model, monkeypatch):
    monkeypatch.setattr(layers, "WAIT_SECONDS", 0.01)
    handle = claim_file(model.folder / layer_file(0))
    assert handle is not None
    steps = precompute(store, Tables("cpu"), model)
    waiting = next(step for step in steps if "another process" in step.stage)
    assert waiting.layers_done == 1
    assert all("/L1/" in name for name in files(store))
    os.close(handle)
    assert list(steps)[-1].layers_done == 2


def test_a_run_that_is_closed_holds_no_layer(store, model):
    steps = precompute(store, Tables("cpu"), model)
    next(steps)
    next(steps)
    steps.close()
    handle = claim_file(model.folder / layer_file(0))
    assert handle is not None
    os.close(handle)


def test_a_disk_that_refuses_ends_the_run(store, model, monkeypatch):
    def full(recipe, arrays, facts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write", full)
    with pytest.raises(DiskRefuses, match="No space left"):
        run(store, model)


def test_damaged_weights_are_named(store, model):
    path = model.folder / layer_file(0)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ComputationFailed, match=r"layer-000.*import"):
        run(store, model)
    assert any("/L1/" in name for name in files(store))


def test_processings_that_a_model_has_not_are_refused(member):
    bert = Library(Catalog(member("bert").data)).model("bert")
    with pytest.raises(BadOption, match="weights=raw only"):
        list(precompute(ArtifactStore(Path("/nowhere"), 1), Tables("cpu"), bert))


@pytest.mark.parametrize("family", ["llama", "mixtral", "bert"])
def test_other_families(family, relatives, tmp_path):
    model = relatives.library.model(family)
    store = ArtifactStore(tmp_path / "artifacts", 10**9)
    processing = model.processing_shown_first("folded")
    run(store, model, processings=(processing,))
    page = browse.visit_matrix(relatives, parse(f"{family}/L1/H1/qk"), Options())
    kept = store.read(recipes.matrix(model, 1, 1, "qk", processing))
    assert kept.arrays["strength"].tolist() == pytest.approx(page.singular_values, rel=1e-6)
    visited = relatives.store.read(recipes.matrix(model, 1, 1, "qk", processing))
    assert_same(kept, visited)


def test_the_room_that_is_needed_is_told_beforehand_with_little_to_spare(store, model):
    in_all, to_come = estimate_bytes(store, model, Task())
    assert in_all == to_come
    run(store, model, matrices=("qk",))
    # QK is read with one end of the model, and OV's write side with the other.
    assert estimate_bytes(store, model, Task()) == (in_all, in_all // 2)
    run(store, model)
    assert estimate_bytes(store, model, Task()) == (in_all, 0)
    size = sum(
        len(data) for name, data in files(store, with_controls=True).items() if "/H" in name or "control" in name
    )
    assert size < in_all < 1.4 * size


def test_the_operator_keeps_all_that_was_there_once_he_is_not_refused(store, model):
    run(store, model, matrices=CIRCUITS)
    operators = ArtifactStore(store.root, 10**9, asked_by="operator")
    in_all, _ = estimate_bytes(operators, model, Task(matrices=CIRCUITS))
    assert not [path for path in store.root.rglob("*.safetensors") if not path.stat().st_mode & WRITE_BITS]
    assert estimate_bytes(store, model, Task(matrices=CIRCUITS)) == (in_all, 0)
    run(operators, model, matrices=CIRCUITS)
    assert not [path for path in store.root.rglob("*.safetensors") if path.stat().st_mode & WRITE_BITS]
    assert estimate_bytes(store, model, Task(matrices=CIRCUITS)) == (0, 0), "none of it is taken from visits' share"
    assert estimate_bytes(operators, model, Task(matrices=CIRCUITS)) == (in_all, 0)


def test_a_run_on_a_gpus_way_keeps_the_same(store, model, monkeypatch, tmp_path):
    """The next batch made ready ahead, matrices sent, eigenvectors in a batch: heads and MLP."""
    task = Task(("ov", "qk", "mlp-in", "mlp-out"), ("folded",))
    list(precompute(store, Tables("cpu"), model, task))
    ahead, threads, next_batch = ArtifactStore(tmp_path / "ahead", 10**9), set(), layers.Layers.next

    def noted(self):
        threads.add(threading.current_thread().name.partition("_")[0])
        return next_batch(self)

    monkeypatch.setattr(layers.Layers, "next", noted)
    monkeypatch.setattr(policy, "EVERYWHERE", True)
    monkeypatch.setattr(layers, "VECTORS_AT_ONCE", 1)
    list(precompute(ahead, Tables("cpu"), model, task))
    assert threads == {"prepare"}
    singles = [recipe for _, _, recipe in every_single(model, replace(task, matrices=("mlp-in", "mlp-out")))]
    for recipe in [*every_recipe(model), *singles]:
        assert_same(ahead.read(recipe), store.read(recipe))
    handle = claim_file(model.folder / layer_file(1))
    assert handle is not None
    os.close(handle)


def every_recipe(model):
    for layer in range(model.manifest.n_layers):
        yield recipes.layer(model, layer, "folded")
        for head, circuit in heads.list_matrices(model):
            yield recipes.matrix(model, layer, head, circuit, "folded")
    yield recipes.scores(model, "folded")


SINGLES = ("mlp-in", "L1/mlp-out", "embed", "pos", "heads/write")
FITS = {
    "svd": (SINGLES, ()),
    "pca": (SINGLES, ()),
    "neuron": (("L0/H0/ov", "unembed"), ()),
    "frequency": (("embed",), (("groups", 4),)),
    "nmf": (("embed", "L0/mlp-in"), (("components", 3), ("seed", 1))),
    "ica": (("heads/read",), (("components", 3), ("seed", 1))),
    "dictionary": (("unembed",), (("atoms", 12), ("seed", 0), ("sparsity", 2))),
}


def every_single(model, task):
    for processing in task.processings:
        for place in target_matrices(model, task.matrices, task.basis, processing):
            yield place, processing, recipes.decomposition(model, place, processing, dict(task.parameters))


@pytest.mark.parametrize("basis", FITS)
def test_a_run_keeps_of_any_matrix_what_a_visit_computes(store, model, explorer, basis):
    matrices, parameters = FITS[basis]
    task = Task(matrices, ("folded", "raw"), basis, parameters)
    last = list(precompute(store, Tables("cpu"), model, task))[-1]
    asked = list(every_single(model, task))
    assert (last.matrices, last.matrices_done, last.matrices_found) == (len(asked), len(asked), 0)
    assert last.layers == (4 if basis == "svd" else 0)  # an MLP's singular directions are taken a layer at a time
    for place, processing, recipe in asked:
        kept = store.read(recipe)
        shown = check_view(model, place, Options(weights=processing, parameters=dict(parameters)), "raw")
        (visited,) = orders.fulfil(explorer, orders.order_matrix(explorer.library.model("tiny"), place, shown))
        assert_same(kept, visited)
        assert kept.facts["scores"] == pytest.approx(visited.facts["scores"], rel=1e-6, abs=1e-9)
    before = files(store)
    last = list(precompute(store, Tables("cpu"), model, task))[-1]
    assert (last.matrices_done, last.matrices_found) == (0, len(asked))
    assert files(store) == before


def test_the_vectors_of_every_matrix_are_those_that_a_visit_has_taken(store, model, explorer):
    task = Task(("vectors",), ("folded", "raw"))
    assert estimate_bytes(store, model, task)[1] > 0
    run(store, model, matrices=task.matrices, processings=task.processings)
    for processing in task.processings:
        for place in (place for layer in (0, 1, None) for place in places_of(model.header, layer, processing)):
            shown = check_view(model, place, Options(weights=processing), "raw")
            order = orders.order_vectors(explorer.library.model("tiny"), place, shown)
            (visited,) = orders.fulfil(explorer, order)
            kept = store.read(order.recipe)
            assert kept.arrays.keys() == visited.arrays.keys()
            for name, array in visited.arrays.items():
                np.testing.assert_allclose(kept.arrays[name], array, atol=1e-5)
    before = files(store)
    run(store, model, matrices=task.matrices, processings=task.processings)
    assert files(store) == before


@pytest.mark.parametrize("vectors", [10**6, 1])
def test_a_layers_matrices_are_read_out_together(store, model, monkeypatch, vectors):
    """Heads and MLP, in as few goes as VECTORS allows: one for each table."""
    monkeypatch.setattr(layers, "VECTORS_AT_ONCE", vectors)
    tables, sides = Tables("cpu"), []
    read = tables.read
    monkeypatch.setattr(tables, "read", lambda *args: sides.append(args[2]) or read(*args))
    task = Task(("ov", "qk", "mlp-in", "mlp-out"), ("folded",))
    (*_, last) = precompute(store, tables, model, task)
    assert (last.matrices_done, last.matrices, last.layers_done) == (20, 20, 2)
    together = ["read", "write"] * (1 + 2)  # the control of each table, and two layers
    assert len(sides) > 2 * len(together) if vectors == 1 else sorted(sides) == sorted(together)
    steps = precompute(store, tables, model, task)
    assert list(steps)[-1].matrices_found == 20


def test_what_heads_and_mlps_took_is_given_back_before_the_models_ends(store, model, monkeypatch):
    done = []
    monkeypatch.setattr(module, "give_back", lambda: done.append(len(files(store))))
    last = run(store, model, matrices=("mlp-in", "pos"), processings=("raw",))[-1]
    assert last.matrices_done == 3
    assert done == [2, 3, 3]  # before the ends, after each of them, before the census


def test_one_matrix_of_a_kind_that_is_asked_for_whole_counts_once(store, model):
    last = run(store, model, matrices=("mlp-in", "L1/mlp-in", "L0/mlp-out"))[-1]
    assert (last.matrices_done, last.matrices_found, last.matrices) == (3, 0, 3)


def test_heads_and_other_matrices_in_one_run(store, model):
    last = run(store, model, matrices=("ov", "embed", "mlp-in"))[-1]
    assert (last.matrices_done, last.matrices, last.layers_done) == (8 + 3, 8 + 3, 2)
    assert {name.split("/", 1)[1].rpartition("/")[0].rpartition("/")[2] for name in files(store)} >= {
        "ov",
        "embed",
        "mlp-in",
    }


def test_the_part_of_a_fit_rises_to_the_end_and_starts_again(store, model):
    steps = run(store, model, matrices=("embed", "L0/mlp-in"), basis="ica", parameters=FITS["ica"][1])
    by_single = {done: [step.part for step in steps if step.matrices_done == done] for done in (0, 1, 2)}
    for done in (0, 1):
        parts = by_single[done]
        assert all(0 <= part <= 1 for part in parts)
        # After the first the step that says that it is done; before the first one that says what is read.
        assert parts[0] == 0
        assert parts == sorted(parts)
        assert parts[-1] > 0.9
        assert len(set(parts)) > 5
    assert set(by_single[2]) == {0}
    assert steps[-1].stage == "done"
    assert {step.stage for step in steps} >= {"embedding ica, folded", "L0 MLP in ica, folded"}


def test_a_fit_that_is_left_in_the_middle_leaves_nothing(store, model):
    steps = precompute(store, Tables("cpu"), model, Task(("embed", "pos"), ("raw",), "svd"))
    for step in steps:
        if step.part > 0.5 and step.matrices_done == 1:
            break
    steps.close()
    assert [path for path in store.root.rglob("*") if path.is_file() and "pos" in path.parts] == []
    assert len(files(store)) == 1  # the embedding, whole
    handle = claim_file(model.folder / EMBEDDINGS_FILE)
    assert handle is not None
    os.close(handle)
    last = run(store, model, matrices=("embed", "pos"), processings=("raw",))[-1]
    assert (last.matrices_done, last.matrices_found) == (1, 1)


def test_a_fit_that_fails_leaves_nothing_and_no_lock(store, model, monkeypatch):
    def broken(context, address, parameters, distance):
        yield 1, 2
        raise RuntimeError("LAPACK said no")

    monkeypatch.setattr(decompositions, "decompose_matrix", broken)
    with pytest.raises(RuntimeError, match="LAPACK"):
        run(store, model, matrices=("embed",), basis="pca")
    assert files(store) == {}
    handle = claim_file(model.folder / EMBEDDINGS_FILE)
    assert handle is not None
    os.close(handle)


def test_two_runs_share_single_matrices(store, model, monkeypatch):
    monkeypatch.setattr(singles, "WAIT_SECONDS", 0.01)
    barrier, ends, computed = threading.Barrier(2), [], []

    def counting(context, address, parameters, distance, compute=decompositions.decompose_matrix):
        computed.append((context.processing, address))
        yield from iter(())
        return (yield from compute(context, address, parameters))

    def counting_in_layers(context, address, whole, parameters, compute=layers.decompose_subject_unread):
        computed.append((context.processing, address))
        return compute(context, address, whole, parameters)

    monkeypatch.setattr(decompositions, "decompose_matrix", counting)
    monkeypatch.setattr(layers, "decompose_subject_unread", counting_in_layers)
    monkeypatch.setattr(layers, "WAIT_SECONDS", 0.01)
    task = Task(("mlp-in", "mlp-out", "embed", "pos"), ("raw", "folded"))

    def go():
        barrier.wait(30)
        ends.append(list(precompute(store, Tables("cpu"), model, task))[-1])

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(computed) == len(set(computed)) == 12
    assert sum(end.matrices_done for end in ends) == 12
    assert [end.matrices_done + end.matrices_found for end in ends] == [12, 12]


def test_a_matrix_that_another_process_is_at_is_waited_for(store, model, monkeypatch):
    monkeypatch.setattr(singles, "WAIT_SECONDS", 0.01)
    handle = claim_file(model.folder / EMBEDDINGS_FILE)
    assert handle is not None
    steps = precompute(store, Tables("cpu"), model, Task(("embed", "L0/mlp-in"), ("raw",)))
    waiting = next(step for step in steps if "another process" in step.stage)
    assert waiting.matrices_done == 1
    assert all("mlp-in" in name for name in files(store))
    os.close(handle)
    assert list(steps)[-1].matrices_done == 2


@pytest.mark.parametrize("basis", ["svd", "nmf"])
def test_room_for_single_matrices_is_told_beforehand(store, model, basis):
    parameters = (("components", 30), ("seed", 0)) if basis == "nmf" else ()
    task = Task(("embed", "mlp-in"), ("raw",), basis, parameters)
    in_all, to_come = estimate_bytes(store, model, task)
    assert in_all == to_come
    list(precompute(store, Tables("cpu"), model, task))
    assert estimate_bytes(store, model, task) == (in_all, 0)
    size = sum(map(len, files(store, with_controls=True).values()))
    assert size < in_all < 2.5 * size


def test_a_run_of_all_matrices_ends_with_the_census(store, model, explorer, monkeypatch):
    task = {"matrices": ("ov", "qk", "mlp-in", "mlp-out", "embed", "unembed"), "processings": ("raw",)}
    steps = run(store, model, **task)
    assert [step.stage for step in steps if step.stage.startswith("census")][-1] == "census, ends, raw"
    assert steps[-1].stage == "done"
    for layer in (None, 0, 1):
        order = orders.order_census_part(explorer.library.model("tiny"), layer, "raw")
        (visited,) = orders.fulfil(explorer, order)
        kept = store.read(order.recipe)
        assert set(kept.arrays) == set(visited.arrays)
        for name, array in kept.arrays.items():
            np.testing.assert_allclose(array, visited.arrays[name], rtol=0, atol=1e-3)
    before = files(store)
    monkeypatch.setattr(census, "count_layer", lambda *_: pytest.fail("counted again"))
    run(store, model, **task)
    assert files(store) == before


@pytest.mark.parametrize("matrices", [("ov", "qk"), ("mlp-in", "mlp-out", "embed", "unembed")])
def test_a_run_of_some_matrices_leaves_the_census_to_who_asks(store, model, matrices):
    assert not any(step.stage.startswith("census") for step in run(store, model, matrices=matrices))
    assert not any("census" in name for name in files(store))


EVERYTHING = ("ov", "qk", "mlp-in", "mlp-out", "embed", "unembed", "pos")


def has_gallery(store, model):
    """Of each layer, then of the ends."""
    return [store.exists(order.recipe) for order in orders.order_gallery(model, "folded")]


def test_a_run_of_all_matrices_puts_the_gallery_together_as_a_visit_would(store, model, explorer, monkeypatch):
    monkeypatch.setattr(gallery, "read_subject", None)  # nothing is taken apart for it
    steps = run(store, model, matrices=EVERYTHING)
    assert [step.stage for step in steps if step.stage.startswith("gallery")][-1] == "gallery, ends, folded"
    assert has_gallery(store, model) == [True, True, True]
    monkeypatch.undo()
    for order in orders.order_gallery(explorer.library.model("tiny"), "folded"):
        (visited,) = orders.fulfil(explorer, order)
        kept = store.read(order.recipe)
        for name, array in kept.arrays.items():
            np.testing.assert_allclose(array, visited.arrays[name], rtol=0, atol=1e-3)


def test_a_run_takes_nothing_apart_that_nobody_asked_for(store, model, monkeypatch):
    monkeypatch.setattr(gallery, "build_gallery", lambda *_: pytest.fail("looked at every matrix"))
    assert not any(step.stage.startswith("gallery") for step in run(store, model))
    assert has_gallery(store, model) == [False, False, False]


def test_the_last_layers_come_first_and_a_layers_gallery_with_the_last_of_its_matrices(store, model):
    stages = list(dict.fromkeys(step.stage for step in run(store, model, matrices=EVERYTHING)))
    assert [stage for stage in stages if stage in {"L0, folded", "L1, folded"}] == ["L1, folded", "L0, folded"]
    at = {stage: at for at, stage in enumerate(stages)}
    assert at["L1, folded"] < at["gallery, L1, folded"] < at["gallery, L0, folded"] < at["embedding, folded"]


def test_the_gallery_comes_layer_by_layer_with_the_last_of_its_matrices(store, model):
    run(store, model)
    run(store, model, matrices=("L1/mlp-in", "L1/mlp-out"))
    assert has_gallery(store, model) == [False, True, False]
    run(store, model, matrices=("embed", "unembed", "pos"), basis="pca")
    assert has_gallery(store, model) == [False, True, False]
    run(store, model, matrices=("embed", "unembed", "pos"))
    assert has_gallery(store, model) == [False, True, True]


def bank_files(store, model, processing="folded"):
    """The bank's parts by what they are of, each as its arrays."""
    return {(part.subject, part.basis): store.read(part).arrays for part in parts_of(model, processing)}


@pytest.mark.parametrize("vectors", [10**6, 1])
def test_the_bank_of_what_is_at_hand_is_that_of_what_is_taken_apart_again(store, model, tmp_path, monkeypatch, vectors):
    """Built with its layers, in one batch or in many, and built from nothing."""
    monkeypatch.setattr(layers, "VECTORS_AT_ONCE", vectors)
    gathered = []
    monkeypatch.setattr(
        bank,
        "build_bank_part",
        lambda context, layer, kept=bank.build_bank_part: gathered.append(layer) or kept(context, layer),
    )
    steps = run(store, model, matrices=read_wish(model, "folded").task.matrices)
    assert gathered == [None]
    stages = {step.stage.rpartition(", ")[0] for step in steps if step.stage.startswith("bank")}
    assert {
        "bank, ends, folded",
        "bank, tokens, folded",
        "bank, moments, folded",
        "bank, neurons of L1, folded",
    } <= stages
    alone = ArtifactStore(tmp_path / "alone", 10**9)
    last = run(alone, model, matrices=("bank",))[-1]
    assert (last.matrices, last.matrices_done) == (0, 0)
    assert gathered == [None, 1, 0, None]
    one, other = bank_files(store, model), bank_files(alone, model)
    assert one.keys() == other.keys()
    for part, arrays in one.items():
        assert arrays.keys() == other[part].keys()
        for name, array in arrays.items():
            np.testing.assert_allclose(array, other[part][name], rtol=1e-5, atol=1e-6, err_msg=f"{part} {name}")


def test_what_is_there_of_the_bank_is_left_and_what_is_damaged_is_built_again(store, model, monkeypatch):
    run(store, model, matrices=("bank",))
    before = {part: store.path(part).stat().st_ino for part in parts_of(model, "folded")}
    damaged, gone = recipes.bank(model, 1, "folded"), recipes.words(model, "read", 0, "folded")
    store.path(damaged).write_bytes(store.path(damaged).read_bytes()[:-1])
    store.path(gone).rename(store.path(gone).with_suffix(".old"))
    made = []
    monkeypatch.setattr(
        module, "run_maker", lambda recipe, context, kept=module.run_maker: made.append(recipe) or kept(recipe, context)
    )
    run(ArtifactStore(store.root, 10**9), model, matrices=("bank",))
    assert made == [gone, damaged]
    for part, inode in before.items():
        assert part in made or store.path(part).stat().st_ino == inode
    assert all(map(store.exists, before))


def test_a_bank_that_was_begun_is_gone_on_with(store, model):
    steps = precompute(store, Tables("cpu"), model, Task(("bank",)))
    for step in steps:
        if step.stage.startswith("bank, moments"):
            break
    steps.close()
    parts = parts_of(model, "folded")
    n = sum(map(store.exists, parts))
    assert 0 < n < len(parts)
    run(store, model, matrices=("bank",))
    assert all(map(store.exists, parts))


def test_what_is_there_of_a_bank_can_be_searched_before_all_layers_are(store, model):
    steps = precompute(store, Tables("cpu"), model, Task(read_wish(model, "folded").task.matrices))
    for _ in steps:
        if store.exists(recipes.bank(model, 1, "folded")):
            break
    steps.close()
    assert not store.exists(recipes.bank(model, None, "folded"))
    assert all(store.exists(part) for part in parts_of(model, "folded") if part.kind in {"words", "tokens"})


def test_room_is_needed_for_the_bank(store, model):
    task = Task(("bank",), ("folded", "raw"))
    needed, _ = estimate_bytes(store, model, task)
    run(store, model, matrices=("bank",), processings=("folded", "raw"))
    taken = sum(len(data) for data in files(store, with_controls=True).values())
    assert taken < needed < 2 * taken
    assert estimate_bytes(store, model, task)[1] == 0


def test_two_runs_share_the_bank(store, model, monkeypatch):
    monkeypatch.setattr(singles, "WAIT_SECONDS", 0.01)
    made, barrier = [], threading.Barrier(2)
    monkeypatch.setattr(
        bank,
        "build_bank_part",
        lambda context, layer, kept=bank.build_bank_part: made.append(layer) or kept(context, layer),
    )

    def go():
        barrier.wait(30)
        run(ArtifactStore(store.root, 10**9), model, matrices=("bank",))

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(made, key=str) == [0, 1, None]
    assert all(map(store.exists, parts_of(model, "folded")))


def test_what_is_told_of_streams_is_made_of_the_text_that_is_there(store, model):
    task = read_wish(model, "folded", matrices="linear-0-1,unlikely").task
    with pytest.raises(ComputationFailed, match="singular-lens statistics tiny makes it"):
        list(precompute(store, Tables("cpu"), model, task))
    ids = np.random.default_rng(0).integers(model.manifest.d_vocab, size=(8, 16)).astype(np.int32)
    store.write(recipes.use(model, "folded", 77), {"ids": ids}, {})
    last = list(precompute(store, Tables("cpu"), model, task))[-1]
    assert (last.matrices, last.matrices_done) == (0, 0)
    assert store.read(recipes.linear(model, "folded", 0, 1, 77, None)).arrays["positions"].tolist() == [120, 0]
    assert len(store.read(recipes.unlikely(model, "folded", 77)).arrays["at"]) == 48
