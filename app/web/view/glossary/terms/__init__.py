"""The terms of the pages: one sentence for every number, for its tooltip, and what the glossary adds."""

from app.web.view.glossary.term import Term
from app.web.view.glossary.terms.circuits import CIRCUITS
from app.web.view.glossary.terms.directions import DIRECTIONS
from app.web.view.glossary.terms.finding import FINDING
from app.web.view.glossary.terms.judging import JUDGING
from app.web.view.glossary.terms.models import MODELS
from app.web.view.glossary.terms.using import USING

TERMS: dict[str, Term] = DIRECTIONS | CIRCUITS | JUDGING | FINDING | USING | MODELS


def score_name(key: str) -> str:
    """Name a score of the map.

    Example: score_name("ov-stable-rank") -> "OV stable rank"
    """
    circuit, _, rest = key.partition("-")
    if circuit in {"ov", "qk"}:
        return f"{circuit.upper()} {TERMS[rest].name}"
    return TERMS[key].name


def score_key(key: str) -> str:
    """Return the glossary entry of a score of the map.

    Example: score_key("ov-stable-rank") -> "stable-rank"
    """
    circuit, _, rest = key.partition("-")
    return rest if circuit in {"ov", "qk"} else key
