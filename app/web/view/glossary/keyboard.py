"""The keys of the keyboard and what they do."""

KEYS: tuple[tuple[str, str], ...] = (
    ("/", "to the jump box: L5H3, L5H3 ov 12, L5, L5 mlp-in 3, embed nmf 12"),
    ("Ctrl-K", "the same as a list that suggests while you type, with recent places"),
    ("[ ]", "previous and next direction, head or layer"),
    ("j k", "down and up the rows of a table, Enter opens"),
    ("u", "up: from a direction to its matrix, from there to its head, and so on"),
    ("c", "copy the permanent link, with the end that the address names"),
    ("1 2", "the left and the right column of a blind round"),
    ("?", "this list"),
    ("← ↑ ↓ →", "move over the map or the bars, once one has focus"),
)
"""(key, what it does): the keyboard, for the help and the glossary."""
