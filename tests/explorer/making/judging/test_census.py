"""The rows of a census against dense matrices in float64, read out and judged by the shortest way."""

import numpy as np
import pytest
import torch

from app.core.judging.restriction import random_neurons
from app.core.judging.significance import BINS, HIGH, LOW
from app.core.matrix import NEURON, WRITE, Matrix
from app.explorer import groups, recipes
from app.explorer.groups import DRAWS, GROUPS, SEED, SPAN, SPAN_HEADS, SPAN_VECTORS, WEIGHTED
from app.explorer.making.context import Context
from app.explorer.making.judging import census
from app.explorer.making.tables import Tables
from app.explorer.recipes import CONTROL_SEED
from app.explorer.running.costs import cost_of
from app.explorer.view import PROCESSINGS
from app.explorer.visits import orders
from app.jobs.precompute import precompute
from app.store.artifacts import ArtifactStore
from app.store.jobs import Task
from tests.explorer.dense import D_HEAD, D_MODEL, N_HEADS
from tests.explorer.steps import run_steps

N_TOKENS, KEPT, LAYER = 300, 50, 1


def likeness(vectors, units, table):
    """Rank-weighted mean cosine of the top tokens of both rays: [n 2]."""
    weights = 1 / np.log2(np.arange(KEPT) + 2)
    pairs = np.outer(weights, weights) * (1 - np.eye(KEPT))
    found = np.zeros((len(vectors), 2))
    for row, vector in enumerate(vectors):
        for ray, sign in enumerate((1, -1)):
            top = units[np.argsort(-sign * (table @ vector), kind="stable")[:KEPT]]
            found[row, ray] = (pairs * (top @ top.T)).sum() / pairs.sum()
    return found


