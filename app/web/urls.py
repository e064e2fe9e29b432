"""The URLs of every link. Templates never glue one by hand.

Knows the grammar of addresses and queries, not the pages behind them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

from app.core.address import Address, Depth, Ray, Sign, format_short
from app.core.basis import BASES
from app.explorer.asking.walk import extend_path, spell_path, spell_whole_path
from app.explorer.options import Page, find_option, usual_values
from app.explorer.pages.blind import BlindPage
from app.explorer.pages.circuitry import PairPage
from app.explorer.pages.compare import ComparePage
from app.explorer.pages.composition import CompositionPage
from app.explorer.pages.contrast import ContrastPage
from app.explorer.pages.directions import DirectionPage, Hop, Relation
from app.explorer.pages.gallery import UNSOUGHT, Sought
from app.explorer.pages.search import Inquiry
from app.explorer.pages.using.attention import MadePair, PairsPage, WhyPage
from app.explorer.pages.using.changes import EditPage, SaraPage, SteerPage
from app.explorer.pages.using.experiments import ExperimentPage, Trial
from app.explorer.pages.using.lens import LensPage
from app.explorer.pages.using.prompts import CoursePage, PromptPage
from app.explorer.pages.using.streams import LinearPage
from app.explorer.view import Choice, View
from app.models.token_filter import EVERY
from app.store.jobs import Task

FULL = "full"
"""Last part of the path of a head's full circuits."""
CONTRASTS = "compare"
"""Path below `/-` of two places side by side."""
COMPARE = "compare"
"""Last part of the path of a matrix's bases side by side."""
CENSUS = "census"
"""And behind a model's for what all its matrices are like."""
NOTABLE = "notable"
"""And behind a model's for its gallery."""
BLIND = "blind"
"""Last part of the path of a model's blind round."""
TOKEN = "token"  # noqa: S105 (a word of a path)
"""Part of the path between a model and the id of one of its tokens."""
PROMPT = "prompt"
"""And behind a model's for the form that asks for a prompt."""
PROMPTS = "p"
"""Part of the path between a model and the key of a prompt."""
COURSE = "direction"
"""Last part of the path of one direction on a prompt."""
PAIRS = "pairs"
"""And behind a model's for what a direction of QK makes in example prompts."""
WHY = "why"
"""Last part of the path of why a head looks somewhere on a prompt."""
EDIT = "edit"
"""Last part of the path of a prompt where heads are edited."""
STEER = "steer"
"""And of one where the stream is pushed along a direction."""
SARA = "sara"
"""And of one whose stream is drawn to another prompt; behind a model's, the form that asks for three."""
EXPERIMENTS = "x"
"""Part of the path between a model and the key of an experiment; behind a model's, the form that asks for one."""
CONTINUATION = "continuation"
"""Behind each of them: the stream of how the text goes on."""
CARD = "card.png"
"""Last part of the path of the picture that a link shows where it is pasted."""
OEMBED = "oembed"
"""Below `/-`: how another site puts a page in a frame."""
LIST, NOTES = "list", "notes"
"""Paths below `/-` of a list of places, which its link holds, and of what a visitor noted."""
SCRIPT = "script"
"""And the Python that repeats it."""
LENS = "lens"
"""Last part of the path of what the stream says at every layer of a prompt."""
ChangedPage = EditPage | SteerPage | SaraPage
CONTINUED_BY = frozenset({"edit", "of", "layer", "c", "attract", "repel", "rule", "pull", "more", "seed"})
"""The options that decide how a changed prompt goes on."""
LONGEST_LINK = 2_000
"""Characters of the longest link that carries its prompt."""
AROUND = "around"
"""And behind a direction's for what is like it, what reads it and what writes it."""
DEPTHS: dict[Depth, Page] = {
    "model": "model",
    "layer": "layer",
    "head": "head",
    "matrix": "matrix",
    "decomposition": "matrix",
    "direction": "direction",
}
OfPromptPage = PromptPage | CoursePage | WhyPage | LensPage | EditPage | SteerPage | SaraPage
PINNED = ("weights", "statistics")
"""What permanent links say even if it is as usual: another may be usual tomorrow."""
WALKED_BASES = ("svd", "neuron")
"""Bases whose directions are in the bank, so that paths lead from one to another."""
SEARCH = "search"
"""Last part of the path of a model's search; below `/-` that of all models."""

COMPOSITION = "composition"
"""Last part of the path of a model's composition scores."""
LINEAR, UNLIKELY = "linear", "unlikely"
"""Last parts of the paths of a model's linear maps between streams, and of unlikely tokens in them."""
ALIKE = "alike"
"""Last part of the path of the heads like one."""


class TokenLinks(NamedTuple):
    """URLs of a model's tokens, of which a page links hundreds: start, id, query."""

    start: str
    query: str

    def to(self, id_: int) -> str:
        """Link the page of a token."""
        return f"{self.start}{id_}{self.query}"


