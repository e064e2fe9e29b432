"""The map of composition: by brute force over the artifact's own numbers."""

from dataclasses import replace

import numpy as np
import pytest

from app.core.address import parse
from app.core.folding import fold_head
from app.core.steps import run
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, NotBuilt
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.explorer.pages.composition import COLOURED
from app.explorer.reading.finding.composition import HeadScores, make_composition_page
from app.explorer.visits.finding.composition import collect_composition_rows, visit_composition
from tests.pages import MODEL, VIEW

HERE = parse("llama")


@pytest.fixture(scope="module")
def r(relatives):
    model = relatives.library.model("llama")
    recipe = recipes.composition(model, "folded")
    relatives.store.save(recipe, *run(run_maker(recipe, MakerInputs(Tables("cpu"), model, relatives.store))))
    return relatives


@pytest.fixture(scope="module")
def cs(r):
    return r.store.load(recipes.composition(r.library.model("llama"), "folded")).arrays["cs"]


def test_what_is_not_built_says_how_to_build_it(explorer, r):
    command = "singular-lens precompute {} --matrices bank{} builds it"
    assert command.format("tiny", "") in visit_composition(explorer, parse("tiny"), Options()).unbuilt.why
    raw = visit_composition(r, HERE, Options(weights="raw"))
    assert command.format("llama", " --weights raw") in raw.unbuilt.why
    assert (raw.pairs, raw.cells, raw.steps) == ((), (), ())
    assert visit_composition(r, HERE, Options()).unbuilt is None
    with pytest.raises(NotBuilt):
        collect_composition_rows(explorer, parse("tiny"), Options(), "q", None, None)


def false_share(own, n, group, score):
    """By the definition: of all lists that end no higher, the smallest share of pairs in the wrong order."""
    right, wrong = (own[rows].reshape(n, -1, group).max(axis=2).ravel() for rows in (np.s_[:n, n:], np.s_[n:, :n]))
    ends = [end for end in [*right.tolist(), score] if end <= score]
    return min(min(1, (wrong >= end).sum() / max(1, (right >= end).sum())) for end in ends)


@pytest.mark.parametrize("kind", ["q", "k", "v"])
def test_the_scale_counts_what_the_list_has(r, kind):
    page = visit_composition(r, HERE, Options(), kind, n=1000)
    for step in page.steps:
        listed = [pair for pair in page.pairs if pair.cs >= step.least]
        assert step.pairs == len(listed)
        assert all(pair.fdr <= step.fdr for pair in listed)
    shares = [pair.fdr for pair in page.pairs]
    assert shares == sorted(shares)  # never larger the higher the score


@pytest.mark.parametrize("kind", ["q", "k", "v"])
def test_pairs_fall_and_are_in_order_and_a_group_is_one_reader(r, cs, kind):
    page = visit_composition(r, HERE, Options(), kind, n=1000)
    model, own = page.model, cs["qkv".index(kind)]
    group = 1 if kind == "q" else model.n_heads // model.n_kv_heads
    n = model.n_heads
    expected = sorted(own[:n, n:].reshape(n, -1, group).max(axis=2).ravel().tolist(), reverse=True)
    assert [pair.cs for pair in page.pairs] == expected
    assert page.n_pairs == len(expected) == n * n // group
    for pair in page.pairs:
        assert pair.writer.layer < pair.reader.layer
        assert pair.cs == own[pair.writer.head, n + pair.reader.head]
        assert len(pair.siblings) == group - 1
        assert {one.head // group for one in (*pair.siblings, pair.reader)} == {pair.reader.head // group}
        assert pair.fdr == pytest.approx(false_share(own, n, group, pair.cs))
    table = visit_composition(r, HERE, Options(), kind, 0, 1).table
    assert sorted((pair.cs for row in table for pair in row), reverse=True) == expected
    written = [pair for part in collect_composition_rows(r, HERE, Options(), kind, None, None).parts for pair in part]
    assert sorted(written, key=lambda pair: -pair.cs) == list(page.pairs)


def test_the_list_is_as_long_as_asked(r):
    assert len(visit_composition(r, HERE, Options(), n=3).pairs) == 3
    for n in (0, 1001):
        with pytest.raises(BadOption, match="n goes from 1 to 1000"):
            visit_composition(r, HERE, Options(), n=n)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (("x",), "kind must be one of q, k, v"),
        (("q", 2), "writer is a layer: llama has L0 to L1"),
        (("q", None, 99), "reader is a layer"),
        (("q", 1, 0), "L0 does not read what L1 writes"),
        (("q", 1, 1), "L1 does not read what L1 writes"),
    ],
)
def test_what_cannot_be_shown_is_said(r, how, said):
    with pytest.raises(BadOption, match=said):
        visit_composition(r, HERE, Options(), *how)


