"""Untrusted tokenizer.json files: checks that one is a tokenizer, and that each of its ids means one token.

The tokenizers library gives the second opinion, in a process of its own with bounds on time and memory: it was written
for files that mean well, and ends the process, or fills it, at some that do not. What tokens look like is for others.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from app.models.importing.folder import opinion
from app.models.importing.folder.document import parse, quote_word, read_bytes
from app.models.refusal import ImportRefused

LARGEST = 64_000_000
"""Bytes at most; the largest that are published have half of them."""
MOST_IDS = 2**24
OPINION_SECONDS = 60
# Run by its path: `-c` and `-m` would search the current folder for modules, which may hold any.
OPINION = [sys.executable, str(Path(opinion.__file__))]
HELP = "AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes one"


def read_tokenizer(folder: Path, d_vocab: int | None) -> bytes:
    """Read the bytes of `tokenizer.json`; ImportRefused unless it suits a model of `d_vocab` tokens (None: any).

    Added tokens may lie beyond the model's rows, as some fine-tuned models have them: they are never shown.
    """
    path = folder / "tokenizer.json"
    if not path.exists():
        raise ImportRefused(f"there is no tokenizer.json; {HELP}")
    raw = read_bytes(path, LARGEST)
    described = parse(raw, path.name, LARGEST)
    _refuse_pieces(_piece_ids(described), d_vocab)
    _refuse_added(described.get("added_tokens"))
    _ask_library(raw)
    return raw


def _piece_ids(described: dict[str, Any]) -> list[Any]:
    """Return the ids of the tokenizer's own pieces, unchecked; ImportRefused if there are no pieces."""
    model = described.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocab, dict) and vocab:
        return list(vocab.values())
    if isinstance(vocab, list) and vocab:
        for piece in vocab:
            if not (isinstance(piece, list) and len(piece) == 2 and isinstance(piece[0], str)):
                raise ImportRefused(
                    f"tokenizer.json has {quote_word(piece)} for a piece: expected a string and a score"
                )
        return list(range(len(vocab)))
    raise ImportRefused(f"tokenizer.json cannot be read: it has no vocabulary. {HELP}")


def _refuse_pieces(ids: list[Any], d_vocab: int | None) -> None:
    for id_ in ids:
        _refuse_id(id_)
    if len(set(ids)) != len(ids):
        raise ImportRefused("tokenizer.json gives two pieces the same id: a token would have two texts")
    if d_vocab is not None and max(ids) >= d_vocab:
        raise ImportRefused(
            f"tokenizer.json counts its pieces up to {max(ids)}, the model has ids from 0 to {d_vocab - 1}: "
            "it is another model's tokenizer"
        )


def _refuse_added(added: Any) -> None:
    if not isinstance(added, list | None):
        raise ImportRefused(f"tokenizer.json has {quote_word(added)} for its added tokens: expected a list")
    contents: dict[int, str] = {}
    for token in added or []:
        if not (isinstance(token, dict) and isinstance(token.get("content"), str)):
            raise ImportRefused(
                f"tokenizer.json has {quote_word(token)} for an added token: expected a content and an id"
            )
        if not isinstance(token.get("special"), bool):
            raise ImportRefused(f"tokenizer.json does not say whether {quote_word(token['content'])} is special")
        _refuse_id(token.get("id"))
        if contents.setdefault(token["id"], token["content"]) != token["content"]:
            raise ImportRefused(f"tokenizer.json adds two tokens with the id {token['id']}")


def _refuse_id(id_: Any) -> None:
    if type(id_) is not int or not 0 <= id_ < MOST_IDS:
        raise ImportRefused(f"tokenizer.json has {quote_word(id_)} for an id: expected 0 to {MOST_IDS - 1}")


def _ask_library(raw: bytes) -> None:
    try:
        answer = subprocess.run(OPINION, input=raw, capture_output=True, timeout=OPINION_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ImportRefused(
            f"tokenizer.json cannot be read: after {OPINION_SECONDS} s the tokenizers library was not done"
        ) from error
    if answer.returncode:
        raise ImportRefused(f"tokenizer.json cannot be read: the tokenizers library breaks at it. {HELP}")
    if fault := answer.stdout.decode("ascii").strip():
        raise ImportRefused(f"tokenizer.json cannot be read: {fault}")