@dataclass(frozen=True, slots=True)
class Urls:
    """The links of one server, seen from one request."""

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
        query = _query_string(_page_of(address, under), _keep_relevant(address, view), changes)
        return f"{self.root}/{address}{_path_below(under)}{query}"

    def card(self, link: str) -> str:
        """Link the picture of the page at `link`, absolutely: other sites fetch it.

        Example: card("/gpt2/L5/H3?weights=raw") -> "https://lens.example/gpt2/L5/H3/card.png?weights=raw"
        """
        path, mark, query = link.removeprefix(self.root).partition("?")
        return f"{self.origin}{path}/{CARD}{mark}{query}"

    def list_of(self, title: str, spelt: Sequence[str]) -> str:
        """Link a list of places.

        Example: list_of("colours", ["gpt2/L5/H3", "gpt2/L6/H0~raw"]) -> "/-/list?title=colours&of=gpt2/L5/H3,gpt2/L6/H0~raw"
        """
        return f"{self.root}/-/{LIST}?{self._list_query(title, spelt)}"

    def list_url(self, title: str, spelt: Sequence[str]) -> str:
        """Link a list absolutely."""
        return f"{self.origin}/-/{LIST}?{self._list_query(title, spelt)}"

    @staticmethod
    def _list_query(title: str, spelt: Sequence[str]) -> str:
        said = ({"title": title} if title else {}) | {"of": ",".join(spelt)}
        return urlencode(said, safe="/~@,")

    def notes(self) -> str:
        """Link the page of what a visitor noted."""
        return f"{self.root}/-/{NOTES}"

    def own_card(self) -> str:
        """Link the picture of pages that have none of their own."""
        return f"{self.origin}/-/{CARD}"

    def oembed(self, link: str) -> str:
        """Link the description of how another site puts the page at `link` in a frame.

        Example: oembed("/gpt2/L5") -> "https://lens.example/-/oembed?url=https%3A%2F%2Flens.example%2Fgpt2%2FL5"
        """
        return f"{self.origin}/-/{OEMBED}?{urlencode({'url': f'{self.origin}{link.removeprefix(self.root)}'})}"

    def full(self, head: Address, view: View | None = None, **changes: object) -> str:
        """Link the full circuits of a head.

        Example: full(parse("gpt2/L5/H3"), view, token=" Paris") -> "/gpt2/L5/H3/full?token=+Paris"
        """
        return self.page(head, view, FULL, **changes)

    def tokens(self, address: Address, view: View) -> TokenLinks:
        """Prepare links to tokens of the address's model, in the weights of the view.

        Example: tokens(parse("gpt2/L5/H3"), view).to(511) -> "/gpt2/token/511"
        """
        model = _model_of(address)
        return TokenLinks(f"{self.root}/{model}/{TOKEN}/", _query_string("token", _keep_relevant(model, view), {}))

    def token(self, address: Address, id_: int, view: View | None = None, **changes: object) -> str:
        """Link one token of the address's model.

        Example: token(parse("gpt2"), 6342, view) -> "/gpt2/token/6342"
        """
        return self.page(_model_of(address), view, f"{TOKEN}/{id_}", **changes)

    def token_box(self, address: Address) -> str:
        """Link the target of a form that finds a token by its text."""
        return self.page(_model_of(address), under=TOKEN)

    def around(self, address: Address, view: View, hops: Sequence[Hop] = ()) -> str:
        """Link the directions around one: like it, reading it, writing it.

        Example: around(parse("gpt2/L5/H3/ov/svd/12"), view) -> "/gpt2/L5/H3/ov/svd/12/around"
        """
        return self.page(address, view, AROUND, path=spell_path(tuple(hops)))

    def walk(self, hops: Sequence[Hop], relation: Relation, ray: Ray, view: View) -> str:
        """Link the next ray of a path.

        Example: "/gpt2/L7/H1/ov/svd/0?path=L5H3.ov.12p_r-L7H1.ov.0n#n"
        """
        walked = extend_path(tuple(hops), relation, ray)
        return f"{self.page(ray.address, view, path=spell_path(walked))}#{ray.sign}"

    def walk_steps(self, hops: Sequence[Hop], view: View) -> list[str]:
        """Link each ray of a path, with the path as far as that ray."""
        so_far = (tuple(hops[: n + 1]) for n in range(len(hops)))
        return [
            f"{self.page(some[-1].ray.address, view, path=spell_path(some))}#{some[-1].ray.sign}" for some in so_far
        ]

    def ray(self, address: Address, sign: Sign, view: View | None = None, **changes: object) -> str:
        """Link one ray of a direction, where a path begins: the query names a - ray, since no server sees the anchor.

        Example: ray(parse("gpt2/L5/H3/ov/svd/12"), "n", view) -> "/gpt2/L5/H3/ov/svd/12?path=L5H3.ov.12n#n"
        """
        path = spell_path((Hop(Ray(address, sign)),)) if address.basis in WALKED_BASES else ""
        return f"{self.page(address, view, '', **(changes | {'path': path}))}#{sign}"

    def pair(
        self,
        a: Address,
        b: Address,
        part: str = "value",
        view: View | None = None,
        hops: Sequence[Hop] = (),
        **changes: object,
    ) -> str:
        """Link two heads, directions of `a` beside those of `b` that may read them; `hops`: the path to one of `a`'s.

        Example: pair(parse("gpt2/L5/H3"), parse("gpt2/L7/H1")) -> "/-/pair?a=gpt2/L5/H3&b=gpt2/L7/H1"
        """
        return f"{self.pairs()}{_pair_query(a, b, part, view, hops, changes)}"

    def pairs(self) -> str:
        """Link the form that asks for two heads."""
        return f"{self.root}/-/pair"

    def pair_api(self, a: Address, b: Address, part: str, view: View, hops: Sequence[Hop] = ()) -> str:
        """Link the JSON twin of two heads."""
        return f"{self.root}/api/v1/-/pair{_pair_query(a, b, part, view, hops, {})}"

    def pinned_pair(self, page: PairPage) -> str:
        """Make the absolute, pinned link of two heads.

        Example: "https://lens.example/-/pair?a=gpt2@0123abcd/L5/H3&b=gpt2@0123abcd/L7/H1&weights=folded"
        """
        a, b = page.a.with_pin(page.model.pin), page.b.with_pin(page.model.pin)
        said = _pair_query(a, b, page.part, page.view, page.path, {}, always=PINNED)
        return f"{self.origin}/-/pair{said}"

    def pinned_contrast(self, page: ContrastPage) -> str:
        """Make the absolute, pinned link of two places side by side; empty where nothing is compared yet.

        Example: "https://lens.example/-/compare?a=gpt2@0123abcd/L5/H3/ov~folded&b=gpt2@0123abcd/L6/H0/ov~folded"
        """
        if page.first is None or page.second is None:
            return ""
        a, b = (f"{one.address.with_pin(one.model.pin)}~{one.view.weights}" for one in (page.first, page.second))
        return f"{self.origin}/-/{CONTRASTS}?{urlencode({'a': a, 'b': b}, safe='/~@')}"

    def directions(self, matrix: Address, view: View, indices: Sequence[int]) -> dict[int, str]:
        """Link these directions of a matrix, all at once: a spectrum links each of them.

        Example: directions(parse("gpt2/L5/mlp-in/neuron"), view, (35, 2)) -> {35: "/gpt2/L5/mlp-in/neuron/35", 2: …}
        """
        first = matrix.direction(0)
        start, query = self.page(first).removesuffix("0"), _query_string("direction", _keep_relevant(first, view), {})
        return {index: f"{start}{index}{query}" for index in indices}

    def choices(self, address: Address, view: View, name: str, values: Sequence[str]) -> dict[str, str]:
        """Link the first page of a table with each value of one option, all at once: a page links many of them.

        Example: choices(parse("gpt2/L5/H3"), view, "only", ("all", "readable")) -> {"all": "/gpt2/L5/H3", "readable":
        "/gpt2/L5/H3?only=readable"}
        """
        usual = find_option(name, _page_of(address)).default
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
        values = _query_values(_page_of(address, under), _keep_relevant(address, view), changes)
        return [(name, value) for name, value in values.items() if name not in own]

    def api(self, address: Address, view: View | None = None, under: str = "", **changes: object) -> str:
        """The JSON twin of a page."""
        query = _query_string(_page_of(address, under), _keep_relevant(address, view), changes)
        return f"{self.root}/api/v1/{address}{_path_below(under)}{query}"

    def models(self) -> str:
        """Link the JSON twin of the front page."""
        return f"{self.root}/api/v1/"

    def notable(self, address: Address, view: View | None = None, sought: Sought = UNSOUGHT, **changes: object) -> str:
        """Link a model's gallery, filtered by `sought`.

        Example: notable(parse("gpt2"), view, page.sought, page=2) -> "/gpt2/notable?layer=5&page=2"
        """
        return self.page(_model_of(address), view, NOTABLE, **(asdict(sought) | changes))

    def notable_api(self, address: Address, view: View | None = None, sought: Sought = UNSOUGHT) -> str:
        """A model's gallery as JSON."""
        return self.api(_model_of(address), view, NOTABLE, **asdict(sought))

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
        return self.page(_model_of(address), view, CENSUS, **changes)

    def blind(self, page: BlindPage, **changes: object) -> str:
        """Link a blind round; the query always names its seed and answers.

        Example: blind(page, answers="lrl") -> "/gpt2/blind?seed=1&answers=lrl"
        """
        said: dict[str, object] = {"seed": page.seed, "answers": page.answers, "of": page.of}
        return self.page(page.address, page.view, BLIND, **(said | changes))

    def search(
        self, address: Address, view: View | None = None, inquiry: Inquiry | None = None, **changes: object
    ) -> str:
        """Link a model's search for `inquiry`.

        Example: search(parse("gpt2"), view, page.inquiry, order="alignment") -> "/gpt2/search?q=writing&order=alignment"
        """
        return self.page(_model_of(address), view, SEARCH, **(_inquiry_values(inquiry) | changes))

    def search_pinned(self, address: Address, pin: str, view: View, inquiry: Inquiry) -> str:
        """Make the absolute, pinned link of a search."""
        return self.pinned_url(_model_of(address), pin, view, SEARCH, **_inquiry_values(inquiry))

    def search_layers(
        self, address: Address, view: View, inquiry: Inquiry, kind: str, layers: Sequence[int]
    ) -> dict[int, str]:
        """Link a search in each of these layers, of one kind of matrix, all at once: a strip links each of them.

        Example: search_layers(parse("gpt2"), view, inquiry, "ov", (2, 5))[5] -> "/gpt2/search?q=writing&kind=ov&layers=5"
        """
        start = self.search(address, view, inquiry, kind=kind, layers="", page=1)
        return {layer: f"{start}&layers={layer}" for layer in layers}

    def search_api(self, address: Address, view: View | None = None, inquiry: Inquiry | None = None) -> str:
        """Link the JSON twin of a model's search."""
        return self.api(_model_of(address), view, SEARCH, **_inquiry_values(inquiry))

    def search_every(self, q: str = "") -> str:
        """The same search in every model of the server."""
        return f"{self.root}/-/{SEARCH}{_query_string('every', None, {'q': q})}"

    def search_every_api(self, q: str = "") -> str:
        """The same as JSON."""
        return f"{self.root}/api/v1/-/{SEARCH}{_query_string('every', None, {'q': q})}"

    def composition(self, page: CompositionPage, **changes: object) -> str:
        """Link a page of composition scores, with changes.

        Example: composition(page, kind="k", writer=17) -> "/gpt2/composition?kind=k&writer=17"
        """
        return self.page(page.address, page.view, COMPOSITION, **self.composition_values(page, **changes))

    def composition_values(self, page: CompositionPage, **changes: object) -> dict[str, object]:
        """Collect the query values of that page."""
        return {"kind": page.kind, "writer": page.writer, "reader": page.reader, "n": page.n_listed} | changes

    def composition_blocks(self, page: CompositionPage, blocks: Sequence[tuple[int, int]]) -> list[str]:
        """Link the pair of layers of each block, all at once: a map links hundreds."""
        bare = self.composition(page, writer=None, reader=None)
        start = f"{bare}{'&' if '?' in bare else '?'}"
        return [f"{start}writer={writer}&reader={reader}" for writer, reader in blocks]

    def linear(self, page: LinearPage, **changes: object) -> str:
        """Link the linear map between two streams, with changes.

        Example: linear(page, basis="svd") -> "/gpt2/linear?from=6&to=12&basis=svd"
        """
        return self.page(page.address, page.view, LINEAR, **self.linear_values(page, **changes))

    def linear_values(self, page: LinearPage, **changes: object) -> dict[str, object]:
        """Collect the query values of that page: the first stream and the last one go without saying."""
        end = None if page.end == page.model.n_layers else page.end
        return {"from": page.start or None, "to": end, "basis": page.basis} | changes

    def contrast(self, a: Address, b: Address, view: View) -> str:
        """Link two places of the same kind side by side.

        Example: contrast(parse("gpt2/L5/H3/ov"), parse("gpt2/L6/H0/ov"), view) -> "/-/compare?a=gpt2/L5/H3/ov&b=…"
        """
        return f"{self.contrast_form()}?{urlencode({'a': self.spell_place(a, view), 'b': self.spell_place(b, view)}, safe='/~@')}"

    def spell_place(self, address: Address, view: View) -> str:
        """Spell a place with its weights, as a form or a query names it.

        Example: spelt(parse("gpt2/L5/H3"), raw_view) -> "gpt2/L5/H3~raw"
        """
        return f"{address}" if view.weights == view.default_weights else f"{address}~{view.weights}"

    def same_contrast(self, page: ContrastPage, **changes: str) -> str:
        """Link two places side by side as that page has them, with changes."""
        said = {"a": page.a, "b": page.b} | changes
        return f"{self.contrast_form()}?{urlencode(said, safe='/~@')}" if any(said.values()) else self.contrast_form()

    def contrast_form(self) -> str:
        """Link the form that asks for two places to compare."""
        return f"{self.root}/-/{CONTRASTS}"

    def composed_pair(self, page: CompositionPage, writer: Address, reader: Address) -> str:
        """Link the two heads of a composition score, writer and reader.

        Example: composed_pair(page, parse("gpt2/L5/H3"), parse("gpt2/L7/H1")) -> "/-/pair?a=gpt2/L5/H3&b=gpt2/L7/H1&part=key"
        """
        return self.pair(writer, reader, {"q": "query", "k": "key", "v": "value"}[page.kind], page.view)

    def prompt_form(self, address: Address, view: View | None = None, **changes: object) -> str:
        """Link the form that asks for a prompt, which a POST runs; with a `text`, the link runs it itself.

        Example: prompt_form(parse("gpt2"), view, of="L5H3.ov.0") -> "/gpt2/prompt?of=L5H3.ov.0"
        """
        return self.page(_model_of(address), view, PROMPT, **changes)

    def prompt(self, page: PromptPage, **changes: object) -> str:
        """Link a prompt's page as it is shown, with changes; totals are always left out.

        Example: prompt(page, at=3) -> "/gpt2/p/0123456789abcdef?at=3"
        """
        return self.page(page.address, page.view, f"{PROMPTS}/{page.key}", **(self.prompt_values(page) | changes))

    def prompt_values(self, page: PromptPage) -> dict[str, object]:
        """Collect the query values of a prompt's page."""
        return {
            "at": None if page.at == len(page.tokens) - 1 else page.at,
            "token": page.token_named,
            "against": page.against_named,
            "show": page.show if page.show in {"writes", "neurons"} else None,
            "head": format_head(page.head) if page.head is not None and page.show == "head" else "",
            "all": "1" if page.is_whole else None,
        }

    def course(self, page: PromptPage | CoursePage | DirectionPage, direction: Address, **changes: object) -> str:
        """Link one direction on a prompt.

        Example: course(page, parse("gpt2/L5/H3/ov/svd/0")) -> "/gpt2/p/0123456789abcdef/direction?of=L5H3.ov.0"
        """
        said = {"of": format_direction(direction)} | changes
        key = page.prompt if isinstance(page, DirectionPage) else page.key
        return self.page(_model_of(direction), page.view, f"{PROMPTS}/{key}/{COURSE}", **said)

    def why(self, page: OfPromptPage, head: Address, **changes: object) -> str:
        """Link why a head looks from one position of a prompt at another, in folded weights; `source`: the position looked at.

        Example: why(page, parse("gpt2/L5/H3"), to=7) -> "/gpt2/p/0123456789abcdef/why?head=L5H3&to=7"
        """
        said = self.why_values(page) if isinstance(page, WhyPage) else {}
        said |= {"head": format_head(head)} | {
            "from" if name == "source" else name: value for name, value in changes.items()
        }
        return self.page(_model_of(head), replace(page.view, weights="folded"), f"{PROMPTS}/{page.key}/{WHY}", **said)

    def lens(self, page: OfPromptPage, **changes: object) -> str:
        """Link what the stream says at every layer of a prompt.

        Example: lens(page, at=7) -> "/gpt2/p/0123456789abcdef/lens?at=7"
        """
        said = self.lens_values(page) if isinstance(page, LensPage) else {}
        return self.page(_model_of(page.address), page.view, f"{PROMPTS}/{page.key}/{LENS}", **(said | changes))

    def lens_values(self, page: LensPage) -> dict[str, object]:
        """Collect the query values of the page of what the stream says."""
        return {
            "at": None if page.at == len(page.tokens) - 1 else page.at,
            "raw": "1" if page.is_raw else None,
            "basis": page.basis,
        }

    def edit(self, page: OfPromptPage, **changes: object) -> str:
        """Link a prompt where heads are edited.

        Example: edit(page, edit="L27H8.ov.4:-1") -> "/gpt2/p/0123456789abcdef/edit?edit=L27H8.ov.4:-1"
        """
        said = self.edit_values(page) if isinstance(page, EditPage) else {}
        return self.page(_model_of(page.address), page.view, f"{PROMPTS}/{page.key}/{EDIT}", **(said | changes))

    def edit_values(self, page: EditPage) -> dict[str, object]:
        """Collect the query values of the page of a prompt where heads are edited."""
        return {"edit": page.edit_named, **_change_values(page), "curve": "1" if page.has_curve else None}

    def steer(self, page: OfPromptPage, **changes: object) -> str:
        """Link a prompt where the stream is pushed along a direction.

        Example: steer(page, of="L27H8.ov.4p", c=0.4) -> "/gpt2/p/0123456789abcdef/steer?of=L27H8.ov.4p&c=0.4"
        """
        said = self.steer_values(page) if isinstance(page, SteerPage) else {}
        return self.page(_model_of(page.address), page.view, f"{PROMPTS}/{page.key}/{STEER}", **(said | changes))

    def steer_values(self, page: SteerPage) -> dict[str, object]:
        """Collect the query values of the page of a prompt where the stream is pushed."""
        return {"of": page.steer_named, "layer": page.layer, "c": f"{page.amount:g}", **_change_values(page)}

    def sara_form(self, address: Address, view: View | None = None) -> str:
        """Link the form that asks for a prompt, one that attracts and one that repels, which a POST runs."""
        return self.page(_model_of(address), view, SARA)

    def sara(self, page: SaraPage, **changes: object) -> str:
        """Link a prompt whose stream is drawn to one prompt and away from another.

        Example: sara(page, layer=12) -> "/gpt2/p/0123456789abcdef/sara?attract=…&repel=…&layer=12"
        """
        under = f"{PROMPTS}/{page.key}/{SARA}"
        return self.page(_model_of(page.address), page.view, under, **(self.sara_values(page) | changes))

    def sara_values(self, page: SaraPage) -> dict[str, object]:
        """Collect the query values of such a page."""
        return {
            "attract": page.attract.key,
            "repel": page.repel.key,
            "layer": page.layer,
            "rule": page.rule,
            "pull": page.amount,
            "token": page.favoured_named,
            "against": page.against_named,
            **_change_values(page),
            "study": None if page.study is None else "1",
        }

    def experiment_form(self, address: Address, view: View | None = None, **changes: object) -> str:
        """Link the form that asks for an experiment, which a POST runs.

        Example: experiment_form(parse("gpt2"), view, edit="L5H3.ov.0:-1") -> "/gpt2/x?edit=L5H3.ov.0:-1"
        """
        return self.page(_model_of(address), view, EXPERIMENTS, **changes)

    def experiment(self, page: ExperimentPage, **changes: object) -> str:
        """Link an experiment."""
        return self.page(page.address, None, f"{EXPERIMENTS}/{page.key}", **changes)

    def experiment_pinned(self, page: ExperimentPage) -> str:
        """Make the absolute link of an experiment, in these very weights."""
        return f"{self.origin}/{page.address.with_pin(page.model.pin)}/{EXPERIMENTS}/{page.key}"

    def trial(self, page: ExperimentPage, trial: Trial) -> str:
        """Link one prompt of an experiment, changed in the same way."""
        last = EDIT if "edit" in page.change else STEER if "of" in page.change else SARA
        said: dict[str, object] = {**page.change, "random": page.draws}
        return self.page(page.address, page.view, f"{PROMPTS}/{trial.key}/{last}", **said)

    def change(self, page: ChangedPage, **changes: object) -> str:
        """Link the same change of a prompt's model, with changes of what is asked of it."""
        if isinstance(page, SaraPage):
            return self.sara(page, **changes)
        return self.edit(page, **changes) if isinstance(page, EditPage) else self.steer(page, **changes)

    def change_values(self, page: ChangedPage) -> dict[str, object]:
        """Collect the query values of such a page."""
        if isinstance(page, SaraPage):
            return self.sara_values(page)
        return self.edit_values(page) if isinstance(page, EditPage) else self.steer_values(page)

    def change_path(self, page: ChangedPage) -> str:
        """Spell the path of such a page below its model."""
        last = SARA if isinstance(page, SaraPage) else EDIT if isinstance(page, EditPage) else STEER
        return f"{PROMPTS}/{page.key}/{last}"

    def continuation(self, page: ChangedPage) -> str:
        """Link the stream of how a changed prompt goes on."""
        under = f"{self.change_path(page)}/{CONTINUATION}"
        said = {name: value for name, value in self.change_values(page).items() if name in CONTINUED_BY}
        return self.page(_model_of(page.address), page.view, under, **said)

    def change_script(self, page: ChangedPage) -> str:
        """Link the Python that repeats the change of a prompt's page."""
        told = {"more": None, "seed": None, "curve": None, "study": None}
        under = f"{self.change_path(page)}/{SCRIPT}"
        return self.page(_model_of(page.address), page.view, under, **(self.change_values(page) | told))

    def pairs_of(self, direction: Address, view: View, **changes: object) -> str:
        """Link the pairs of example prompts that a direction of QK makes.

        Example: pairs_of(parse("gpt2/L5/H3/qk/svd/12"), view) -> "/gpt2/pairs?of=L5H3.qk.12"
        """
        said = {"of": format_direction(direction), "distance": view.distance} | changes
        return self.page(_model_of(direction), replace(view, distance=0), PAIRS, **said)

    def why_of_pair(self, page: PairsPage, pair: MadePair) -> str:
        """Link why a head looks as it does in a pair of an example prompt; the link holds the prompt.

        Example: "/gpt2/p/0123456789abcdef/why?head=L5H3&to=7&from=2&text=When+Mary"
        """
        said: dict[str, object] = {"head": format_direction(page.address).partition(".")[0], "to": pair.to.position}
        said |= {"from": pair.source.position, "text": pair.text}
        return self.page(_model_of(page.address), replace(page.view, distance=0), f"{PROMPTS}/{pair.key}/{WHY}", **said)

    def why_values(self, page: WhyPage) -> dict[str, object]:
        """Collect the query values of the page of why a head looks somewhere."""
        return {
            "head": format_head(page.head),
            "to": page.to,
            "from": page.source,
            "by": None if page.split == "pair" else page.split,
        }

    def prompt_delete(self, page: OfPromptPage) -> str:
        """Link the POST that deletes a prompt."""
        return f"{self.root}/{_model_of(page.address)}/{PROMPTS}/{page.key}/delete"

    def prompt_carried(self, page: OfPromptPage) -> str:
        """Make the absolute link of a prompt that holds the prompt itself; empty where that is too long."""
        carried = dict(page.carried.values)
        if isinstance(page, SaraPage):
            carried |= {"attract": page.attract.carried, "repel": page.repel.carried}
        link = self._prompt_pinned(page, carried)
        return link if len(link) <= LONGEST_LINK else ""

    def prompt_pinned(self, page: OfPromptPage) -> str:
        """Make the absolute link of a page of a prompt, in these very weights."""
        return self._prompt_pinned(page, {})

    def _prompt_pinned(self, page: OfPromptPage, carried: dict[str, object]) -> str:
        under = f"{PROMPTS}/{page.key}"
        if isinstance(page, CoursePage):
            under, said = f"{under}/{COURSE}", self.course_values(page)
        elif isinstance(page, WhyPage):
            under, said = f"{under}/{WHY}", self.why_values(page)
        elif isinstance(page, LensPage):
            under, said = f"{under}/{LENS}", self.lens_values(page)
        elif isinstance(page, EditPage | SteerPage | SaraPage):
            under, said = self.change_path(page), self.change_values(page)
        else:
            said = self.prompt_values(page)
        return self.pinned_url(_model_of(page.address), page.model.pin, page.view, under, **(said | carried))

    def course_values(self, page: CoursePage) -> dict[str, object]:
        """Collect the query values of the page of one direction on a prompt."""
        return {"of": format_direction(page.address), "at": page.at}

    def twin(self, path: str) -> str:
        """Link the JSON twin of a page by its path and query.

        Example: twin("/lens/gpt2/L5?weights=raw") -> "/lens/api/v1/gpt2/L5?weights=raw"
        """
        return f"{self.root}/api/v1{path.removeprefix(self.root)}"

    def jump(self, address: Address, text: str = "") -> str:
        """Where the jump box of a model sends its text."""
        return f"{self.root}/{_model_of(address)}/jump{_query_string('jump', None, {'q': text})}"

    def suggest(self, address: Address) -> str:
        """Link the suggestions for the jump box's text."""
        return f"{self.root}/{_model_of(address)}/suggest"

    def glossary(self, key: str = "") -> str:
        """Link the glossary, or one of its entries."""
        return f"{self.root}/-/glossary" + (f"#{key}" if key else "")

    def settings(self) -> str:
        """Link the settings page."""
        return f"{self.root}/-/settings"

    def jobs(self, slug: str | None = None, *, live: bool = False) -> str:
        """Link the jobs: all, those of one model, or only live ones; a POST starts one."""
        return f"{self.root}/-/jobs{_jobs_query(slug, live)}"

    def wish(self, slug: str, task: Task) -> str:
        """Link the POST that starts a job.

        Example: wish("demo", Task(("embed",))) -> "/-/jobs?model=demo&matrices=embed&weights=folded"
        """
        said: dict[str, object] = {"model": slug, "matrices": ",".join(task.matrices)}
        said |= {"weights": ",".join(task.processings)} | dict(task.parameters)
        return f"{self.root}/-/jobs{_query_string('wish', None, said | ({} if task.basis == 'svd' else {'basis': task.basis}))}"

    def wish_import(self, slug: str) -> str:
        """Where a POST begins the import of a model again."""
        return f"{self.root}/-/jobs{_query_string('wish', None, {'model': slug, 'kind': 'import'})}"

    def job(self, id_: str) -> str:
        """Link the page of a job."""
        return f"{self.root}/-/jobs/{id_}"

    def job_events(self, id_: str) -> str:
        """Link the event stream of a job."""
        return f"{self.job(id_)}/events"

    def job_cancel(self, id_: str) -> str:
        """Link the POST that cancels a job."""
        return f"{self.job(id_)}/cancel"

    def jobs_api(self, slug: str | None = None, *, live: bool = False) -> str:
        """Link the JSON twin of the jobs."""
        return f"{self.root}/api/v1/-/jobs{_jobs_query(slug, live)}"

    def job_api(self, id_: str) -> str:
        """Link the JSON twin of a job."""
        return f"{self.jobs_api()}/{id_}"

    def docs(self) -> str:
        """Link the page about the API."""
        return f"{self.root}/docs"

    def openapi(self) -> str:
        """Link the OpenAPI document."""
        return f"{self.root}/openapi.json"

    def pinned_url(self, address: Address, pin: str, view: View, under: str = "", **changes: object) -> str:
        """Make the absolute, pinned link of a place: it names the exact weights and their processing.

        Example: "https://lens.example/gpt2@0123abcd/L5/H3/ov/svd/12?weights=folded"
        """
        said = {"weights": view.weights} | changes
        query = _query_string(_page_of(address, under), _keep_relevant(address, view), said, always=PINNED)
        return f"{self.origin}/{address.with_pin(pin)}{_path_below(under)}{query}"


