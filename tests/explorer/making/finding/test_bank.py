"""The rows of a bank beside the dense matrices in float64, and beside the matrices' own artifacts."""

import numpy as np
import pytest

from app.core.address import KINDS, Address, parse
from app.core.judging.rays import HEADLINE
from app.explorer import recipes
from app.explorer.bank import STREAM_SIDES, count_rows, places_of
from app.explorer.layout import BANK_ENDS, BANK_TOKENS, SIDE_PREFIXES
from app.explorer.library import Library
from app.explorer.making.context import Context
from app.explorer.making.decompositions import decompose_matrix
from app.explorer.making.finding import bank as module
from app.explorer.making.finding.bank import build_bank_part, build_neuron_part
from app.explorer.making.subjects import read_subject
from app.explorer.making.tables import Tables
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore
from tests.explorer.steps import run_steps

CASES = [("gpt2", "folded"), ("gpt2", "raw"), ("llama", "folded")]


@pytest.fixture
def context_at(seen_of, tmp_path):
    """context_at(family, processing): with an empty store."""

    def build(family, processing):
        r, slug = seen_of(family)
        store = ArtifactStore(tmp_path / "artifacts", 10**9)
        return Context(Tables("cpu"), r.library.model(slug), processing, store)

    return build


def rows_of(arrays, place, side):
    kind = arrays["kind"] == KINDS.index(place.kind)
    head = arrays["head"] == (-1 if place.head is None else place.head)
    return np.flatnonzero(kind & head & (arrays["side"] == side))


def known(context, table):
    return table[context.model.vocabulary.known]


@pytest.mark.parametrize("layer", [1, None])
@pytest.mark.parametrize(("family", "processing"), CASES)
def test_vectors_are_those_of_the_matrix_up_to_sign(context_at, family, processing, layer):
    context = context_at(family, processing)
    arrays, _ = run_steps(build_bank_part(context, layer))
    for place in places_of(context.model, layer, processing):
        product = run_steps(read_subject(context, place)).product
        U, s, Vh = np.linalg.svd(product.dense().numpy(), full_matrices=False)
        for side, _ in STREAM_SIDES[place.kind]:
            own = rows_of(arrays, place, side)
            exact = (U.T, Vh)[side]
            n = len(own)
            assert arrays["index"][own].tolist() == [*range(n)]
            np.testing.assert_allclose(arrays["strength"][own], s[:n], rtol=1e-4, atol=1e-5 * s[0])
            np.testing.assert_allclose(
                arrays["gain"][own], s[:n] * np.sqrt(n) / np.sqrt(np.square(s[:n]).sum()), rtol=1e-4, atol=1e-5
            )
            cosines = np.abs((arrays["vectors"][own] * exact[:n]).sum(axis=1))
            apart = np.minimum(np.abs(np.diff(s[: n + 1], append=0))[:n], np.abs(np.diff(s[:n], prepend=np.inf)))
            assert (cosines[apart > 1e-3 * s[0]] > 1 - 1e-5).all()
    most = count_rows(context.model, processing, recipes.bank(context.model, layer, processing))
    assert most - 4 <= len(arrays["kind"]) <= most  # norms that centre take a dimension away


@pytest.mark.parametrize(("family", "processing"), CASES)
def test_both_sides_of_a_direction_have_the_signs_of_the_product(context_at, family, processing):
    context = context_at(family, processing)
    arrays, _ = run_steps(build_bank_part(context, 0))
    for place in places_of(context.model, 0, processing):
        if place.circuit is not None:
            dense = run_steps(read_subject(context, place)).product.dense().numpy()
            left, right = (arrays["vectors"][rows_of(arrays, place, side)] for side in (0, 1))
            made = (left @ dense * right).sum(axis=1)
            np.testing.assert_allclose(made, arrays["strength"][rows_of(arrays, place, 0)], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("family", "processing"), CASES)
