"""Prompts: the form, a prompt that was run, one direction on it, a head's attention on it, its stream at every layer, their JSON twins, and the POSTs that run and delete one.

What a visitor wrote is sent in a body, kept under a key, and stands in an address only where the visitor asks for that.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from app.core.address import Address, parse
from app.explorer.asking.prompts import PromptAim, PromptWish
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, OtherValue, UnknownAddress, UnknownPrompt
from app.explorer.pages.using.attention import PairsPage, WhyPage
from app.explorer.pages.using.lens import LensPage
from app.explorer.pages.using.prompts import CoursePage, PromptPage
from app.explorer.view import PROCESSINGS, Processing
from app.explorer.visits.using import prompts as verbs
from app.explorer.visits.using.attention import visit_pairs, visit_why
from app.explorer.visits.using.lens import visit_lens
from app.explorer.visits.using.prompts import PromptInquiry
from app.web.api.body import write_body
from app.web.api.parts import OF_PROMPTS, Key, Slug, describe_answers
from app.web.http.answers import PRIVATE, html_answer, json_answer, page_answer, wants_fragment
from app.web.http.forms import read_form
from app.web.http.patience import PatientRoute
from app.web.http.site import require_prompter, resources_of, urls_of
from app.web.query.using import CourseQuery, FormQuery, LensQuery, PairsQuery, PromptQuery, SpokenQuery, WhyQuery
from app.web.urls.paths import COURSE, EDIT, PROMPTS, STEER

router = APIRouter(route_class=PatientRoute)


@router.get("/{model}/prompt", include_in_schema=False)
def show_form(request: Request, model: str, query: Annotated[FormQuery, Query()]) -> Response:
    """Show the form that asks for a prompt; redirect to the prompt's page where the query holds one."""
    require_prompter(request)
    address, r, wish = parse(model), resources_of(request), query.wish()
    if wish.is_empty():
        form = verbs.visit_form(r, address, query.options(), wish, query.aim(), deleted=query.deleted)
        return page_answer(request, form, PRIVATE)
    try:
        key = verbs.find_key(r, address, wish, query.aim())
    except (BadOption, UnknownAddress) as problem:
        return _answer_problem(request, address, query.options(), wish, query.aim(), problem)
    carried: dict[str, object] = {"text": wish.text, "ids": wish.ids, "start": "1" if wish.start else None}
    return _redirect(request, address, key, query.aim(), query.weights, carried)


@router.post("/{model}/prompt", include_in_schema=False)
async def run_prompt(request: Request, model: str) -> Response:
    """Keep the prompt in the form, and redirect to its page, which runs it."""
    fields = read_form(await request.body())
    return await run_in_threadpool(_keep_prompt, request, model, fields)


@router.post("/api/v1/{model}/prompt", include_in_schema=False)
async def run_for_program(request: Request, model: str) -> Response:
    """Keep the prompt in the form, and redirect to its JSON; what is wrong with it is an error."""
    fields = read_form(await request.body())
    return await run_in_threadpool(_keep_for_program, request, model, fields)


@router.get("/{model}/p/{key}", include_in_schema=False)
def show_prompt(request: Request, model: str, key: str, query: Annotated[SpokenQuery, Query()]) -> Response:
    """Show a prompt and what speaks for a token there."""
    require_prompter(request)
    asked = resources_of(request), parse(model), query.options(), key
    try:
        return page_answer(request, verbs.visit_prompt(*asked, query.spot()), PRIVATE)
    except UnknownPrompt:
        raise
    except (BadOption, UnknownAddress) as problem:
        if not (query.token or query.against or query.head) or wants_fragment(request):
            raise
        # A slip in one of the page's boxes costs no more than itself.
        rest = replace(query.spot(), token="", against="", head="", show=None, whole=False, draws=0)
        typed = {"token": query.token, "against": query.against, "head": query.head}
        return _answer_slip(request, verbs.visit_prompt(*asked, rest), typed, problem)


@router.get("/{model}/p/{key}/direction", include_in_schema=False)
def show_course(request: Request, model: str, key: str, query: Annotated[CourseQuery, Query()]) -> Response:
    """Show what one direction does at every token of a prompt."""
    return page_answer(request, _visit_course(request, model, key, query), PRIVATE)


