"""The training text of the demo model: documents out of xz-compressed files.

Knows the corpus format (documents that end with a line `<|endoftext|>`) and nothing of tokens or models.
"""

import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path

SEPARATOR = "\n<|endoftext|>\n"


def read_documents(files: Iterable[Path]) -> Iterator[str]:
    """Yield every non-empty document of the files, in order, stripped of surrounding white space."""
    for file in files:
        with lzma.open(file, "rt", encoding="utf-8") as text:
            for document in text.read().split(SEPARATOR):
                if document.strip():
                    yield document.strip()


def training_files(corpus: Path) -> list[Path]:
    """List the training files of a corpus folder; ValueError if it holds none."""
    files = sorted(corpus.glob("train-*.txt.xz"))
    if not files:
        raise ValueError(f"no train-*.txt.xz in {corpus}")
    return files


def heldout_file(corpus: Path) -> Path:
    """Return the held-out file of a corpus folder; ValueError if it is absent."""
    file = corpus / "valid.txt.xz"
    if not file.is_file():
        raise ValueError(f"no valid.txt.xz in {corpus}")
    return file
