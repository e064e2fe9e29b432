"""The things that all requests of one server share: templates, static files, and the settings that show in links.

Built once by `server`, read by routes and the error handlers. Knows no model.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from fastapi import Request
from jinja2 import Environment
from starlette.exceptions import HTTPException

from app.config import Settings, is_loopback
from app.explorer.errors import PromptsRefused
from app.explorer.resources import Resources
from app.explorer.running.visitor import VISITOR
from app.jobs.runner import Runner
from app.web.http.counts import Counts
from app.web.http.streams import Streams
from app.web.urls.urls import Urls
from app.web.view.assets import Asset, load_assets
from app.web.view.templating import make_environment

FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip")
"""Fields by which proxies say for whom they ask."""
LOCAL_IPV6 = "::/64"
"""The network of ::1, as the key of a visitor."""


@dataclass(frozen=True, slots=True)
class Site:
    """Settings, static files and templates of one server."""

    settings: Settings
    assets: dict[str, Asset]
    templates: Environment
    scripts: Environment
    """The same templates, for Python: nothing is escaped, and every value goes through `literal`."""


def open_site(settings: Settings) -> Site:
    """Load a server's static files and templates."""
    assets = load_assets(_find_folder("static"))
    templates = make_environment(_find_folder("templates"), assets, settings.root_path)
    return Site(settings, assets, templates, templates.overlay(autoescape=False))


def _find_folder(name: str) -> Path:
    """Find a folder of files: inside the package in a wheel, beside the package in a checkout."""
    package = Path(__file__).parents[2]
    installed = package / f"_{name}"
    return installed if installed.is_dir() else package.parent / name


def site_of(request: Request) -> Site:
    """Return the site of the server that the request came to."""
    return cast("Site", request.app.state.site)


def resources_of(request: Request) -> Resources:
    """Return the server's resources, the first argument of the explorer's verbs."""
    return cast("Resources", request.app.state.resources)


def runner_of(request: Request) -> Runner | None:
    """Return the runner of jobs that visitors start; None where they may start none."""
    return cast("Runner | None", request.app.state.runner)


def streams_of(request: Request) -> Streams:
    """Return the server's open event streams."""
    return cast("Streams", request.app.state.streams)


def counts_of(request: Request) -> Counts:
    """Return the server's counts of answers."""
    return cast("Counts", request.app.state.counts)


def require_prompter(request: Request) -> None:
    """Raise PromptsRefused unless this visitor may run prompts, where some may, and asks by himself: not a page of another
    site through his browser.
    """
    origin = request.headers.get("origin", "")
    is_foreign = bool(origin) and origin.lower().partition("://")[2] not in _own_origins(request)
    fetched = request.headers.get("sec-fetch-site") == "cross-site"
    in_a_frame = request.headers.get("sec-fetch-dest", "document") != "document"
    followed = request.headers.get("sec-fetch-mode") == "navigate" and not in_a_frame
    if is_foreign or (fetched and not followed):
        raise PromptsRefused("Only pages of this server, and programs, may ask this: the request is from another site.")
    if site_of(request).settings.prompts_for == "local" and not _is_on_this_machine(request):
        raise PromptsRefused(
            "Prompts are for visitors on this server's own machine. Whoever runs it can allow them to all with --prompts "
            f"public.{_name_proxy(request)}"
        )


def require_continuer(request: Request) -> None:
    """Raise PromptsRefused unless this visitor may have prompts continued, where some may."""
    require_prompter(request)
    if site_of(request).settings.generation_for == "local" and not _is_on_this_machine(request):
        raise PromptsRefused(
            "Prompts are continued for visitors on this server's own machine. Whoever runs it can allow that to all with "
            f"--generation public.{_name_proxy(request)}"
        )


def require_operator(request: Request) -> None:
    """Raise HTTPException unless this visitor may read the server's counters."""
    settings = site_of(request).settings
    if settings.status == "off":
        raise HTTPException(404)
    if settings.status == "local" and not _is_on_this_machine(request):
        raise HTTPException(
            403,
            "The counters of this server are for its own machine. Whoever runs it can show them to all with "
            f"SINGULAR_LENS_STATUS=public.{_name_proxy(request)}",
        )


def _is_on_this_machine(request: Request) -> bool:
    """Return whether the visitor is on the server's own machine; who comes through a proxy that nobody named is not."""
    return not _has_unnamed_proxy(request) and is_local(VISITOR.get())


def _has_unnamed_proxy(request: Request) -> bool:
    """Return whether a proxy that the operator did not name passed the request on: it speaks for anybody."""
    said = [name for name in FORWARDED if name in request.headers]
    # Of a proxy that is named, X-Forwarded-For is believed, and nothing else is read.
    return bool(said) and (said[0] != FORWARDED[0] or not site_of(request).settings.trusted_proxies)


def _name_proxy(request: Request) -> str:
    if not _has_unnamed_proxy(request):
        return ""
    return " You come through a proxy, which SINGULAR_LENS_TRUSTED_PROXIES does not name."


def _own_origins(request: Request) -> set[str]:
    public = urlsplit(site_of(request).settings.public_url).netloc.lower()
    return {request.headers.get("host", "").lower(), public} - {""}


def is_local(visitor: str) -> bool:
    """Return whether that visitor is on the server's own machine.

    Example: is_local("127.0.0.1") -> True
    """
    return visitor == LOCAL_IPV6 or is_loopback(visitor)


def urls_of(request: Request) -> Urls:
    """Return the site's links, with the root and origin that this visitor uses."""
    settings = site_of(request).settings
    if settings.public_url:
        return Urls(settings.root_path, settings.public_url.rstrip("/"))
    # Starlette puts the server's own address in the place of a Host header that is none.
    return Urls(settings.root_path, str(request.base_url).rstrip("/"))
