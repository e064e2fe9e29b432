import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from app.models import demo
from app.models.lookup import LONGEST, Lookup
from app.models.vocabulary import Vocabulary, make_visible
from tests.families import tokenizer_of

KINDS = ("gpt2", "llama", "bert", "demo", "hostile")


@pytest.fixture(scope="module", params=KINDS)
def vocabulary(request, tmp_path_factory):
    """A vocabulary of each kind of tokenizer, the demo's and one of attacks."""
    kind = request.param
    if kind == "demo":
        file = demo.FOLDER / "tokenizer.json"
    elif kind == "hostile":
        file = request.getfixturevalue("hostile_folder") / "tokenizer.json"
    else:
        file = tmp_path_factory.mktemp(kind) / "tokenizer.json"
        tokenizer_of(kind).save(str(file))
    return Vocabulary(file, Tokenizer.from_file(str(file)).get_vocab_size() + 3)


def known(vocabulary):
    return [vocabulary.entry(id_) for id_ in vocabulary.known.nonzero()[0].tolist()]


def test_every_token_is_found_by_its_spelling_and_by_its_id(vocabulary):
    for entry in known(vocabulary):
        spelling = vocabulary.lookup.spelling(entry.id, entry.text)
        assert vocabulary.find(spelling) is entry
        assert vocabulary.find(f"#{entry.id}") is entry
        assert spelling.isprintable()
        assert len(spelling) <= LONGEST


def test_a_text_or_a_shown_form_finds_the_smallest_id_that_has_it(vocabulary):
    ids = set(vocabulary.known.nonzero()[0].tolist())
    first_of_text, first_shown = {}, {}
    for entry in known(vocabulary):
        first_of_text.setdefault(entry.text, entry.id)
        first_shown.setdefault(entry.shown, entry.id)
    for text, id_ in first_of_text.items():
        if not (text.startswith("#") and text[1:].isdecimal() and int(text[1:]) in ids):
            assert vocabulary.find(text).id == id_
    for visible, id_ in first_shown.items():
        if visible not in first_of_text:
            assert vocabulary.find(visible).id == id_


def test_ids_that_the_tokenizer_does_not_know_are_no_tokens(vocabulary):
    assert not vocabulary.known[-1]
    for id_ in (vocabulary.size - 1, vocabulary.size, 10**8):
        assert vocabulary.find(f"#{id_}") is None
    assert vocabulary.lookup.largest == vocabulary.known.nonzero()[0].max()
    assert vocabulary.find(f"<{vocabulary.size - 1}>") is None


@pytest.mark.parametrize("text", ["", "#01", "#-1", "#٣", "#1 ", "no such token", "x" * 100])
def test_what_names_no_token(vocabulary, text):
    assert vocabulary.find(text) is None


def lookup(*texts):
    return Lookup((id_, text, make_visible(text)) for id_, text in enumerate(texts))


def test_an_id_comes_before_a_text_and_a_text_before_a_shown_form():
    tokens = lookup(" ", "·", "#1", "a·", "a ")
    assert [tokens.id_of(text) for text in ("#1", "·", " ", "a·", "a ")] == [1, 1, 0, 3, 4]
    assert tokens.spelling(2, "#1") == "#2"
    assert lookup("a", "#7").id_of("#7") == 1  # there is no token 7


def test_of_tokens_with_one_text_the_first_is_found_and_the_others_have_their_ids():
    tokens = lookup("a", "b", "a")
    assert tokens.id_of("a") == 0
    assert [tokens.spelling(id_, "a") for id_ in (0, 2)] == ["a", "#2"]


def test_variants_are_the_same_word_otherwise_written():
    tokens = lookup("paris", " Paris", "PARIS", "Paris", " pari", " paris")
    assert tokens.variants(" Paris") == [3, 0, 5, 2]
    assert tokens.variants("paris") == [5, 1, 3, 2]
    assert tokens.variants(" ") == tokens.variants("") == []


def test_what_a_text_begins_with_and_what_begins_with_it():
    tokens = lookup("in", " in", "inter", " internal", "nation", " international", "ink", "intern")
    assert tokens.starts("internationals", 3) == [5, 7, 2]
    assert tokens.find_longer("inter", 9) == [3, 5, 7]
    assert tokens.find_longer(" inter", 2) == [3, 5]
    assert tokens.find_longer("", 5) == tokens.find_longer(" ", 5) == tokens.starts("", 5) == []


@given(st.lists(st.text(st.sampled_from("a bA·#1\n\u202e"), min_size=1, max_size=4), min_size=1), st.data())
def test_every_spelling_leads_back_whatever_the_texts(texts, data):
    tokens = lookup(*texts)
    for id_, text in enumerate(texts):
        assert tokens.id_of(tokens.spelling(id_, text)) == id_
    query = data.draw(st.sampled_from(texts))
    assert all(texts[id_] != query for id_ in tokens.variants(query))
    for id_ in tokens.find_longer(query, 5):
        word = query.removeprefix(" ")
        assert texts[id_].startswith((word, f" {word}"))
