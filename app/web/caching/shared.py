"""Answers for caches that visitors share, as a CDN is: there an answer's address alone decides what it is. Pure ASGI.

Some of them ignore `Vary`. So where the public is served, htmx's headers decide nothing: a part of a page has an address
of its own, `?fragment=place`, which static/site.js asks for, and everything behind this sees the headers as usual. A
pinned address is of the very weights that it names, so its answers may be kept for a while, unless it is spelt
as no link of ours is: made-up words would fill the caches. Knows no page.
"""

import re
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.caching.asked import PageTargets, is_spelt_as_linked
from app.web.http.targets import take_off_root
from app.web.view.templating import PARTS

FRAGMENT = re.compile(rb"(?:^|&)fragment=([A-Za-z0-9-]{1,40})$")
"""The last value of a query: the id of the element that htmx will replace."""
PINNED = re.compile(r"(?:/api/v1)?/[^/@]+@[0-9a-f]+(?:/.*)?")
SHARED = "public, max-age=60, stale-while-revalidate=86400"
"""Cache-Control of pinned addresses: for a minute an answer is as good as new, as measures and defaults seldom change, and
for a day it is better than waiting for a new one."""
VARY = "Accept-Encoding"
SHARED_PARTS = PARTS | {"place", "alike", "notable"}
"""Parts of pages that may be kept: an unknown name brings a page that another address has."""


class SharedCaches:
    """Middleware that lets caches keep answers at pinned addresses, and gives parts of pages addresses of their own."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self.app, self._root, self._targets = app, root, PageTargets(root)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with htmx's headers as its address has them, and say who may keep the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        found = FRAGMENT.search(scope["query_string"])
        asked = _rewrite_request(scope, found)
        is_pinned = PINNED.fullmatch(take_off_root(scope["path"], self._root)) is not None and self._is_shared(
            asked, found
        )

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark_shared(message, found[1].decode("ascii") if found else "", is_pinned=is_pinned)
            await send(message)

        await self.app(asked, receive, send_shared)

    def _is_shared(self, asked: Scope, part: re.Match[bytes] | None) -> bool:
        """Return whether others will ask at the very same address: one that a link of ours may have."""
        if part is not None and part[1].decode("ascii") not in SHARED_PARTS:
            return False
        target = self._targets.read(asked)
        return target is not None and is_spelt_as_linked(target, asked["query_string"])


def _rewrite_request(scope: Scope, found: re.Match[bytes] | None) -> Scope:
    """Replace htmx's headers by those that the address stands for, and take that part off it."""
    headers = [field for field in scope["headers"] if not field[0].startswith(b"hx-")]
    if found is None:
        return dict(scope) | {"headers": headers}
    headers += [(b"hx-request", b"true"), (b"hx-request-type", b"partial"), (b"hx-target", found[1])]
    return dict(scope) | {"headers": headers, "query_string": scope["query_string"][: found.start()]}


def _mark_shared(message: Message, fragment: str, *, is_pinned: bool) -> None:
    headers = MutableHeaders(scope=message)
    if "vary" in headers:
        headers["vary"] = VARY
    if is_pinned and message["status"] in {200, 304} and headers.get("cache-control") == "no-cache":
        headers["cache-control"] = SHARED
    if fragment and "location" in headers:  # the part stays a part where its page is elsewhere
        to = urlsplit(headers["location"])
        headers["location"] = to._replace(query=f"{to.query}{'&' if to.query else ''}fragment={fragment}").geturl()
