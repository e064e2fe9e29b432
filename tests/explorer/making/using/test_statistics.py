"""What directions do on text, against the heads' own outputs, and against what the library refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core.circuits import ov
from app.core.folding import fold_head
from app.core.steps import run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.layout import USE_WINDOWS, check_layout, count_first
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.using import statistics
from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model
from app.store.artifacts import ArtifactStore

FAMILIES = ("gpt2", "llama", "gemma2")


@pytest.fixture(scope="module", params=FAMILIES)
def made(context_of, request):
    """The statistics of a family's model, with the context that they were made in."""
    context = context_of(request.param, "folded" if request.param != "gemma2" else "raw")
    recipe = recipes.use(context.model, context.processing)
    return context, run(run_maker(recipe, MakerInputs(context.tables, context.model, context.store)))[0]


def outputs_of(context, ids, layer, head):
    """What a head writes at each position but the first of each window, from the library's own values: [positions d]."""
    weights = context.model.weights()
    model = assemble_model(weights, context.model.manifest)
    plain, norms = weights.head(layer, head), weights.norms(layer, head)
    used = fold_head(plain, norms) if context.processing == "folded" else plain
    written = torch.cat([run_model(model, window).mixed[layer][1:, head] for window in ids]) @ used.W_O
    return used, written.double().numpy()


@pytest.mark.parametrize(("layer", "head"), [(0, 1), (1, 3)])
def test_shares_are_those_of_the_variance_of_what_the_head_writes(made, layer, head):
    context, arrays = made
    used, written = outputs_of(context, torch.from_numpy(arrays["ids"]).long(), layer, head)
    _, strength, right = np.linalg.svd(ov(used).dense().double().numpy(), full_matrices=False)
    rank = len(arrays["used"][layer, head])
    variances = (written @ right[:rank].T).var(axis=0)
    np.testing.assert_allclose(arrays["used"][layer, head], variances / variances.sum(), atol=2e-4)
    np.testing.assert_allclose(arrays["spread"][layer, head] * strength[:rank], np.sqrt(variances), rtol=2e-3)
    np.testing.assert_allclose(arrays["even"][layer, head], strength[:rank] ** 2 / (strength**2).sum(), atol=1e-5)
    value, low, high = arrays["first"][layer, head]
    assert value == pytest.approx(arrays["used"][layer, head][: count_first(rank)].sum(), abs=1e-5)
    assert low <= value <= high


def test_curves_end_at_everything_and_positions_are_shares(made):
    _, arrays = made
    check_layout("use", arrays)
    np.testing.assert_allclose(arrays["fitted"][..., -1], 1, atol=1e-5)
    np.testing.assert_allclose(arrays["used"].sum(axis=-1), 1, atol=1e-5)
    assert ((arrays["positive"] >= 0) & (arrays["positive"] <= 1)).all()
    assert (arrays["skew"][..., 1] <= arrays["skew"][..., 2]).all()
    assert len(set(map(tuple, arrays["ids"].tolist()))) == len(arrays["ids"])
    assert len(set(arrays["ids"][:, 0].tolist())) == 1


def test_outputs_vary_as_the_heads_own_do_on_either_half(made):
    context, arrays = made
    recipe = recipes.use_outputs(context.model, context.processing)
    found = run(run_maker(recipe, MakerInputs(context.tables, context.model, context.store)))[0]["covariance"]
    ids = torch.from_numpy(arrays["ids"]).long()
    for half in range(2):
        used, written = outputs_of(context, ids[half::2], 1, 2)
        _, _, right = np.linalg.svd(ov(used).dense().double().numpy(), full_matrices=False)
        along = written @ right[: found.shape[-1]].T
        expected = np.abs(np.cov(along.T, bias=True))  # the signs of directions are a convention
        np.testing.assert_allclose(np.abs(found[half, 1, 2]), expected, atol=2e-4 * expected.max())


