"""HTTP answers out of values: a whole page or a fragment, JSON or CSV, with ETag, compression and cache headers.

Knows nothing of errors (errors.py) and nothing of addresses.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Literal

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from app.explorer.pages.using.scripts import ChangeScript
from app.explorer.reading.coverage import has_vectors, list_weights
from app.web.http.embedding import is_embedded
from app.web.http.negotiation import coding_of, is_known
from app.web.http.security import allow_frames
from app.web.http.site import resources_of, site_of, urls_of
from app.web.http.threads import make_pieces_in_long_thread
from app.web.view.assets import pack, pack_pieces
from app.web.view.crawling import mark_queries
from app.web.view.framing import unhook_links
from app.web.view.reproduction import place_of
from app.web.view.templating import PAGE_TEMPLATES, PARTS

VARY = "Accept-Encoding, HX-Request, HX-Request-Type, HX-Target"
CSV = "text/csv; charset=utf-8"
FILES = {
    "csv": CSV,
    "npz": "application/octet-stream",
    "parquet": "application/vnd.apache.parquet",
    "py": "text/x-python; charset=utf-8",
}
CORS_HEADERS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
"""Headers of answers for programs, which only read: pages of other hosts may fetch them, too."""
NO_STORE = {"Cache-Control": "no-store"}
PRIVATE = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex, nofollow"}
"""Headers of answers that hold what a visitor wrote."""
POLL_SECONDS = 2
"""Seconds until a page that shows progress reloads itself, where no JavaScript follows the progress."""
RESUME_SECONDS = 1
"""Seconds for a computation that rests until somebody asks again: the smallest Retry-After."""
WAITING_ID = "progress"
"""Id of the element that polls for a page which is still being computed."""
OTHER_PART = "part"
REPLACE_MAIN = NO_STORE | {"HX-Retarget": "#main", "HX-Reselect": "#main", "HX-Reswap": "outerHTML"}
"""Headers that let htmx swap the page in for the waiting one: no reload interrupts what the visitor clicked."""
WORTH_PACKING = 1_000
"""Bytes of a body; compressing a smaller one saves less than a network packet."""
PACK_LEVEL = 1
"""Level of gzip; level 6 takes four times as long for a tenth less on a head's page."""


def wants_fragment(request: Request) -> bool:
    """Return whether htmx asks for a part of the page."""
    return request.headers.get("HX-Request-Type") == "partial"


def target_of(request: Request) -> str:
    """Read the id of the element that htmx will replace; empty when there is none or it is no id of ours."""
    # htmx 4 sends `tag#id`.
    target = request.headers.get("HX-Target", "").rpartition("#")[2]
    return target if target.isascii() and target.replace("-", "").isalnum() else ""


def is_from_waiting_page(request: Request) -> bool:
    """Return whether a waiting page sent the request: the whole answer then takes its place."""
    return target_of(request) == WAITING_ID


def part_of(request: Request) -> str:
    """Name the part of the page that is asked for: empty for the whole, OTHER_PART for a part without a name."""
    if not wants_fragment(request):
        return ""
    target = target_of(request)
    return target if target == WAITING_ID or target in PARTS else OTHER_PART


