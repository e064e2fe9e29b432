"""Two places side by side: by dense matrices, by what must be exact, and what cannot be compared."""

import shutil

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.making.subjects import read_subject
from app.explorer.visits.finding import contrast as verb
from app.explorer.visits.finding.contrast import visit_contrast
from tests.explorer.steps import run_steps


@pytest.fixture(scope="module")
def beside(explorer, patiently):
    return lambda a, b: patiently(visit_contrast, explorer, a, b)


def test_nothing_asked_is_nothing_found(explorer):
    for a, b in (("", ""), ("tiny/L0/H0", " "), ("", "tiny/L0/H0")):
        page = visit_contrast(explorer, a, b)
        assert (page.first, page.second, page.matches) == (None, None, ())


def test_what_is_held_beside_itself_is_itself(beside):
    page = beside("tiny/L1/H2/ov", "tiny/L1/H2/ov")
    assert [(match.first, match.second) for match in page.matches] == [
        (match.first, match.first) for match in page.matches
    ]
    assert page.matched == pytest.approx(1, abs=1e-5)
    assert page.chance < 0.5
    for span in page.spans:
        assert span.share == pytest.approx(1, abs=1e-5)
        assert span.chance == pytest.approx(8 / 32)
    assert page.first.gains == page.second.gains
    assert np.square(page.first.gains).mean() == pytest.approx(1)
    for match in page.matches:
        for end in match.ends:
            assert end.n_both == end.n_tokens == 20
            assert (end.first, end.second) == ((), ())
            assert end.rays[0] == end.rays[1]


def test_angles_are_those_of_dense_matrices(beside, context_of):
    page = beside("tiny/L0/H1/qk", "tiny/L1/H3/qk~raw")
    sides = {}
    for place, weights in (("L0/H1", "folded"), ("L1/H3", "raw")):
        product = (
            run_steps(read_subject(context_of("gpt2", weights), parse(f"tiny/{place}/qk"))).product.dense().numpy()
        )
        U, s, Vh = np.linalg.svd(product)
        sides[place] = {"query": U[:, :8], "key": Vh[:8].T}
        found = page.first if place == "L0/H1" else page.second
        assert found.norm == pytest.approx(np.linalg.norm(product), rel=1e-5)
        np.testing.assert_allclose(found.gains, s[:8] * np.sqrt(8) / np.linalg.norm(product), rtol=1e-4)
    assert [span.side for span in page.spans] == ["query", "key"]
    for span in page.spans:
        expected = np.linalg.svd(sides["L0/H1"][span.side].T @ sides["L1/H3"][span.side], compute_uv=False)
        np.testing.assert_allclose(span.cosines, expected, atol=1e-4)
        assert len(span.random) == len(span.cosines)


def test_partners_are_one_to_one_and_the_most_alike_first(beside):
    page = beside("tiny/L0/H0", "tiny/L1/H0")
    assert (
        {match.first.index for match in page.matches} == {match.second.index for match in page.matches} == {*range(8)}
    )
    sizes = [abs(match.cosine) for match in page.matches]
    assert sizes == sorted(sizes, reverse=True)
    assert page.matched == pytest.approx(np.mean(sizes))
    for match in page.matches:
        assert dict(match.cosines).keys() == {"read", "write"}
        assert match.cosine == pytest.approx(np.mean(list(dict(match.cosines).values())))
        assert all((end.rays[0] == end.rays[1]) == (match.cosine > 0) for end in match.ends)


def test_two_directions_have_all_tokens_of_both(beside):
    page = beside("tiny/L0/H0/ov/svd/1", "L1H2.ov.3")
    (match,) = page.matches
    assert (str(match.first), str(match.second)) == ("tiny/L0/H0/ov/svd/1", "tiny/L1/H2/ov/svd/3")
    assert [end.side for end in match.ends] == ["read", "read", "write", "write"]
    for end in match.ends:
        both, first, second = ({token.id for token in part} for part in (end.both, end.first, end.second))
        assert len(both) + len(first) == len(both) + len(second) == 20
        assert not both & first
        assert not first & second
    assert (page.spans, page.matched) == ((), None)


