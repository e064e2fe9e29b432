"""The talk with one server: a request is sent, sent again when the server asks for patience, and its errors are raised.

Knows no address of a model and no page.
"""

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from .errors import LensError
from .text import spell
from .wait import Wait

Tell = Callable[[Wait], None]
Query = Mapping[str, str]

PATIENCE = {202, 429, 503}
"""Statuses that mean later, where a Retry-After says when."""
USUAL_SECONDS = 2.0
"""Seconds until asking again where Retry-After names a date, as proxies do."""
CONNECT_SECONDS = 10.0
LEAST_SECONDS = 0.1
MOST_REDIRECTS = 5
LONGEST_SENTENCE = 2_000
"""Characters that are read of an answer that should be one sentence."""
UNQUOTED = "/@-._~"
"""Characters of a path that stand in a URL as they are."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Talk:
    """A connection to a server that waits for its computations, up to `seconds` for each thing that is asked."""

    def __init__(
        self,
        base: str,
        seconds: float,
        tell: Tell | None = None,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base = _read_base(base)
        self._seconds, self._tell = seconds, tell
        self._client = httpx.Client(
            base_url=self.base,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
            transport=transport,
            trust_env=httpx.URL(self.base).host not in LOOPBACK,  # a proxy would look for its own localhost
        )

    def close(self) -> None:
        """Close the connections, and what serves in this process."""
        self._client.close()

    def link(self, path: str) -> str:
        """Make a path of the server, its root included, an absolute link; a link stays as it is."""
        return str(httpx.URL(self.base).join(path))

    def read_json(self, path: str, query: Query) -> dict[str, Any]:
        """Read an object of the API; LensError."""
        answer = self._ask("GET", f"api/v1/{path}", params=query)
        found = _parse(answer)
        if not isinstance(found, dict):
            raise _strange(answer, "JSON")
        return found

    def read_file(self, path: str, query: Query, kind: str) -> bytes:
        """Read a file, such as text/csv, of the page at that path; LensError."""
        answer = self._ask("GET", path, params=query)
        if not answer.headers.get("Content-Type", "").startswith(kind):
            raise _strange(answer, kind)
        return answer.content

    def send_form(self, path: str, fields: Mapping[str, str]) -> str:
        """Send a form to the API, and return the key of what the server keeps; LensError."""
        url = httpx.URL(self.base)
        origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        answer = self._ask("POST", f"api/v1/{path}", data=fields, headers={"Origin": origin})
        if answer.status_code != HTTPStatus.SEE_OTHER:
            raise _strange(answer, "a link")
        return httpx.URL(answer.headers.get("Location", "")).path.rpartition("/")[2]

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Ask until there is an answer, or no time for asking again."""
        until = time.monotonic() + self._seconds
        while True:
            answer = self._send(method, path, request)
            if answer.status_code not in PATIENCE or "Retry-After" not in answer.headers:
                return _require_good(answer)
            wait = _read_wait(answer)
            if time.monotonic() + wait.seconds > until:
                raise LensError(f"Not there after {self._seconds:g} s: {wait}", answer.status_code, _address_of(answer))
            if self._tell is not None:
                self._tell(wait)
            time.sleep(wait.seconds)

    def _send(self, method: str, path: str, request: Mapping[str, Any]) -> httpx.Response:
        """Send a request, and follow where it is redirected to on the same host; LensError.

        Not beyond: whoever redirects to a login, or to a host of his own, is no server of ours. A form is kept where the
        answer is 303, and its link is not followed.
        """
        try:
            answer = self._client.request(method, quote(path, UNQUOTED), **request)
            for _ in range(MOST_REDIRECTS):
                onward = answer.next_request
                if onward is None or (method == "POST" and answer.status_code == HTTPStatus.SEE_OTHER):
                    break
                if onward.url.host != answer.url.host:
                    said = f"{self.base} leads to another server, {onward.url.host}."
                    raise LensError(said, answer.status_code, _address_of(answer))
                answer = self._client.send(onward)
            return answer
        except httpx.TimeoutException as error:
            raise LensError(f"No answer from {self.base} in time.", address=path) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = f" ({error})" if str(error) else ""
            raise LensError(f"No server of singular-lens answers at {self.base}{said}.", address=path) from error


def _read_base(url: str) -> str:
    """Check the address of a server; LensError where it is none."""
    try:
        read = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise LensError(f"{url!r} is no address of a server, such as http://127.0.0.1:8000.") from error
    if read.scheme not in {"http", "https"} or not read.host or "%" in read.host:
        raise LensError(f"{url!r} is no address of a server: it begins with http:// or https://.")
    return str(read.copy_with(query=None, fragment=None)).rstrip("/") + "/"


def _require_good(answer: httpx.Response) -> httpx.Response:
    if answer.is_success or answer.status_code == HTTPStatus.SEE_OTHER:
        return answer
    raise LensError(_read_sentence(answer), answer.status_code, _address_of(answer))


def _read_sentence(answer: httpx.Response) -> str:
    """Read what the server says is wrong, or else name its status."""
    kind = answer.headers.get("Content-Type", "")
    if kind.startswith("text/plain") and answer.text.strip():
        return answer.text.strip()[:LONGEST_SENTENCE]
    if kind.startswith("application/json"):
        match _parse(answer):
            case {"detail": str(detail), "error": str()}:
                return detail[:LONGEST_SENTENCE]
    return f"{answer.status_code} {answer.reason_phrase}, from what does not look like a server of singular-lens."


def _read_wait(answer: httpx.Response) -> Wait:
    said = answer.headers["Retry-After"]
    seconds = max(LEAST_SECONDS, float(said)) if said.isascii() and said.isdecimal() else USUAL_SECONDS
    done, total = 0, 0
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        match _parse(answer):
            case {"done": int(done), "total": int(total)}:
                pass
    return Wait(spell(_read_sentence(answer)), done, total, seconds)


def _parse(answer: httpx.Response) -> Any:
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        raise _strange(answer, "JSON")
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        raise _strange(answer, "JSON") from None


def _strange(answer: httpx.Response, wanted: str) -> LensError:
    kind = answer.headers.get("Content-Type", "").partition(";")[0] or "nothing"
    said = f"The answer is {kind} instead of {wanted}: is this a server of singular-lens, and a page that has that?"
    return LensError(said, answer.status_code, _address_of(answer))


def _address_of(answer: httpx.Response) -> str:
    return str(answer.url)
