"""A prompt where the model is changed: what it says then, its JSON twin, and the stream of how the text goes on."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, ExplorerError, OtherValue, UnknownAddress, UnknownPrompt
from app.explorer.pages.using.changes import Continuation, EditPage, SaraPage, SteerPage
from app.explorer.pages.using.prompts import PromptPage
from app.explorer.running.errand import Errand
from app.explorer.running.visitor import ASKING, VisitorRequest
from app.explorer.visits.using import changes as verbs
from app.explorer.visits.using.prompts import PromptInquiry, visit_prompt
from app.explorer.visits.using.scripts import write_prompt_script
from app.web.api.body import write_body
from app.web.api.parts import OF_PROMPTS, Key, Slug, describe_answers
from app.web.http.answers import (
    PRIVATE,
    html_answer,
    json_answer,
    page_answer,
    render,
    script_answer,
    wants_fragment,
)
from app.web.http.forms import read_form
from app.web.http.patience import PatientRoute
from app.web.http.site import require_continuer, require_prompter, resources_of, streams_of, urls_of
from app.web.http.streams import News, NewsStream
from app.web.query.changing import ChangeQuery, EditQuery, SaraQuery, SteerQuery
from app.web.query.form import ViewQuery
from app.web.urls.paths import EDIT, PROMPTS, SARA, STEER
from app.web.view.templating import PAGE_TEMPLATES

router = APIRouter(route_class=PatientRoute)

FRAGMENT = "_fragments/continuation.html"
LOOK_SECONDS = 0.1
"""How often a continuation is looked at: a token takes about as long."""


@router.get("/{model}/p/{key}/edit", include_in_schema=False)
def show_edit(request: Request, model: str, key: str, query: Annotated[EditQuery, Query()]) -> Response:
    """Show a prompt where heads are edited; how the text goes on comes as a stream."""
    rest = verbs.EditInquiry(edit=query.edit, again=query.wish())
    return _show(request, model, key, query, verbs.visit_edit, rest, {"edit": query.edit})


@router.get("/{model}/p/{key}/steer", include_in_schema=False)
def show_steering(request: Request, model: str, key: str, query: Annotated[SteerQuery, Query()]) -> Response:
    """Show a prompt where the stream is pushed along a direction; how the text goes on comes as a stream."""
    rest = verbs.SteerInquiry(of=query.of, amount=query.c, again=query.wish())
    return _show(request, model, key, query, verbs.visit_steering, rest, {"of": query.of})


@router.get("/{model}/p/{key}/sara", include_in_schema=False)
def show_sara(request: Request, model: str, key: str, query: Annotated[SaraQuery, Query()]) -> Response:
    """Show a prompt whose stream is drawn to one prompt and away from another; how the text goes on comes as a stream."""
    rest = verbs.SaraInquiry(
        attract=query.attract, repel=query.repel, rule=query.rule, amount=query.pull, again=query.wish()
    )
    typed = {"token": query.token, "against": query.against}
    return _show(request, model, key, query, verbs.visit_sara, rest, typed)


@router.get("/{model}/p/{key}/edit/continuation", include_in_schema=False)
async def stream_edit(request: Request, model: str, key: str, query: Annotated[EditQuery, Query()]) -> Response:
    """Stream how an edited prompt goes on, token by token; it ends with the visitor's connection."""
    return _stream(request, model, key, query, verbs.follow_edit)


@router.get("/{model}/p/{key}/steer/continuation", include_in_schema=False)
async def stream_steering(request: Request, model: str, key: str, query: Annotated[SteerQuery, Query()]) -> Response:
    """Stream how a steered prompt goes on; else as for an edited one."""
    return _stream(request, model, key, query, verbs.follow_steering)


@router.get("/{model}/p/{key}/sara/continuation", include_in_schema=False)
async def stream_sara(request: Request, model: str, key: str, query: Annotated[SaraQuery, Query()]) -> Response:
    """Stream how a prompt that is drawn to another goes on; else as for an edited one."""
    return _stream(request, model, key, query, verbs.follow_sara)


@router.get("/{model}/p/{key}/edit/script", include_in_schema=False)
def script_edit(request: Request, model: str, key: str, query: Annotated[EditQuery, Query()]) -> Response:
    """Send the Python that repeats an edit of a prompt."""
    return _send_script(request, model, key, query, EDIT)


@router.get("/{model}/p/{key}/steer/script", include_in_schema=False)
def script_steering(request: Request, model: str, key: str, query: Annotated[SteerQuery, Query()]) -> Response:
    """Send the Python that repeats a push."""
    return _send_script(request, model, key, query, STEER)


@router.get("/{model}/p/{key}/sara/script", include_in_schema=False)
def script_sara(request: Request, model: str, key: str, query: Annotated[SaraQuery, Query()]) -> Response:
    """Send the Python that repeats how a prompt is drawn to another."""
    return _send_script(request, model, key, query, SARA)


@router.get("/api/v1/{model}/p/{key}/edit", summary="Edited prompt", responses=describe_answers(EditPage) | OF_PROMPTS)
def edit(request: Request, model: Slug, key: Key, query: Annotated[EditQuery, Query()]) -> Response:
    """What the model says of a prompt where heads are edited along directions, beside random edits."""
    return _answer_json(request, model, key, query, verbs.visit_edit)


@router.get(
    "/api/v1/{model}/p/{key}/steer", summary="Steered prompt", responses=describe_answers(SteerPage) | OF_PROMPTS
)
def steer(request: Request, model: Slug, key: Key, query: Annotated[SteerQuery, Query()]) -> Response:
    """What the model says of a prompt where its stream is pushed along a direction, beside random pushes."""
    return _answer_json(request, model, key, query, verbs.visit_steering)


