"""Beside dense products in float64, and beside the library's own scores."""

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.layout import COMPOSED
from app.explorer.library import Library
from app.explorer.making.context import Context
from app.explorer.making.finding.composition import score_composition
from app.explorer.making.subjects import read_subject
from app.explorer.making.tables import Tables
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore
from tests.explorer.steps import run_steps


def dense(context, slug, layer, head, circuit):
    return run_steps(read_subject(context, parse(f"{slug}/L{layer}/H{head}/{circuit}"))).product.dense().numpy()


@pytest.mark.parametrize(("family", "processing"), [("gpt2", "folded"), ("llama", "folded"), ("llama", "raw")])
def test_every_pair_is_its_dense_product(context_of, family, processing):
    context = context_of(family, processing)
    slug, n_heads = context.model.header.slug, context.model.manifest.n_heads
    cs = run_steps(score_composition(context))[0]["cs"]
    ov = {(layer, head): dense(context, slug, layer, head, "ov") for layer in (0, 1) for head in range(n_heads)}
    qk = {place: dense(context, slug, *place, "qk") for place in ov}
    for (layer, head), written in ov.items():
        for (other, reader), read in ov.items():
            for kind, matrix in (("q", qk[other, reader]), ("k", qk[other, reader].T), ("v", read)):
                found = cs[COMPOSED.index(kind), layer * n_heads + head, other * n_heads + reader]
                if layer == other:
                    assert np.isnan(found)
                    continue
                norms = np.linalg.norm(written) * np.linalg.norm(matrix)
                expected = np.sqrt(len(written)) * np.linalg.norm(written @ matrix) / norms
                assert found == pytest.approx(expected, rel=1e-5)


def test_they_are_the_librarys_of_folded_weights(context_of, gpt2_folder):
    """Which gives the plain ratio, of the weights as the bridge has them: folded, once it is told so."""
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(gpt2_folder), device="cpu")
    bridge.enable_compatibility_mode()
    cs = run_steps(score_composition(context_of("gpt2", "folded")))[0]["cs"]
    n_heads, d_model = 4, 32
    for kind in COMPOSED:
        library = bridge.all_composition_scores(kind.upper()).scores.detach().numpy()
        own = cs[COMPOSED.index(kind)].reshape(2, n_heads, 2, n_heads)
        np.testing.assert_allclose(own[0, :, 1] / np.sqrt(d_model), library[0, :, 1], rtol=1e-4)


@pytest.fixture(scope="module")
def smollm2(smollm2_data):
    model = Library(Catalog(smollm2_data)).model("smollm2")
    return Context(Tables("cpu"), model, "folded", ArtifactStore(smollm2_data / "artifacts", 10**9))


@pytest.mark.smollm2
def test_a_real_model_has_the_pairs_that_were_found_by_hand(smollm2):
    arrays, _ = run_steps(score_composition(smollm2))
    anchors = {
        "q": {((16, 6), (19, 0)): 3.20, ((2, 0), (3, 5)): 3.14},
        "k": {((17, 8), (18, 7)): 4.32},
        "v": {((24, 1), (28, 6)): 5.43},
    }
    for kind, pairs in anchors.items():
        of = arrays["cs"][COMPOSED.index(kind)]
        for (writer, reader), expected in pairs.items():
            assert of[9 * writer[0] + writer[1], 9 * reader[0] + reader[1]] == pytest.approx(expected, abs=0.005)
        assert np.nanmax(np.triu(of)) == pytest.approx(max(pairs.values()), abs=0.005)
    layer = np.repeat(np.arange(30), 9)
    later = layer[:, None] < layer[None, :]
    in_order, against = ((arrays["cs"][:, order] >= 1.75).sum(axis=1) for order in (later, later.T))
    np.testing.assert_allclose(against / in_order, [0.20, 0.15, 0.19], atol=0.005)
