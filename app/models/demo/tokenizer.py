"""The demo model's tokenizer: whole words, and hardly a token that the text never uses.

Byte-pair encoding finds good words but keeps the fragments it passed through (`urope` on the way to `Europe`); a
Unigram model trained from scratch keeps none but cut the text into 14% more tokens here. So the pieces come from BPE,
and a Unigram model over them, refitted to its own segmentation and pruned by use, does the cutting. Rare characters
fall back to bytes, so every text round-trips. Knows nothing of the model that uses it.
"""

import math
from collections import Counter
from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
SPACE = "▁"
# A word keeps the space before it; numbers come in groups of at most four digits, so that years are tokens.
PIECES = r"'(?:s|t|re|ve|m|ll|d)\b| ?\p{L}+| ?\p{N}{1,4}| ?[^\s\p{L}\p{N}]+|\n+|[^\S\n]+"
ALPHABET = 160  # characters with a token of their own, the most frequent ones
SURPLUS = 1.2  # BPE pieces to start from, as a multiple of the final vocabulary
ROUNDS = 3  # refits of the scores to the segmentation that they give


def train_tokenizer(texts: list[str], size: int) -> Tokenizer:
    """Train a tokenizer of exactly `size` tokens: id 0 is `<|endoftext|>`, then pieces by frequency, then bytes."""
    bpe = _train_bpe(texts, int(size * SURPLUS))
    pieces = [piece for piece in bpe.get_vocab() if piece != END]
    fallback = _byte_tokens(pieces)
    counts = _count_tokens(bpe, texts)
    for remaining in reversed(range(ROUNDS)):
        keep = len(pieces) if remaining else size - 1 - len(fallback)
        pieces = _keep_most_used(pieces, counts, keep)
        counts = _count_tokens(_train_unigram(pieces, counts, fallback), texts)
    return _train_unigram(_keep_most_used(pieces, counts, len(pieces)), counts, fallback)


def _train_bpe(texts: list[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=END))
    tokenizer.pre_tokenizer = _pre_tokenizer()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[END], limit_alphabet=ALPHABET, show_progress=False)
    tokenizer.train_from_iterator(_split_passages(texts), trainer)
    return tokenizer


def _train_unigram(pieces: list[str], counts: Counter[str], fallback: list[str]) -> Tokenizer:
    total = sum(counts[piece] for piece in pieces)
    vocabulary = [(END, 0.0)]
    vocabulary += [(piece, math.log(max(counts[piece], 0.5) / total)) for piece in pieces]
    # So unlikely that the text "<0xE2>" is never read as the byte.
    vocabulary += [(token, -1000.0) for token in fallback]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = _pre_tokenizer()
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    return tokenizer


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.Metaspace(SPACE, prepend_scheme="never", split=False),
        ]
    )


def _count_tokens(tokenizer: Tokenizer, texts: list[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for start in range(0, len(texts), 64):
        for encoding in tokenizer.encode_batch(texts[start : start + 64]):
            counts.update(encoding.tokens)
    return counts


def _keep_most_used(pieces: list[str], counts: Counter[str], keep: int) -> list[str]:
    """Keep the `keep` most used pieces, most used first, and all single characters, which would need bytes else."""
    ranked = sorted(pieces, key=lambda piece: (len(piece) > 1, -counts[piece], piece))[:keep]
    return sorted(ranked, key=lambda piece: (-counts[piece], piece))


def _byte_tokens(pieces: list[str]) -> list[str]:
    """List tokens for the bytes that text can need: those of UTF-8, less the ASCII characters that are pieces."""
    ascii_pieces = {ord(piece) for piece in pieces if len(piece) == 1 and piece.isascii()}
    never_in_utf8 = {0xC0, 0xC1, *range(0xF5, 0x100)}
    return [f"<0x{byte:02X}>" for byte in range(256) if byte not in ascii_pieces | never_in_utf8]


def _split_passages(texts: list[str]) -> Iterator[str]:
    """Split the texts into passages of 100,000 characters: the trainer counts the words of one passage at a time."""
    for text in texts:
        for start in range(0, len(text), 100_000):
            yield text[start : start + 100_000]
