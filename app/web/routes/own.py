"""The app's own pages: glossary, settings, API description, static files, robots.txt and llms.txt."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException

from app.config import Settings
from app.web.http.answers import VARY, html_answer, json_answer
from app.web.http.negotiation import coding_of, is_known
from app.web.http.patience import PatientRoute
from app.web.http.site import resources_of, site_of, urls_of

router = APIRouter(include_in_schema=False, route_class=PatientRoute)
CACHED_FOREVER = "public, max-age=31536000, immutable"
"""Cache-Control of files that are named after their content; an upgrade or a setting may change every other answer."""
PREVIEWERS = ("Twitterbot", "facebookexternalhit", "LinkedInBot", "Slackbot", "Discordbot", "TelegramBot", "WhatsApp")
"""Programs that fetch a link because somebody pasted it, and its card: they follow no other."""
REVALIDATED = {"Cache-Control": "no-cache"}
PRIVATE = frozenset({"models", "host", "port", "data", "allowed_hosts", "trusted_proxies"})
"""Settings that tell of the machine: visitors see that they exist, not their values."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the settings page."""

    name: str
    variable: str
    value: str
    description: str


@router.get("/-/glossary")
def show_glossary(request: Request) -> Response:
    """Show the glossary: every word and number of the pages, in a sentence."""
    return html_answer(request, "glossary.html")


@router.get("/-/settings")
def show_settings(request: Request) -> Response:
    """Show the settings and the operator's values."""
    return html_answer(request, "settings.html", settings=_list_settings(site_of(request).settings))


@router.get("/docs")
def show_docs(request: Request) -> Response:
    """Show the API's description in a page of our own: the usual ones load scripts from other hosts."""
    return html_answer(request, "api.html", api=request.app.openapi())


@router.get("/openapi.json")
def serve_openapi(request: Request) -> Response:
    """Serve the OpenAPI document, with the proxy's root as its server."""
    root = urls_of(request).root
    return json_answer(request, request.app.openapi() | ({"servers": [{"url": root}]} if root else {}))


@router.get("/static/{name:path}")
async def serve_static(request: Request, name: str, v: str = "") -> Response:
    """Serve a static file; cached for ever under the version that names its content."""
    asset = site_of(request).assets.get(name)
    if asset is None:
        raise HTTPException(404)
    tag = f'W/"{asset.version}"'
    headers = {"Cache-Control": CACHED_FOREVER if v == asset.version else "no-cache", "ETag": tag, "Vary": VARY}
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    packed = coding_of(request) != "plain"
    headers |= {"Content-Encoding": "gzip"} if packed else {}
    return Response(asset.packed if packed else asset.content, 200, headers, asset.media_type)


@router.get("/favicon.ico")
async def redirect_favicon(request: Request) -> Response:
    """Redirect to the icon, for browsers that ask for it without a link."""
    site = site_of(request)
    url = f"{site.settings.root_path}/static/favicon.svg?v={site.assets['favicon.svg'].version}"
    return RedirectResponse(url, 308, REVALIDATED)


@router.get("/robots.txt")
async def serve_robots(request: Request) -> Response:
    """Keep crawlers on cheap pages: a layer's page needs every one of its heads."""
    root = urls_of(request).root
    closed = [
        f"{root}/api/",
        f"{root}/*/L",
        f"{root}/*/svd/",
        f"{root}/*/around",
        f"{root}/*/notable",
        f"{root}/*/census",
        f"{root}/*/blind",
        f"{root}/*/jump",
        f"{root}/*/suggest",
        f"{root}/*/search",
        f"{root}/*/compare",
        f"{root}/*/composition",
        f"{root}/*/linear",
        f"{root}/*/unlikely",
        f"{root}/*/pairs",
        f"{root}/*/token",
        f"{root}/*/prompt",
        f"{root}/*/p/",
        f"{root}/*/x",
        f"{root}/*/sara",
        f"{root}/-/jobs",
        f"{root}/-/pair",
        f"{root}/-/list",
        f"{root}/-/search",
        f"{root}/-/status",
        f"{root}/*?",
    ]
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in closed), ""]
    lines += [*(f"User-agent: {name}" for name in PREVIEWERS), "Disallow:"]
    return PlainTextResponse("\n".join(lines) + "\n", headers=REVALIDATED)


@router.get("/llms.txt")
def serve_overview(request: Request) -> Response:
    """Say what there is, how addresses are read and what costs something, as text for programs (llmstxt.org)."""
    slugs = resources_of(request).slugs
    is_public = site_of(request).settings.public
    said = {"origin": urls_of(request).origin, "slugs": slugs, "example": slugs[0], "is_public": is_public}
    return PlainTextResponse(site_of(request).scripts.get_template("llms.txt").render(said), headers=REVALIDATED)


def _list_settings(chosen: Settings) -> list[Setting]:
    lines = []
    for name, field in type(chosen).model_fields.items():
        value = getattr(chosen, name)
        shown = "not shown to visitors" if name in PRIVATE else str(value) if value != "" else "none"
        variable = f"SINGULAR_LENS_{name.upper()}"
        lines.append(Setting(name.replace("_", " "), variable, shown, field.description or ""))
    return lines
