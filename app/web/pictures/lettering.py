"""Lettering: which letters the fonts of pictures have, how wide a text is, and what stands for a letter that none has.

Noto Sans comes along, with the scripts that a few files cover; whatever other fonts of that family the machine has are used,
too. Knows no card.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SHIPPED = Path(__file__).parent / "vendor"
FOUND = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
"""Folders in which a machine keeps its fonts."""
WANTED = frozenset(
    {
        "NotoSansCJK-Regular.ttc",
        "NotoSansKR-Regular.ttf",
        "NotoSansJP-Regular.ttf",
        "NotoSansSC-Regular.ttf",
        "NotoSansSymbols2-Regular.ttf",
        "NotoSansMath-Regular.ttf",
        "NotoSansEthiopic-Regular.ttf",
        "NotoSansKhmer-Regular.ttf",
        "NotoSansMyanmar-Regular.ttf",
        "NotoSansSinhala-Regular.ttf",
        "NotoSansTelugu-Regular.ttf",
        "NotoSansKannada-Regular.ttf",
        "NotoSansMalayalam-Regular.ttf",
        "NotoSansGujarati-Regular.ttf",
        "NotoSansGurmukhi-Regular.ttf",
        "NotoSansLao-Regular.ttf",
    }
)
"""Fonts that are used where a machine has them."""
FAMILY = "Noto Sans"
FIRST = "NotoSans-Regular.ttf"
ALWAYS = frozenset({FIRST, "NotoSans-Bold.ttf"})
MISSING_WIDTH = 0.6
"""The width of a letter whose own is not known, by the size of the letters."""
BOLD = 1.09
"""How much wider bold letters are, at most nearly."""
JOINERS = frozenset("\u200c\u200d")
SIGNS = {"↵": "\\n", "⇥": "\\t", "→": "\\t"}
"""How pages show what cannot be seen, and what stands for that where no font has the sign."""


@dataclass(frozen=True)
class Lettering:
    """The letters of some font files."""

    files: tuple[Path, ...]

    @cached_property
    def widths(self) -> dict[int, float]:
        """The advance of each letter that any file has, by the size of the letters; the first file that has it counts."""
        return {code: width for code, (width, _) in self._letters.items()}

    @cached_property
    def _letters(self) -> dict[int, tuple[float, Path]]:
        """The advance of each letter, and the file that it is taken from."""
        from fontTools.ttLib import TTFont

        found: dict[int, tuple[float, Path]] = {}
        for path in self.files:
            with TTFont(path, fontNumber=0, lazy=True) as font:
                size, advances = font["head"].unitsPerEm, font["hmtx"].metrics
                for code, glyph in font.getBestCmap().items():
                    found.setdefault(code, (advances[glyph][0] / size, path))
        return found

    def files_of(self, text: str) -> list[Path]:
        """List the files that a text needs: reading all of them takes as long as drawing."""
        needed = {self._letters[ord(one)][1] for one in set(text) if ord(one) in self._letters}
        return [path for path in self.files if path in needed or path.name in ALWAYS]

    def spell(self, text: str) -> str:
        """Return the text with the code point of each letter that no file has, and that would be an empty box.

        Example: spell("a中") -> "aU+4E2D"
        """
        return "".join(one if self._has(one) else SIGNS.get(one, f"U+{ord(one):04X}") for one in text)

    def measure(self, text: str, size: float) -> float:
        """Measure the width of a spelt text, without kerning or ligatures: at least as wide as it is drawn, nearly."""
        return size * sum(self.widths.get(ord(one), MISSING_WIDTH) for one in text)

    def cut(self, text: str, size: float, width: float) -> str:
        """Cut a spelt text to a width, with an ellipsis behind what is left."""
        if self.measure(text, size) <= width:
            return text
        room, end = width - self.measure("…", size), 0
        while end < len(text) and (room := room - self.measure(text[end], size)) >= 0:
            end += 1
        return f"{text[:end].rstrip()}…"

    def _has(self, one: str) -> bool:
        if unicodedata.category(one) == "Cf":  # turns the text around, or says nothing
            return one in JOINERS
        return ord(one) in self.widths or (one.isspace() and unicodedata.category(one) == "Zs")


def find_fonts(shipped: Path = SHIPPED, folders: Sequence[Path] = FOUND) -> Lettering:
    """Find the fonts that come along, and those of the same family that the machine has."""
    own = sorted(shipped.glob("*.ttf"), key=lambda path: (path.name != FIRST, path.name))
    there = {path.name for path in own}
    others = [path for folder in folders for path in sorted(folder.rglob("NotoSans*")) if path.name in WANTED]
    return Lettering((*own, *(path for path in others if path.name not in there)))
