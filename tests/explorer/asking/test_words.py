import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.address import Ray, parse
from app.explorer.asking.words import MOST_TOKENS, name_tokens, resolve_terms
from app.explorer.errors import BadOption, UnknownAddress


@pytest.fixture
def model(explorer):
    return explorer.library.model("tiny")


def read(model, typed):
    terms, _ = resolve_terms(model, typed)
    return [[token.text for token in term.tokens] for term in terms]


def test_a_word_is_its_token_with_a_space_in_front_else_without(model):
    assert read(model, "that he") == [[" that"], [" he"] if model.vocabulary.find(" he") else ["he"]]
    assert read(model, '"that"') == [["that"]]
    assert read(model, "·that") == [[" that"]]
    assert read(model, "#272") == [["that"]]


def test_the_other_spellings_of_a_word_are_offered_not_searched_for(model):
    ((term,), _) = resolve_terms(model, "-that")
    assert [offer.token.text for offer in term.variants] == ["that"]
    assert [offer.q for offer in term.variants] == ['-"that"']
    (again,), _ = resolve_terms(model, term.variants[0].q)
    assert (again.is_minus, [token.text for token in again.tokens]) == (True, ["that"])


def test_a_word_that_is_no_token_is_its_pieces(model):
    ((term,), _) = resolve_terms(model, "thatxq")
    assert term.is_cut
    assert "".join(token.text for token in term.tokens).strip() == "thatxq"
    ((single,), _) = resolve_terms(model, "that")
    assert not single.is_cut


def test_a_phrase_is_its_telling_tokens_or_all_of_them(model):
    ((phrase,), _) = resolve_terms(model, '"th, ox"')
    assert "".join(token.text for token in phrase.tokens).replace(" ", "") == "thox"
    assert [token.text for token in phrase.left_out] == [","]
    ((signs,), _) = resolve_terms(model, '",;"')
    assert "".join(token.text for token in signs.tokens).strip() == ",;"
    assert signs.left_out == ()


def test_a_ray_is_checked_against_the_model(model):
    ((term,), _) = resolve_terms(model, "l1h2.OV.3-")
    assert term.ray == Ray(parse("tiny/L1/H2/ov/svd/3"), "n")
    with pytest.raises(UnknownAddress, match="layers L0 to L1"):
        resolve_terms(model, "L7H2.ov.3p")
    with pytest.raises(BadOption, match="from #0 to #"):
        resolve_terms(model, "#4000")


def test_every_token_is_found_by_its_spelling(model):
    ids = [id_ for id_ in range(model.vocabulary.size) if model.vocabulary.known[id_]]
    for token in name_tokens(model.vocabulary, ids):
        ((term,), _) = resolve_terms(model, token.spelling)
        assert [one.id for one in term.tokens] == [token.id], token


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(typed=st.text(max_size=60))
def test_any_text_is_understood_within_bounds(model, typed):
    try:
        terms, is_cut = resolve_terms(model, typed)
    except (BadOption, UnknownAddress, ValueError):
        return
    assert sum(len(term.tokens) for term in terms) <= MOST_TOKENS
    assert not is_cut or sum(max(1, len(term.tokens)) for term in terms) >= MOST_TOKENS
