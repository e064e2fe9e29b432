"""The links of a server, all of them in one."""

from dataclasses import dataclass

from app.web.urls.finding import FindingUrls
from app.web.urls.server import OwnUrls
from app.web.urls.using import PromptUrls


@dataclass(frozen=True, slots=True)
class Urls(FindingUrls, PromptUrls, OwnUrls):
    """The links of one server, seen from one request."""
