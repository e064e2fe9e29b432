"""The one place where errors become answers: a page, a fragment or JSON.

JSON is always `{"error", "status", "detail"}`, with `{"done", "total"}` while something is computed. Messages of
explorer errors are fit for visitors; those of unexpected errors are not, and stay in the log.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.core.address import Address, AddressError, parse
from app.explorer.asking.places import locate_model
from app.explorer.errors import (
    BadOption,
    Busy,
    ComputationFailed,
    ExplorerError,
    Importing,
    NotBuilt,
    NotComputedHere,
    NotImported,
    NotReady,
    OtherValue,
    PromptsRefused,
    TooManyPrompts,
    UnknownAddress,
    UnknownPrompt,
)
from app.web.http.answers import (
    CORS_HEADERS,
    NO_STORE,
    POLL_SECONDS,
    REPLACE_MAIN,
    RESUME_SECONDS,
    VARY,
    WAITING_ID,
    frame_headers,
    html_answer,
    is_from_waiting_page,
    reload_answer,
    target_of,
    wants_fragment,
)
from app.web.http.embedding import is_embedded, take_off_embed
from app.web.http.redirects import Spot, find_redirect, read_spot, spell_path, trim_query
from app.web.http.security import HEADERS
from app.web.http.site import resources_of, site_of
from app.web.http.targets import take_off_root
from app.web.urls.paths import PROMPT, PROMPTS

log = logging.getLogger(__name__)

STATUSES: dict[type[Exception], int] = {
    UnknownAddress: 404,
    AddressError: 404,
    NotBuilt: 404,
    NotComputedHere: 404,
    BadOption: 422,
    NotReady: 202,
    PromptsRefused: 403,
    TooManyPrompts: 429,
    Busy: 503,
    ComputationFailed: 503,
}
ERROR_WORDS: dict[type[Exception] | int, tuple[str, str]] = {
    202: ("not_ready", "Computing…"),
    404: ("not_found", "Not here"),
    422: ("bad_option", "Not understood"),
    429: ("busy", "Busy"),
    503: ("busy", "Busy"),
    Importing: ("not_ready", "Importing…"),
    NotBuilt: ("not_built", "Not built here"),
    NotComputedHere: ("not_computed", "Not computed here"),
    PromptsRefused: ("refused", "No prompts here"),
    ComputationFailed: ("failed", "This could not be computed"),
    NotImported: ("failed", "This model could not be imported"),
    500: ("unexpected", "Something failed"),
}
"""Status, or an error that shares its status with another -> the word in JSON, and the title of the page."""
UNEXPECTED = "This page failed in a way that nobody planned for. The server's log says more; other pages still work."
WRONG_METHOD = "Requests to this address may be {}, and nothing else."
PAGE_NAMES = {
    "notable": "gallery",
    "full": "full circuits",
    "compare": "bases side by side",
    "blind": "blind round",
    "search": "search",
    "alike": "heads like this one",
    "p": "prompt",
}
"""The first part of a path behind an address -> the page's name in headings, where the two differ."""
RETRIED_ERRORS = ("not_ready", "busy")
"""Errors after which a waiting page asks again."""
NO_SPOT = Spot(None)
METHODS = ("GET", "POST")
"""Methods that routes take; every path takes GET, and HEAD with it."""
MEANT = {
    "missing": "must be given",
    "int_parsing": "is a whole number",
    "int_parsing_size": "is a number of fewer digits",
    "float_parsing": "is a number",
    "finite_number": "is a finite number",
    "bool_parsing": "is 1 or 0",
    "literal_error": "is {expected}",
    "less_than_equal": "is at most {le}",
    "less_than": "is below {lt}",
    "greater_than_equal": "is at least {ge}",
    "greater_than": "is above {gt}",
    "string_too_long": "has at most {max_length} characters",
    "string_too_short": "has at least {min_length} characters",
}
"""What a value must be, by the kind of error that pydantic has with it."""
PRIVATE_VALUES = {"text", "ids"}
"""Values of a query that hold a prompt."""
PROMPT_PATH = re.compile(rf"(?P<model>/.*)/{PROMPTS}/[0-9a-f]{{16}}")
"""The path of a prompt, below a model's, with what may stand in front of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The content of an error page."""

    status: int
    error: str
    title: str
    detail: str
    path: str
    """The path that was asked for, query included."""
    target: str
    """Id of the fragment's root element."""
    spot: Spot = NO_SPOT
    """The page that is being computed, if any."""
    weights: str | None = None
    """The weight processing that was asked for, so that links of a waiting page keep it."""
    near: tuple[Address, ...] = ()
    """Existing places on the way to the address that was asked for."""
    prompt: str = ""
    """The path of the prompt whose page was refused; empty where there is none."""
    prompt_form: str = ""
    """The path of the form that asks for a prompt, where one is not here."""
    meant: tuple[tuple[str, str], ...] = ()
    """(URL, shown value): the same page with a value that may have been meant, such as a token."""
    done: int = 0
    total: int = 0
    goes_on: bool = False
    """True if the computation goes on though nobody asks again."""
    rests: bool = False
    """True if the computation rests, or soon will, until somebody asks again."""
    job: str | None = None
    """Id of the job that imports the model, running or failed."""
    retry_after: int = 0
    """Seconds until asking again may help; 0 where it will not."""

    @property
    def link(self) -> str:
        """The path that was asked for, as it is outside of a frame."""
        path, _, query = self.path.partition("?")
        left = take_off_embed(query)
        return f"{path}?{left}" if left else path

    @property
    def percent(self) -> int | None:
        """Progress in percent; None where the total is not known."""
        return 100 * self.done // self.total if self.total else None

    @property
    def heading(self) -> str:
        """The page's heading: the title, after the name of the page where one is being computed.

        Example: "L27H0 · computing…"
        """
        address, under = self.spot
        if address is None:
            return self.title
        name = f"{address.label}, {PAGE_NAMES.get(under.partition('/')[0], under)}" if under else address.label
        return f"{name} · {self.title.lower()}"

    @property
    def window_title(self) -> str:
        """The title of the browser's window: heading, model and app.

        Example: "L27H0 · computing… · smollm2 · singular-lens"
        """
        address = self.spot.address
        model = [] if address is None or address.depth == "model" else [address.model]
        return " · ".join([self.heading, *model, "singular-lens"])


