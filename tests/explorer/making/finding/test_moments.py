import numpy as np
import pytest

from app.explorer import recipes
from app.explorer.layout import BANK_ENDS
from app.explorer.making.context import Context
from app.explorer.making.finding import bank as module
from app.explorer.making.finding.bank import build_bank_part
from app.explorer.making.finding.moments import compute_moments
from app.explorer.making.tables import Tables
from app.store.artifacts import ArtifactStore
from tests.explorer.steps import run_steps


@pytest.mark.parametrize("processing", ["folded", "raw"])
def test_they_are_the_mean_of_every_rows_square(explorer, tmp_path, monkeypatch, processing):
    model = explorer.library.model("tiny")
    context = Context(Tables("cpu"), model, processing, ArtifactStore(tmp_path, 10**9))
    parts = {layer: run_steps(build_bank_part(context, layer)) for layer in (0, 1, None)}
    vectors, ends = (np.concatenate([arrays[name] for arrays, _ in parts.values()]) for name in ("vectors", "end"))
    for is_kept in (False, True):
        if is_kept:
            for layer, part in parts.items():
                context.store.write(recipes.bank(model, layer, processing), *part)
            monkeypatch.setattr(module, "build_bank_part", None)
        found, _ = run_steps(compute_moments(context))
        assert set(found) == ({"read", "write"} if processing == "folded" else {"read"})
        for end, moment in found.items():
            own = vectors[ends == BANK_ENDS.index(end)].astype(np.float64)
            np.testing.assert_allclose(moment, own.T @ own / len(own), atol=1e-6)
            assert np.trace(moment) == pytest.approx(1, abs=1e-5)