def judged(vectors, table):
    """z of both rays beside 2,000 random directions."""
    table = table[:N_TOKENS]
    centred = table - table.mean(axis=0)
    common = np.linalg.svd(centred, full_matrices=False)[2][: D_MODEL // 16]
    rest = centred - centred @ common.T @ common
    units = rest / np.linalg.norm(rest, axis=1, keepdims=True)
    random = torch.randn(2_000, D_MODEL, generator=torch.Generator().manual_seed(CONTROL_SEED)).double()
    control = likeness((random / random.norm(dim=1, keepdim=True)).numpy(), units, table)
    return (likeness(vectors, units, table) - control.mean()) / control.std(ddof=1)


def qk(oracle, head, processing):
    """What the head's query and key make of two vectors of the stream."""
    mine = slice(head * D_HEAD, (head + 1) * D_HEAD)
    W_Q, W_K, _ = np.split(oracle.tensors[f"h.{LAYER}.attn.c_attn.weight"], 3, axis=1)
    norm = oracle._norm(f"h.{LAYER}.ln_1")
    W_Q, W_K = (norm.reader(W) if processing == "folded" else W for W in (W_Q[:, mine], W_K[:, mine]))
    return W_Q @ W_K.T


def of(arrays, group, part=0):
    """The rows of one matrix."""
    rows = (arrays["group"] == GROUPS.index(group)) & (arrays["part"] == part)
    return {name: arrays[name][rows] for name in ("index", "of", "z", "p")}


def assert_same_directions(found, vectors, table):
    """Signs are a convention: the two rays may have changed places."""
    n = len(found["z"])
    assert found["index"].tolist() == list(range(n))
    assert (found["of"] == n).all()
    expected = judged(vectors[:n], table)
    np.testing.assert_allclose(np.sort(found["z"], axis=1), np.sort(expected, axis=1), rtol=0, atol=0.05)
    assert np.ptp(expected) > 1


@pytest.fixture(scope="module")
def rows(context_of):
    """rows("folded") -> the arrays of the layer, and of the ends."""
    kept = {}

    def found(processing):
        if processing not in kept:
            context = context_of("gpt2", processing)
            kept[processing] = tuple(
                run_steps(steps)[0] for steps in (census.count_layer(context, LAYER), census.count_ends(context))
            )
        return kept[processing]

    return found


@pytest.mark.parametrize("processing", PROCESSINGS)
def test_heads_and_mlps_read_as_their_dense_matrices_do(rows, oracle_of, processing):
    oracle, arrays = oracle_of("gpt2"), rows(processing)[0]
    read, write = oracle.table("read", processing), oracle.table("write", processing)
    U, _, Vh = np.linalg.svd(oracle.ov(LAYER, 2, processing == "folded"))
    assert_same_directions(of(arrays, "ov-read", 2), U.T[:D_HEAD], read)
    assert_same_directions(of(arrays, "ov-write", 2), Vh[:D_HEAD], write)
    U, _, Vh = np.linalg.svd(qk(oracle, 2, processing))
    assert_same_directions(of(arrays, "qk-query", 2), U.T[:D_HEAD], read)
    assert_same_directions(of(arrays, "qk-key", 2), Vh[:D_HEAD], read)
    assert_same_directions(of(arrays, "mlp-in"), np.linalg.svd(oracle.dense("mlp-in", processing).matrix)[0].T, read)
    assert_same_directions(of(arrays, "mlp-out"), np.linalg.svd(oracle.dense("mlp-out", processing).matrix)[2], write)


@pytest.mark.parametrize("processing", PROCESSINGS)
def test_what_is_cut_down_reads_as_its_dense_matrix_does(rows, oracle_of, processing):
    oracle, (arrays, ends) = oracle_of("gpt2"), rows(processing)
    dense, write = oracle.dense("mlp-out", processing).matrix, oracle.table("write", processing)
    W_out = Matrix((torch.tensor(dense).float(),), NEURON, WRITE)
    draw = 3
    neurons = random_neurons(W_out, D_HEAD, SEED + DRAWS * LAYER + draw).dense().numpy()
    assert_same_directions(of(arrays, "mlp-out-cut", draw), np.linalg.svd(neurons)[2][:D_HEAD], write)
    embed = oracle.dense("embed", processing).matrix
    assert_same_directions(of(ends, "embed"), np.linalg.svd(embed)[2], write)
    random = torch.randn(D_MODEL, D_HEAD, generator=torch.Generator().manual_seed(SEED + draw), dtype=torch.float64)
    Q = np.linalg.qr(random.numpy())[0]
    assert_same_directions(of(ends, "embed-cut", draw), np.linalg.svd(embed @ Q @ Q.T)[2][:D_HEAD], write)


@pytest.mark.parametrize("processing", PROCESSINGS)
def test_principal_components_are_those_about_the_mean(rows, oracle_of, processing):
    oracle, ends = oracle_of("gpt2"), rows(processing)[1]
    embed = oracle.dense("embed", processing).matrix
    directions = np.linalg.svd(embed - embed.mean(axis=0))[2]
    found = of(ends, "embed-pca")
    assert len(found["z"]) >= D_MODEL - 1
    assert_same_directions(
        {
            name: values[: D_MODEL - 1] if name != "of" else values[: D_MODEL - 1] * 0 + D_MODEL - 1
            for name, values in found.items()
        },
        directions[: D_MODEL - 1],
        oracle.table("write", processing),
    )


@pytest.mark.parametrize("processing", PROCESSINGS)
def test_random_vectors_lie_in_the_spans_of_their_matrices(context_of, rows, oracle_of, processing):
    context, oracle, arrays = context_of("gpt2", processing), oracle_of("gpt2"), rows(processing)[0]
    drawn = {
        (each.group, each.part): each.vectors.numpy() for each in run_steps(census._draw_from_layer(context, LAYER))
    }
    heads = sorted({part for group, part in drawn if group.endswith("-span")})
    assert (len(heads), set(heads) < set(range(N_HEADS))) == (SPAN_HEADS, True)
    tables = {end: oracle.table(end, processing) for end in ("read", "write")}
    for head in range(N_HEADS):
        ov, bilinear = oracle.ov(LAYER, head, processing == "folded"), qk(oracle, head, processing)
        sides = {"ov-read": ov.T, "ov-write": ov, "qk-query": bilinear.T, "qk-key": bilinear}
        for group, matrix in sides.items():
            Vh = np.linalg.svd(matrix)[2]
            for ending, count in ((SPAN, SPAN_VECTORS if head in heads else 0), (WEIGHTED, DRAWS)):
                vectors = drawn.get((group + ending, head), np.zeros((0, D_MODEL)))
                assert len(vectors) == count
                inside = vectors @ Vh[:D_HEAD].T
                np.testing.assert_allclose(np.linalg.norm(inside, axis=1), 1, atol=1e-4)
                if count:
                    found = of(arrays, group + ending, head)
                    assert_same_directions(found, vectors, tables[groups.end_of(group)])
    # Of all heads together: weighted ones lean to the strong directions, those of the span to none.
    for ending, low, high in ((SPAN, 0.4, 0.6), (WEIGHTED, 0.65, 1.0)):
        own = [
            np.square(
                drawn["ov-write" + ending, head]
                @ np.linalg.svd(oracle.ov(LAYER, head, processing == "folded"))[2][:D_HEAD].T
            )
            for head in range(N_HEADS)
            if ("ov-write" + ending, head) in drawn
        ]
        assert low < np.concatenate(own)[:, : D_HEAD // 2].sum(axis=1).mean() < high


def test_no_two_matrices_have_the_same_draw(context_of):
    drawn = [
        each
        for each in run_steps(census._draw_from_layer(context_of("gpt2", "folded"), LAYER))
        if not each.group.endswith("-cut")
    ]
    again = [
        each
        for each in run_steps(census._draw_from_layer(context_of("gpt2", "folded"), 0))
        if not each.group.endswith("-cut")
    ]
    seeds = {
        census._seed_for(layer, each.part, each.group) for layer, own in ((LAYER, drawn), (0, again)) for each in own
    }
    assert len(seeds) == len(drawn) + len(again)


@pytest.mark.parametrize("processing", PROCESSINGS)
def test_every_matrix_is_counted_once(rows, processing):
    arrays, ends = rows(processing)
    sizes = dict.fromkeys(("qk-query", "qk-key", "ov-read", "ov-write"), N_HEADS)
    sizes |= {f"{group}-span": SPAN_HEADS for group in sizes} | {f"{group}-weighted": N_HEADS for group in sizes}
    sizes |= {"mlp-in": 1, "mlp-out": 1, "mlp-in-cut": DRAWS, "mlp-out-cut": DRAWS}
    sizes |= {"mlp-in-weighted": 1, "mlp-out-weighted": 1}
    # As stored, the unembedding of this model is its embedding.
    end_sizes = {"embed": 1, "embed-pca": 1, "embed-cut": DRAWS} | ({"unembed": 1} if processing == "folded" else {})
    for found, expected in ((arrays, sizes), (ends, end_sizes)):
        counted = {
            GROUPS[group]: int((found["index"][found["group"] == group] == 0).sum()) for group in set(found["group"])
        }
        assert counted == expected
    for end in ("read", "write"):
        assert ends[f"control_{end}"].sum() == 4_000
        middle = (np.arange(BINS) + 0.5) * (HIGH - LOW) / BINS + LOW
        assert abs((ends[f"control_{end}"] * middle).sum() / 4_000) < 0.1


def test_p_is_the_share_of_the_control_that_is_as_coherent(rows):
    arrays = rows("folded")[0]
    order = np.argsort(arrays["z"][arrays["group"] == GROUPS.index("ov-write")].ravel())
    p = arrays["p"][arrays["group"] == GROUPS.index("ov-write")].ravel()[order]
    assert (np.diff(p) <= 0).all()
    assert p.min() >= np.float32(1 / 4_001)
    assert p.max() <= 1


def test_what_was_computed_before_is_taken_and_says_the_same(fresh_data, explorer, rows, monkeypatch):
    model = explorer.library.model("tiny")
    store = ArtifactStore(fresh_data / "artifacts", 10**9)
    task = Task(("ov", "qk", "mlp-in", "mlp-out", "embed"))
    list(precompute(store, Tables("cpu"), model, task))
    assert not store.exists(recipes.census_part(model, LAYER, "folded")), "the unembedding was not asked for"
    context = Context(Tables("cpu"), model, "folded", store)
    for again in ("_count_side", "read_subject"):
        monkeypatch.setattr(census, again, lambda *_: pytest.fail("taken apart again"))
    again = run_steps(census.count_layer(context, LAYER))[0]
    for name, values in rows("folded")[0].items():
        np.testing.assert_allclose(again[name], values, rtol=0, atol=1e-3 if name in "zp" else 0)


def test_one_seed_gives_one_census(rows, context_of):
    again = run_steps(census.count_layer(context_of("gpt2", "folded"), LAYER))[0]
    assert all(np.array_equal(again[name], values, equal_nan=True) for name, values in rows("folded")[0].items())


def test_it_says_how_far_it_is(context_of):
    said = []
    run_steps(census.count_layer(context_of("gpt2", "folded"), LAYER), said)
    assert all(0 <= done <= total for done, total in said)
    assert [done / total for done, total in said] == sorted(done / total for done, total in said)
    assert said[-1][0] > 0.8 * said[-1][1]


@pytest.mark.parametrize(
    ("family", "groups"),
    [
        ("llama", {"mlp-in", "mlp-gate", "mlp-out", "mlp-in-cut", "mlp-gate-cut", "mlp-out-cut"}),
        ("mixtral", set()),
        ("bert", {"mlp-in", "mlp-out", "mlp-in-cut", "mlp-out-cut"}),
    ],
)
def test_families_have_the_matrices_that_they_have(relatives, family, groups):
    model = relatives.library.model(family)
    context = Context(Tables("cpu"), model, "raw", relatives.store)
    arrays, ends = run_steps(census.count_layer(context, 0))[0], run_steps(census.count_ends(context))[0]
    heads = {"qk-query", "qk-key", "ov-read", "ov-write"}
    heads |= {f"{group}-span" for group in heads} | {f"{group}-weighted" for group in heads}
    groups |= {f"{group}-weighted" for group in groups if not group.endswith("-cut")}
    assert {GROUPS[group] for group in arrays["group"]} == heads | groups
    unembed = set() if model.header.encoder or model.header.tied else {"unembed"}
    assert {GROUPS[group] for group in ends["group"]} == {"embed", "embed-pca", "embed-cut"} | unembed


def test_the_order_is_batch_work(explorer):
    model = explorer.library.model("tiny")
    parts = [orders.order_census_part(model, layer, "raw") for layer in (None, 0, 1)]
    assert {cost_of(part.recipe, ()) for part in parts} == {"batch"}
    assert [part.recipe.subject for part in parts] == ["census", "L0/census", "L1/census"]
    assert len({part.recipe.hash for part in parts}) == 3