@pytest.mark.parametrize("kind", ["mlp-in", "mlp-out", "embed"])
def test_matrices_with_one_side_in_the_stream_are_compared_by_it(beside, kind):
    where = "tiny" if kind == "embed" else "tiny/L0"
    page = beside(f"{where}/{kind}", f"{where}/{kind}~raw" if kind == "embed" else f"tiny/L1/{kind}")
    (span,) = page.spans
    assert span.sizes == (8, 8)  # a quarter of the space
    assert 0 < span.share <= 1
    assert len(page.matches) == 31  # which centring leaves


@pytest.mark.parametrize(
    ("a", "b", "kind", "said"),
    [
        ("tiny/L0/H0/ov", "tiny/L0/H0/qk", BadOption, "L0H0 OV and L0H0 QK are of two kinds"),
        ("tiny/L0/mlp-in", "tiny/L0/H0", BadOption, "are of two kinds"),
        ("tiny/L0/H0/ov", "tiny/L0/H0/ov/svd/1", BadOption, "is a direction, L0H0 OV a matrix"),
        ("tiny/L0", "tiny/L1", BadOption, "is a layer: heads, matrices and directions are compared"),
        ("tiny", "tiny", BadOption, "is a model"),
        ("tiny/L0/H0~flat", "tiny/L0/H0", BadOption, "folded, raw"),
        ("tiny/L7/H0", "tiny/L0/H0", UnknownAddress, "Layer L7 is not here"),
        ("tiny/L0/H0/ov/svd/77", "tiny/L0/H0/ov/svd/1", UnknownAddress, "Direction 77 is not here"),
        ("nothing at all", "tiny/L0/H0", UnknownAddress, "names no place"),
        ("tiny/L0/H0", "x" * 150, UnknownAddress, "names no place"),
        ("tiny/embed/nmf", "tiny/embed/nmf", UnknownAddress, "was not computed here"),
        ("tiny/unembed~raw", "tiny/unembed", BadOption, "its embedding: name tiny/embed~raw"),
    ],
)
def test_what_cannot_be_compared_is_said(explorer, a, b, kind, said):
    with pytest.raises(kind, match=said):
        visit_contrast(explorer, a, b)


def test_what_is_too_large_is_refused_before_anything_is_made(explorer, monkeypatch):
    monkeypatch.setattr(verb, "MOST_VECTORS", 1_000)
    monkeypatch.setattr(verb.orders, "fulfil", None)
    with pytest.raises(BadOption, match="too large to be compared here"):
        visit_contrast(explorer, "tiny/L0/mlp-in", "tiny/L1/mlp-in")


@pytest.fixture(scope="module")
def pair(open_explorer, tiny_data, gpt2_folder, write_gpt2, tmp_path_factory):
    """The tiny model, one of another width with its tokenizer, and one with another tokenizer."""
    from tokenizers import Tokenizer

    from app.models.importing.importer import import_model

    folder = tmp_path_factory.mktemp("contrast")
    data = shutil.copytree(tiny_data, folder / "data", ignore=shutil.ignore_patterns("artifacts"))
    tokenizer = Tokenizer.from_file(str(gpt2_folder / "tokenizer.json"))
    for slug, sizes in (
        ("wide", {"n_embd": 40, "d_vocab": 304}),
        ("twin", {"d_vocab": 304}),
        ("odd", {"d_vocab": 320}),
    ):
        checkpoint = write_gpt2(folder / slug, tokenizer, seed=7, **sizes)
        import_model(str(checkpoint), data, slug=slug, report=lambda step: None)
    return open_explorer(data, models=("tiny", "wide", "twin", "odd"))


def test_two_models_of_one_width_are_compared_with_a_warning(pair, patiently):
    page = patiently(visit_contrast, pair, "tiny/L0/H0", "twin/L0/H0")
    assert page.apart == "models"
    assert page.spans
    assert page.matched < 0.6


def test_of_other_widths_tokens_are_compared_and_nothing_else(pair, patiently):
    page = patiently(visit_contrast, pair, "tiny/L0/H0", "wide/L1/H1")
    assert page.apart == "widths"
    assert (page.spans, page.matched, page.chance) == ((), None, None)
    assert {match.cosine for match in page.matches} == {None}
    shared = [sum(end.n_both for end in match.ends) for match in page.matches]
    assert sum(shared) > 0


def test_other_tokens_are_no_tokens_to_compare_and_nothing_is_made_for_it(pair, monkeypatch):
    monkeypatch.setattr(verb.orders, "fulfil", None)
    with pytest.raises(BadOption, match="tiny and odd have other tokenizers"):
        visit_contrast(pair, "tiny/L0/H0", "odd/L0/H0")
