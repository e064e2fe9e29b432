"""What a link shows where it is pasted: the card of its page, as PNG."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from app.core.address import Depth, parse
from app.explorer.asking.places import locate_model
from app.explorer.errors import Busy, NotComputedHere, NotReady, UnknownAddress
from app.explorer.pages.matrices import FitPage
from app.explorer.visits import browse
from app.explorer.visits.census import visit_census
from app.explorer.visits.finding.contrast import visit_contrast
from app.explorer.visits.finding.pair import visit_pair
from app.explorer.visits.finding.search import search
from app.explorer.visits.finding.token import visit_token
from app.explorer.visits.using.experiments import visit_experiment
from app.store.grounds import note_now
from app.web.http.answers import PRIVATE, picture_answer
from app.web.http.patience import PatientRoute
from app.web.http.site import require_prompter, resources_of, site_of
from app.web.http.threads import answer_in_long_thread
from app.web.pictures.card import Card, draw_card
from app.web.pictures.drawing import draw_png
from app.web.query.finding import ContrastQuery, PairQuery, SearchQuery
from app.web.query.form import ViewQuery
from app.web.query.matrix import PageQuery
from app.web.query.model import CensusQuery
from app.web.urls.paths import CARD, CENSUS, CONTRASTS, EXPERIMENTS, SEARCH, TOKEN

router = APIRouter(include_in_schema=False, route_class=PatientRoute)

OWN = Card(
    kicker="An explorer of the weights of language models",
    title="singular-lens",
    subtitle="Attention heads, MLPs and embeddings, taken apart and read out as tokens",
)
VISITS: dict[Depth, Any] = {
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


@router.get(f"/{{model}}/{TOKEN}/{{id}}/{CARD}")
@answer_in_long_thread
def show_token_card(
    request: Request, model: str, id_: Annotated[int, Path(alias="id", ge=0)], query: Annotated[ViewQuery, Query()]
) -> Response:
    """Show the card of a token: what writes and reads it most."""
    where, r = parse(model), resources_of(request)
    plain = Card(kicker=locate_model(r, where).header.name, title=f"Token {id_}")
    return _answer(request, lambda: visit_token(r, where, query.options(), id_, whole=False, with_near=False), plain)


@router.get(f"/{{model}}/{CENSUS}/{CARD}")
@answer_in_long_thread
def show_census_card(request: Request, model: str, query: Annotated[CensusQuery, Query()]) -> Response:
    """Show the card of a census: how much of each kind of matrix is readable."""
    where, r = parse(model), resources_of(request)
    plain = Card(kicker=locate_model(r, where).header.name, title="Census")
    return _answer(request, lambda: visit_census(r, where, query.options()), plain)


@router.get(f"/-/pair/{CARD}")
@answer_in_long_thread
def show_pair_card(request: Request, query: Annotated[PairQuery, Query()]) -> Response:
    """Show the card of two heads: what the one writes and the other reads."""
    r, plain = resources_of(request), Card(kicker="Two heads", title=f"{query.a} and {query.b}")
    return _answer(request, lambda: visit_pair(r, query.a, query.b, query.options(), query.part, query.path), plain)


@router.get(f"/-/{CONTRASTS}/{CARD}")
@answer_in_long_thread
def show_contrast_card(request: Request, query: Annotated[ContrastQuery, Query()]) -> Response:
    """Show the card of two places side by side: what they have in common."""
    r, plain = resources_of(request), Card(kicker="Side by side", title=f"{query.a} and {query.b}")
    return _answer(request, lambda: visit_contrast(r, query.a, query.b), plain)


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
    if where.depth == "model":
        return _answer(request, lambda: browse.visit_model(r, where, query.options(), query.score, query.ranked), plain)
    return _answer(request, lambda: VISITS[where.depth](r, where, query.options()), plain)


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
    is_final = getattr(page, "unbuilt", None) is None  # else its bank may be built at any time
    return picture_answer(request, draw_png(templates, draw_card(page)), is_final=is_final)
