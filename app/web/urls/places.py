"""Links of places in a model, in the visitor's view, and what is said of any link."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from app.core.address import Address
from app.explorer.options import find_option
from app.explorer.pages.blind import BlindPage
from app.explorer.pages.compare import ComparePage
from app.explorer.pages.gallery import UNSOUGHT, Sought
from app.explorer.view import Choice, View
from app.models.token_filter import EVERY
from app.web.urls.paths import BLIND, CARD, CENSUS, COMPARE, FULL, NOTABLE, OEMBED, TOKEN
from app.web.urls.spelling import PINNED, collect_values, keep_relevant, model_of, page_of, path_below, spell_query


class TokenLinks(NamedTuple):
    """URLs of a model's tokens, of which a page links hundreds: start, id, query."""

    start: str
    query: str

    def to(self, id_: int) -> str:
        """Link the page of a token."""
        return f"{self.start}{id_}{self.query}"


@dataclass(frozen=True, slots=True)
class PlaceUrls:
    """Links of places in a model."""

    root: str
    """Path the app lives under, such as `/lens`; empty at the top of a host."""
    origin: str
    """Start of an absolute link, root included: `https://lens.example/lens`."""

    def home(self) -> str:
        """Link the front page."""
        return f"{self.root}/"

    def page(self, address: Address, view: View | None = None, under: str = "", **changes: object) -> str:
        """Link a place in a model, in the visitor's view; `under`: the rest of the path behind the address.

        Example: page(parse("gpt2/L5"), view, weights="raw") -> "/gpt2/L5?weights=raw"
        """
        query = spell_query(page_of(address, under), keep_relevant(address, view), changes)
        return f"{self.root}/{address}{path_below(under)}{query}"

    def pinned_url(self, address: Address, pin: str, view: View, under: str = "", **changes: object) -> str:
        """Make the absolute, pinned link of a place: it names the exact weights and their processing.

        Example: "https://lens.example/gpt2@0123abcd/L5/H3/ov/svd/12?weights=folded"
        """
        said = {"weights": view.weights} | changes
        query = spell_query(page_of(address, under), keep_relevant(address, view), said, always=PINNED)
        return f"{self.origin}/{address.with_pin(pin)}{path_below(under)}{query}"

    def api(self, address: Address, view: View | None = None, under: str = "", **changes: object) -> str:
        """The JSON twin of a page."""
        query = spell_query(page_of(address, under), keep_relevant(address, view), changes)
        return f"{self.root}/api/v1/{address}{path_below(under)}{query}"

    def twin(self, path: str) -> str:
        """Link the JSON twin of a page by its path and query.

        Example: twin("/lens/gpt2/L5?weights=raw") -> "/lens/api/v1/gpt2/L5?weights=raw"
        """
        return f"{self.root}/api/v1{path.removeprefix(self.root)}"

    def models(self) -> str:
        """Link the JSON twin of the front page."""
        return f"{self.root}/api/v1/"

    def card(self, link: str) -> str:
        """Link the picture of the page at `link`, absolutely: other sites fetch it.

        Example: card("/gpt2/L5/H3?weights=raw") -> "https://lens.example/gpt2/L5/H3/card.png?weights=raw"
        """
        path, mark, query = link.removeprefix(self.root).partition("?")
        return f"{self.origin}{path}/{CARD}{mark}{query}"

    def own_card(self) -> str:
        """Link the picture of pages that have none of their own."""
        return f"{self.origin}/-/{CARD}"

    def oembed(self, link: str) -> str:
        """Link the description of how another site puts the page at `link` in a frame.

        Example: oembed("/gpt2/L5") -> "https://lens.example/-/oembed?url=https%3A%2F%2Flens.example%2Fgpt2%2FL5"
        """
        return f"{self.origin}/-/{OEMBED}?{urlencode({'url': f'{self.origin}{link.removeprefix(self.root)}'})}"

    def directions(self, matrix: Address, view: View, indices: Sequence[int]) -> dict[int, str]:
        """Link these directions of a matrix, all at once: a spectrum links each of them.

        Example: directions(parse("gpt2/L5/mlp-in/neuron"), view, (35, 2)) -> {35: "/gpt2/L5/mlp-in/neuron/35", 2: …}
        """
        first = matrix.direction(0)
        start, query = self.page(first).removesuffix("0"), spell_query("direction", keep_relevant(first, view), {})
        return {index: f"{start}{index}{query}" for index in indices}

    def choices(self, address: Address, view: View, name: str, values: Sequence[str]) -> dict[str, str]:
        """Link the first page of a table with each value of one option, all at once: a page links many of them.

        Example: choices(parse("gpt2/L5/H3"), view, "only", ("all", "readable")) -> {"all": "/gpt2/L5/H3", "readable":
        "/gpt2/L5/H3?only=readable"}
        """
        usual = find_option(name, page_of(address)).default
        changes: dict[str, Any] = {"page": 1, name: usual}
        bare = self.page(address, view, **changes)
        start = f"{bare}{'&' if '?' in bare else '?'}{name}="
        return {value: bare if value == usual else f"{start}{value}" for value in values}

    def vectors(self, address: Address, view: View) -> str:
        """Link the vectors of a matrix's directions, or of one, as a file; options about tokens are dropped.

        Example: vectors(parse("gpt2/L5/H3/ov/2"), view) -> "/gpt2/L5/H3/ov/2?format=npz"
        """
        bare = replace(view, sort="order", page=1, only="all", find="", token_filter=EVERY, rotated=False)
        return self.page(address, bare, format="npz")

    def fit(self, address: Address, view: View, fit: Sequence[Choice]) -> str:
        """Link a fitted decomposition with other parameters."""
        chosen = replace(view, page=1, basis=address.basis or "svd", parameters=tuple(fit))
        return self.page(address, chosen)

    def fields(
        self, address: Address, view: View, *own: str, under: str = "", **changes: object
    ) -> list[tuple[str, object]]:
        """List what a form of that page must send besides its own fields, so that the view stays."""
        values = collect_values(page_of(address, under), keep_relevant(address, view), changes)
        return [(name, value) for name, value in values.items() if name not in own]

    def full(self, head: Address, view: View | None = None, **changes: object) -> str:
        """Link the full circuits of a head.

        Example: full(parse("gpt2/L5/H3"), view, token=" Paris") -> "/gpt2/L5/H3/full?token=+Paris"
        """
        return self.page(head, view, FULL, **changes)

    def compare(self, address: Address, view: View | None = None, **changes: object) -> str:
        """Link the bases of a matrix side by side.

        Example: compare(parse("gpt2/embed"), view, direction="svd/12") -> "/gpt2/embed/compare?direction=svd%2F12"
        """
        return self.page(address.matrix, view, COMPARE, **changes)

    def compare_values(self, page: ComparePage, **changes: Sequence[Choice]) -> dict[str, object]:
        """Collect the query values of a page of bases side by side, its fits included; `changes`: other fits.

        Example: compared(page, nmf=fit) -> {"nonzeros": 8, "first": 16, "direction": "svd/0", "nmf": "32,0"}
        """
        fits = {one.basis: one.parameters for one in page.bases if one.parameters} | changes
        said = {basis: ",".join(str(choice.value) for choice in fit) for basis, fit in fits.items()}
        return {"nonzeros": page.nonzeros, "first": page.first, "direction": page.direction, **said}

    def census(self, address: Address, view: View | None = None, **changes: object) -> str:
        """Link a model's census.

        Example: census(parse("gpt2"), view, format="csv") -> "/gpt2/census?format=csv"
        """
        return self.page(model_of(address), view, CENSUS, **changes)

    def notable(self, address: Address, view: View | None = None, sought: Sought = UNSOUGHT, **changes: object) -> str:
        """Link a model's gallery, filtered by `sought`.

        Example: notable(parse("gpt2"), view, page.sought, page=2) -> "/gpt2/notable?layer=5&page=2"
        """
        return self.page(model_of(address), view, NOTABLE, **(asdict(sought) | changes))

    def notable_api(self, address: Address, view: View | None = None, sought: Sought = UNSOUGHT) -> str:
        """A model's gallery as JSON."""
        return self.api(model_of(address), view, NOTABLE, **asdict(sought))

    def blind(self, page: BlindPage, **changes: object) -> str:
        """Link a blind round; the query always names its seed and answers.

        Example: blind(page, answers="lrl") -> "/gpt2/blind?seed=1&answers=lrl"
        """
        said: dict[str, object] = {"seed": page.seed, "answers": page.answers, "of": page.of}
        return self.page(page.address, page.view, BLIND, **(said | changes))

    def jump(self, address: Address, text: str = "") -> str:
        """Where the jump box of a model sends its text."""
        return f"{self.root}/{model_of(address)}/jump{spell_query('jump', None, {'q': text})}"

    def suggest(self, address: Address) -> str:
        """Link the suggestions for the jump box's text."""
        return f"{self.root}/{model_of(address)}/suggest"

    def tokens(self, address: Address, view: View) -> TokenLinks:
        """Prepare links to tokens of the address's model, in the weights of the view.

        Example: tokens(parse("gpt2/L5/H3"), view).to(511) -> "/gpt2/token/511"
        """
        model = model_of(address)
        return TokenLinks(f"{self.root}/{model}/{TOKEN}/", spell_query("token", keep_relevant(model, view), {}))

    def token(self, address: Address, id_: int, view: View | None = None, **changes: object) -> str:
        """Link one token of the address's model.

        Example: token(parse("gpt2"), 6342, view) -> "/gpt2/token/6342"
        """
        return self.page(model_of(address), view, f"{TOKEN}/{id_}", **changes)

    def token_box(self, address: Address) -> str:
        """Link the target of a form that finds a token by its text."""
        return self.page(model_of(address), under=TOKEN)
