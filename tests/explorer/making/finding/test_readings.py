import math

import numpy as np
import pytest
import torch

from app.core.address import KINDS
from app.core.finding.reversal import FLOOR, count_bins
from app.explorer import recipes
from app.explorer.layout import PARTS
from app.explorer.making.context import Context
from app.explorer.making.finding import bank as bank_module
from app.explorer.making.finding.alike import compare_spans
from app.explorer.making.finding.moments import compute_moments
from app.explorer.making.finding.readings import compare_with_readers
from app.explorer.making.heads import read_head_tensors
from app.explorer.making.tables import Tables
from app.store.artifacts import ArtifactStore
from tests.explorer.banks import build_bank, plant_rows
from tests.explorer.steps import run_steps


@pytest.fixture(scope="module")
def banked(explorer):
    build_bank(explorer, kinds=("bank",))
    return explorer


def written(context, layer):
    """What a layer writes, by plain SVD in float64: kind, head, index -> unit row."""
    found = {}
    for head in range(context.model.manifest.n_heads):
        tensors = read_head_tensors(context, layer, head)
        V = torch.linalg.svd(tensors.W_V.double() @ tensors.W_O.double()).Vh
        found |= {("ov", head, i): V[i] for i in range(tensors.W_V.shape[1])}
    return found


def plain(vector, W):
    return math.sqrt(len(vector)) * ((vector @ W.double()).norm() / W.double().norm()).item()


def test_every_pair_from_the_floor_on_is_there_and_none_in_the_wrong_order(banked, context_of):
    context = context_of("gpt2", "folded")
    arrays, _ = run_steps(compare_with_readers(context, 0))
    told = {
        (KINDS[kind], int(head), int(index), PARTS[part], int(layer), int(reader)): float(value)
        for kind, head, index, part, layer, reader, value in zip(
            *(arrays[name] for name in ("kind", "head", "index", "part", "layer", "reader", "specificity")), strict=True
        )
    }
    heads = [read_head_tensors(context, 1, head) for head in range(4)]
    expected = {}
    for place, vector in written(context, 0).items():
        for reader, tensors in enumerate(heads):
            for part, W in zip(PARTS, (tensors.W_Q, tensors.W_K, tensors.W_V), strict=True):
                value = plain(vector, W)
                if value >= FLOOR:
                    expected[*place, part, 1, reader] = value
    of_heads = {place: value for place, value in told.items() if place[0] == "ov"}
    assert of_heads == pytest.approx(expected, rel=1e-4)
    assert {place[0] for place in told} <= {"ov", "mlp-out"}
    assert {place[4] for place in told} <= {1}
    # Nothing reads what the last layer writes; it is counted all the same.
    last, _ = run_steps(compare_with_readers(context, 1))
    assert len(last["index"]) == 0
    assert last["pairs"].sum() == arrays["pairs"].sum() == 2 * 12 * (4 * 8 + 31)  # an LN model's writes have no mean


def test_counts_are_of_all_pairs_whatever_their_order(banked, context_of):
    context = context_of("gpt2", "folded")
    arrays, _ = run_steps(compare_with_readers(context, 1))
    bank = banked.store.read(recipes.bank(context.model, 1, "folded")).arrays
    writes = np.isin(bank["kind"], [KINDS.index("ov"), KINDS.index("mlp-out")]) & (bank["side"] == 1)
    vectors = torch.from_numpy(bank["vectors"][writes]).double()
    for part, name in enumerate(("W_Q", "W_K", "W_V")):
        W = [getattr(read_head_tensors(context, 0, head), name) for head in range(4)]
        values = np.array([[plain(vector, each) for each in W] for vector in vectors])
        assert arrays["counts"][part, 0].tolist() == count_bins(values).tolist()


def test_keys_and_values_are_there_once_for_heads_that_share_them(relatives, context_of):
    build_bank(relatives, "llama", kinds=("bank",))
    context = context_of("llama", "folded")
    arrays, _ = run_steps(compare_with_readers(context, 0))
    queries, keys, values = arrays["pairs"][:, 1].tolist()
    assert keys == values == queries // 2 > 0
    assert set(arrays["reader"][arrays["part"] > 0].tolist()) <= {0, 1}


def test_a_planted_edge_is_found(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    model = build_bank(r, kinds=("bank",))
    from app.explorer.making.context import Context
    from app.explorer.making.tables import Tables

    context = Context(Tables("cpu"), model, "folded", r.store)
    bank = r.store.read(recipes.bank(model, 0, "folded")).arrays
    (row,) = np.flatnonzero((bank["kind"] == 0) & (bank["head"] == 2) & (bank["index"] == 5) & (bank["side"] == 1))
    W = read_head_tensors(context, 1, 3).W_Q.double()
    vectors = bank["vectors"].copy()
    vectors[row] = torch.linalg.svd(W).U[:, 0].numpy()
    plant_rows(r, model, 0, vectors=vectors)
    arrays, _ = run_steps(compare_with_readers(context, 0))
    own = (arrays["head"] == 2) & (arrays["index"] == 5) & (arrays["part"] == 0) & (arrays["reader"] == 3)
    (found,) = arrays["specificity"][own & (arrays["kind"] == 0)].tolist()
    singular = torch.linalg.svdvals(W)
    assert found == pytest.approx(math.sqrt(32) * (singular[0] / singular.norm()).item(), rel=1e-5)


@pytest.mark.parametrize("is_halved", [False, True])
def test_what_is_made_of_the_bank_is_the_same_where_a_part_is_missing(banked, tmp_path, monkeypatch, is_halved):
    """Vectors that are kept in fewer bits are taken in as many where they are not kept."""
    model = banked.library.model("tiny")
    monkeypatch.setattr(bank_module, "is_halved", lambda *_: is_halved)
    context = Context(Tables("cpu"), model, "folded", ArtifactStore(tmp_path, 10**9))
    makers = (
        lambda: compare_with_readers(context, 0),
        lambda: compare_spans(context),
        lambda: compute_moments(context),
    )
    alone = [run_steps(make())[0] for make in makers]
    for layer in (0, 1, None):
        context.store.write(
            recipes.bank(model, layer, "folded"), *run_steps(bank_module.build_bank_part(context, layer))
        )
    for made, make in zip(alone, makers, strict=True):
        again = run_steps(make())[0]
        assert again.keys() == made.keys()
        for name, array in made.items():
            np.testing.assert_array_equal(again[name], array, err_msg=name)
