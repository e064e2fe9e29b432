"""The suggestions for a text that is being typed: places of a model, its pages, a token, and always a search.

Computes nothing and opens no artifact, since every keystroke asks. Knows no HTTP.
"""

from app.core.address import CIRCUITS, Address
from app.explorer.asking.jump import LONGEST, jump
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.pages.search import Suggestion, SuggestPage
from app.explorer.resources import Resources
from app.models.lookup import ID
from app.models.vocabulary import make_visible

MOST = 8
"""Suggestions besides the search."""
N_HEADS, N_DIRECTIONS = 4, 3
PAGES: tuple[tuple[str, str], ...] = (
    ("notable", "gallery of readable directions"),
    ("composition", "which heads read which"),
    ("census", "how readable matrices are"),
    ("blind", "blind round"),
)
"""Pages of a model that have no address of their own."""


def suggest(r: Resources, address: Address, options: Options, text: str) -> SuggestPage:
    """Suggest what the text may mean in the model, the likeliest first; for an empty text, where to begin."""
    opened, view = resolve_view(r, address, options)
    model, text = Address(address.model, address.pin), text.strip()
    places, pages, tokens = (
        _suggest_places(r, opened, model, text),
        _suggest_pages(model, text.lower()),
        _suggest_tokens(opened, model, text),
    )
    found = [*places, *pages, *tokens]
    named = [*(places[:1] if text else ()), *(one for one in pages if one.under == text.lower())]
    named += tokens if ID.fullmatch(text) else []
    once = list({(each.address, each.under): each for each in found}.values())[:MOST]
    return SuggestPage(model, opened.header, view, text, make_visible(text), named[0] if named else None, tuple(once))


def _suggest_places(r: Resources, opened: OpenModel, model: Address, text: str) -> list[Suggestion]:
    """Suggest the place that the text names, and places inside it."""
    try:
        target = jump(r, model.model, text) if text and len(text) <= LONGEST else None
    except UnknownAddress:
        return []
    if target is None:
        return [] if text else [Suggestion(model.at(kind), "") for kind in opened.header.model_kinds]
    place = target.address.with_pin_of(model)
    weights = target.weights or ""
    named = Suggestion(place, "", ray=target.ray or "", weights=weights)
    return [named, *(Suggestion(inside, "", weights=weights) for inside in _list_inside(opened, place))]


def _list_inside(opened: OpenModel, place: Address) -> list[Address]:
    if place.model != opened.header.slug:
        return []
    if place.depth == "layer":
        heads = [place.at_head(head) for head in range(min(opened.header.n_heads, N_HEADS))]
        return [*(place.at(kind) for kind in opened.header.layer_kinds), *heads]
    if place.depth == "head":
        matrices = [place.at(circuit) for circuit in CIRCUITS]
        return matrices + [matrices[0].direction(index) for index in range(N_DIRECTIONS)]
    if place.depth == "matrix":
        return [place.direction(index) for index in range(N_DIRECTIONS)]
    return []


def _suggest_pages(model: Address, text: str) -> list[Suggestion]:
    """Suggest pages whose name begins with the text or whose description has it; all for an empty text."""
    return [
        Suggestion(model, under, about) for under, about in PAGES if under.startswith(text) or text in about.split()
    ]


def _suggest_tokens(opened: OpenModel, model: Address, text: str) -> list[Suggestion]:
    """Suggest the tokens spelled like the text, with and without a space in front."""
    if not text:
        return []
    entries = [opened.vocabulary.find(spelling) for spelling in (f" {text}", text)]
    return [
        Suggestion(model, f"token/{entry.id}", "what reads and writes it", shown=entry.shown)
        for entry in dict.fromkeys(filter(None, entries))
    ]
