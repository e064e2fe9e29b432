"""Pages in frames of other sites: asked for by `embed=1`, without masthead and foot, their links open outside.

Only pages that ask nothing of a visitor are framed: what a click would send could be asked for by somebody else. What
stands where such a page is on its way, or cannot be, asks nothing either. Knows no page.
"""

from collections.abc import Mapping

EMBED = "embed"
"""The option of a query, on any page that may be framed."""


def is_embedded(said: Mapping[str, str]) -> bool:
    """Return whether a query asks for a page as a frame shows it."""
    return said.get(EMBED) == "1"


def take_off_embed(query: str) -> str:
    """Take the option off a query, as links out of a frame do.

    Example: take_off_embed("weights=raw&embed=1") -> "weights=raw"
    """
    return "&".join(said for said in query.split("&") if said != f"{EMBED}=1")
