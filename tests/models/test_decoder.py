import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from app.models.decoder import Decoder

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SENTENCES = ["▁the", "the", "▁", "▁▁▁", "n", ".", "▁.", "▁the▁end", "é", "▁é", "'s", "th▁"]
WORDS = ["the", "##ing", "n", "##n", "##.", "é", "##é", "a##b", "#", "###", "▁"]
BYTE_LEVEL = ["the", "Ġthe", "Ġ", "ĠĠ", "Ċ", "ĉ", "n", ".", "Ġ.", "Ã©", "ĠÃ©", "âĢĿ"]


def bpe(pieces, decoder, **options) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab={piece: id_ for id_, piece in enumerate(pieces)}, merges=[], **options))
    tokenizer.decoder = decoder
    return tokenizer


def unigram(pieces, decoder, **options) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], **options))
    tokenizer.decoder = decoder
    return tokenizer


def llama_of_old() -> Tokenizer:
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    return bpe([*SENTENCES, *BYTES], decoders.Sequence(steps), byte_fallback=True)


def gemma() -> Tokenizer:
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer = bpe([*SENTENCES, *BYTES], decoders.Sequence(steps), byte_fallback=True)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.add_tokens([AddedToken("▁▁▁▁", normalized=False), AddedToken("\n\n", normalized=False)])
    return tokenizer


def word_piece(prefix="##") -> Tokenizer:
    pieces = [piece.replace("##", prefix) for piece in WORDS]
    tokenizer = Tokenizer(
        models.WordPiece(
            {piece: id_ for id_, piece in enumerate(pieces)}, unk_token="n", continuing_subword_prefix=prefix
        )
    )
    tokenizer.decoder = decoders.WordPiece(prefix, cleanup=False)
    tokenizer.add_tokens(["added"])
    return tokenizer


def neo_x() -> Tokenizer:
    tokenizer = bpe(BYTE_LEVEL, decoders.ByteLevel())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_tokens([AddedToken(" " * n, normalized=False) for n in (2, 3, 24)] + ["\t\t", "two words"])
    return tokenizer


def bytes_in_pieces() -> Tokenizer:
    return unigram([*SENTENCES, *BYTES], decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]))


TOKENIZERS = {
    "Llama, old form": llama_of_old,
    "Gemma": gemma,
    "GPT-2, GPT-NeoX, Phi": neo_x,
    "BERT": word_piece,
    "another prefix": lambda: word_piece("@@"),
    "T5, XLM-R": lambda: unigram(SENTENCES, decoders.Metaspace()),
    "Metaspace at the start only": lambda: unigram(SENTENCES, decoders.Metaspace(prepend_scheme="first")),
    "Metaspace never at the start": lambda: unigram(SENTENCES, decoders.Metaspace(prepend_scheme="never")),
    "another mark": lambda: unigram(["_the", "n", "▁"], decoders.Metaspace("_")),
    "Metaspace and bytes": bytes_in_pieces,
    "byte level in a sequence": lambda: bpe(BYTE_LEVEL, decoders.Sequence([decoders.ByteLevel()])),
    "stripped before it is fused": lambda: bpe(
        ["▁the", "▁▁the▁▁", "n", "th▁"],
        decoders.Sequence([decoders.Replace("▁", " "), decoders.Strip(" ", 1, 1), decoders.Fuse()]),
    ),
}


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_piece_adds_to_a_text_what_the_library_adds(make):
    tokenizer = make()
    decoder = Decoder(json.loads(tokenizer.to_str()))
    neutral = tokenizer.token_to_id("n")
    before = tokenizer.decode([neutral])
    parts = 0
    for id_ in range(tokenizer.get_vocab_size()):
        text, is_part = decoder.read(tokenizer.id_to_token(id_))
        added = tokenizer.decode([neutral, id_], skip_special_tokens=False).removeprefix(before)
        if is_part:
            assert added == "\N{REPLACEMENT CHARACTER}"
            parts += 1
        else:
            assert text == added, tokenizer.id_to_token(id_)
    assert parts in {0, 128}  # ASCII bytes are characters


