"""Links that crawlers are asked to leave alone: those with a query, which show what is there in another way.

Knows no page: it reads the HTML that templates wrote, in which every link may carry the view that a visitor chose.
"""

import re

LINK = re.compile(r'<a (?=[^>]*\bhref="[^"#]*\?)([^>]*)>')


def mark_queries(html: str) -> str:
    """Mark the links that have a query, but for those that say it already.

    Example: mark_queries('<a href="/gpt2?page=2">2</a>') -> '<a rel="nofollow" href="/gpt2?page=2">2</a>'
    """
    return LINK.sub(_mark, html)


def _mark(link: re.Match[str]) -> str:
    own = link[1]
    if "nofollow" in own:
        return link[0]
    if 'rel="' in own:
        return link[0].replace('rel="', 'rel="nofollow ', 1)
    return f'<a rel="nofollow" {own}>'
