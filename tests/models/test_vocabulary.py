import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from app.models import demo
from app.models.vocabulary import INVISIBLE, Vocabulary, make_visible


def vocabulary(folder, d_vocab) -> Vocabulary:
    return Vocabulary(folder / "tokenizer.json", d_vocab)


def write(folder, vocab, decoder=None, added=()) -> Vocabulary:
    described = {"added_tokens": list(added), "decoder": decoder, "model": {"vocab": vocab}}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    return vocabulary(folder, len(vocab) + len(added))


def test_byte_level_tokens_read_as_the_tokenizer_decodes_them(gpt2_folder):
    tokenizer = Tokenizer.from_file(str(gpt2_folder / "tokenizer.json"))
    tokens = vocabulary(gpt2_folder, 304)
    texts = [tokens.entry(id_) for id_ in range(1, 300)]
    assert all(entry.text == tokenizer.decode([entry.id]) for entry in texts if entry.kind == "text")
    assert {entry.kind for entry in texts} == {"text", "byte"}
    # ASCII bytes are characters; the other 128 are parts of some.
    assert sum(entry.kind == "byte" for entry in texts) == 128


def test_unigram_tokens_read_as_the_tokenizer_decodes_them():
    tokenizer = Tokenizer.from_file(str(demo.FOLDER / "tokenizer.json"))
    tokens = vocabulary(demo.FOLDER, tokenizer.get_vocab_size())
    for id_ in range(1, tokens.size):
        entry = tokens.entry(id_)
        if entry.kind == "text":
            assert entry.text == tokenizer.decode([id_], skip_special_tokens=False)
        else:
            assert entry.text == tokenizer.id_to_token(id_)


def test_ids_that_the_tokenizer_does_not_know(gpt2_folder):
    tokens = vocabulary(gpt2_folder, 304)
    assert tokens.known.dtype == np.bool_
    assert tokens.known.tolist() == [True] * 300 + [False] * 4
    assert tokens.entry(303).text == "<303>"
    for id_ in (-1, 304):
        with pytest.raises(ValueError, match="0 to 303"):
            tokens.entry(id_)


def test_a_tokenizer_may_know_more_than_the_model(gpt2_folder):
    assert vocabulary(gpt2_folder, 10).known.tolist() == [True] * 10


def test_parts_of_characters_are_bytes(tmp_path):
    tokens = write(tmp_path, {"âĢ": 0, "âĢĿ": 1, "Ġ": 2}, {"type": "ByteLevel"})
    assert tokens.entry(0)[1:] == ("<0xE2><0x80>", "<0xE2><0x80>", "byte")
    assert tokens.entry(1)[1:] == ("”", "”", "text")
    assert tokens.entry(2)[1:] == (" ", "·", "text")


def test_sentencepiece_bytes_and_spaces(tmp_path):
    spaces = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    decoders = {"type": "Sequence", "decoders": [spaces, {"type": "ByteFallback"}]}
    tokens = write(tmp_path, [["<unk>", 0.0], ["<0xE2>", 0.0], ["▁the▁end", 0.0]], decoders)
    assert tokens.entry(1)[1:] == ("<0xE2>", "<0xE2>", "byte")
    assert tokens.entry(2)[1:] == (" the end", "·the·end", "text")


def test_added_tokens(tmp_path):
    added = [{"id": 1, "content": "<|end|>", "special": True}, {"id": 2, "content": "Ġ  ", "special": False}]
    tokens = write(tmp_path, {"a": 0}, {"type": "ByteLevel"}, added)
    assert tokens.entry(1)[1:] == ("<|end|>", "<|end|>", "special")
    assert tokens.entry(2)[1:] == ("Ġ  ", "Ġ··", "text")  # added tokens are not spelt in bytes


def test_an_entry_is_made_once(gpt2_folder):
    tokens = vocabulary(gpt2_folder, 304)
    assert tokens.entry(7) is tokens.entry(7)


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        (" the", "·the"),
        ("a\n\tb", "a↵→b"),
        ("\u202e", "\\u202e"),
        ("\x00", "\\u0000"),
        ("\u2028\u200b\u2003", "\\u2028\\u200b\\u2003"),
        ("\xa0fin", "⍽fin"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 39 + "…"),
        ("\x00" * 10_000, "\\u0000" * 6 + "\\u0…"),
        ("<b>", "<b>"),
        ("👍é", "👍é"),
    ],
)
def test_shown(text, visible):
    assert make_visible(text) == visible