@given(st.lists(st.text("Ġabé▁ Ċ<0xE2>", min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
def test_byte_level_pieces_of_any_kind(pieces):
    tokenizer = bpe(["n", *(piece for piece in pieces if piece != "n")], decoders.ByteLevel())
    decoder = Decoder(json.loads(tokenizer.to_str()))
    for id_ in range(tokenizer.get_vocab_size()):
        text, is_part = decoder.read(tokenizer.id_to_token(id_))
        added = tokenizer.decode([0, id_]).removeprefix("n")
        assert is_part == ("\N{REPLACEMENT CHARACTER}" in added)
        assert is_part or text == added


def test_punctuation_of_word_piece_can_be_told_apart():
    tokenizer = word_piece()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)
    decoder = Decoder(json.loads(tokenizer.to_str()))
    assert [decoder.read(piece)[0] for piece in (",", "##,", "the", "##ing")] == [" ,", ",", " the", "ing"]


@pytest.mark.parametrize("suffix", ["</w>", "@"])
def test_an_end_of_word_is_a_space_behind_it(suffix):
    pieces = ["n", f"the{suffix}", "the", suffix]
    tokenizer = bpe(pieces, decoders.BPEDecoder(suffix), end_of_word_suffix=suffix)
    decoder = Decoder(json.loads(tokenizer.to_str()))
    assert [decoder.read(piece)[0] for piece in pieces] == ["n", "the ", "the", " "]
    for id_, piece in enumerate(pieces):  # inside a text: something follows
        assert tokenizer.decode([id_, 0]) == decoder.read(piece)[0] + "n"


def test_an_end_of_word_in_bytes():
    tokenizer = bpe(["Ã©</w>"], decoders.ByteLevel(), end_of_word_suffix="</w>")  # CLIP's form
    assert Decoder(json.loads(tokenizer.to_str())).read("Ã©</w>") == ("é ", False)


@pytest.mark.parametrize(
    ("described", "piece", "text"),
    [
        ({"model": {"type": "WordLevel"}}, "the", "the"),
        ({"model": {"type": "WordLevel"}}, "▁##the", "▁##the"),
        ({"model": {"type": "WordPiece", "continuing_subword_prefix": "++"}}, "++the", "the"),
        ({"model": {"type": "WordPiece"}}, "the", " the"),
        ({"model": {}, "pre_tokenizer": {"type": "ByteLevel"}}, "Ġthe", " the"),
        ({"model": {}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Metaspace"}]}}, "▁a", " a"),
        ({"model": {}, "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}}, "▁a", " a"),
        ({"model": {"byte_fallback": True}}, "<0x0A>", "\n"),
        ({"model": {}}, "<0x0A>", "<0x0A>"),
        ({"model": {}, "decoder": {"type": "BPEDecoder", "suffix": "@"}}, "the@", "the "),
        ({"model": {}, "decoder": {"type": "of tomorrow"}}, "▁a", "▁a"),
    ],
)
def test_without_a_decoder_the_way_in_tells(described, piece, text):
    assert Decoder(described).read(piece) == (text, False)


def test_a_part_of_a_character_is_spelt_in_bytes():
    assert Decoder({"model": {"byte_fallback": True}}).read("<0xe2>") == ("<0xE2>", True)
    assert Decoder({"model": {}, "decoder": {"type": "ByteLevel"}}).read("âĢ") == ("<0xE2><0x80>", True)


def test_hostile_steps_cannot_make_a_text_that_fills_the_memory():
    grow = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 16}] * 1000
    shrink = [{"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}, {"type": "Replace"}]
    described = {"model": {}, "decoder": {"type": "Sequence", "decoders": grow + shrink}}
    assert set(Decoder(described).read("a" * 10**6)[0]) == {"a"}
    assert len(Decoder(described).read("a" * 10**6)[0]) == 20_000
    one_long = {"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 10**6}
    assert Decoder({"model": {}, "decoder": one_long}).read("a") == ("a", False)
