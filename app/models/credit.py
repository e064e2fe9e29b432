"""Credit: whose model the weights are said to be, and their licence, from a folder's README or a GGUF header.

Untrusted words, shown and never acted on: what does not look like a name is ignored. Knows no torch.
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
"""The front matter of a README of the hub."""
SAID = re.compile(r"^license:[ \t]*[\"']?(?P<licence>[^\"'\n]*?)[\"']?[ \t]*$", re.MULTILINE)
LONGEST_MATTER = 64 * 1024


@dataclass(frozen=True)
class Credit:
    """The author's model and the licence that weights are said to have; None where nothing says it."""

    hub: str | None = None
    """The hub id of the model: `HuggingFaceTB/SmolLM2-135M-Instruct`."""
    licence: str | None = None
    """The licence as it is written: `apache-2.0`."""

    def fill_from(self, other: "Credit") -> "Credit":
        """Fill missing fields from another credit."""
        return Credit(self.hub or other.hub, self.licence or other.licence)


NONE = Credit()


def credit_of(origin: str, folder: Path) -> Credit:
    """Collect the credit of an origin, and of the README in the folder."""
    known = known_credit(origin)
    return known if folder.is_file() else known.fill_from(Credit(licence=_read_licence(folder)))


def known_credit(origin: str) -> Credit:
    """Return the credit that the source itself implies: a hub id is one, and SmolLM2's package and the demo are known.

    Example: known_credit("openai-community/gpt2") -> Credit("openai-community/gpt2", None)
    """
    if origin == SMOLLM2.origin:
        return Credit(SMOLLM2.hub, SMOLLM2.licence)
    if origin == "demo":
        return Credit(licence=_read_licence(demo.FOLDER))
    return Credit(_match_form(HUB_ID, origin))


def gguf_credit(facts: Mapping[str, Any]) -> Credit:
    """Read the credit in a GGUF header."""
    return Credit(
        _match_form(HUB_ID, facts.get("general.source.huggingface.repository")),
        _match_form(LICENCE, facts.get("general.license")),
    )


def _read_licence(folder: Path) -> str | None:
    try:
        with open_plain(folder / "README.md") as file:
            text = file.read(LONGEST_MATTER).decode("utf-8", "replace").replace("\r\n", "\n")
    except (ImportRefused, OSError):
        return None
    matter = MATTER.match(text)
    said = SAID.search(matter["facts"]) if matter else None
    return _match_form(LICENCE, said["licence"]) if said else None


def _match_form(form: re.Pattern[str], word: object) -> str | None:
    return word if isinstance(word, str) and form.fullmatch(word) else None