@router.get("/api/v1/{model}/p/{key}/sara", summary="SARA", responses=describe_answers(SaraPage) | OF_PROMPTS)
def sara(request: Request, model: Slug, key: Key, query: Annotated[SaraQuery, Query()]) -> Response:
    """What the model says of a prompt whose stream is drawn to one prompt and away from another, beside random changes."""
    return _answer_json(request, model, key, query, verbs.visit_sara)


@router.get("/{model}/sara", include_in_schema=False)
def show_sara_form(request: Request, model: str, query: Annotated[ViewQuery, Query()]) -> Response:
    """Show the form that asks for a prompt, one that attracts and one that repels."""
    require_prompter(request)
    form = verbs.visit_sara_form(resources_of(request), parse(model), query.options(), verbs.SaraWish())
    return page_answer(request, form, PRIVATE)


@router.post("/{model}/sara", include_in_schema=False)
async def run_sara(request: Request, model: str) -> Response:
    """Keep the three prompts in the form, and redirect to their page, which runs them."""
    fields = read_form(await request.body())
    return await run_in_threadpool(_keep_three, request, model, fields)


def _admit(request: Request, query: ChangeQuery) -> None:
    (require_continuer if query.more else require_prompter)(request)


def _show(
    request: Request,
    model: str,
    key: str,
    query: ChangeQuery,
    visit: Callable[..., EditPage | SteerPage | SaraPage],
    rest: verbs.ChangeInquiry,
    typed: dict[str, str],
) -> Response:
    """Answer with the page of a change; where something is wrong, without it, as `rest` asks, and with what was typed.

    A slip in one of the page's boxes costs no more than itself; where the change is what is wrong, there is the prompt's page.
    """
    _admit(request, query)
    asked = resources_of(request), parse(model), query.options(), key
    try:
        return page_answer(request, visit(*asked, query.inquiry(), waits=False), PRIVATE)
    except UnknownPrompt:
        raise
    except (BadOption, UnknownAddress) as problem:
        if wants_fragment(request):
            raise
        meant, wrong = (problem.near, problem.name) if isinstance(problem, OtherValue) else ((), "")
        told: dict[str, object] = {"problem": str(problem), "meant": meant, "wrong": wrong}
        told["typed"] = dict.fromkeys(("token", "against", "head", "edit", "of"), "") | {"tokens": query.tokens} | typed
        status = 404 if isinstance(problem, UnknownAddress) else 422
    page: EditPage | SteerPage | SaraPage | PromptPage
    try:
        page = visit(*asked, rest)
    except (BadOption, UnknownAddress):
        page = visit_prompt(*asked, PromptInquiry(again=query.wish()))
    return html_answer(
        request, PAGE_TEMPLATES[type(page)].whole, status, PRIVATE, page=page, layout="base.html", **told
    )


def _answer_json(
    request: Request,
    model: str,
    key: str,
    query: ChangeQuery,
    visit: Callable[..., EditPage | SteerPage | SaraPage],
) -> Response:
    _admit(request, query)
    page = visit(resources_of(request), parse(model), query.options(), key, query.inquiry())
    return json_answer(request, write_body(page, urls_of(request)), PRIVATE)


def _send_script(request: Request, model: str, key: str, query: ChangeQuery, last: str) -> Response:
    require_prompter(request)
    asked = resources_of(request), parse(model), query.options(), key
    script = write_prompt_script(*asked, query.inquiry())
    under = f"{PROMPTS}/{key}/{last}"
    said = {name: value for name, value in request.query_params.items() if name != "weights"}
    link = urls_of(request).pinned_url(parse(model), script.model.pin, script.view, under, **said)
    return script_answer(request, script, f"{script.model.slug}-{key}-{last}", link)


def _keep_three(request: Request, model: str, fields: dict[str, str]) -> Response:
    require_prompter(request)
    address, r, urls = parse(model), resources_of(request), urls_of(request)
    wish = verbs.SaraWish(*(fields.get(name, "") for name in ("text", "attract", "repel")))
    try:
        key, attract, repel = verbs.keep_three(r, address, wish)
    except (BadOption, UnknownAddress) as problem:
        form = verbs.visit_sara_form(r, address, Options(), wish, str(problem))
        return html_answer(request, "sara_form.html", 422, PRIVATE, page=form, layout="base.html")
    return RedirectResponse(
        urls.page(address, None, f"{PROMPTS}/{key}/{SARA}", attract=attract, repel=repel), 303, PRIVATE
    )


def _stream(
    request: Request,
    model: str,
    key: str,
    query: ChangeQuery,
    follow: Callable[..., tuple[Continuation, Errand | None]],
) -> Response:
    _admit(request, query)
    r, streams = resources_of(request), streams_of(request)
    making: list[tuple[Errand, VisitorRequest]] = []
    """What is being made, and who asked for it last."""

    def look() -> News:
        asking = VisitorRequest()  # each look asks anew, as a page that reloads would
        ASKING.set(asking)
        try:
            continuation, errand = follow(r, parse(model), query.options(), key, query.inquiry())
        except ExplorerError as problem:
            return News(render(request, FRAGMENT, continuation=None, problem=str(problem)), is_last=True)
        making[:] = [] if errand is None else [(errand, asking)]
        return News(render(request, FRAGMENT, continuation=continuation), continuation.is_done)

    def leave() -> None:
        for errand, asking in making:
            verbs.abandon_continuation(r, errand, asking)

    return NewsStream(streams, look, LOOK_SECONDS, leave)