def test_spread_and_tokens_are_those_of_every_score(context_at, oracle_of, family, processing):
    context, oracle = context_at(family, processing), oracle_of(family)
    ids_known = np.flatnonzero(context.model.vocabulary.known)
    for arrays, _ in (run_steps(build_bank_part(context, 0)), run_steps(build_neuron_part(context, 1))):
        for code, end in enumerate(BANK_ENDS):
            own = arrays["end"] == code
            if not own.any():
                assert (end, family, processing) == ("write", "gpt2", "raw")  # one table for both ends
                continue
            scores = arrays["vectors"][own].astype(np.float64) @ oracle.table(end, processing)[ids_known].T
            np.testing.assert_allclose(arrays["spread"][own], scores.std(axis=1), rtol=1e-4)
            found = arrays["ids"][own]
            assert found.shape[1:] == (2, BANK_TOKENS)
            at = np.searchsorted(ids_known, found)
            for ray, sign in ((0, 1), (1, -1)):
                shown = np.take_along_axis(sign * scores, at[:, ray], axis=1)
                best = -np.sort(-sign * scores, axis=1)[:, :BANK_TOKENS]
                np.testing.assert_allclose(shown, best, atol=2e-5 * np.abs(scores).max())


def test_rows_stand_by_end_kind_head_index_and_side(context_at):
    arrays, _ = run_steps(build_bank_part(context_at("llama", "folded"), 1))
    keys = [*zip(*(arrays[name].tolist() for name in ("end", "kind", "head", "index", "side")), strict=True)]
    assert keys == sorted(set(keys))
    assert set(arrays["end"]) == {0, 1}


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_what_artifacts_say_is_taken_from_them(context_at, monkeypatch, family):
    """Ids, signs and judgements are theirs, and nothing is read out again."""
    context = context_at(family, "folded")
    for layer in (0, None):
        read, _ = run_steps(build_bank_part(context, layer))
        kept = {}
        for place in places_of(context.model, layer, "folded"):
            recipe = recipes.decomposition(context.model, place.in_basis("svd"), "folded", {})
            arrays, facts = run_steps(decompose_matrix(context, place.in_basis("svd"), {}))
            context.store.write(recipe, arrays, facts)
            kept[place] = arrays
        with monkeypatch.context() as patch:
            patch.setattr(module, "read_into", None)
            found, _ = run_steps(build_bank_part(context, layer))
        for place, arrays in kept.items():
            for side, _ in STREAM_SIDES[place.kind]:
                own, prefix = rows_of(found, place, side), SIDE_PREFIXES[side]
                for ray, end in enumerate(("top", "bottom")):
                    np.testing.assert_array_equal(
                        found["ids"][own, ray], arrays[f"{prefix}_{end}_ids"][:, :BANK_TOKENS]
                    )
                if family == "llama":  # whose tokens are too few to judge by
                    assert f"{prefix}_z" not in arrays
                    assert np.isnan(found["z"][own]).all()
                    continue
                np.testing.assert_array_equal(found["z"][own], arrays[f"{prefix}_z"][..., HEADLINE])
                np.testing.assert_array_equal(found["p"][own], arrays[f"{prefix}_p"][..., HEADLINE])
                np.testing.assert_array_equal(found["reading"][own], arrays[f"{prefix}_reading"])
                np.testing.assert_array_equal(found["letterless"][own], arrays[f"{prefix}_letterless"])
        for name in ("ids", "reading", "letterless", "vectors"):
            np.testing.assert_array_equal(found[name], read[name])


def test_vectors_have_the_signs_that_they_were_read_with(context_at):
    """Where rounding has turned a direction over since."""
    context = context_at("gpt2", "folded")
    expected, _ = run_steps(build_bank_part(context, 0))
    for place in places_of(context.model, 0, "folded"):
        arrays, facts = run_steps(decompose_matrix(context, place.in_basis("svd"), {}))
        turned = {name: arrays[_turned(name)] for name in arrays}
        context.store.write(recipes.decomposition(context.model, place.in_basis("svd"), "folded", {}), turned, facts)
    found, _ = run_steps(build_bank_part(context, 0))
    np.testing.assert_array_equal(found["vectors"], -expected["vectors"])
    np.testing.assert_array_equal(found["ids"], expected["ids"][:, ::-1])


def _turned(name):
    return name.replace("top", "?").replace("bottom", "top").replace("?", "bottom")