def install_errors(app: FastAPI) -> None:
    """Register the handlers that answer every error of the app."""
    app.add_exception_handler(ExplorerError, answer_error)
    app.add_exception_handler(AddressError, answer_error)
    app.add_exception_handler(HTTPException, answer_error)
    app.add_exception_handler(RequestValidationError, answer_error)
    app.add_exception_handler(Exception, answer_unexpected)


def answer_error(request: Request, error: Exception) -> Response:
    """Answer an error whose message is meant for visitors."""
    problem = _problem_of(request, error)
    if problem.status == 404 and (elsewhere := find_redirect(request, _route_path(request))):
        return elsewhere
    if isinstance(error, RequestValidationError) and (trimmed := trim_query(request, _route_path(request))):
        return trimmed
    answer = _answer_problem(request, problem)
    if isinstance(error, HTTPException):
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            answer.headers["Allow"] = ", ".join(_find_methods(request))
    return answer


def answer_unexpected(request: Request, error: Exception) -> Response:
    """Answer any other error; the server logs it afterwards."""
    answer = _answer_problem(request, _describe_problem(request, 500, UNEXPECTED))
    answer.headers.update(HEADERS)  # this handler runs outside the middleware that adds them
    return answer


def _problem_of(request: Request, error: Exception) -> Problem:
    if isinstance(error, RequestValidationError):
        return _describe_problem(request, 422, _join_errors(error.errors()))
    if isinstance(error, HTTPException):
        return _describe_problem(request, error.status_code, _sentence_of(request, error))
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    problem = _describe_problem(request, status, str(error), ERROR_WORDS.get(type(error)))
    if isinstance(error, NotReady):
        job = error.job if isinstance(error, Importing) else None
        after = RESUME_SECONDS if error.rests else POLL_SECONDS
        problem = replace(problem, done=error.done, total=error.total, job=job, retry_after=after)
        return replace(problem, rests=error.rests, goes_on=error.goes_on)
    return _show_way_on(request, problem, error)


def _show_way_on(request: Request, problem: Problem, error: Exception) -> Problem:
    """Add to what went wrong where its visitor may go from there."""
    if isinstance(error, UnknownPrompt):
        form = PROMPT_PATH.match("/" + quote(request.scope["path"].lstrip("/")))
        return replace(problem, prompt="", prompt_form="" if form is None else f"{form['model']}/{PROMPT}")
    if isinstance(error, NotImported):
        return replace(problem, job=error.job)
    if isinstance(error, OtherValue):
        meant = tuple((_url_with_value(request, error.name, value), shown) for value, shown in error.near)
        return replace(problem, meant=meant)
    return replace(problem, retry_after=getattr(error, "retry_after", 0))


