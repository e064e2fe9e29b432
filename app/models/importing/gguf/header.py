"""The header of a GGUF file: facts of the model and places of its tensors, accepted only if all are consistent.

Reads the header and nothing after it, within bounds of our own: libraries allocate room for whatever count it gives.
The form is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3. Knows neither torch nor
what the tensors are for.
"""

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from app.models.importing.folder.document import GGUF, open_plain, quote_word, refuse_pointer
from app.models.importing.folder.header import LONGEST_NAME, MOST_TENSORS
from app.models.refusal import ImportRefused

LARGEST_HEADER = 96_000_000
"""Largest header in bytes; vocabularies of 262,000 pieces and their merges take 15 MB."""
MOST_FACTS = 4096
MOST_ENTRIES = 2**21
"""Most entries of a list; a vocabulary's merges are half a million."""
MOST_AXES = 4
LARGEST_AXIS = 2**31
VERSIONS = (2, 3)
ALIGNMENTS = tuple(2**power for power in range(3, 17))


class BlockKind(NamedTuple):
    """A kind of storage: so many numbers in a block of so many bytes."""

    name: str
    numbers: int
    bytes: int


KINDS = {
    id_: BlockKind(*facts)
    for id_, facts in {
        0: ("F32", 1, 4),
        1: ("F16", 1, 2),
        30: ("BF16", 1, 2),
        2: ("Q4_0", 32, 18),
        3: ("Q4_1", 32, 20),
        8: ("Q8_0", 32, 34),
        10: ("Q2_K", 256, 84),
        11: ("Q3_K", 256, 110),
        12: ("Q4_K", 256, 144),
        13: ("Q5_K", 256, 176),
        14: ("Q6_K", 256, 210),
        16: ("IQ2_XXS", 256, 66),
        17: ("IQ2_XS", 256, 74),
        18: ("IQ3_XXS", 256, 98),
        19: ("IQ1_S", 256, 50),
        20: ("IQ4_NL", 32, 18),
        21: ("IQ3_S", 256, 110),
        22: ("IQ2_S", 256, 82),
        23: ("IQ4_XS", 256, 136),
        29: ("IQ1_M", 256, 56),
    }.items()
}
"""Supported kinds, by the format's number."""
UNREAD = {6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 15: "Q8_K", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64"} | {
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
}
"""Kinds that are recognised but not supported."""

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
"""Kinds of facts of fixed size, by the format's number; 7 is true or false."""
TRUTH, STRING, LIST = 7, 8, 9


@dataclass(frozen=True)
class Packed:
    """One tensor of the file, as it is stored."""

    name: str
    shape: tuple[int, ...]
    """The shape in torch's order: the last axis is contiguous, and cut into blocks."""
    kind: BlockKind
    start: int
    """Where its bytes begin in the file."""

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of each of its rows; of the whole if it has one axis."""
        return self.shape[-1] // self.kind.numbers * self.kind.bytes

    @property
    def n_bytes(self) -> int:
        """Bytes of the whole tensor."""
        return self.size // self.kind.numbers * self.kind.bytes


@dataclass(frozen=True)
class GgufHeader:
    """The facts and tensors that a file describes."""

    facts: dict[str, Any]
    """Numbers, truth values, strings and lists of these by name, such as `llama.block_count`."""
    tensors: dict[str, Packed]


def read_gguf_header(path: Path) -> GgufHeader:
    """Read the facts and tensors of a GGUF file; ImportRefused, naming the file, if its header does not fit."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        raw = file.read(min(size, LARGEST_HEADER))
    refuse_pointer(raw, path.name)
    return _Reading(raw, size, quote_word(path.name)[1:-1]).header()


