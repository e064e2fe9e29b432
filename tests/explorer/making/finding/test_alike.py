import numpy as np
import pytest

from app.core.address import parse
from app.explorer.layout import SHARED_SIDES, SPAN_SIDES
from app.explorer.library import Library
from app.explorer.making.context import Context
from app.explorer.making.finding.alike import compare_spans
from app.explorer.making.subjects import read_subject
from app.explorer.making.tables import Tables
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore
from tests.explorer.steps import run_steps


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_they_are_what_the_spans_of_dense_matrices_share(context_of, family):
    context = context_of(family, "folded")
    manifest, slug = context.model.manifest, context.model.header.slug
    arrays, _ = run_steps(compare_spans(context))
    per_group = manifest.n_heads // manifest.n_kv_heads
    for side in SPAN_SIDES:
        circuit, is_left = ("ov" if side in {"read", "write"} else "qk"), side in {"read", "query"}
        step = per_group if side in SHARED_SIDES else 1
        spans = []
        for layer in range(manifest.n_layers):
            for head in range(0, manifest.n_heads, step):
                product = (
                    run_steps(read_subject(context, parse(f"{slug}/L{layer}/H{head}/{circuit}")))
                    .product.dense()
                    .numpy()
                )
                U, s, Vh = np.linalg.svd(product)
                rank = int((s > 1e-6 * s[0]).sum())
                spans.append(U[:, :rank].T if is_left else Vh[:rank])
        assert arrays[f"rank_{side}"].tolist() == [len(span) for span in spans]
        expected = [[np.square(one @ other.T).sum() for other in spans] for one in spans]
        np.testing.assert_allclose(arrays[side], expected, atol=2e-4)


def test_heads_of_a_group_have_one_span(context_of):
    """So that it is enough to look at the first of them."""
    context = context_of("llama", "folded")
    slug, per_group = context.model.header.slug, context.model.manifest.n_heads // context.model.manifest.n_kv_heads
    assert per_group > 1
    spans = []
    for head in range(per_group):
        product = run_steps(read_subject(context, parse(f"{slug}/L1/H{head}/ov"))).product.dense().numpy()
        U, s, _ = np.linalg.svd(product)
        spans.append(U[:, : int((s > 1e-6 * s[0]).sum())])
    for other in spans[1:]:
        assert np.square(spans[0].T @ other).sum() == pytest.approx(len(spans[0].T), abs=1e-6)


@pytest.fixture(scope="module")
def smollm2(smollm2_data):
    model = Library(Catalog(smollm2_data)).model("smollm2")
    return Context(Tables("cpu"), model, "folded", ArtifactStore(smollm2_data / "artifacts", 10**9))


@pytest.mark.smollm2
def test_a_real_model_has_the_heads_that_were_found_by_hand(smollm2):
    arrays, _ = run_steps(compare_spans(smollm2))
    assert arrays["write"][9 * 23 + 2, 9 * 24 + 4] == pytest.approx(41.6, abs=0.05)
    assert arrays["read"][3 * 23, 3 * 24 + 1] == pytest.approx(38.9, abs=0.05)
    assert arrays["query"][9 * 23 + 1, 9 * 23 + 7] == pytest.approx(30.7, abs=0.05)
    assert arrays["key"][3 * 23, 3 * 23 + 2] == pytest.approx(29.5, abs=0.05)
    assert {*arrays["rank_read"].tolist()} == {64}