@pytest.fixture
def planted():
    """Three layers of four heads in two groups: one pair that stands out, one that nearly does."""
    own = np.full((12, 12), 0.5, np.float32)
    own[1, 6], own[1, 7], own[4, 9] = 4.0, 3.5, 1.6
    own[9, 4] = 1.6  # against the order
    model = replace(MODEL, slug="three", n_layers=3, n_heads=4, n_kv_heads=2)
    return model, own


def test_a_planted_pair_is_found_and_drawn(planted):
    model, own = planted
    page = make_composition_page(HeadScores(parse("three"), model, "k", own), VIEW, None, None, 2)
    first, second = page.pairs
    assert (first.writer.label, first.reader.label, first.fdr) == ("L0H1", "L1H2", 0)
    assert [one.label for one in first.siblings] == ["L1H3"]
    assert (second.writer.label, second.reader.label) == ("L1H0", "L2H1")
    assert second.fdr == pytest.approx(1 / 2)
    assert [(step.least, step.pairs) for step in page.steps] == [
        (1.25, 2),
        (1.5, 2),
        *((least, 1) for least in COLOURED[1:]),
    ]
    assert {(row, column) for row, column, _ in page.cells} == {(1, 3), (4, 4)}
    assert COLOURED[0] <= min(cell.cs for cell in page.cells) < COLOURED[1]


def test_layers_narrow_what_is_shown(planted):
    model, own = planted
    found = HeadScores(parse("three"), model, "q", own)
    assert {cell[:2] for cell in make_composition_page(found, VIEW, 1, None).cells} == {(4, 9)}
    assert {cell[:2] for cell in make_composition_page(found, VIEW, None, 1).cells} == {(1, 6), (1, 7)}
    assert make_composition_page(found, VIEW, 0, 1).n_pairs == 16
    assert make_composition_page(found, VIEW, 2, None).pairs == ()


def test_strengths_are_of_what_the_writer_writes_in_units_of_the_readers_stream(r, cs):
    """Norms are the dense products' own; what the reader's norm divides by is made up."""
    model = r.library.model("llama")
    assert {pair.strength for pair in visit_composition(r, HERE, Options(), "v").pairs} == {None}
    stream = np.array([2.0, 5.0], np.float32)
    scores = recipes.scores(model, "folded")
    r.store.write(scores, *run(run_maker(scores, MakerInputs(Tables("cpu"), model, r.store))))
    r.store.write(recipes.use(model, "folded"), {"stream": stream}, {})
    try:
        page = visit_composition(r, HERE, Options(), "v")
        for pair in page.pairs:
            at = pair.writer.layer, pair.writer.head
            head = fold_head(model.weights().head(*at), model.weights().norms(*at))
            written = np.linalg.norm((head.W_V @ head.W_O).double().numpy())
            assert pair.strength == pytest.approx(pair.cs * written / stream[pair.reader.layer], rel=1e-4)
        assert [pair.cs for pair in page.pairs] == sorted((pair.cs for pair in page.pairs), reverse=True)
    finally:
        r.store.remove(recipes.use(model, "folded"))