@pytest.mark.parametrize(("family", "processing"), CASES)
def test_neurons_are_the_weights_at_unit_length(context_at, oracle_of, family, processing):
    context = context_at(family, processing)
    arrays, _ = run_steps(build_neuron_part(context, 1))
    assert np.isnan(arrays["z"]).all()
    assert np.isnan(arrays["p"]).all()
    for kind in context.model.header.layer_kinds:
        samples = oracle_of(family).dense(kind, processing).samples
        ((side, _),) = STREAM_SIDES[kind]
        own = rows_of(arrays, Address("m").at_layer(1).at(kind), side)
        norms = np.linalg.norm(samples, axis=1)
        assert sorted(arrays["unit"][own].tolist()) == [*range(len(samples))]
        assert arrays["index"][own].tolist() == [*range(len(samples))]
        unit = arrays["unit"][own]
        np.testing.assert_allclose(arrays["strength"][own], norms[unit], rtol=1e-5)
        np.testing.assert_allclose(arrays["gain"][own], norms[unit] / np.sqrt(np.square(norms).mean()), rtol=1e-5)
        np.testing.assert_allclose(arrays["vectors"][own], samples[unit] / norms[unit, None], atol=1e-6)


def test_a_neurons_row_is_the_direction_of_its_page(context_at):
    context = context_at("llama", "folded")
    arrays, _ = run_steps(build_neuron_part(context, 1))
    for kind in context.model.header.layer_kinds:
        place = Address("llama").at_layer(1).at(kind)
        page, _ = run_steps(decompose_matrix(context, place.in_basis("neuron"), {}))
        side = STREAM_SIDES[kind][0][0]
        own = rows_of(arrays, place, side)
        np.testing.assert_array_equal(arrays["unit"][own], page["unit"])
        np.testing.assert_array_equal(arrays["ids"][own, 0], page[f"{SIDE_PREFIXES[side]}_top_ids"][:, :BANK_TOKENS])


def test_a_model_of_many_vectors_keeps_halves(context_at, monkeypatch):
    context = context_at("gpt2", "folded")
    whole, _ = run_steps(build_bank_part(context, 0))
    monkeypatch.setattr("app.explorer.bank.WHOLE_FLOATS_BYTES", 1_000)
    halved, _ = run_steps(build_bank_part(context, 0))
    assert "vectors" not in halved
    assert halved["halves"].dtype == np.float16
    np.testing.assert_array_equal(halved["halves"], whole["vectors"].astype(np.float16))


@pytest.mark.smollm2
def test_smollm2s_quotation_is_written_and_read_again(smollm2_data, tmp_path):
    """The anchors of the trial: L24H1.ov.0 beside two heads four layers later, and beside what the MLP avoids."""
    model = Library(Catalog(smollm2_data)).model("smollm2")
    context = Context(Tables("cpu"), model, "folded", ArtifactStore(tmp_path, 10**9))
    layers = {layer: run_steps(build_bank_part(context, layer))[0] for layer in (24, 27, 28)}

    def vector(path, side, index):
        place = parse(f"smollm2/{path}")
        arrays = layers[place.layer]
        return arrays["vectors"][rows_of(arrays, place, side)[index]]

    written = vector("L24/H1/ov", 1, 0)
    expected = {
        ("L28/H6/ov", 1, 0): 0.95,
        ("L28/H7/ov", 1, 1): 0.88,
        ("L28/H6/ov", 0, 0): 0.95,
        ("L28/H7/ov", 0, 1): 0.89,
    }
    for other, cosine in (expected | {("L27/mlp-out", 1, 575): 0.92}).items():
        assert written @ vector(*other) == pytest.approx(cosine, abs=0.01)
    own = rows_of(layers[24], parse("smollm2/L24/H1/ov"), 1)[0]
    quotes = [[model.vocabulary.entry(id_).text for id_ in ray[:8].tolist()] for ray in layers[24]["ids"][own]]
    assert all("”" in text or "“" in text for text in quotes[1])
    avoided = rows_of(layers[27], parse("smollm2/L27/mlp-out"), 1)[575]
    assert layers[27]["gain"][avoided] == pytest.approx(0.16, abs=0.01)