@router.get("/{model}/p/{key}/why", include_in_schema=False)
def show_why(request: Request, model: str, key: str, query: Annotated[WhyQuery, Query()]) -> Response:
    """Show why a head looks from one position of a prompt at another."""
    require_prompter(request)
    asked = resources_of(request), parse(model), query.options(), key
    try:
        return page_answer(request, visit_why(*asked, query.inquiry()), PRIVATE)
    except UnknownPrompt:
        raise
    except (BadOption, UnknownAddress) as problem:
        if not query.head or wants_fragment(request):
            raise
        # A slip in one of the page's boxes costs no more than itself; without a head there is the prompt's page.
        with suppress(BadOption, UnknownAddress):
            rest = replace(query.inquiry(), to=None, source=None, split="pair")
            return _answer_slip(request, visit_why(*asked, rest), {"head": query.head}, problem)
        typed = {"token": "", "against": "", "head": query.head}
        return _answer_slip(request, verbs.visit_prompt(*asked, PromptInquiry(again=query.wish())), typed, problem)


@router.get("/{model}/p/{key}/lens", include_in_schema=False)
def show_lens(request: Request, model: str, key: str, query: Annotated[LensQuery, Query()]) -> Response:
    """Show what the stream says at every layer of a prompt."""
    return page_answer(request, _visit_lens(request, model, key, query), PRIVATE)


@router.get("/{model}/pairs", include_in_schema=False)
def show_pairs(request: Request, model: str, query: Annotated[PairsQuery, Query()]) -> Response:
    """Show the pairs of example prompts that a direction of a head's QK does most for, or against."""
    return page_answer(request, _visit_pairs(request, model, query), PRIVATE)


@router.post("/{model}/p/{key}/delete", include_in_schema=False)
def delete_prompt(request: Request, model: str, key: str) -> Response:
    """Delete a prompt, and go back to the form."""
    require_prompter(request)
    verbs.delete_prompt(resources_of(request), parse(model), key)
    return RedirectResponse(urls_of(request).prompt_form(parse(model), deleted="1"), 303, PRIVATE)


@router.get(
    "/api/v1/{model}/prompt",
    summary="Prompt by text",
    responses=describe_answers(PromptPage)
    | OF_PROMPTS
    | {303: {"description": "The prompt of that text: follow Location."}},
)
def run(request: Request, model: Slug, query: Annotated[PromptQuery, Query()]) -> Response:
    """To what the model makes of a text. Where this server runs prompts, and for you; else 403."""
    require_prompter(request)
    address, wish = parse(model), query.wish()
    key = verbs.find_key(resources_of(request), address, wish)
    said = {"weights": query.weights, "text": wish.text, "ids": wish.ids, "start": "1" if wish.start else None}
    return RedirectResponse(urls_of(request).api(address, None, f"{PROMPTS}/{key}", **said), 303, PRIVATE)


@router.get("/api/v1/{model}/p/{key}", summary="Prompt", responses=describe_answers(PromptPage) | OF_PROMPTS)
def prompt(request: Request, model: Slug, key: Key, query: Annotated[SpokenQuery, Query()]) -> Response:
    """What speaks for a token at a position of a prompt: heads, MLPs, directions, neurons."""
    require_prompter(request)
    page = verbs.visit_prompt(resources_of(request), parse(model), query.options(), key, query.spot())
    return json_answer(request, write_body(page, urls_of(request)), PRIVATE)


@router.get(
    "/api/v1/{model}/p/{key}/direction",
    summary="Direction on a prompt",
    responses=describe_answers(CoursePage) | OF_PROMPTS,
)
def course(request: Request, model: Slug, key: Key, query: Annotated[CourseQuery, Query()]) -> Response:
    """What one direction of a head's OV reads at each token of a prompt, and where it arrives."""
    return json_answer(request, write_body(_visit_course(request, model, key, query), urls_of(request)), PRIVATE)


@router.get(
    "/api/v1/{model}/p/{key}/why", summary="Attention on a prompt", responses=describe_answers(WhyPage) | OF_PROMPTS
)
def why(request: Request, model: Slug, key: Key, query: Annotated[WhyQuery, Query()]) -> Response:
    """Why a head looks from one position of a prompt at another: its score as an exact sum."""
    return json_answer(request, write_body(_visit_why(request, model, key, query), urls_of(request)), PRIVATE)


@router.get(
    "/api/v1/{model}/p/{key}/lens", summary="Lens on a prompt", responses=describe_answers(LensPage) | OF_PROMPTS
)
def lens(request: Request, model: Slug, key: Key, query: Annotated[LensQuery, Query()]) -> Response:
    """What the stream would say at every layer of a prompt, and how far that is from what the model says in the end."""
    return json_answer(request, write_body(_visit_lens(request, model, key, query), urls_of(request)), PRIVATE)


