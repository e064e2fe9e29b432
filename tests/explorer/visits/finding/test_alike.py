import numpy as np
import pytest

from app.core.address import parse
from app.core.steps import run
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.errors import UnknownAddress
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.reading.finding.alike import NEAREST
from app.explorer.visits.finding.alike import visit_alike


@pytest.fixture(scope="module")
def r(relatives):
    model = relatives.library.model("llama")
    recipe = recipes.alike(model, "folded")
    relatives.store.save(recipe, *run(run_maker(recipe, MakerInputs(Tables("cpu"), model, relatives.store))))
    return relatives


@pytest.fixture(scope="module")
def arrays(r):
    return r.store.load(recipes.alike(r.library.model("llama"), "folded")).arrays


def test_what_is_not_built_says_how_to_build_it(explorer):
    page = visit_alike(explorer, parse("tiny/L0/H0"), Options())
    assert page.sides == ()
    assert "precompute tiny --matrices bank" in page.unbuilt.why


def test_it_is_of_a_head(r):
    with pytest.raises(UnknownAddress, match="they are of a head, as llama/L0/H0/alike"):
        visit_alike(r, parse("llama/L0"), Options())


def test_groups_stand_for_their_heads_where_they_share_the_subspace(r):
    page = visit_alike(r, parse("llama/L1/H3"), Options())
    per_group = page.model.n_heads // page.model.n_kv_heads
    assert [side.side for side in page.sides] == ["read", "write", "query", "key"]
    for side in page.sides:
        assert side.shared == (side.side in {"read", "key"})
        assert all(near.heads == (per_group if side.shared else 1) for near in side.nearest)
        assert {near.head.head % near.heads for near in side.nearest} == {0}
        assert [near.overlap for near in side.nearest] == sorted((near.overlap for near in side.nearest), reverse=True)
        own = [near.head for near in side.siblings]
        assert [head.label for head in own] == [f"L1H{head}" for head in range(3 // per_group * per_group, 3)]
        assert not {near.head for near in side.nearest} & {*own, page.address}
        if side.shared:
            assert {near.share for near in side.siblings} == {1}


def test_overlaps_and_percentiles_are_those_of_all_pairs(r, arrays):
    page = visit_alike(r, parse("llama/L0/H1"), Options())
    n_heads = page.model.n_heads
    per_group = n_heads // page.model.n_kv_heads
    write = page.sides[1]
    own = arrays["write"][1]
    layer, group = np.arange(2 * n_heads) // n_heads, np.arange(2 * n_heads) // per_group
    candidates = sorted(own[group != group[1]].tolist(), reverse=True)[:NEAREST]
    assert [near.overlap for near in write.nearest] == candidates
    for near in write.nearest:
        distance = near.head.layer
        pairs = [
            arrays["write"][a, b]
            for a in range(2 * n_heads)
            for b in range(a + 1, 2 * n_heads)
            if layer[b] - layer[a] == distance and group[a] != group[b]
        ]
        assert near.percentile == pytest.approx(100 * np.mean(np.array(pairs) < near.overlap))
        assert near.share == pytest.approx(near.overlap / 8)
    assert write.chance == pytest.approx(8 * 8 / 32)
