"""The oracle: the tokenizers library's own words for each id, and plain rules on them."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from app.models import demo
from app.models.token_filter import EVERY, TokenFilter, filter_tokens
from app.models.vocabulary import Vocabulary
from tests.families import tokenizer_of

KINDS = ("gpt2", "llama", "bert")
SPECIAL = {"<|endoftext|>", "<s>", "[PAD]", "[UNK]"}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """tokens("bert") -> its vocabulary for a model of 100 rows, and the library's pieces by id."""

    def build(family):
        path = tmp_path_factory.mktemp(family) / "tokenizer.json"
        tokenizer = tokenizer_of(family)
        tokenizer.save(str(path))
        pieces = {id_: tokenizer.id_to_token(id_) for id_ in range(tokenizer.get_vocab_size())}
        return Vocabulary(path, 100), pieces

    return build


def ids(vocabulary, **choice):
    return set(np.flatnonzero(filter_tokens(vocabulary, TokenFilter(**choice))).tolist())


@pytest.mark.parametrize("family", KINDS)
def test_without_a_choice_all_tokens_pass_and_padding_does_not(tokens, family):
    vocabulary, pieces = tokens(family)
    passed = filter_tokens(vocabulary, EVERY)
    assert passed.shape == (100,)
    assert passed.dtype == np.bool_
    assert set(np.flatnonzero(passed).tolist()) == set(pieces)
    assert not EVERY


@pytest.mark.parametrize("family", KINDS)
def test_starts_are_the_pieces_that_their_tokenizer_marks_so(tokens, family):
    vocabulary, pieces = tokens(family)
    marks = {
        "gpt2": lambda piece: piece.startswith("Ġ"),
        "llama": lambda piece: piece.startswith("▁"),
        "bert": lambda piece: piece.isalpha(),  # the marked ones are what goes on
    }
    assert ids(vocabulary, starts=True) == {id_ for id_, piece in pieces.items() if marks[family](piece)}


@pytest.mark.parametrize("family", KINDS)
def test_plain_leaves_special_tokens_out(tokens, family):
    vocabulary, pieces = tokens(family)
    assert ids(vocabulary, plain=True) == {id_ for id_, piece in pieces.items() if piece not in SPECIAL}


def test_ascii_leaves_bytes_and_special_tokens_out(tokens):
    vocabulary, pieces = tokens("llama")
    assert ids(vocabulary, ascii=True) == {id_ for id_, piece in pieces.items() if piece not in {"<s>", "<0xE2>"}}


@pytest.mark.parametrize("frequent", [1, 50, 96])
def test_the_most_frequent_have_the_first_ids(tokens, frequent):
    vocabulary, pieces = tokens("gpt2")
    assert ids(vocabulary, frequent=frequent) == set(pieces) - set(range(frequent))
    assert ids(vocabulary, frequent=97) == set()


def test_choices_narrow_each_other(tokens):
    vocabulary, _ = tokens("llama")
    every = {"ascii": True, "starts": True, "plain": True, "frequent": 10}
    alone = [ids(vocabulary, **{name: value}) for name, value in every.items()]
    assert ids(vocabulary, **every) == set.intersection(*alone) != set()


def test_the_demos_tokens_as_the_library_reads_them():
    """Of pieces with accents, digits, signs and several scripts."""
    tokenizer = Tokenizer.from_file(str(demo.FOLDER / "tokenizer.json"))
    vocabulary = Vocabulary(demo.FOLDER / "tokenizer.json", tokenizer.get_vocab_size())
    special = {id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    own = [id_ for id_ in range(vocabulary.size) if id_ not in special and vocabulary.entry(id_).kind == "text"]
    texts = {id_: tokenizer.decode([id_], skip_special_tokens=False) for id_ in own}
    assert ids(vocabulary, ascii=True) == {id_ for id_, text in texts.items() if all(ord(each) < 128 for each in text)}
    starts = {id_ for id_, text in texts.items() if text[:1] == " " and text[1:2].isalpha()}
    assert ids(vocabulary, starts=True) == starts
    assert 0 < len(starts) < vocabulary.size


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({}, {}),
        ({"ascii": True}, {"ascii": 1}),
        ({"starts": True, "frequent": 7}, {"starts": 1, "frequent": 7}),
        (
            {"ascii": True, "starts": True, "plain": True, "frequent": 1},
            dict.fromkeys(("ascii", "starts", "plain", "frequent"), 1),
        ),
    ],
)
def test_a_recipe_names_what_is_chosen_and_nothing_else(choice, said):
    assert TokenFilter(**choice).parameters() == said
    assert bool(TokenFilter(**choice)) == bool(said)
    assert TokenFilter(**choice).recipe_parameters() == said


def test_how_tokens_are_ranked_leaves_none_out_and_decides_what_is_read():
    choice = TokenFilter(ascii=True, readout="cosine")
    assert choice.parameters() == {"ascii": 1}
    assert choice.recipe_parameters() == {"ascii": 1, "cosine": 1}
    assert not TokenFilter(readout="cosine")
    assert TokenFilter(readout="cosine").recipe_parameters() == {"cosine": 1}