class _Reading:
    """A header's bytes, and how far they were read."""

    def __init__(self, raw: bytes, size: int, name: str) -> None:
        self._raw, self._size, self._name, self._at = raw, size, name, 0

    def header(self) -> GgufHeader:
        if self._take(4) != GGUF:
            raise self._refusal("is no GGUF file: it does not begin as one")
        (version,) = self._unpack("I")
        if version not in VERSIONS:
            is_turned = int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS
            raise self._refusal(
                "is stored with its bytes turned around (big-endian), which is not read"
                if is_turned
                else f"is GGUF of version {version}: versions 2 and 3 are read"
            )
        n_tensors, n_facts = self._unpack("QQ")
        self._refuse_more(n_tensors, MOST_TENSORS, "tensors")
        self._refuse_more(n_facts, MOST_FACTS, "facts")
        facts: dict[str, Any] = {}
        for _ in range(n_facts):
            key = self._name_of("fact")
            if key in facts:
                raise self._refusal(f"says {key} twice")
            (kind,) = self._unpack("I")
            facts[key] = self._value(kind, key)
        if facts.get("split.count", 1) not in (0, 1):
            raise self._refusal(
                f"is one of {quote_word(facts['split.count'])} parts: put them together with llama.cpp's "
                "`llama-gguf-split --merge` and import the result"
            )
        tensors = [self._tensor() for _ in range(n_tensors)]
        return GgufHeader(facts, self._place_tensors(tensors, self._alignment(facts)))

    def _alignment(self, facts: dict[str, Any]) -> int:
        alignment = facts.get("general.alignment", 32)
        if alignment not in ALIGNMENTS:
            raise self._refusal(
                f"aligns its tensors at {quote_word(alignment)} bytes: a power of two from {ALIGNMENTS[0]} to {ALIGNMENTS[-1]} "
                "is meant"
            )
        return int(alignment)

    def _value(self, kind: int, key: str) -> Any:
        if kind == STRING:
            return self._string(key)
        if kind == LIST:
            of, count = self._unpack("IQ")
            self._refuse_more(count, MOST_ENTRIES, f"entries of {key}")
            if of == STRING:
                return [self._string(key) for _ in range(count)]
            return self._numbers(of, count, key)
        return self._numbers(kind, 1, key)[0]

    def _numbers(self, kind: int, count: int, key: str) -> list[Any]:
        if kind not in NUMBERS:
            raise self._refusal(f"has a value of kind {kind} for {key}, which the format has not")
        values: list[Any] = list(self._unpack(f"{count}{NUMBERS[kind]}"))
        if NUMBERS[kind] in "fd" and not all(map(math.isfinite, values)):
            raise self._refusal(f"has a value for {key} that is no number (NaN or infinity)")
        return list(map(bool, values)) if kind == TRUTH else values

    def _tensor(self) -> tuple[str, tuple[int, ...], BlockKind, int]:
        """Read a tensor's name, shape, kind and offset from the header's end, each valid by itself."""
        name = self._name_of("tensor")
        (n_axes,) = self._unpack("I")
        if not 1 <= n_axes <= MOST_AXES:
            raise self._refusal(f"says of {name} that it has {n_axes} axes: 1 to {MOST_AXES} are meant")
        # The format names the contiguous axis first.
        shape: tuple[int, ...] = self._unpack(f"{n_axes}Q")[::-1]
        if not all(1 <= axis <= LARGEST_AXIS for axis in shape):
            raise self._refusal(f"says of {name} that its shape is {list(shape)}, which no tensor has")
        kind, offset = self._unpack("IQ")
        if kind not in KINDS:
            stored = UNREAD.get(kind, f"the format's kind {kind}")
            raise self._refusal(
                f"stores {name} as {stored}, which is not read. Those that are: {', '.join(k.name for k in KINDS.values())}"
            )
        if shape[-1] % KINDS[kind].numbers:
            raise self._refusal(
                f"stores {name} as {KINDS[kind].name}, in blocks of {KINDS[kind].numbers}, but its rows have {shape[-1]} "
                "numbers"
            )
        return name, shape, KINDS[kind], offset

    def _place_tensors(
        self, tensors: list[tuple[str, tuple[int, ...], BlockKind, int]], alignment: int
    ) -> dict[str, Packed]:
        """Place the tensors, by name; refused unless each has bytes of its own, inside the file."""
        first = -(-self._at // alignment) * alignment
        placed: dict[str, Packed] = {}
        for name, shape, kind, offset in tensors:
            if name in placed:
                raise self._refusal(f"has two tensors named {name}")
            if offset % alignment:
                raise self._refusal(f"has {name} at byte {offset}, which is no multiple of {alignment}")
            placed[name] = Packed(name, shape, kind, first + offset)
        end, before = first, "the header"
        for tensor in sorted(placed.values(), key=lambda tensor: tensor.start):
            if tensor.start < end:
                raise self._refusal(f"is damaged: {tensor.name} shares bytes with {before}")
            end, before = tensor.start + tensor.n_bytes, tensor.name
        if end > self._size:
            raise self._refusal(
                f"is cut short: {before} ends at byte {end:,}, and the file has {self._size:,}. Fetch or copy it again"
            )
        return placed

    def _name_of(self, what: str) -> str:
        name = self._string(f"a {what}'s name")
        if not (name.isascii() and name.isprintable() and 0 < len(name) <= LONGEST_NAME):
            raise self._refusal(f"has a {what} named {quote_word(name)}, which is no name")
        return name

    def _string(self, of: str) -> str:
        (length,) = self._unpack("Q")
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._refusal(f"has bytes for {of} that are no text in UTF-8") from error

    def _unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self._take(struct.calcsize(f"<{form}")))

    def _take(self, n: int) -> bytes:
        end = self._at + n
        if end > len(self._raw):
            raise self._refusal(
                "is cut short: it ends inside its header. Fetch or copy it again"
                if end > self._size
                else f"has a header of more than {LARGEST_HEADER / 1e6:g} MB, which no real one has"
            )
        taken = self._raw[self._at : end]
        self._at = end
        return taken

    def _refuse_more(self, count: int, most: int, what: str) -> None:
        if count > most:
            raise self._refusal(f"says that it has {count:,} {what}: at most {most:,} are read")

    def _refusal(self, fault: str) -> ImportRefused:
        return ImportRefused(f"{self._name} {fault}")
