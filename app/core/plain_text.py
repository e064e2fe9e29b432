"""A stranger's text as a line for any page or terminal: it stands in core because all that prints is above.

What does not print is spelt out.
"""


def spell_out(text: str) -> str:
    r"""The text with every control character, mark of direction and lone surrogate as its escape; the same if done again.

    Example: spell_out("a\x1b[31m\u202eb") -> "a\\x1b[31m\\u202eb"
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
