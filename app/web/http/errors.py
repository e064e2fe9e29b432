"""What went wrong, as a page, a fragment or JSON: the one place where errors become answers.

JSON is always `{"error", "status", "detail"}`, with `{"done", "total"}` of what is on its way. Messages of explorer errors are fit for visitors; those of unexpected
errors are not, and stay in the log.
"""

import logging
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
from app.explorer.asking.places import located
from app.explorer.errors import (
    BadOption,
    Busy,
    ComputationFailed,
    ExplorerError,
    Importing,
    NotBuilt,
    NotImported,
    NotReady,
    OtherValue,
    UnknownAddress,
)
from app.web.http.answers import (
    GO_ON_SECONDS,
    IN_PLACE,
    NO_STORE,
    OPEN,
    POLL_SECONDS,
    VARY,
    WAITING,
    awaited,
    html_answer,
    target_of,
    wants_fragment,
)
from app.web.http.redirects import Spot, find_redirect, read_spot, spell_path, trim_query
from app.web.http.security import HEADERS
from app.web.http.site import resources_of, site_of
from app.web.http.targets import take_off_root

log = logging.getLogger(__name__)

STATUSES: dict[type[Exception], int] = {
    UnknownAddress: 404,
    AddressError: 404,
    NotBuilt: 404,
    BadOption: 422,
    NotReady: 202,
    Busy: 503,
    ComputationFailed: 503,
}
WORDS: dict[type[Exception] | int, tuple[str, str]] = {
    202: ("not_ready", "Computing…"),
    404: ("not_found", "Not here"),
    422: ("bad_option", "Not understood"),
    503: ("busy", "Busy"),
    Importing: ("not_ready", "Importing…"),
    NotBuilt: ("not_built", "Not built here"),
    ComputationFailed: ("failed", "This could not be computed"),
    NotImported: ("failed", "This model could not be imported"),
    500: ("unexpected", "Something failed"),
}
"""Status, or error that shares its status with another -> the machine's word for it, and people's."""
UNEXPECTED = "This page failed in a way that nobody planned for. The server's log says more; other pages still work."
NOT_TAKEN = "Requests to this address may be {}, and nothing else."
UNDER = {
    "notable": "gallery",
    "full": "full circuits",
    "compare": "bases side by side",
    "blind": "blind round",
    "search": "search",
    "alike": "heads like this one",
}
"""Pages of a place that are called otherwise than what stands behind its address."""
COMING = ("not_ready", "busy")
"""Errors after which a part of a page asks again."""
NOWHERE = Spot(None)
METHODS = ("GET", "POST")
"""Of all routes; every path takes GET, and HEAD with it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error page shows."""

    status: int
    error: str
    title: str
    detail: str
    path: str
    """Where the visitor wanted to go, query included."""
    target: str
    """The id that a fragment has to have."""
    spot: Spot = NOWHERE
    """The page to come, where one is on its way."""
    weights: str | None = None
    """Those that were asked for, so that links of a page that waits keep them."""
    near: tuple[Address, ...] = ()
    """Places on the way to what was asked for."""
    meant: tuple[tuple[str, str], ...] = ()
    """(URL, shown value): the same page with a value that may have been meant, such as a token."""
    done: int = 0
    total: int = 0
    rests: bool = False
    """Whether nothing goes on, or soon will not, until somebody asks again."""
    job: str | None = None
    """The job that brings the model, where that is on its way, or was to bring it."""
    retry_after: int = 0
    """Seconds until asking again may help; 0 where it will not."""

    @property
    def percent(self) -> int | None:
        """How far it is; None where that is not known."""
        return 100 * self.done // self.total if self.total else None

    @property
    def heading(self) -> str:
        """What is wrong; of a page to come its own name first.

        Example: "L27H0 · computing…"
        """
        address, under = self.spot
        if address is None:
            return self.title
        name = f"{address.label}, {UNDER.get(under, under)}" if under else address.label
        return f"{name} · {self.title.lower()}"

    @property
    def window_title(self) -> str:
        """The heading, and what it is of.

        Example: "L27H0 · computing… · smollm2 · singular-lens"
        """
        address = self.spot.address
        model = [] if address is None or address.depth == "model" else [address.model]
        return " · ".join([self.heading, *model, "singular-lens"])


def install_errors(app: FastAPI) -> None:
    """Answer every error of the app."""
    app.add_exception_handler(ExplorerError, answer_error)
    app.add_exception_handler(AddressError, answer_error)
    app.add_exception_handler(HTTPException, answer_error)
    app.add_exception_handler(RequestValidationError, answer_error)
    app.add_exception_handler(Exception, answer_unexpected)


def answer_error(request: Request, error: Exception) -> Response:
    """The answer to an error that has words for visitors."""
    problem = _problem(request, error)
    if problem.status == 404 and (elsewhere := find_redirect(request, _route_path(request))):
        return elsewhere
    if isinstance(error, RequestValidationError) and (trimmed := trim_query(request, _route_path(request))):
        return trimmed
    answer = _answer(request, problem)
    if isinstance(error, HTTPException):
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            answer.headers["Allow"] = ", ".join(_methods(request))
    return answer


def answer_unexpected(request: Request, error: Exception) -> Response:
    """The answer to any other error; the server logs it after us."""
    answer = _answer(request, _described(request, 500, UNEXPECTED))
    answer.headers.update(HEADERS)  # we stand outside the middleware that adds them
    return answer


