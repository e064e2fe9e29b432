"""Text of others, spelt so that it is one visible line: in errors, and before it is escaped for HTML."""


def spell(text: str) -> str:
    """Spell out what a terminal or a page would act upon: control characters, marks of direction, lone surrogates.

    Example: spell("a\\n\\u202eb") -> "a\\\\n\\\\u202eb"
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def mend(text: str) -> str:
    """Replace lone surrogates, which no table can store."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
