"""Links of searches, of what is around a direction, of pairs of heads and places, and of what composes."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from app.core.address import Address, Ray, Sign
from app.explorer.asking.walk import extend_path, spell_path, spell_whole_path
from app.explorer.pages.circuitry import PairPage
from app.explorer.pages.composition import CompositionPage
from app.explorer.pages.contrast import ContrastPage
from app.explorer.pages.directions import Hop, Relation
from app.explorer.pages.search import Inquiry
from app.explorer.pages.using.streams import LinearPage
from app.explorer.view import View
from app.web.urls.paths import AROUND, COMPOSITION, CONTRASTS, LINEAR, SEARCH
from app.web.urls.places import PlaceUrls
from app.web.urls.spelling import PINNED, collect_values, keep_relevant, model_of, spell_query

WALKED_BASES = ("svd", "neuron")
"""Bases whose directions are in the bank, so that paths lead from one to another."""


@dataclass(frozen=True, slots=True)
class FindingUrls(PlaceUrls):
    """Links of what finds something."""

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

    def search(
        self, address: Address, view: View | None = None, inquiry: Inquiry | None = None, **changes: object
    ) -> str:
        """Link a model's search for `inquiry`.

        Example: search(parse("gpt2"), view, page.inquiry, order="alignment") -> "/gpt2/search?q=writing&order=alignment"
        """
        return self.page(model_of(address), view, SEARCH, **(_inquiry_values(inquiry) | changes))

    def search_pinned(self, address: Address, pin: str, view: View, inquiry: Inquiry) -> str:
        """Make the absolute, pinned link of a search."""
        return self.pinned_url(model_of(address), pin, view, SEARCH, **_inquiry_values(inquiry))

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
        return self.api(model_of(address), view, SEARCH, **_inquiry_values(inquiry))

    def search_every(self, q: str = "") -> str:
        """The same search in every model of the server."""
        return f"{self.root}/-/{SEARCH}{spell_query('every', None, {'q': q})}"

    def search_every_api(self, q: str = "") -> str:
        """The same as JSON."""
        return f"{self.root}/api/v1/-/{SEARCH}{spell_query('every', None, {'q': q})}"

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

    def composed_pair(self, page: CompositionPage, writer: Address, reader: Address) -> str:
        """Link the two heads of a composition score, writer and reader.

        Example: composed_pair(page, parse("gpt2/L5/H3"), parse("gpt2/L7/H1")) -> "/-/pair?a=gpt2/L5/H3&b=gpt2/L7/H1&part=key"
        """
        return self.pair(writer, reader, {"q": "query", "k": "key", "v": "value"}[page.kind], page.view)

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

    def pinned_contrast(self, page: ContrastPage) -> str:
        """Make the absolute, pinned link of two places side by side; empty where nothing is compared yet.

        Example: "https://lens.example/-/compare?a=gpt2@0123abcd/L5/H3/ov~folded&b=gpt2@0123abcd/L6/H0/ov~folded"
        """
        if page.first is None or page.second is None:
            return ""
        a, b = (f"{one.address.with_pin(one.model.pin)}~{one.view.weights}" for one in (page.first, page.second))
        return f"{self.origin}/-/{CONTRASTS}?{urlencode({'a': a, 'b': b}, safe='/~@')}"


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
    kept = collect_values("pair", keep_relevant(model_of(a), view), said, always)
    return "?" + urlencode({"a": str(a), "b": str(b), **kept}, safe="/@")


def _inquiry_values(inquiry: Inquiry | None) -> dict[str, object]:
    """Collect the query values of an inquiry."""
    said: dict[str, Any] = {} if inquiry is None else asdict(inquiry)
    return {name: int(value) if isinstance(value, bool) else value for name, value in said.items()}
