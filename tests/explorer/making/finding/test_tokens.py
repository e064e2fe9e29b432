import numpy as np
import pytest

from app.explorer.making.finding.tokens import compute_token_parts
from app.explorer.reading.finding.origins import open_own_vectors
from tests.explorer.banks import build_bank
from tests.explorer.steps import run_steps


@pytest.mark.parametrize(("family", "processing"), [("gpt2", "folded"), ("gpt2", "raw"), ("llama", "folded")])
def test_every_token_has_its_own_vector_again(seen_of, context_of, family, processing):
    r, slug = seen_of(family)
    model = build_bank(r, slug, processing, kinds=("words", "tokens"))
    context = context_of(family, processing)
    rng = np.random.default_rng(0)
    for end in ("read", "write"):
        origins = open_own_vectors(r, model, processing, end)
        table = context.tables.table(model, processing, end)
        vectors = rng.standard_normal((3, model.header.d_model)).astype(np.float32)
        scores = origins.scores(vectors)
        exact = table.vectors.double().numpy() @ vectors.T.astype(np.float64)
        ids = table.ids.numpy()
        np.testing.assert_allclose(scores[ids], exact, atol=1e-4)
        assert np.isnan(np.delete(scores, ids, axis=0)).all()
        for at in (0, 7, len(ids) - 1):
            np.testing.assert_allclose(origins.vector(int(ids[at])), table.vectors[at].numpy(), atol=1e-5)
            centred = table.vectors[at].double() - table.vectors.double().mean(dim=0)
            np.testing.assert_allclose(origins.centred_vector(int(ids[at])), centred.numpy(), atol=1e-5)
        assert origins.variance == pytest.approx(table.vectors.double().var(dim=0, correction=0).sum().item(), rel=1e-6)


def test_lengths_are_of_the_rows_as_stored(seen_of, context_of):
    context = context_of("gpt2", "folded")
    arrays, _ = run_steps(compute_token_parts(context, "read"))
    W_E = context.model.weights().embeddings().W_E
    known = context.model.vocabulary.known
    np.testing.assert_allclose(arrays["length"][known], W_E.norm(dim=1).numpy()[known], rtol=1e-5)
    assert not arrays["length"][~known].any()
