"""What a link shows where it is pasted: the card of a page as PNG, and oEmbed, which says how to put the page in a frame."""

from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, HTTPException, Query, Request, Response

from app.core.address import Address, AddressError, Depth, parse
from app.explorer.asking.places import locate_model
from app.explorer.errors import Busy, NotComputedHere, NotReady, UnknownAddress
from app.explorer.pages.matrices import FitPage
from app.explorer.visits import browse
from app.explorer.visits.finding.search import search
from app.explorer.visits.using.experiments import visit_experiment
from app.store.grounds import note_now
from app.web.http.answers import PRIVATE, json_answer, picture_answer
from app.web.http.embedding import EMBED
from app.web.http.patience import PatientRoute
from app.web.http.site import require_prompter, resources_of, site_of, urls_of
from app.web.http.targets import take_off_root
from app.web.http.threads import answer_in_long_thread
from app.web.pictures.card import Card, draw_card
from app.web.pictures.drawing import draw_png
from app.web.query import OembedQuery, PageQuery, SearchQuery
from app.web.urls import CARD, EXPERIMENTS, SEARCH

router = APIRouter(include_in_schema=False, route_class=PatientRoute)

FRAME_HEIGHT = 640
FRAME_WIDTH = 960
"""Size in pixels that oEmbed proposes, and the largest width: narrower ones are as a site asks."""
OWN = Card(
    kicker="An explorer of the weights of language models",
    title="singular-lens",
    subtitle="Attention heads, MLPs and embeddings, taken apart and read out as tokens",
)
VISITS: dict[Depth, Any] = {
    "model": browse.visit_model,
    "layer": browse.visit_layer,
    "head": browse.visit_head,
    "matrix": browse.visit_matrix,
    "decomposition": browse.visit_matrix,
    "direction": browse.visit_direction,
}


@router.get(f"/-/{CARD}")
@answer_in_long_thread
def show_own_card(request: Request) -> Response:
    """Show the card of pages that have none of their own."""
    return picture_answer(request, draw_png(site_of(request).templates, OWN), is_final=True)


@router.get(f"/{{model}}/{SEARCH}/{CARD}")
@answer_in_long_thread
def show_search_card(request: Request, model: str, query: Annotated[SearchQuery, Query()]) -> Response:
    """Show the card of a search: the ends of directions that it finds first."""
    where, r = parse(model), resources_of(request)
    plain = Card(kicker=locate_model(r, where).header.name, title=query.q or "Search")
    return _answer(request, lambda: search(r, where, query.options(), query.inquiry()), plain)


@router.get(f"/{{model}}/{EXPERIMENTS}/{{key}}/{CARD}")
@answer_in_long_thread
def show_experiment_card(request: Request, model: str, key: str) -> Response:
    """Show the card of an experiment, to whoever may see its page."""
    require_prompter(request)
    where, r = parse(model), resources_of(request)
    plain = Card(kicker=locate_model(r, where).header.name, title="An experiment")
    answer = _answer(request, lambda: visit_experiment(r, where, key), plain)
    answer.headers.update(PRIVATE)
    return answer


@router.get(f"/{{address:path}}/{CARD}")
@answer_in_long_thread
def show_card(request: Request, address: str, query: Annotated[PageQuery, Query()]) -> Response:
    """Show the card of an address: of a model, a layer, a head, a matrix or a direction."""
    where, r = parse(address), resources_of(request)
    model = locate_model(r, where)
    plain = Card(
        kicker=model.header.name,
        title=where.label if where.depth != "model" else model.header.name,
        subtitle="singular directions",
    )
    return _answer(request, lambda: VISITS[where.depth](r, where, query.options()), plain)


@router.get("/-/oembed")
def describe_embedding(request: Request, query: Annotated[OembedQuery, Query()]) -> Response:
    """Describe how another site puts a page in a frame: oEmbed 1.0, as JSON."""
    urls, where = urls_of(request), _read_url(request, query.url)
    title = where.label if where.depth != "model" else where.model
    link = f"{urls.origin}/{where}"
    if query.format != "json":
        raise HTTPException(501)
    said = {name: value for name, value in parse_qsl(urlsplit(query.url).query) if name not in {EMBED, "format", "k"}}
    asked = urlencode(said)  # anything else than letters and digits as %XX
    frame = f"{link}?{urlencode(said | {EMBED: 1})}"
    width, height = min(query.maxwidth or FRAME_WIDTH, FRAME_WIDTH), min(query.maxheight or FRAME_HEIGHT, FRAME_HEIGHT)
    source = frame.replace("&", "&amp;")
    return json_answer(
        request,
        {
            "version": "1.0",
            "type": "rich",
            "title": f"{title} · {where.model}",
            "provider_name": "singular-lens",
            "provider_url": f"{urls.origin}/",
            "html": f'<iframe src="{source}" width="{width}" height="{height}" loading="lazy" title="{title}"></iframe>',
            "width": width,
            "height": height,
            "thumbnail_url": f"{link}/{CARD}{f'?{asked}' if asked else ''}",
            "thumbnail_width": 1200,
            "thumbnail_height": 630,
        },
    )


def _read_url(request: Request, url: str) -> Address:
    """Read the address of a page of this server that may be framed; UnknownAddress for anything else."""
    origin = urls_of(request).origin
    refused = UnknownAddress(f"oEmbed describes pages of addresses on this server, such as {origin}/MODEL/L5/H3/ov.")
    if not url.startswith(f"{origin}/"):
        raise refused
    path = take_off_root(urlsplit(url).path, urls_of(request).root)
    try:
        where = parse(path.strip("/"))
    except AddressError:
        raise refused from None
    locate_model(resources_of(request), where)
    return where


def _answer(request: Request, visit: Any, plain: Card) -> Response:
    """Answer with the card of the page that `visit` makes; with a plain one while that is being computed."""
    templates = site_of(request).templates
    try:
        page = visit()
    except (NotReady, Busy, NotComputedHere):
        note_now()  # whoever pasted the link wants a picture at once, and a better one later
        return picture_answer(request, draw_png(templates, plain), is_final=False)
    if isinstance(page, FitPage):
        raise UnknownAddress(f"{page.address.label} is not here with these parameters: {page.command} computes it.")
    return picture_answer(request, draw_png(templates, draw_card(page)), is_final=True)
