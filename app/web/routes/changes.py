"""A prompt where the model is changed: what it says then, its JSON twin, and the stream of how the text goes on."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.core.address import parse
from app.explorer.errors import BadOption, ExplorerError, OtherValue, UnknownAddress, UnknownPrompt
from app.explorer.pages.using.changes import EditPage
from app.explorer.running.errand import Errand
from app.explorer.running.visitor import ASKING, VisitorRequest
from app.explorer.visits import changes as verbs
from app.explorer.visits.prompts import PromptInquiry, visit_prompt
from app.web.api.body import write_body
from app.web.api.parts import OF_PROMPTS, Key, Slug, describe_answers
from app.web.http.answers import PRIVATE, html_answer, json_answer, page_answer, render, wants_fragment
from app.web.http.patience import PatientRoute
from app.web.http.site import require_continuer, require_prompter, resources_of, streams_of, urls_of
from app.web.http.streams import News, NewsStream
from app.web.query import EditQuery

router = APIRouter(route_class=PatientRoute)

FRAGMENT = "_fragments/continuation.html"
LOOK_SECONDS = 0.1
"""How often a continuation is looked at: a token takes about as long."""


@router.get("/{model}/p/{key}/edit", include_in_schema=False)
def show_edit(request: Request, model: str, key: str, query: Annotated[EditQuery, Query()]) -> Response:
    """Show a prompt where heads are edited; how the text goes on comes as a stream."""
    _admit(request, query)
    asked = resources_of(request), parse(model), query.options(), key
    try:
        return page_answer(request, verbs.visit_edit(*asked, query.inquiry(), waits=False), PRIVATE)
    except UnknownPrompt:
        raise
    except (BadOption, UnknownAddress) as problem:
        if wants_fragment(request):
            raise
        meant, wrong = (problem.near, problem.name) if isinstance(problem, OtherValue) else ((), "")
        typed = {"edit": query.edit, "tokens": query.tokens, **dict.fromkeys(("token", "against", "head"), "")}
        told: dict[str, object] = {"problem": str(problem), "meant": meant, "wrong": wrong, "typed": typed}
        status = 404 if isinstance(problem, UnknownAddress) else 422
        # A slip in one of the page's boxes costs no more than itself; without edits there is the prompt's page.
        with suppress(BadOption, UnknownAddress):
            rest = verbs.visit_edit(*asked, verbs.EditInquiry(query.edit, again=query.wish()))
            return html_answer(request, "edit.html", status, PRIVATE, page=rest, layout="base.html", **told)
        page = visit_prompt(*asked, PromptInquiry(again=query.wish()))
        return html_answer(request, "prompt.html", status, PRIVATE, page=page, layout="base.html", **told)


@router.get("/{model}/p/{key}/edit/continuation", include_in_schema=False)
async def stream_continuation(request: Request, model: str, key: str, query: Annotated[EditQuery, Query()]) -> Response:
    """Stream how a prompt goes on, token by token; it ends with the visitor's connection."""
    _admit(request, query)
    r, streams = resources_of(request), streams_of(request)
    asked = r, parse(model), query.options(), key, query.inquiry()
    making: list[tuple[Errand, VisitorRequest]] = []
    """What is being made, and who asked for it last."""

    def look() -> News:
        asking = VisitorRequest()  # each look asks anew, as a page that reloads would
        ASKING.set(asking)
        try:
            continuation, errand = verbs.follow_continuation(*asked)
        except ExplorerError as problem:
            return News(render(request, FRAGMENT, continuation=None, problem=str(problem)), is_last=True)
        making[:] = [] if errand is None else [(errand, asking)]
        return News(render(request, FRAGMENT, continuation=continuation), continuation.is_done)

    def leave() -> None:
        for errand, asking in making:
            verbs.abandon_continuation(r, errand, asking)

    return NewsStream(streams, look, LOOK_SECONDS, leave)


@router.get("/api/v1/{model}/p/{key}/edit", summary="Edited prompt", responses=describe_answers(EditPage) | OF_PROMPTS)
def edit(request: Request, model: Slug, key: Key, query: Annotated[EditQuery, Query()]) -> Response:
    """What the model says of a prompt where heads are edited along directions, beside random edits."""
    _admit(request, query)
    page = verbs.visit_edit(resources_of(request), parse(model), query.options(), key, query.inquiry())
    return json_answer(request, write_body(page, urls_of(request)), PRIVATE)


def _admit(request: Request, query: EditQuery) -> None:
    (require_continuer if query.more else require_prompter)(request)
