"""From a value to an HTTP answer: whole page or fragment, JSON or CSV; its ETag, its compression, how long it keeps.

Knows nothing of what went wrong (errors.py) and nothing of addresses.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Literal

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from app.web.http.negotiation import coding_of, is_known
from app.web.http.site import resources_of, site_of, urls_of
from app.web.http.threads import taken_aside
from app.web.view.assets import pack, packed
from app.web.view.templating import PARTS, PICTURES

VARY = "Accept-Encoding, HX-Request, HX-Request-Type, HX-Target"
CSV = "text/csv; charset=utf-8"
FILES = {"csv": CSV, "npz": "application/octet-stream"}
OPEN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
"""Of answers for programs, which only read: pages of other hosts may have them, too."""
NO_STORE = {"Cache-Control": "no-store"}
POLL_SECONDS = 2
"""How soon a page that shows progress loads itself again, where JavaScript does not follow it."""
GO_ON_SECONDS = 1
"""The same where nothing goes on until it does: the least that can be said."""
WAITING = "progress"
"""Id of what asks for the page to come."""
OTHER_PART = "part"
IN_PLACE = NO_STORE | {"HX-Retarget": "#main", "HX-Reselect": "#main", "HX-Reswap": "outerHTML"}
"""Lets htmx put a page where the one that waited for it is: no reload ends what the visitor clicked meanwhile."""
WORTH_PACKING = 1_000
"""Bytes below which compression saves less than a network packet."""
PACK_LEVEL = 1
"""Level 6 takes four times as long for a tenth less on a head's page."""


def wants_fragment(request: Request) -> bool:
    """Whether htmx asks for a part of the page."""
    return request.headers.get("HX-Request-Type") == "partial"


def target_of(request: Request) -> str:
    """The id of the element that htmx will replace; empty when there is none or it is no id of ours."""
    # htmx 4 sends `tag#id`.
    target = request.headers.get("HX-Target", "").rpartition("#")[2]
    return target if target.isascii() and target.replace("-", "").isalnum() else ""


def awaited(request: Request) -> bool:
    """Whether it is a page that waits which asks: the whole answer takes its place."""
    return target_of(request) == WAITING


def part_of(request: Request) -> str:
    """The name of the part that the answer of a page is: empty for the whole, OTHER_PART for any without a name."""
    if not wants_fragment(request):
        return ""
    target = target_of(request)
    return target if target == WAITING or target in PARTS else OTHER_PART


def page_answer(request: Request, page: object, headers: Mapping[str, str] | None = None) -> Response:
    """The page, or its fragment when htmx asks for that."""
    picture = PICTURES[type(page)]
    if not wants_fragment(request):
        return html_answer(request, picture.whole, headers=headers, page=page, layout="base.html")
    if awaited(request):
        return html_answer(
            request, picture.whole, headers=IN_PLACE | dict(headers or {}), page=page, layout="base.html"
        )
    part = picture.parts.get(target_of(request), picture.fragment or picture.whole)
    return html_answer(request, part, headers=headers, page=page, layout="part.html")


def html_answer(
    request: Request, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **context: object
) -> Response:
    """A template filled in, with whatever else it needs besides the page."""
    body = rendered(request, template, **context)
    # A lone surrogate cannot be sent; nothing that templates print should hold one.
    return content_answer(request, body.encode("utf-8", "replace"), "text/html; charset=utf-8", status, headers)


def rendered(request: Request, template: str, **context: object) -> str:
    """A template filled in, with what every page may need."""
    site = site_of(request)
    allowed = site.settings.allow_jobs
    shown = allowed or not resources_of(request).jobs.is_empty()
    filled = site.templates.get_template(template)
    return filled.render(context, urls=urls_of(request), jobs_allowed=allowed, jobs_shown=shown)


def json_answer(request: Request, value: object) -> Response:
    """JSON, asked for again each time: of a pinned address, too, the measure and the defaults may be others tomorrow."""
    # Escapes everything beyond ASCII: tokens may hold line separators and lone surrogates.
    body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    return content_answer(request, body, "application/json", headers=OPEN)


def file_answer(request: Request, body: bytes, name: str, kind: Literal["csv", "npz"]) -> Response:
    """A table, or vectors, to download."""
    return content_answer(request, body, FILES[kind], headers=OPEN | _attached(name, kind))


def csv_stream(request: Request, pieces: Iterable[str], content: str, name: str) -> Response:
    """A long table to download, made piece by piece as it is sent; `content` stands for what is in it."""
    # Another version may write the same content otherwise.
    tag = _tag(f"{request.app.version} {content}".encode())
    headers = {"Cache-Control": "no-cache", "ETag": tag, "Vary": VARY} | OPEN | _attached(name, "csv")
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    body = (piece.encode("utf-8") for piece in pieces)
    if coding_of(request) == "plain":
        return StreamingResponse(taken_aside(request, body), 200, headers, CSV)
    packed_body = taken_aside(request, packed(body, PACK_LEVEL))
    return StreamingResponse(packed_body, 200, headers | {"Content-Encoding": "gzip"}, CSV)


def content_answer(
    request: Request, body: bytes, media_type: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The bytes with an ETag, compressed where that helps; 304 where the visitor has them."""
    tag = _tag(body)
    out = {"Cache-Control": "no-cache", "ETag": tag, "Vary": VARY} | dict(headers or {})
    if status == 200 and is_known(request, tag):
        return Response(status_code=304, headers=out)
    coding = coding_of(request)
    if coding == "only gzip" or (coding == "gzip" and len(body) >= WORTH_PACKING):
        body = pack(body, PACK_LEVEL)
        out["Content-Encoding"] = "gzip"
    return Response(body, status, out, media_type)


def _attached(name: str, kind: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}


def _tag(content: bytes) -> str:
    """Weak: the compressed and the plain body are the same page."""
    return f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
