"""Whose weights are said to be, and under which licence: what stands beside them, in a folder's README or a GGUF header.

Words of strangers, shown and never acted on: what does not look like a name is as if it were not there. Knows no torch.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.models import demo
from app.models.importing.folder.document import open_plain
from app.models.importing.published import SMOLLM2
from app.models.refusal import ImportRefused

HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}", re.ASCII)
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_ -]{0,63}", re.ASCII)
MATTER = re.compile(r"\A---\n(?P<facts>.*?)^---\s*$", re.DOTALL | re.MULTILINE)
"""What stands before a README of the hub, for machines."""
SAID = re.compile(r"^license:[ \t]*[\"']?(?P<licence>[^\"'\n]*?)[\"']?[ \t]*$", re.MULTILINE)
LONGEST_MATTER = 64 * 1024


@dataclass(frozen=True)
class Credit:
    """What is said of weights; None for what is not."""

    hub: str | None = None
    """Whose and which model of the hub they are: `HuggingFaceTB/SmolLM2-135M-Instruct`."""
    licence: str | None = None
    """As they say it: `apache-2.0`."""

    def completed(self, other: "Credit") -> "Credit":
        """With what another knows besides."""
        return Credit(self.hub or other.hub, self.licence or other.licence)


NONE = Credit()


def credit_of(origin: str, folder: Path) -> Credit:
    """What is known of weights from there, and what stands in their folder."""
    known = known_credit(origin)
    return known if folder.is_file() else known.completed(Credit(licence=_licence_in(folder)))


def known_credit(origin: str) -> Credit:
    """What the source itself tells: a hub id is one, and SmolLM2's package and the demo are known.

    Example: known_credit("openai-community/gpt2") -> Credit("openai-community/gpt2", None)
    """
    if origin == SMOLLM2.origin:
        return Credit(SMOLLM2.hub, SMOLLM2.licence)
    if origin == "demo":
        return Credit(licence=_licence_in(demo.FOLDER))
    return Credit(_matching(HUB_ID, origin))


def gguf_credit(facts: Mapping[str, Any]) -> Credit:
    """What a GGUF header says."""
    return Credit(
        _matching(HUB_ID, facts.get("general.source.huggingface.repository")),
        _matching(LICENCE, facts.get("general.license")),
    )


def _licence_in(folder: Path) -> str | None:
    try:
        with open_plain(folder / "README.md") as file:
            text = file.read(LONGEST_MATTER).decode("utf-8", "replace").replace("\r\n", "\n")
    except (ImportRefused, OSError):
        return None
    matter = MATTER.match(text)
    said = SAID.search(matter["facts"]) if matter else None
    return _matching(LICENCE, said["licence"]) if said else None


def _matching(form: re.Pattern[str], word: object) -> str | None:
    return word if isinstance(word, str) and form.fullmatch(word) else None