def _sentence_of(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is no page of that name."
    if error.status_code == 405:
        *others, last = _find_methods(request)
        return WRONG_METHOD.format(f"{', '.join(others)} and {last}")
    return str(error.detail)


def _describe_problem(request: Request, status: int, detail: str, words: tuple[str, str] | None = None) -> Problem:
    phrase = HTTPStatus(status).phrase
    error, title = words or ERROR_WORDS.get(status, (phrase.lower().replace(" ", "_"), phrase))
    query = request.scope["query_string"].decode("latin-1")
    # One slash in front: two would name another host.
    path = "/" + quote(request.scope["path"].lstrip("/")) + (f"?{query}" if query else "")
    return Problem(
        status=status,
        error=error,
        title=title,
        detail=detail,
        path=path,
        target=target_of(request) or (WAITING_ID if status == 202 else "problem"),
        spot=_spot_of(request) if status == 202 else NO_SPOT,
        weights=request.query_params.get("weights"),
        prompt=_find_prompt(request) if status in {404, 422} else "",
        near=_find_near(request, itself=status == 422 or (error == "not_computed" and bool(query)))
        if status in {404, 422} or error in {"failed", "unexpected"}
        else (),
    )


def _find_prompt(request: Request) -> str:
    """Find the path of the prompt whose page was asked for; empty if it was another page, or that very path."""
    path, query = "/" + quote(request.scope["path"].lstrip("/")), request.scope["query_string"]
    found = PROMPT_PATH.match(path)
    return found[0] if found and (query or found[0] != path) else ""


def _find_methods(request: Request) -> list[str]:
    """List the methods that routes take at this path, or all methods if no route matches it."""
    scope = dict(request.scope) | {"path": _route_path(request), "root_path": ""}
    taken = [
        method
        for method in METHODS
        if any(route.matches(scope | {"method": method})[0] is Match.FULL for route in request.app.routes)
    ]
    return ["GET", "HEAD", *(taken or METHODS)[1:]]


def _url_with_value(request: Request, name: str, value: str) -> str:
    """Make the URL of this page with another value of one option."""
    query = urlencode(dict(request.query_params) | {name: value})
    return f"/{quote(request.scope['path'].lstrip('/'))}?{query}"


def _answer_problem(request: Request, problem: Problem) -> Response:
    headers = NO_STORE | _retry_headers(problem) | {"Vary": VARY}
    if _route_path(request).startswith("/api/"):
        content = {"error": problem.error, "status": problem.status, "detail": problem.detail}
        if problem.status == 202:
            content |= {"done": problem.done, "total": problem.total}
        return JSONResponse(content, problem.status, headers | CORS_HEADERS)
    if _is_file(request):
        # Not 202: a program would read the sentence as its table.
        status = 503 if problem.status == 202 else problem.status
        title = problem.title if problem.title.endswith("…") else f"{problem.title}."
        return PlainTextResponse(f"{title} {problem.detail}\n", status, headers | CORS_HEADERS)
    if not wants_fragment(request):
        # What is refused is refused in a frame too.
        framed = is_embedded(request.query_params) and problem.status != 403
        headers |= frame_headers(request) if framed else {}
        return html_answer(request, "problem.html", problem.status, headers, problem=problem, framed=framed)
    if is_from_waiting_page(request) and problem.error not in RETRIED_ERRORS:
        if is_embedded(request.query_params):
            return reload_answer(request)
        return html_answer(request, "problem.html", problem.status, REPLACE_MAIN | headers, problem=problem)
    part = "waiting" if is_from_waiting_page(request) and problem.status == 202 else "problem"
    return html_answer(request, f"_fragments/{part}.html", problem.status, headers, problem=problem)


def _is_file(request: Request) -> bool:
    """Return whether a file is asked for: a program may read the answer as a table, or as vectors."""
    return "format" in request.query_params and not wants_fragment(request)


def _retry_headers(problem: Problem) -> dict[str, str]:
    return {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}


def _spot_of(request: Request) -> Spot:
    """Read the place that the path names; NOWHERE if it is none of a model."""
    try:
        return read_spot(request, _route_path(request))
    except AddressError:
        return NO_SPOT


def _find_near(request: Request, *, itself: bool) -> tuple[Address, ...]:
    """Find the existing places along a wrong path (model, layer …), shortest first, without a pin.

    `itself`: the path's own place is among them, since only its query was at fault.
    """
    parts = spell_path(_route_path(request)).strip("/").split("/")[:6]
    found = []
    for n in range(1, len(parts) + 1):
        try:
            place = parse("/".join(parts[:n]))
            locate_model(resources_of(request), place.with_pin(None))
        except (AddressError, ExplorerError):
            break
        # Or where its pin was.
        if n < len(parts) or itself or place.pin is not None:
            found.append(place.with_pin(None))
    return tuple(found)


def _route_path(request: Request) -> str:
    return take_off_root(str(request.scope["path"]), site_of(request).settings.root_path)


def _join_errors(errors: Sequence[Any]) -> str:
    """Say what is wrong with the query, value by value.

    What a visitor wrote for a model to read is not repeated: messages may be logged.

    Example: "page is at most 10000 (got '99999')"
    """
    return "; ".join(
        _say_error(error) + ("" if _is_silent(error) else f" (got {_shorten(error['input'])})") for error in errors
    )


def _is_silent(error: Any) -> bool:
    """Return whether what was said is not repeated: nothing was, or it is nobody else's business."""
    return error["type"] == "missing" or error["loc"][-1] in PRIVATE_VALUES


def _say_error(error: Any) -> str:
    """Say what one value must be, in the project's words where the library's would be about its own types."""
    name, said = error["loc"][-1], MEANT.get(error["type"])
    if said is None:
        return f"{name}: {error['msg'].removeprefix('Value error, ')}"
    return f"{name} {said.format(**error.get('ctx', {}))}"


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