@router.get("/api/v1/{model}/pairs", summary="Pairs of a direction", responses=describe_answers(PairsPage) | OF_PROMPTS)
def pairs(request: Request, model: Slug, query: Annotated[PairsQuery, Query()]) -> Response:
    """The pairs of positions of example prompts that a direction of a head's QK does most for, or against."""
    return json_answer(request, write_body(_visit_pairs(request, model, query), urls_of(request)), PRIVATE)


def _visit_course(request: Request, model: str, key: str, query: CourseQuery) -> CoursePage:
    require_prompter(request)
    r, address = resources_of(request), parse(model)
    return verbs.visit_course(r, address, query.options(), key, query.of, query.at, query.wish())


def _visit_why(request: Request, model: str, key: str, query: WhyQuery) -> WhyPage:
    require_prompter(request)
    return visit_why(resources_of(request), parse(model), query.options(), key, query.inquiry())


def _visit_lens(request: Request, model: str, key: str, query: LensQuery) -> LensPage:
    require_prompter(request)
    return visit_lens(resources_of(request), parse(model), query.options(), key, query.inquiry())


def _visit_pairs(request: Request, model: str, query: PairsQuery) -> PairsPage:
    require_prompter(request)
    return visit_pairs(resources_of(request), parse(model), query.options(), query.of)


def _keep_prompt(request: Request, model: str, fields: dict[str, str]) -> Response:
    require_prompter(request)
    address, r = parse(model), resources_of(request)
    wish, weights = _read_wish(fields)
    aim = PromptAim(*(fields.get(name, "") for name in ("of", "edit", "steer")))
    if fields.get("rewrite"):
        form = verbs.visit_form(r, address, Options(weights=weights), wish, aim)
        return html_answer(request, "prompt_form.html", headers=PRIVATE, page=form, layout="base.html")
    try:
        key = verbs.keep_prompt(r, address, wish, aim)
    except (BadOption, UnknownAddress) as problem:
        return _answer_problem(request, address, Options(weights=weights), wish, aim, problem)
    return _redirect(request, address, key, aim, weights, {})


def _keep_for_program(request: Request, model: str, fields: dict[str, str]) -> Response:
    require_prompter(request)
    address, (wish, weights) = parse(model), _read_wish(fields)
    key = verbs.keep_prompt(resources_of(request), address, wish)
    return RedirectResponse(urls_of(request).api(address, None, f"{PROMPTS}/{key}", weights=weights), 303, PRIVATE)


def _read_wish(fields: dict[str, str]) -> tuple[PromptWish, Processing | None]:
    wish = PromptWish(fields.get("text", ""), fields.get("ids", ""), start=fields.get("start") == "1")
    return wish, next((one for one in PROCESSINGS if one == fields.get("weights")), None)


def _answer_problem(
    request: Request, address: Address, options: Options, wish: PromptWish, aim: PromptAim, problem: Exception
) -> Response:
    """Answer with the form as it was filled in, and what is wrong with it: nothing that was typed is lost."""
    r = resources_of(request)
    try:
        page = verbs.visit_form(r, address, options, wish, aim, str(problem))
    except (BadOption, UnknownAddress):  # the aim was what is wrong
        page = verbs.visit_form(r, address, options, wish, problem=str(problem))
    return html_answer(request, "prompt_form.html", 422, PRIVATE, page=page, layout="base.html")


def _answer_slip(request: Request, page: PromptPage | WhyPage, typed: dict[str, str], problem: Exception) -> Response:
    """Answer with a page of a prompt without what was wrong, which stays in its box, and say that."""
    meant, wrong = (problem.near, problem.name) if isinstance(problem, OtherValue) else ((), "")
    told: dict[str, object] = {"problem": str(problem), "meant": meant, "wrong": wrong, "typed": typed}
    status = 404 if isinstance(problem, UnknownAddress) else 422
    template = "prompt.html" if isinstance(page, PromptPage) else "why.html"
    return html_answer(request, template, status, PRIVATE, page=page, layout="base.html", **told)


def _redirect(
    request: Request, address: Address, key: str, aim: PromptAim, weights: str | None, carried: dict[str, object]
) -> Response:
    under = f"{PROMPTS}/{key}" + (
        f"/{COURSE}" if aim.of else f"/{EDIT}" if aim.edit else f"/{STEER}" if aim.steer else ""
    )
    said = {"weights": weights, "of": aim.of or aim.steer, "edit": aim.edit} | carried
    return RedirectResponse(urls_of(request).page(address, None, under, **said), 303, PRIVATE)