def test_streams_and_chances_are_means_without_the_first_positions(made):
    context, arrays = made
    recipe = recipes.use_streams(context.model, context.processing)
    found = run(run_maker(recipe, MakerInputs(context.tables, context.model, context.store)))[0]
    model = assemble_model(context.model.weights(), context.model.manifest)
    runs = [run_model(model, torch.from_numpy(window).long()) for window in arrays["ids"]]
    streams = torch.cat([one.streams[:, 1:] for one in runs], dim=1).double()
    lengths = streams.norm(dim=-1)
    assert (lengths < 20 * lengths.median(dim=1, keepdim=True).values).all()  # of none of these models is one a sink
    np.testing.assert_allclose(found["mean"], streams.mean(dim=1), rtol=1e-4, atol=1e-5)
    chance = torch.cat([one.logits[1:] for one in runs]).double().softmax(-1).mean(dim=0)
    np.testing.assert_allclose(found["chance"], chance, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize(("family", "why"), [("bert", "is not run here"), ("mixtral", "is not run here")])
def test_models_that_are_not_run_are_refused_by_name(context_of, family, why):
    context = context_of(family, "raw")
    recipe = recipes.use(context.model, "raw")
    with pytest.raises(ComputationFailed, match=why):
        run(run_maker(recipe, MakerInputs(context.tables, context.model, context.store)))


def test_the_ratio_is_the_median_of_the_heads_and_its_interval_of_draws_of_windows(made):
    """Windows drawn anew by hand, heads together: the interval is that of the median, not of a head."""
    _, arrays = made
    first = count_first(arrays["even"].shape[-1])
    ratios = arrays["first"][..., 0] / arrays["even"][..., :first].sum(axis=-1)
    value, low, high = arrays["ratio"]
    assert value == pytest.approx(np.median(ratios), rel=1e-4)
    assert low <= value <= high
    assert high - low < np.median(arrays["first"][..., 2] - arrays["first"][..., 1]) / np.median(arrays["even"][..., 0])


def test_the_stream_of_each_layer_is_measured(made):
    context, arrays = made
    model = assemble_model(context.model.weights(), context.model.manifest)
    rows = [run_model(model, torch.from_numpy(window).long()).streams[:-1, 1:] for window in arrays["ids"]]
    streams, manifest = torch.cat(rows, dim=1).double(), context.model.manifest
    centred = streams - streams.mean(-1, keepdim=True) if manifest.normalization == "LN" else streams
    expected = (centred.square().mean(-1) + manifest.eps).sqrt().median(dim=1).values
    np.testing.assert_allclose(arrays["stream"], expected, rtol=0.02)  # of an even number, torch takes the lower


def test_parts_that_are_there_are_not_run_again(context_of, tmp_path, monkeypatch):
    """The same numbers whether all is computed at once, or goes on after three parts."""
    context = replace(context_of("gpt2", "folded"), store=ArtifactStore(tmp_path, 10**9))
    inputs = MakerInputs(context.tables, context.model, context.store)
    whole = run(run_maker(recipes.use(context.model, "folded"), inputs))[0]
    for part in recipes.use_parts(context.model, "folded", 0)[:3]:
        context.store.write(part, *run(run_maker(part, inputs)))
    ran = []
    monkeypatch.setattr(
        statistics.texts, "assemble", lambda model: ran.append(model) or assemble_model(model.weights(), model.manifest)
    )
    again = run(run_maker(recipes.use(context.model, "folded"), inputs))[0]
    assert len(ran) == 1
    for name, array in whole.items():
        np.testing.assert_allclose(again[name], array, rtol=1e-5, atol=1e-6)


def test_a_text_of_the_operators_is_run_as_it_is(context_of, tmp_path):
    context = replace(context_of("gpt2", "folded"), store=ArtifactStore(tmp_path, 10**9))
    inputs = MakerInputs(context.tables, context.model, context.store)
    ids = np.random.default_rng(0).integers(1, 299, (USE_WINDOWS, 20)).astype(np.int32)
    number = recipes.number_of_text(ids.tobytes())
    with pytest.raises(ComputationFailed, match="--text"):
        run(run_maker(recipes.use(context.model, "folded", number), inputs))
    context.store.write(recipes.use_text(context.model, number), {"ids": ids}, {})
    arrays = run(run_maker(recipes.use(context.model, "folded", number), inputs))[0]
    np.testing.assert_array_equal(arrays["ids"], ids)
    used, written = outputs_of(context, torch.from_numpy(ids).long(), 1, 2)
    _, _, right = np.linalg.svd(ov(used).dense().double().numpy(), full_matrices=False)
    rank = len(arrays["used"][1, 2])
    variances = (written @ right[:rank].T).var(axis=0)
    np.testing.assert_allclose(arrays["used"][1, 2], variances / variances.sum(), atol=2e-4)


def test_peaks_are_the_most_that_arrives_each_in_another_window(made):
    """Against the whole text's own values, sorted by hand."""
    context, arrays = made
    model = assemble_model(context.model.weights(), context.model.manifest)
    terms = statistics.texts.decompose_layer(context, 1)
    windows = [run_model(model, torch.from_numpy(window).long()) for window in arrays["ids"]]
    of_each = [
        statistics.texts.read_layer(context, 1, one.streams[1], one.patterns[1], terms)[1][2, 1:, 3] for one in windows
    ]
    n_tokens = arrays["ids"].shape[1]
    for end, best in enumerate((max, min)):
        peaks = sorted((float(best(one)) for one in of_each), reverse=end == 0)[:3]
        np.testing.assert_allclose(arrays["peaks"][1, 2, 3, end], peaks, rtol=1e-3, atol=1e-5)
        places = [divmod(place, n_tokens) for place in arrays["peaks_at"][1, 2, 3, end].tolist()]
        assert len({window for window, _ in places}) == 3
        for (window, position), peak in zip(places, peaks, strict=True):
            assert position > 0
            assert float(of_each[window][position - 1]) == pytest.approx(peak, rel=1e-3, abs=1e-5)
