"""The pages of a walk: the front page, and whatever an address names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.core.address import Address, Depth, parse
from app.explorer import browse
from app.explorer.errors import BadOption
from app.explorer.jump import jump
from app.explorer.places import named
from app.explorer.resources import Resources
from app.web.answers import POLL_SECONDS, csv_answer, page_answer
from app.web.query import JumpQuery, PageQuery, ViewQuery
from app.web.sheet import direction_sheet, head_sheet, matrix_sheet
from app.web.site import resources_of, urls_of

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """How one depth of address is shown."""

    look: Callable[[Resources, Address, PageQuery], Any]
    sheet: Callable[[Any], str] | None = None


KINDS: dict[Depth, Kind] = {
    "model": Kind(lambda r, address, query: browse.model(r, address, query.options(), query.score)),
    "layer": Kind(lambda r, address, query: browse.layer(r, address, query.options())),
    "head": Kind(lambda r, address, query: browse.head(r, address, query.options()), head_sheet),
    "matrix": Kind(lambda r, address, query: browse.matrix(r, address, query.options()), matrix_sheet),
    "decomposition": Kind(lambda r, address, query: browse.matrix(r, address, query.options()), matrix_sheet),
    "direction": Kind(lambda r, address, query: browse.direction(r, address, query.options()), direction_sheet),
}


@router.get("/")
def home(request: Request) -> Response:
    """The models; with only one, that model."""
    page = browse.home(resources_of(request))
    if len(page.models) == 1:
        only = Address(page.models[0].slug)
        return RedirectResponse(_with_query(request, urls_of(request).page(only)), 307, {"Cache-Control": "no-cache"})
    answer = page_answer(request, page)
    if any(entry.state == "importing" for entry in page.models):
        answer.headers["Refresh"] = str(POLL_SECONDS)
    return answer


@router.get("/{model}/notable")
def notable(request: Request, model: str, query: Annotated[ViewQuery, Query()]) -> Response:
    """A model's gallery."""
    return page_answer(request, browse.notable(resources_of(request), parse(model), query.options()))


@router.get("/{model}/jump")
def jump_to(request: Request, model: str, query: Annotated[JumpQuery, Query()]) -> Response:
    """Where the text of the jump box leads, in the weights that the visitor looks at."""
    address = parse(model)
    target = jump(resources_of(request), address.model, _pasted(query.q, urls_of(request).root))
    pin = target.address.pin or (address.pin if target.address.model == address.model else None)
    kept: dict[str, Any] = {"weights": query.weights} if query.weights else {}
    url = urls_of(request).page(target.address.pinned(pin), **kept) + (f"#{target.ray}" if target.ray else "")
    return RedirectResponse(url, 303, {"Cache-Control": "no-cache"})


@router.get("/{address:path}")
def place(request: Request, address: str, query: Annotated[PageQuery, Query()]) -> Response:
    """Whatever the address names: a model, a layer, a head, a matrix or a direction."""
    if address.endswith("/") and len(address) <= 200:
        return RedirectResponse(_with_query(request, urls_of(request).page(parse(address.rstrip("/")))), 308)
    # The router overlooks a line break at the end of a path.
    where = named(resources_of(request), address + "\n" * request.scope["path"].endswith("\n"))
    kind = KINDS[where.depth]
    if query.format is None:
        return page_answer(request, kind.look(resources_of(request), where, query))
    if kind.sheet is None:
        raise BadOption("format=csv is there for heads, matrices and directions")
    page = kind.look(resources_of(request), where, query)
    at = f"-distance-{page.view.distance}" if page.view.distance else ""
    name = f"{page.model.slug}-{where.label.replace(' ', '-')}-{page.view.weights}{at}-{page.model.pin}"
    return csv_answer(request, kind.sheet(page), name)


def _with_query(request: Request, url: str) -> str:
    return f"{url}?{request.url.query}" if request.url.query else url


def _pasted(text: str, root: str) -> str:
    """What the jump box got, a whole link cut down to its address.

    Example: "https://lens.example/gpt2/L5/H3?weights=raw" -> "gpt2/L5/H3"
    """
    text = text.strip()
    if not text.startswith(("http://", "https://")):
        return text
    path, hash_, anchor = text.partition("://")[2].partition("#")
    return path.partition("/")[2].partition("?")[0].removeprefix(f"{root.strip('/')}/") + hash_ + anchor