@pytest.mark.parametrize("code", [0x034F, 0x115F, 0x1160, 0x2800, 0x3164, 0xFE0F, 0xFFA0, 0xE0100, 0x1D159])
def test_what_is_drawn_as_nothing_is_spelt_out(code):
    assert make_visible(f"a{chr(code)}b") in {f"a\\u{code:04x}b", f"a\\U{code:08x}b"}


def is_visible(text: str) -> bool:
    return not any(unicodedata.category(character)[0] in "CZ" or ord(character) in INVISIBLE for character in text)


@given(st.text(st.characters(), max_size=100))
def test_what_is_shown_is_short_and_has_nothing_invisible(text):
    visible = make_visible(text)
    assert len(visible) <= 40
    assert bool(visible) == bool(text)
    assert is_visible(visible)


DECODERS = st.sampled_from(
    [
        None,
        {"type": "ByteLevel"},
        {"type": "WordPiece", "prefix": "##", "cleanup": True},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        {"type": "BPEDecoder", "suffix": "</w>"},
        {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        {"type": "Replace", "pattern": {"String": "a"}, "content": "\u202e\x00"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 1},
        {"type": "a kind of tomorrow"},
    ]
)
PIECES = st.one_of(
    st.text(st.characters(), max_size=60),
    st.integers(0, 255).map(lambda byte: f"<0x{byte:02X}>"),
    st.text("Ġ▁#ĉĊÃ©âĢa ", max_size=8),
)


@given(st.lists(PIECES, min_size=1, max_size=8, unique=True), DECODERS, st.booleans(), st.booleans())
def test_no_tokenizer_makes_a_chip_that_is_empty_long_or_invisible(
    tmp_path_factory, pieces, decoder, special, fallback
):
    file = tmp_path_factory.getbasetemp() / "any-tokenizer.json"
    vocab = {piece: id_ for id_, piece in enumerate(pieces)}
    added = [{"id": 0, "content": pieces[-1], "special": special}]
    model = {"vocab": vocab, "byte_fallback": fallback, "end_of_word_suffix": "a"}
    file.write_text(json.dumps({"added_tokens": added, "decoder": decoder, "model": model}))
    tokens = Vocabulary(file, len(pieces) + 1)
    for id_ in range(tokens.size):
        visible = tokens.entry(id_).shown
        assert 0 < len(visible) <= 40
        assert is_visible(visible)


def test_padding_and_what_adds_nothing_have_a_placeholder(tmp_path):
    tokens = write(tmp_path, {"": 0, "##": 1, "##a": 2}, {"type": "WordPiece", "prefix": "##"})
    assert [tokens.entry(id_).text for id_ in range(3)] == ["<0>", "<1>", "a"]


def test_special_tokens_are_spelt_as_they_are(tmp_path):
    added = [{"id": 1, "content": "▁<s>", "special": True}]
    tokens = write(tmp_path, {"a": 0}, {"type": "Metaspace", "replacement": "▁"}, added)
    assert tokens.entry(1)[1:] == ("▁<s>", "▁<s>", "special")


def test_an_added_token_is_no_part_of_a_character(tmp_path):
    added = [{"id": 1, "content": "é", "special": False}, {"id": 2, "content": "  ", "special": False}]
    tokens = write(tmp_path, {"é": 0}, {"type": "ByteLevel"}, added)
    assert [tokens.entry(id_)[1:] for id_ in (0, 1, 2)] == [
        ("<0xE9>", "<0xE9>", "byte"),
        ("é", "é", "text"),
        ("  ", "··", "text"),
    ]


def test_hostile_tokens_are_all_there(hostile_folder):
    tokens = vocabulary(hostile_folder, 41)
    texts = {tokens.entry(id_).text for id_ in range(41)}
    assert {"</script>", "\x00", "\u202eright to left", "x" * 10_000, "<0xC3>"} <= texts


@pytest.mark.parametrize(
    ("specials", "start"),
    [
        (("<pad>", "</s>", "<s>"), 2),
        (("<eos>", "<bos>"), 1),
        (("<|end_of_text|>", "<|begin_of_text|>"), 1),
        (("<pad>", "<|endoftext|>"), 1),
        (("<pad>",), None),
        ((), None),
    ],
)
def test_a_text_begins_as_texts_do_or_after_the_token_that_ends_one(tmp_path, specials, start):
    added = [{"id": id_, "content": text, "special": True} for id_, text in enumerate(specials)]
    tokens = write(tmp_path, {"word": len(specials)}, added=added)
    assert tokens.start == start
    assert tokens.specials == {text: id_ for id_, text in enumerate(specials)}
