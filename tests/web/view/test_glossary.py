import itertools
import re
from pathlib import Path
from typing import get_args

import pytest

from app.core.address import KINDS, parse
from app.core.basis import BASES
from app.core.judging.rays import RAY_CLASSES, READINGS
from app.core.measuring.scores import SCORES
from app.explorer.header import Note
from app.explorer.inventory import SIDES
from app.explorer.library import Library
from app.explorer.making.context import Context
from app.explorer.making.decompositions import decompose_matrix
from app.explorer.making.tables import Tables
from app.explorer.pages.directions import SideReadout
from app.explorer.pages.gallery import GALLERY_LISTS
from app.explorer.reading.gallery import SCORES as READABLE
from app.explorer.reading.matrices import BIAS_TERMS
from app.explorer.view import ONLY
from app.models.catalog import Catalog
from app.models.token_filter import EVERY, TokenFilter
from app.store.artifacts import ArtifactStore
from app.web.query.matrix import PARAMETERS
from app.web.view.glossary import BASES as WORDS
from app.web.view.glossary import (
    FILTERS,
    NOTES,
    TERMS,
    basis_key,
    describe_token_filter,
    score_key,
    score_name,
    why_unjudged,
)
from tests.explorer.steps import run_steps

AXES_SCORES = {"output-participation"}
BASIS_SCORES = {"error", "mean-share", "gaussian-share"}
TEMPLATES = Path(__file__).parents[3] / "templates"


def test_every_score_has_its_sentence(client):
    page = client.get("/api/v1/tiny").json()
    assert {"copying", "ov-top", "qk-stable-rank"} <= set(page["map"]["scores"])
    assert all(TERMS[score_key(score)].sentence for score in page["map"]["scores"])
    assert len({score_name(score) for score in page["map"]["scores"]}) == len(page["map"]["scores"])
    assert set(SCORES) <= set(TERMS)


def test_every_note_has_its_sentence():
    assert set(get_args(Note)) == set(NOTES)


def test_templates_use_words_that_are_there_and_every_word_is_used():
    source = "\n".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html"))
    named = set(re.findall(r"""(?:term|fact)\("([^"]+)\"""", source)) | set(re.findall(r'TERMS\["([^"]+)"\]', source))
    assert named - set(TERMS) == set()
    # read, write, ov … come from values; the rest must be named somewhere or be a score.
    by_value = {"folded", "raw", "subspace", "close", "copying", "strength", "mean"} | BASIS_SCORES | AXES_SCORES
    by_value |= {score_key(score) for score in READABLE}
    by_value |= {*KINDS, *PARAMETERS, *BIAS_TERMS.values(), *itertools.chain(*SIDES.values())}
    by_value |= {*GALLERY_LISTS}
    by_value |= {words.merit for words in WORDS.values()} | {*RAY_CLASSES}
    by_value |= {reading.replace(" ", "-") for reading in READINGS}
    assert set(TERMS) - named - by_value - set(SCORES) == set()


def test_every_basis_of_every_kind_has_its_words():
    keys = {basis_key(basis.name, kind) for basis in BASES.values() for kind in basis.kinds}
    assert keys == set(WORDS) == {*BASES, "coordinate"}
    for words in WORDS.values():
        assert all(text.endswith(".") for text in (words.what, words.order, words.premise))
    assert basis_key("neuron", "mlp-gate") == "neuron"
    assert basis_key("neuron", "qk") == "coordinate"


def test_every_merit_and_parameter_and_side_is_a_term():
    """And only bases that order by something else than strength have a merit."""
    assert {words.merit for words in WORDS.values()} - {""} <= set(TERMS)
    with_merit = {name for name, words in WORDS.items() if words.merit}
    assert with_merit == {"used", "pca", "ica", "dictionary", "frequency"}
    assert {parameter.name for basis in BASES.values() for parameter in basis.parameters} <= set(TERMS)
    assert set(KINDS) | set(itertools.chain(*SIDES.values())) | set(BIAS_TERMS.values()) | {"mean"} <= set(TERMS)


@pytest.mark.parametrize("basis", [name for name, basis in BASES.items() if "embed" in basis.kinds and name != "svd"])
def test_what_a_basis_says_of_itself_is_a_term_and_its_order_is_its_merit(context_of_embed, basis):
    address = parse(f"tiny/embed/{basis}")
    parameters = {"components": 3, "atoms": 8, "sparsity": 2, "groups": 3, "seed": 0}
    own = {parameter.name: parameters[parameter.name] for parameter in BASES[basis].parameters}
    arrays, facts = run_steps(decompose_matrix(context_of_embed, address, own))
    assert {"error"} <= set(facts["scores"]) <= BASIS_SCORES <= set(TERMS)
    assert ("merit" in arrays) == bool(WORDS[basis].merit)


@pytest.fixture(scope="module")
def context_of_embed(tiny_data, tmp_path_factory):
    return Context(
        Tables("cpu"),
        Library(Catalog(tiny_data)).model("tiny"),
        "raw",
        ArtifactStore(tmp_path_factory.mktemp("store"), 10**9),
    )


def test_sentences_are_sentences():
    for term in TERMS.values():
        assert term.sentence.endswith(".")
        assert not term.more or term.more.endswith(".")


def test_every_filter_has_its_words():
    assert set(FILTERS) == set(ONLY)
    assert len({choice for choice, _ in FILTERS.values()}) == len(ONLY)
    assert all(does.startswith(("have ", "are ")) for only, (_, does) in FILTERS.items() if only != "all")
    assert set(RAY_CLASSES) <= set(TERMS)
    assert {each.replace(" ", "-") for each in READINGS} - {"none", "unknown"} <= set(TERMS)


def test_readable_is_not_used_is_said():
    assert "does not mean used" in TERMS["readable"].more


def test_a_token_filter_is_said_whole():
    assert describe_token_filter(EVERY) == ""
    whole = TokenFilter(ascii=True, starts=True, plain=True, frequent=1500)
    words = describe_token_filter(whole).split(", ")
    assert len(words) == 4
    assert "without the first 1,500 ids" in words
    assert describe_token_filter(TokenFilter(frequent=1)) == "without the first id"
    for name in ("ascii", "starts", "plain"):
        assert describe_token_filter(TokenFilter(**{name: True})) in words


def test_why_a_side_is_not_judged():
    assert "entries of the vector" in why_unjudged(SideReadout("neuron", (), ()), EVERY)
    assert "too few trained tokens for" in why_unjudged(SideReadout("read", (), ()), EVERY)
    assert "that pass the filter" in why_unjudged(SideReadout("read", (), ()), TokenFilter(ascii=True))
