"""Untrusted text as a line that is safe on any page or terminal; in core because all that prints is above.

Characters that do not print are spelt out.
"""


def spell_out(text: str) -> str:
    r"""Replace every control character, mark of direction and lone surrogate by its escape; idempotent.

    Example: spell_out("a\x1b[31m\u202eb") -> "a\\x1b[31m\\u202eb"
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
