"""Pages in frames of other sites: asked for by `embed=1`, without masthead and foot, their links open outside.

Only pages that ask nothing of a visitor are framed: what a click would send could be asked for by somebody else. Knows no page.
"""

from collections.abc import Mapping

EMBED = "embed"
"""The option of a query, on any page that may be framed."""


def is_embedded(said: Mapping[str, str]) -> bool:
    """Return whether a query asks for a page as a frame shows it."""
    return said.get(EMBED) == "1"
