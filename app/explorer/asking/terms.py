"""The terms of a search text: words, phrases, token ids and rays, each with its sign.

Terms are separated by commas or spaces; `"two words"` is a phrase, `"Paris"` a token without a space in front; `#1234`
is a token by its id; `-word` is subtracted; `L27H0.ov.0n` is the end of a direction. Knows no vocabulary and no model.
"""

import re
from dataclasses import dataclass

from app.core.address import SHORT
from app.explorer.errors import BadOption
from app.explorer.options import LONGEST_SEARCH
from app.explorer.pages.rays import TermKind
from app.models.lookup import ID

QUOTED = re.compile(r'[“”„«]([^“”„«»"]*[^\s“”„«»"][^“”„«»"]*)[“”»]')
MINUS = re.compile(r"(?<![^\s,，;；、])[−–](?=[^\W\d_])")
COMMA = re.compile(r"(?<=[^\s,])[，、；;](?=\s*[^\s,])")
# A quote that is never closed is still being typed.
TERM = re.compile(r'(?P<minus>-(?=[^\s,]))?(?:"(?P<phrase>[^"]+)(?:"|$)|(?P<word>[^\s,]+))')


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """One term that is searched for, or subtracted."""

    text: str
    """The term without its sign and without quotes."""
    kind: TermKind
    is_minus: bool
    start: int
    """The position of the term in the typed text."""
    end: int

    def replace_in(self, typed: str, spelling: str) -> str:
        """Return the typed text with that spelling in the place of this term.

        Example: SearchTerm("Paris", …).replace_in("Paris, Rome", '"Paris"') -> '"Paris", Rome'
        """
        return f"{typed[: self.start]}{'-' if self.is_minus else ''}{spelling}{typed[self.end :]}"


def parse_terms(typed: str) -> tuple[SearchTerm, ...]:
    """Parse the terms in their order; BadOption where the text is too long.

    Example: parse_terms('writing -"to be"') -> (SearchTerm("writing", "word", False, …), SearchTerm("to be", "phrase", True, …))
    """
    if len(typed) > LONGEST_SEARCH:
        raise BadOption(f"That is too long to be searched for: at most {LONGEST_SEARCH:,} characters.")
    found = [_parse_term(match) for match in TERM.finditer(_use_plain_marks(typed))]
    return tuple(term for term in found if term.text.strip())


def _use_plain_marks(typed: str) -> str:
    """Replace the quotes, minus signs and commas of other keyboards where they mean these, character for character.

    One that stands alone may be the token that is searched for, and stays.

    Example: _use_plain_marks("“New York”，−man") -> '"New York",-man'
    """
    plain = QUOTED.sub(r'"\1"', typed)
    return COMMA.sub(",", MINUS.sub("-", plain))


def _parse_term(match: re.Match[str]) -> SearchTerm:
    phrase, word = match["phrase"], match["word"]
    kind: TermKind = "phrase"
    if phrase is None:
        kind = "token" if ID.fullmatch(word) else "ray" if SHORT.fullmatch(word) else "word"
    return SearchTerm(word if phrase is None else phrase, kind, match["minus"] is not None, *match.span())
