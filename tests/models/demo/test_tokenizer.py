import random
from collections import Counter

import pytest
from tokenizers import Tokenizer

from app.models.demo.tokenizer import END, train_tokenizer

SIZE = 1_000


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Made-up English: 1,500 words of two to four syllables, a few of them very frequent."""
    dice = random.Random(0)
    syllables = [a + b for a in "bcdfghlmnprst" for b in ("a", "en", "i", "or", "us", "e")]
    words = ["".join(dice.choices(syllables, k=dice.randint(2, 4))) for _ in range(1_500)]
    weights = [1 / rank for rank in range(2, len(words) + 2)]

    def sentence() -> str:
        chosen = dice.choices(words, weights, k=dice.randint(4, 14))
        return " ".join(chosen).capitalize() + dice.choice([".", ".", "?", ",", " (1871)."])

    return [" ".join(sentence() for _ in range(60)) + "\n\n" for _ in range(60)]


@pytest.fixture(scope="module")
def tokenizer(texts) -> Tokenizer:
    return train_tokenizer(texts, SIZE)


def test_the_vocabulary_has_exactly_the_size_asked_for(tokenizer):
    vocabulary = tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(SIZE))
    assert tokenizer.token_to_id(END) == 0


def test_no_piece_is_a_dead_fragment(tokenizer, texts):
    """Byte-pair encoding would leave pieces here that the text never uses by themselves."""
    counts = Counter(token for encoding in tokenizer.encode_batch(texts) for token in encoding.tokens)
    pieces = [piece for piece in tokenizer.get_vocab() if len(piece) > 1 and not piece.startswith("<")]
    assert len(pieces) > SIZE / 2
    assert [piece for piece in pieces if not counts[piece]] == []


@pytest.mark.parametrize(
    "text",
    [
        "Bata bena, (1871).\n\n",
        "  two  spaces\tand a tab \n",
        "naïve – “日本” 👍🏽 \u202e\x00",
        "literally <0xE2> and ▁ not",
        "",
    ],
)
def test_every_text_comes_back(tokenizer, texts, text):
    if "▁" in text:
        text = text.replace("▁", "_")  # the one character that stands for another
    for whole in (text, texts[0] + text):
        assert tokenizer.decode(tokenizer.encode(whole).ids) == whole


def test_frequent_words_are_one_token_with_their_space(tokenizer, texts):
    words = Counter(word for text in texts for word in text.split() if word.islower() and word.isalpha())
    for word, _count in words.most_common(50):
        assert tokenizer.encode(f" {word}").tokens == [f"▁{word}"]
