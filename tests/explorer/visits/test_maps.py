"""The map of a model's heads: ranks, what its heads write, and the list of the first."""

from itertools import chain

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.pages.maps import N_RANKED
from app.explorer.visits import browse
from app.explorer.visits.maps import N_TOKENS

HERE = parse("tiny")


@pytest.mark.parametrize("score", ["copying", "ov-stable-rank", "qk-top"])
def test_ranks_count_the_larger_values(explorer, patiently, score):
    shown = patiently(browse.visit_model, explorer, HERE, Options(), score).map
    cells = list(chain(*shown.rows))
    values = [cell.value for cell in cells]
    for cell in cells:
        assert cell.rank == 1 + sum(value > cell.value for value in values)
    assert [cell.value for cell in shown.ranked] == sorted(values, reverse=True)
    assert (shown.low, shown.high) == (min(values), max(values))


def test_what_heads_write_comes_with_their_layers_and_is_that_of_their_first_direction(
    open_explorer, fresh_data, patiently
):
    r = open_explorer(fresh_data)
    before = patiently(browse.visit_model, r, HERE, Options()).map
    assert all((cell.plus, cell.minus) == ((), ()) for cell in chain(*before.rows))
    patiently(browse.visit_layer, r, parse("tiny/L1"), Options())
    half = browse.visit_model(r, HERE, Options()).map
    assert all((cell.plus, cell.minus) == ((), ()) for cell in half.rows[0])
    patiently(browse.visit_layer, r, parse("tiny/L0"), Options())
    for cell in chain(*browse.visit_model(r, HERE, Options()).map.rows):
        whole = patiently(browse.visit_direction, r, cell.address.at("ov").in_basis("svd").direction(0), Options())
        for shown, tokens in zip((cell.plus, cell.minus), (whole.right.plus, whole.right.minus), strict=True):
            assert [token.id for token in shown] == [token.id for token in tokens[:N_TOKENS]]
            np.testing.assert_allclose([token.score for token in shown], [one.score for one in tokens[:N_TOKENS]], 1e-4)


def test_the_list_has_the_first_or_all(relatives, patiently):
    page = patiently(browse.visit_model, relatives, parse("llama"), Options(weights="raw"))
    n = len(list(chain(*page.map.rows)))
    assert len(page.listed) == min(n, N_RANKED)
    every = browse.visit_model(relatives, parse("llama"), Options(weights="raw"), None, "all")
    assert len(every.listed) == n
