"""A GGUF file unpacked into a checkpoint's folder for the time of an import, in the folder of weights.

What a killed import leaves behind is cleared by the next one of the same file, or by `store gc`. Knows no torch: the
libraries that unpack are imported when there is something to do.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.models.credit import Credit, gguf_credit
from app.models.importing.gguf.header import GgufHeader, read_gguf_header
from app.models.importing.gguf.layouts import layout_of
from app.models.importing.staging import open_staging
from app.models.manifest import Quantisation, file_sum
from app.models.origin import stamps_of
from app.models.refusal import ImportRefused

LONGEST_NAME = 80


@dataclass(frozen=True)
class Unpacked:
    """The unpacked folder and the facts of its file."""

    folder: Path
    quantisation: Quantisation | None
    sum: str
    """SHA-256 of the file."""
    name: str | None
    """The model's name in the file; None if it has none that can be shown."""
    has_pairs: bool
    """The rows of its queries and keys were reordered."""
    credit: Credit
    """The credit in its header."""


@contextmanager
def unpack_gguf(path: Path, weights: Path, report: Callable[[str, int, int], None]) -> Iterator[Unpacked]:
    """Unpack the file into a folder in `weights`, removed afterwards; ImportRefused if it cannot be read."""
    report("reading the GGUF file", 0, 0)
    header = read_gguf_header(path)
    layout = layout_of(header)  # refused before the whole of it is read
    stamps, sum_ = stamps_of(path), file_sum(path)
    with open_staging(
        weights, f"gguf-{sum_}", lambda: report("another import of this file is running", 0, 0)
    ) as staging:
        try:
            for left in staging.folder.iterdir():
                left.unlink()
            report("loading the model libraries", 0, 0)
            from app.models.importing.gguf.converter import convert_gguf

            def report_unpacking(done: int, total: int) -> None:
                report("unpacking the GGUF file", done, total)

            quantisation = convert_gguf(path, header, staging.folder, report_unpacking)
            # Stamps that were no proof at first, since the file was new, may be valid by now.
            is_same = stamps == stamps_of(path) if stamps else file_sum(path) == sum_
            if not is_same:
                raise ImportRefused(
                    f"{path.name} was changed while it was read: import it again when nothing writes to it"
                )
            yield Unpacked(
                staging.folder, quantisation, sum_, _read_name(header), bool(layout.paired), gguf_credit(header.facts)
            )
        finally:
            staging.discard()


def _read_name(header: GgufHeader) -> str | None:
    name = header.facts.get("general.name")
    return name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= LONGEST_NAME else None
