"""oEmbed 1.0: how another site puts a page in a frame, found by the page's own link. Computes nothing."""

from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from markupsafe import escape

from app.core.address import AddressError, parse
from app.explorer.asking.places import locate_model
from app.explorer.errors import UnknownAddress
from app.web.http.answers import json_answer
from app.web.http.embedding import EMBED
from app.web.http.site import resources_of, urls_of
from app.web.http.targets import find_route, take_off_root
from app.web.query.sharing import OembedQuery
from app.web.urls.paths import (
    ALIKE,
    AROUND,
    CENSUS,
    COMPARE,
    COMPOSITION,
    CONTRASTS,
    FULL,
    LINEAR,
    LIST,
    NOTABLE,
    OEMBED,
    SEARCH,
    TOKEN,
    UNLIKELY,
)

router = APIRouter(include_in_schema=False)

FRAME_HEIGHT = 640
FRAME_WIDTH = 960
"""Size in pixels that is proposed, and the largest width: narrower ones are as a site asks."""
PLACE = "/{address:path}"
WITH_CARDS = {
    PLACE,
    f"/{{model}}/{SEARCH}",
    f"/{{model}}/{TOKEN}/{{id}}",
    f"/{{model}}/{CENSUS}",
    "/-/pair",
    f"/-/{CONTRASTS}",
    f"/-/{LIST}",
}
"""Paths of the routes of pages that may be framed and have a card of their own."""
WITH_CARDS_OF_PLACES = {
    *(f"/{{model}}/{under}" for under in (NOTABLE, COMPOSITION, LINEAR, UNLIKELY)),
    *(f"/{{model}}/{{layer}}/{{head}}/{under}" for under in (ALIKE, FULL)),
    *(f"{PLACE}/{under}" for under in (AROUND, COMPARE)),
}
"""Of those whose card is that of the place they are about."""
HOME = "/"
IDLE = {EMBED, "format", "k"}
"""Options that mean nothing in a frame."""


@router.get(f"/-/{OEMBED}")
def describe_embedding(request: Request, query: Annotated[OembedQuery, Query()]) -> Response:
    """Describe how another site puts a page in a frame, as JSON."""
    origin, route, path = _read_url(request, query.url)
    if query.format != "json":
        raise HTTPException(501, "Pages are described as JSON alone: format=json.")
    said = {name: value for name, value in parse_qsl(urlsplit(query.url).query) if name not in IDLE}
    asked = f"?{urlencode(said)}" if said else ""  # anything else than letters and digits as %XX
    title = escape(_name_page(path, said))
    source = escape(f"{origin}{path}?{urlencode(said | {EMBED: 1})}")
    width, height = min(query.maxwidth or FRAME_WIDTH, FRAME_WIDTH), min(query.maxheight or FRAME_HEIGHT, FRAME_HEIGHT)
    return json_answer(
        request,
        {
            "version": "1.0",
            "type": "rich",
            "title": str(title),
            "provider_name": "singular-lens",
            "provider_url": f"{origin}/",
            "html": f'<iframe src="{source}" width="{width}" height="{height}" loading="lazy" title="{title}"></iframe>',
            "width": width,
            "height": height,
            "thumbnail_url": _link_picture(request, route, path, asked),
            "thumbnail_width": 1200,
            "thumbnail_height": 630,
        },
    )


def _read_url(request: Request, url: str) -> tuple[str, str, str]:
    """Read the link of a page of this server that may be framed: origin, its route's path, its path below the root.

    UnknownAddress for anything else.
    """
    urls = urls_of(request)
    refused = UnknownAddress(
        f"oEmbed describes pages of this server that may be framed, such as {urls.origin}/MODEL/L5/H3/ov."
    )
    if not url.startswith(f"{urls.origin}/"):
        raise refused
    path = take_off_root(urlsplit(url).path, urls.root)
    path = path.rstrip("/") or HOME
    route = find_route(request.app.routes, path)
    if not isinstance(route, APIRoute) or route.path not in {HOME, *WITH_CARDS, *WITH_CARDS_OF_PLACES}:
        raise refused
    try:
        if route.path == PLACE:
            locate_model(resources_of(request), parse(path.strip("/")))
        elif route.path != HOME and not route.path.startswith("/-/"):
            locate_model(resources_of(request), parse(path.strip("/").partition("/")[0]))
    except AddressError:
        raise refused from None
    return urls.origin, route.path, path


def _name_page(path: str, said: dict[str, str]) -> str:
    """Name a page by its path, and by what was searched for or put side by side.

    Example: _name_page("/gpt2/L5/H3/ov", {}) -> "gpt2 L5 H3 ov"; _name_page("/-/pair", {"a": …, "b": …}) -> "pair: … · …"
    """
    named = " ".join(part for part in path.split("/") if part not in {"", "-"}) or "singular-lens"
    words = " · ".join(said[name] for name in ("q", "title", "a", "b") if said.get(name))
    return f"{named}: {words}" if words else named


def _link_picture(request: Request, route: str, path: str, asked: str) -> str:
    urls = urls_of(request)
    if route in WITH_CARDS:
        return urls.card(f"{urls.root}{path}{asked}")
    if route in WITH_CARDS_OF_PLACES:
        return urls.card(f"{urls.root}{path.rpartition('/')[0]}")
    return urls.own_card()
