"""Pages about streams: what is there, what is not and how to get it, and what means nothing."""

import numpy as np
import pytest

from app.core.address import parse
from app.core.judging.bootstrap import Estimate, Interval
from app.explorer import recipes
from app.explorer.asking.streams import list_recipes
from app.explorer.asking.tasks import read_wish
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, NotBuilt
from app.explorer.layout import LINEAR_BASES
from app.explorer.reading.streams import judge_unlikely
from app.explorer.visits.using.streams import visit_linear, visit_unlikely
from tests.explorer.streams import keep_text, linear_arrays, unlikely_arrays

TINY = parse("tiny")


@pytest.fixture
def r(open_explorer, fresh_data):
    return open_explorer(fresh_data)


@pytest.fixture
def model(r):
    return r.library.model("tiny")


def test_the_command_for_what_is_missing_is_told_step_by_step(r, model):
    page = visit_linear(r, TINY, Options(), None, None)
    assert (page.start, page.end, page.unmade.task) == (0, model.header.n_layers, None)
    assert page.unbuilt.command == "singular-lens statistics tiny"
    raw = visit_linear(r, TINY, Options("raw"), None, None).unbuilt
    assert raw.command == "singular-lens statistics tiny --weights raw"
    assert "no statistics of tiny in raw weights" in raw.why
    assert visit_unlikely(r, TINY, Options()).unbuilt.command == "singular-lens statistics tiny"
    keep_text(r, model)
    page = visit_linear(r, TINY, Options(), 0, 1)
    assert page.unbuilt.command == "singular-lens precompute tiny --matrices linear-0-1 --weights folded"
    assert read_wish(model, "folded", matrices="linear-0-1").task == page.unmade.task
    assert visit_unlikely(r, TINY, Options()).unmade.task.matrices == ("unlikely",)


def test_bases_are_read_with_their_quarters_and_atoms_where_they_are_there(r, model):
    keep_text(r, model)
    without = recipes.linear(model, "folded", 0, 2, 0, None)
    r.store.write(without, linear_arrays([basis for basis in LINEAR_BASES if basis != "nmf"]), {})
    page = visit_linear(r, TINY, Options(), 0, 2)
    assert page.statistics == recipes.use(model, "folded").hash[:12]
    assert page.whole == Estimate(pytest.approx(0.5), Interval(pytest.approx(0.4), pytest.approx(0.6)), 0)
    assert [one.basis for one in page.bases] == [basis for basis in LINEAR_BASES if basis != "nmf"]
    assert [part.score for part in page.shown.quarters] == [
        pytest.approx(0.9),
        pytest.approx(0.1),
        None,
        pytest.approx(0.2),
    ]
    assert page.scores[2] is None
    assert page.shown.weighted == pytest.approx(np.average([0.9, 0.1, 0.2], weights=[0.5, 0.2, 0.1]))
    assert page.there == ((0, 2),)
    assert page.atoms_command.startswith("singular-lens precompute tiny --matrices embed --weights folded --basis nmf")
    with pytest.raises(NotBuilt, match="without the atoms of an NMF"):
        visit_linear(r, TINY, Options(), 0, 2, "nmf")
    place, fit = parse("tiny/embed/nmf"), {"components": 32, "seed": 0}
    r.store.write(recipes.decomposition(model, place, "folded", fit), {}, {})
    (best,) = list_recipes(r.store, model, "folded", "linear-0-2")
    assert best == recipes.linear(model, "folded", 0, 2, 0, fit)
    assert visit_linear(r, TINY, Options(), 0, 2).atoms_command.endswith("--matrices linear-0-2 --weights folded")
    r.store.write(best, linear_arrays(LINEAR_BASES), {})
    page = visit_linear(r, TINY, Options(), 0, 2, "nmf")
    assert (page.map, page.shown.diagonal, page.atoms_command) == ((), None, "")


def test_unlikely_tokens_are_read_with_the_text_before_them(r, model):
    keep_text(r, model)
    r.store.write(recipes.unlikely(model, "folded", 0), unlikely_arrays(2), {})
    page = visit_unlikely(r, TINY, Options())
    assert (page.verdict, page.n_positions, page.n_tokens, page.middle) == ("absent", 2, 3, (0, 1))
    assert [stream.layer for stream in page.streams] == [0, 1, 2]
    assert page.streams[1].naive.value == pytest.approx(1.21)
    assert (page.n_windows, page.random_share) == (2, pytest.approx(3 / model.header.d_model))
    assert page.shares_in_middle == (pytest.approx(0.1), pytest.approx(0.1))
    assert page.statistics == recipes.use(model, "folded").hash[:12]
    assert [token.id for token in page.examples[0].before] == [7] * 4
    assert [token.id for token in page.examples[1].least] == [4, 5, 6]


def test_the_operators_text_comes_first(r, model):
    keep_text(r, model)
    r.store.write(recipes.linear(model, "folded", 0, 2, 0, None), linear_arrays(["pca", "random"]), {})
    assert visit_linear(r, TINY, Options(), 0, 2).text == "own"
    keep_text(r, model, 77)
    assert visit_linear(r, TINY, Options(), 0, 2).unbuilt is not None
    r.store.write(recipes.linear(model, "folded", 0, 2, 77, None), linear_arrays(["pca", "random"]), {})
    assert visit_linear(r, TINY, Options(), 0, 2).text == "given"


@pytest.mark.parametrize(("start", "end"), [(1, 1), (2, 1), (-1, 1), (0, 3), (2, None)])
def test_streams_that_do_not_exist_are_refused_with_the_range(r, start, end):
    with pytest.raises(
        BadOption, match=r"from goes from 0 to 1, to from 1 to 2, and from is smaller than to: .* of tiny"
    ):
        visit_linear(r, TINY, Options(), start, end)


def test_bases_and_tasks_that_do_not_exist_are_refused(r, model):
    with pytest.raises(BadOption, match="basis must be one of pca, svd"):
        visit_linear(r, TINY, Options(), 0, 1, "ica")
    with pytest.raises(BadOption, match="from goes from 0 to 1"):
        read_wish(model, "folded", matrices="linear-1-9")
    with pytest.raises(BadOption, match="linear-0-1 the map between two streams"):
        read_wish(model, "folded", matrices="linear-01-2")
    with pytest.raises(BadOption, match="they have no basis pca"):
        read_wish(model, "folded", matrices="unlikely", basis="pca")


def test_a_model_that_is_not_run_says_so(open_explorer, member):
    bert = open_explorer(member("bert").data, models=("bert",))
    with pytest.raises(BadOption, match="bert cannot be run"):
        visit_unlikely(bert, parse("bert"), Options())


def estimate(low, high):
    return Estimate((low + high) / 2, Interval(low, high), 48)


def test_a_verdict_needs_more_than_a_tenth_with_and_without_the_mean():
    small, much, wide, pushed = estimate(0.95, 1.05), estimate(1.2, 1.4), estimate(0.9, 1.3), [estimate(-0.3, -0.1)] * 2
    for control, without, signed, verdict in (
        (small, small, pushed, "absent"),
        (estimate(1.01, 1.08), much, [small], "absent"),
        (much, much, pushed, "found"),
        (much, wide, pushed, "against"),
        (much, wide, [*pushed, estimate(-0.1, 0.1)], "unsettled"),
        (wide, wide, pushed, "unsettled"),
        (Estimate(2.0, None, 3), much, pushed, "unsettled"),
    ):
        assert judge_unlikely(control, without, signed) == verdict