def _change_values(page: ChangedPage) -> dict[str, object]:
    """Collect the query values that pages of any change have."""
    return {
        "at": None if page.at == len(page.tokens) - 1 else page.at,
        "tokens": page.named_tokens,
        "random": page.draws,
        "more": page.more,
        "seed": page.seed,
    }


def format_direction(direction: Address) -> str:
    """Spell a direction as a query names it.

    Example: format_direction(parse("gpt2/L5/H3/ov/svd/12")) -> "L5H3.ov.12"
    """
    return format_short(Ray(direction, "p")).removesuffix("p")


def format_head(head: Address) -> str:
    """Spell a head as a query names it.

    Example: format_head(parse("gpt2/L5/H3")) -> "L5H3"
    """
    return f"L{head.layer}H{head.head}"


def _pair_query(
    a: Address,
    b: Address,
    part: str,
    view: View | None,
    hops: Sequence[Hop],
    changes: dict[str, object],
    always: Collection[str] = (),
) -> str:
    # Of the path, its + end, too: which direction it is says nothing else.
    said = {"part": part, "path": spell_whole_path(tuple(hops)), **changes}
    kept = _query_values("pair", _keep_relevant(_model_of(a), view), said, always)
    return "?" + urlencode({"a": str(a), "b": str(b), **kept}, safe="/@")


