"""What stands in a search: words, phrases, token ids and rays, each with its sign.

Words stand apart by commas or spaces; `"two words"` is a phrase, `"Paris"` a token without a space in front; `#1234` is
a token by its id; `-word` is subtracted; `L27H0.ov.0n` is the end of a direction. Knows no vocabulary and no model.
"""

import re
from dataclasses import dataclass

from app.core.address import SHORT
from app.explorer.errors import BadOption
from app.explorer.options import LONGEST_SEARCH
from app.explorer.pages.rays import TermKind
from app.models.lookup import ID

# A quote that is never closed is still being typed.
TERM = re.compile(r'(?P<minus>-(?=[^\s,]))?(?:"(?P<phrase>[^"]+)(?:"|$)|(?P<word>[^\s,]+))')


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """One thing that is searched for, or subtracted."""

    text: str
    """Without its sign and without quotes."""
    kind: TermKind
    is_minus: bool
    start: int
    """Where it stands in what was typed."""
    end: int

    def replaced(self, typed: str, spelling: str) -> str:
        """What was typed, with that spelling in the place of this term.

        Example: SearchTerm("Paris", …).replaced("Paris, Rome", '"Paris"') -> '"Paris", Rome'
        """
        return f"{typed[: self.start]}{'-' if self.is_minus else ''}{spelling}{typed[self.end :]}"


def terms_of(typed: str) -> tuple[SearchTerm, ...]:
    """The terms in their order; BadOption where the text is longer than any that is read.

    Example: terms_of('writing -"to be"') -> (SearchTerm("writing", "word", False, …), SearchTerm("to be", "phrase", True, …))
    """
    if len(typed) > LONGEST_SEARCH:
        raise BadOption(f"That is too long to be searched for: at most {LONGEST_SEARCH:,} characters.")
    found = [_term(match) for match in TERM.finditer(typed)]
    return tuple(term for term in found if term.text.strip())


def _term(match: re.Match[str]) -> SearchTerm:
    phrase, word = match["phrase"], match["word"]
    kind: TermKind = "phrase"
    if phrase is None:
        kind = "token" if ID.fullmatch(word) else "ray" if SHORT.fullmatch(word) else "word"
    return SearchTerm(word if phrase is None else phrase, kind, match["minus"] is not None, *match.span())
