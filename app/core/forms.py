"""What tokens that are one word in several spellings have in common. Knows nothing of vectors."""

import unicodedata


def form_of(text: str) -> str | None:
    """The word that a token's text is, without case, width and white space around it; None for one without a letter.

    Example: form_of(" Black") -> "black"; form_of("ﬁsh") -> "fish"; form_of(' "') -> None
    """
    folded = unicodedata.normalize("NFKC", text).casefold().strip()
    return folded if any(map(str.isalpha, folded)) else None
