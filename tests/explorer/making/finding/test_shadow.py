import numpy as np
import pytest
import torch

from app.explorer.bank import count_directions
from app.explorer.making.finding import shadow as module
from app.explorer.making.finding.shadow import read_shadow
from tests.explorer.steps import run_steps


@pytest.mark.parametrize("end", ["read", "write"])
def test_random_directions_are_read_as_every_score_says(context_of, oracle_of, monkeypatch, end):
    context = context_of("gpt2", "folded")
    drawn = []
    monkeypatch.setattr(
        torch, "randn", lambda *shape, kept=torch.randn, **how: drawn.append(kept(*shape, **how)) or drawn[-1]
    )
    monkeypatch.setattr(module, "DIRECTIONS_AT_ONCE", 50)
    ids = run_steps(read_shadow(context, end))[0]["ids"]
    vectors = torch.cat(drawn).double().numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    known = np.flatnonzero(context.model.vocabulary.known)
    scores = vectors @ oracle_of("gpt2").table(end, "folded")[known].T
    assert ids.shape == (count_directions(context.model, "folded", end) // 3, 2, 20)
    for ray, sign in ((0, 1), (1, -1)):
        shown = np.take_along_axis(sign * scores, np.searchsorted(known, ids[:, ray]), axis=1)
        np.testing.assert_allclose(shown, -np.sort(-sign * scores, axis=1)[:, :20], atol=2e-5 * np.abs(scores).max())


def test_they_are_the_same_ones_each_time_and_others_at_the_other_end(context_of):
    context = context_of("gpt2", "folded")
    one, again, other = (run_steps(read_shadow(context, end))[0]["ids"] for end in ("write", "write", "read"))
    np.testing.assert_array_equal(one, again)
    assert not (one[:20] == other[:20]).all()