def page_answer(request: Request, page: object, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with the page, or with its fragment when htmx asks for that."""
    picture = PAGE_TEMPLATES[type(page)]
    if not wants_fragment(request):
        framed = picture.may_be_framed and is_embedded(request.query_params)
        out = dict(headers or {}) | (frame_headers(request) if framed else {})
        return html_answer(request, picture.whole, headers=out, page=page, layout="base.html", framed=framed)
    if is_from_waiting_page(request):
        if is_embedded(request.query_params):
            return reload_answer(request)
        return html_answer(
            request,
            picture.whole,
            headers=REPLACE_MAIN | dict(headers or {}),
            page=page,
            layout="base.html",
            is_arriving=True,
        )
    part = picture.parts.get(target_of(request), picture.fragment or picture.whole)
    return html_answer(request, part, headers=headers, page=page, layout="part.html")


def reload_answer(request: Request) -> Response:
    """Answer a page that waits in a frame: it is loaded again, since only a whole page says whether it may be framed."""
    return content_answer(request, b"", "text/html; charset=utf-8", headers=NO_STORE | {"HX-Refresh": "true"})


def frame_headers(request: Request) -> dict[str, str]:
    """Return the header of an answer that the sites of the settings may show in a frame."""
    return allow_frames(site_of(request).settings.frame_ancestors)


def html_answer(
    request: Request, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **context: object
) -> Response:
    """Answer with a rendered template; `context` is what it needs besides the globals."""
    body = render(request, template, **context)
    # A lone surrogate cannot be sent; nothing that templates print should hold one.
    return content_answer(request, body.encode("utf-8", "replace"), "text/html; charset=utf-8", status, headers)


def render(request: Request, template: str, **context: object) -> str:
    """Render a template with the context that every page may need."""
    site = site_of(request)
    framed = bool(context.setdefault("framed", False))
    allowed = site.settings.allow_jobs and not framed
    shown = allowed or not (site.settings.public or resources_of(request).jobs.is_empty())
    filled = site.templates.get_template(template)
    prompts = site.settings.prompts_for != "off" and not framed
    html = filled.render(
        context,
        urls=urls_of(request),
        jobs_allowed=allowed,
        jobs_shown=shown,
        prompts_allowed=prompts,
        is_public=site.settings.public,
        weights_here=partial(list_weights, resources_of(request)),
        vectors_here=partial(has_vectors, resources_of(request)),
    )
    html = unhook_links(html) if framed else html
    return mark_queries(html) if site.settings.public else html


def json_answer(request: Request, value: object, headers: Mapping[str, str] = CORS_HEADERS) -> Response:
    """Answer with JSON to be revalidated each time: even at a pinned address measure and defaults may change."""
    # Escapes everything beyond ASCII: tokens may hold line separators and lone surrogates.
    body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    return content_answer(request, body, "application/json", headers=headers)


def file_answer(request: Request, body: bytes, name: str, kind: Literal["csv", "npz", "parquet", "py"]) -> Response:
    """Answer with a table, or vectors, to download."""
    return content_answer(request, body, FILES[kind], headers=CORS_HEADERS | _attachment_headers(name, kind))


def script_answer(request: Request, script: ChangeScript, name: str, link: str) -> Response:
    """Answer with a Python script to download; `link`: the page that it repeats."""
    template = site_of(request).scripts.get_template("scripts/change.txt")
    body = template.render(page=script, file=f"{name}.py", link=link, place=place_of(script.model))
    return content_answer(request, body.encode("ascii"), FILES["py"], headers=PRIVATE | _attachment_headers(name, "py"))


def csv_stream(request: Request, pieces: Iterable[str], content: str, name: str) -> Response:
    """Stream a long table to download, made piece by piece; `content` identifies it in the ETag."""
    # Another version of the app may write the same content differently.
    tag = _make_etag(f"{request.app.version} {content}".encode())
    headers = {"Cache-Control": "no-cache", "ETag": tag, "Vary": VARY} | CORS_HEADERS | _attachment_headers(name, "csv")
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    body = (piece.encode("utf-8") for piece in pieces)
    if coding_of(request) == "plain":
        return StreamingResponse(make_pieces_in_long_thread(request, body), 200, headers, CSV)
    packed_body = make_pieces_in_long_thread(request, pack_pieces(body, PACK_LEVEL))
    return StreamingResponse(packed_body, 200, headers | {"Content-Encoding": "gzip"}, CSV)


def picture_answer(request: Request, png: bytes, *, is_final: bool) -> Response:
    """Answer with a picture; one that is not `final` is drawn anew the next time."""
    tag = _make_etag(png)
    out = {"Cache-Control": "public, max-age=3600" if is_final else "no-store", "ETag": tag, "Vary": "Host"}
    if is_final and is_known(request, tag):
        return Response(status_code=304, headers=out)
    return Response(png, 200, out, "image/png")


def content_answer(
    request: Request, body: bytes, media_type: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with the bytes and an ETag, compressed where that helps; 304 where the visitor has them already."""
    tag = _make_etag(body)
    out = {"Cache-Control": "no-cache", "ETag": tag, "Vary": VARY} | dict(headers or {})
    if status == 200 and is_known(request, tag):
        return Response(status_code=304, headers=out)
    coding = coding_of(request)
    if coding == "only gzip" or (coding == "gzip" and len(body) >= WORTH_PACKING):
        body = pack(body, PACK_LEVEL)
        out["Content-Encoding"] = "gzip"
    return Response(body, status, out, media_type)


def _attachment_headers(name: str, kind: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}


def _make_etag(content: bytes) -> str:
    """Make the ETag of the content: a weak one, since the compressed and the plain body are the same page."""
    return f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