def _problem(request: Request, error: Exception) -> Problem:
    if isinstance(error, RequestValidationError):
        return _described(request, 422, _sentences(error.errors()))
    if isinstance(error, HTTPException):
        return _described(request, error.status_code, _sentence(request, error))
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    problem = _described(request, status, str(error), WORDS.get(type(error)))
    if isinstance(error, NotReady):
        job = error.job if isinstance(error, Importing) else None
        after = GO_ON_SECONDS if error.rests else POLL_SECONDS
        return replace(problem, done=error.done, total=error.total, rests=error.rests, job=job, retry_after=after)
    if isinstance(error, NotImported):
        return replace(problem, job=error.job)
    if isinstance(error, OtherValue):
        meant = tuple((_with_value(request, error.name, value), shown) for value, shown in error.near)
        return replace(problem, meant=meant)
    return replace(problem, retry_after=getattr(error, "retry_after", 0))


def _sentence(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is no page of that name."
    if error.status_code == 405:
        *others, last = _methods(request)
        return NOT_TAKEN.format(f"{', '.join(others)} and {last}")
    return str(error.detail)


def _described(request: Request, status: int, detail: str, words: tuple[str, str] | None = None) -> Problem:
    phrase = HTTPStatus(status).phrase
    error, title = words or WORDS.get(status, (phrase.lower().replace(" ", "_"), phrase))
    query = request.scope["query_string"].decode("latin-1")
    # One slash in front: two would name another host.
    path = "/" + quote(request.scope["path"].lstrip("/")) + (f"?{query}" if query else "")
    return Problem(
        status=status,
        error=error,
        title=title,
        detail=detail,
        path=path,
        target=target_of(request) or (WAITING if status == 202 else "problem"),
        spot=_spot(request) if status == 202 else NOWHERE,
        weights=request.query_params.get("weights"),
        near=_near(request, status) if status in {404, 422} or error in {"failed", "unexpected"} else (),
    )


def _methods(request: Request) -> list[str]:
    """What some route takes at this address, or at any if this is none."""
    scope = dict(request.scope) | {"path": _route_path(request), "root_path": ""}
    taken = [
        method
        for method in METHODS
        if any(route.matches(scope | {"method": method})[0] is Match.FULL for route in request.app.routes)
    ]
    return ["GET", "HEAD", *(taken or METHODS)[1:]]


def _with_value(request: Request, name: str, value: str) -> str:
    """This very page with another value of that option."""
    query = urlencode(dict(request.query_params) | {name: value})
    return f"/{quote(request.scope['path'].lstrip('/'))}?{query}"


def _answer(request: Request, problem: Problem) -> Response:
    headers = NO_STORE | _when_to_return(problem) | {"Vary": VARY}
    if _route_path(request).startswith("/api/"):
        content = {"error": problem.error, "status": problem.status, "detail": problem.detail}
        if problem.status == 202:
            content |= {"done": problem.done, "total": problem.total}
        return JSONResponse(content, problem.status, headers | OPEN)
    if _is_file(request):
        # Not 202: whoever saves or reads a table would take the sentence for one.
        status = 503 if problem.status == 202 else problem.status
        title = problem.title if problem.title.endswith("…") else f"{problem.title}."
        return PlainTextResponse(f"{title} {problem.detail}\n", status, headers | OPEN)
    if not wants_fragment(request):
        return html_answer(request, "problem.html", problem.status, headers, problem=problem)
    if awaited(request) and problem.error not in COMING:
        return html_answer(request, "problem.html", problem.status, IN_PLACE | headers, problem=problem)
    part = "waiting" if awaited(request) and problem.status == 202 else "problem"
    return html_answer(request, f"_fragments/{part}.html", problem.status, headers, problem=problem)


def _is_file(request: Request) -> bool:
    """Whether a program may be asking: what it gets is read as a table, or as vectors."""
    return "format" in request.query_params and not wants_fragment(request)


def _when_to_return(problem: Problem) -> dict[str, str]:
    return {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}


def _spot(request: Request) -> Spot:
    """What the path names; nothing where it names no place of a model."""
    try:
        return read_spot(request, _route_path(request))
    except AddressError:
        return NOWHERE


def _near(request: Request, status: int) -> tuple[Address, ...]:
    """The model, layer … that the path went through before it went wrong, shortest first, in the weights of today."""
    parts = spell_path(_route_path(request)).strip("/").split("/")[:6]
    found = []
    for n in range(1, len(parts) + 1):
        try:
            place = parse("/".join(parts[:n]))
            located(resources_of(request), place.pinned(None))
        except (AddressError, ExplorerError):
            break
        # The whole path is no way out, unless its query or its pin was at fault.
        if n < len(parts) or status == 422 or place.pin is not None:
            found.append(place.pinned(None))
    return tuple(found)


def _route_path(request: Request) -> str:
    return take_off_root(str(request.scope["path"]), site_of(request).settings.root_path)


def _sentences(errors: Sequence[Any]) -> str:
    """What is wrong with the query, value by value.

    Example: "page: Input should be less than or equal to 10000 (got '99999')"
    """
    return "; ".join(
        f"{error['loc'][-1]}: {error['msg'].removeprefix('Value error, ')} (got {_short(error['input'])})"
        for error in errors
    )


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
