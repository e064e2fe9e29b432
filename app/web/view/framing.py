"""Pages in frames of other sites: what a visitor clicks there opens outside, and changes nothing within.

Knows no page: it reads the HTML that templates wrote.
"""

import re

CLICKED = re.compile(r"<(?:a|form|input|select|button)\b[^>]*>")
HOOK = re.compile(r'\shx-[a-z:-]+(?:="[^"]*")?')


def unhook_links(html: str) -> str:
    """Take htmx off whatever a visitor clicks or sends: what is left is the link, which opens outside.

    Sections that load by themselves stay as they are.

    Example: unhook_links('<a href="/gpt2" hx-get="/gpt2">it</a>') -> '<a href="/gpt2">it</a>'
    """
    return CLICKED.sub(lambda tag: HOOK.sub("", tag[0]), html)
