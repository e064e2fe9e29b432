"""The words of the pages: one sentence for every number and every note. The single source of both.

Knows no page's value: it says what a number means, not what it is. Templates call these names as `glossary.TERMS`.
"""

from app.web.view.glossary.bases import BASES, FITS, basis_key
from app.web.view.glossary.filters import FILTERS, describe_token_filter
from app.web.view.glossary.keyboard import KEYS
from app.web.view.glossary.notes import FINDINGS, NOTES
from app.web.view.glossary.readings import OWN_ENTRIES, READINGS, why_unjudged
from app.web.view.glossary.terms import TERMS, score_key, score_name

__all__ = [
    "BASES",
    "FILTERS",
    "FINDINGS",
    "FITS",
    "KEYS",
    "NOTES",
    "OWN_ENTRIES",
    "READINGS",
    "TERMS",
    "basis_key",
    "describe_token_filter",
    "score_key",
    "score_name",
    "why_unjudged",
]