def _inquiry_values(inquiry: Inquiry | None) -> dict[str, object]:
    """Collect the query values of an inquiry."""
    said: dict[str, Any] = {} if inquiry is None else asdict(inquiry)
    return {name: int(value) if isinstance(value, bool) else value for name, value in said.items()}


def _model_of(address: Address) -> Address:
    return Address(address.model, address.pin)


def _path_below(under: str) -> str:
    return f"/{under}" if under else ""


def _page_of(address: Address, under: str = "") -> Page:
    """Return the kind of page whose options the query holds."""
    return cast("Page", under.partition("/")[0] or DEPTHS[address.depth])


def _keep_relevant(address: Address, view: View | None) -> View | None:
    """Drop from the view what means nothing at that address, though it does at others of that kind."""
    if view is None:
        return None
    if BASES[address.basis or "svd"].is_fitted:
        view = replace(view, token_filter=EVERY)
    if view.rotated and address.basis not in {None, "svd"}:
        view = replace(view, rotated=False)
    if (address.basis or "svd") != view.basis:
        view = replace(view, sort="order", page=1, only="all", find="", parameters=())
    if view.distance and (address.head is None or address.circuit == "ov" or address.layer in view.unrotated_layers):
        view = replace(view, distance=0)
    return view


def _jobs_query(slug: str | None, live: bool) -> str:
    said: dict[str, object] = {"model": slug} if slug else {}
    return _query_string("jobs", None, said | ({"live": "true"} if live else {}))


def _query_string(page: Page, view: View | None, changes: dict[str, object], always: Collection[str] = ()) -> str:
    """Spell the query of such a page: a view with some values changed."""
    kept = _query_values(page, view, changes, always)
    return f"?{urlencode(kept)}" if kept else ""


def _query_values(
    page: Page, view: View | None, changes: dict[str, object], always: Collection[str] = ()
) -> dict[str, object]:
    """Collect the query values of a view with some changed: those that count on that page and are not usual there."""
    usual, values = usual_values(page), changes
    if view is not None:
        values = dict(_of_view(view)) | changes
        usual = usual | {choice.name: choice.default for choice in view.parameters} | {"weights": view.default_weights}
    there = ((name, value) for name, value in values.items() if name in usual)
    return {name: value for name, value in there if name in always or value not in {None, usual[name]}}


def _of_view(view: View) -> Iterator[tuple[str, object]]:
    for name in ("weights", "sort", "page", "only", "find", "distance"):
        yield name, getattr(view, name)
    yield from ((choice.name, choice.value) for choice in view.parameters)
    yield from view.token_filter.parameters().items()
    yield "readout", view.token_filter.readout
    yield "rotated", int(view.rotated)
