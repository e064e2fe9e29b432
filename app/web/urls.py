"""Every address that a page prints. Templates never glue a URL by hand.

Knows the grammar of addresses and queries, not what is behind them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from app.core.address import Address
from app.explorer.pages import View

DEFAULTS = {"sort": "strength", "page": 1, "find": "", "distance": 0, "score": None, "format": None}
"""Query values that are left out of a URL, besides the operator's weight processing."""


@dataclass(frozen=True, slots=True)
class Urls:
    """The links of one server, seen from one request."""

    root: str
    """Path the app lives under, such as `/lens`; empty at the top of a host."""
    origin: str
    """What an absolute link starts with, root included: `https://lens.example/lens`."""

    def home(self) -> str:
        """The front page."""
        return f"{self.root}/"

    def page(self, address: Address, view: View | None = None, **changes: object) -> str:
        """A place in a model, in the view that the visitor has.

        Example: page(parse("gpt2/L5"), view, weights="raw") -> "/gpt2/L5?weights=raw"
        """
        return f"{self.root}/{address}{_query(_kept(address, view), changes)}"

    def directions(self, matrix: Address, view: View, n: int) -> list[str]:
        """The pages of a matrix's first n directions, made at once: a spectrum links all of them."""
        first = matrix.direction(0)
        start, query = self.page(first).removesuffix("0"), _query(_kept(first, view), {})
        return [f"{start}{i}{query}" for i in range(n)]

    def fields(self, address: Address, view: View, *own: str) -> list[tuple[str, object]]:
        """What a form of that page must send besides its own fields, so that the view stays."""
        return [(name, value) for name, value in _values(_kept(address, view), {}).items() if name not in own]

    def api(self, address: Address, view: View | None = None, **changes: object) -> str:
        """The JSON twin of a page."""
        return f"{self.root}/api/v1/{address}{_query(_kept(address, view), changes)}"

    def models(self) -> str:
        """The JSON twin of the front page."""
        return f"{self.root}/api/v1/"

    def notable(self, address: Address, view: View | None = None) -> str:
        """A model's gallery."""
        return f"{self.root}/{_model(address)}/notable{_query(_kept(address, view), {})}"

    def notable_api(self, address: Address, view: View | None = None) -> str:
        """A model's gallery as JSON."""
        return f"{self.root}/api/v1/{_model(address)}/notable{_query(_kept(address, view), {})}"

    def jump(self, address: Address) -> str:
        """Where the jump box of a model sends its text."""
        return f"{self.root}/{_model(address)}/jump"

    def glossary(self, key: str = "") -> str:
        """The glossary, or one of its entries."""
        return f"{self.root}/-/glossary" + (f"#{key}" if key else "")

    def settings(self) -> str:
        """What this server was started with."""
        return f"{self.root}/-/settings"

    def jobs(self, slug: str | None = None, *, live: bool = False) -> str:
        """The jobs, or those of one model, or only those that go on; a POST begins one."""
        return f"{self.root}/-/jobs{_jobs_query(slug, live)}"

    def wish(self, slug: str, circuits: Sequence[str], processings: Sequence[str]) -> str:
        """Where a POST begins a job.

        Example: wish("demo", ("ov", "qk"), ("folded",)) -> "/-/jobs?model=demo&circuits=ov%2Cqk&weights=folded"
        """
        said = {"model": slug, "circuits": ",".join(circuits), "weights": ",".join(processings)}
        return f"{self.root}/-/jobs{_query(None, dict(said))}"

    def job(self, id_: str) -> str:
        """How far a job is."""
        return f"{self.root}/-/jobs/{id_}"

    def job_events(self, id_: str) -> str:
        """News of a job."""
        return f"{self.job(id_)}/events"

    def job_cancel(self, id_: str) -> str:
        """Where a POST ends a job."""
        return f"{self.job(id_)}/cancel"

    def jobs_api(self, slug: str | None = None, *, live: bool = False) -> str:
        """The same jobs as JSON."""
        return f"{self.root}/api/v1/-/jobs{_jobs_query(slug, live)}"

    def job_api(self, id_: str) -> str:
        """A job as JSON."""
        return f"{self.jobs_api()}/{id_}"

    def docs(self) -> str:
        """How to ask for JSON."""
        return f"{self.root}/docs"

    def openapi(self) -> str:
        """The API's description for machines."""
        return f"{self.root}/openapi.json"

    def pinned(self, address: Address, pin: str, view: View, **changes: object) -> str:
        """The absolute link to send: it names these very weights and their processing.

        Example: "https://lens.example/gpt2@0123abcd/L5/H3/ov/svd/12?weights=folded"
        """
        query = _query(_kept(address, view), {"weights": view.weights} | changes, always="weights")
        return f"{self.origin}/{address.pinned(pin)}{query}"


def _model(address: Address) -> Address:
    return Address(address.model, address.pin)


def _kept(address: Address, view: View | None) -> View | None:
    """What of the view means something there: only tables are sorted, paged and searched, only QK has a distance."""
    if view is None:
        return None
    if address.depth not in {"head", "matrix", "decomposition"}:
        view = replace(view, sort="strength", page=1, find="")
    if address.head is None or address.circuit == "ov" or address.layer in view.still:
        view = replace(view, distance=0)
    return view


def _jobs_query(slug: str | None, live: bool) -> str:
    said: dict[str, object] = {"model": slug} if slug else {}
    return _query(None, said | ({"live": "true"} if live else {}))


def _query(view: View | None, changes: dict[str, object], always: str = "") -> str:
    """The query string of a view with some values changed."""
    kept = _values(view, changes, always)
    return f"?{urlencode(kept)}" if kept else ""


def _values(view: View | None, changes: dict[str, object], always: str = "") -> dict[str, object]:
    """What a query says of a view with some values changed; what equals its default is left out."""
    values: dict[str, object] = {}
    defaults: dict[str, object] = DEFAULTS
    if view is not None:
        values = {name: getattr(view, name) for name in ("weights", "sort", "page", "find", "distance")}
        defaults = {"weights": view.default_weights} | DEFAULTS
    values |= changes
    return {key: value for key, value in values.items() if key == always or value != defaults.get(key)}
