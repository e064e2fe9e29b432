"""The body of a JSON answer: a page value, written as plain data. Knows no field of any page."""

from typing import Any

from pydantic import TypeAdapter

from app.explorer.errors import BadOption, NotBuilt
from app.explorer.pages.search import SearchPage, Unbuilt
from app.web.api.links import AnswerLinks
from app.web.urls.urls import Urls

_adapters: dict[type, TypeAdapter[Any]] = {}

NOTHING_ASKED = "Say what to search for: q=writing,wrote."


def write_body(page: Any, urls: Urls) -> dict[str, Any]:
    """Write a page as data that `json.dumps` takes, texts with lone surrogates as they are.

    Raises NotBuilt or BadOption where the page only says why it is empty: people read that there, a program gets an
    error.
    """
    if isinstance(page, SearchPage):
        require_answer(page)
    else:
        _check_built(page)
    body: dict[str, Any] = _adapter_of(type(page)).dump_python(page, mode="json", context=AnswerLinks(urls))
    return body


def require_answer(page: SearchPage) -> SearchPage:
    """Return the page of a search that was answered; raise NotBuilt or BadOption with what it says instead."""
    _check_built(page)
    if page.searched is None:
        raise BadOption(page.problem or NOTHING_ASKED)
    return page


def _check_built(page: object) -> None:
    match page:
        case object(unbuilt=Unbuilt() as missing):
            raise NotBuilt(missing.why, missing.command)


def _adapter_of(form: type) -> TypeAdapter[Any]:
    """Return the writer of a kind of page, built when the first one is asked for: all would slow a server's start."""
    if form not in _adapters:
        _adapters[form] = TypeAdapter(form)
    return _adapters[form]
