"""How a query is spelt: what of a visitor's view means something on a page and is not usual there.

Knows the table of options and no link.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import cast
from urllib.parse import urlencode

from app.core.address import Address, Depth, Ray, format_short
from app.core.basis import BASES
from app.explorer.options import Page, usual_values
from app.explorer.view import View
from app.models.token_filter import EVERY

DEPTHS: dict[Depth, Page] = {
    "model": "model",
    "layer": "layer",
    "head": "head",
    "matrix": "matrix",
    "decomposition": "matrix",
    "direction": "direction",
}
"""The kind of page that each depth of an address is."""
PINNED = ("weights", "statistics")
"""What permanent links say even if it is as usual: another may be usual tomorrow."""


def spell_query(page: Page, view: View | None, changes: dict[str, object], always: Collection[str] = ()) -> str:
    """Spell the query of such a page: a view with some values changed."""
    kept = collect_values(page, view, changes, always)
    return f"?{urlencode(kept)}" if kept else ""


def collect_values(
    page: Page, view: View | None, changes: dict[str, object], always: Collection[str] = ()
) -> dict[str, object]:
    """Collect the query values of a view with some changed: those that count on that page and are not usual there."""
    usual, values = usual_values(page), changes
    if view is not None:
        values = dict(_of_view(view)) | changes
        usual = usual | {choice.name: choice.default for choice in view.parameters} | {"weights": view.default_weights}
    there = ((name, value) for name, value in values.items() if name in usual)
    return {name: value for name, value in there if name in always or value not in {None, usual[name]}}


def keep_relevant(address: Address, view: View | None) -> View | None:
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


def page_of(address: Address, under: str = "") -> Page:
    """Return the kind of page whose options the query holds."""
    return cast("Page", under.partition("/")[0] or DEPTHS[address.depth])


def path_below(under: str) -> str:
    """Spell the rest of a path behind an address."""
    return f"/{under}" if under else ""


def model_of(address: Address) -> Address:
    """Return the address of the whole model, pinned as this one is."""
    return Address(address.model, address.pin)


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


def _of_view(view: View) -> Iterator[tuple[str, object]]:
    for name in ("weights", "sort", "page", "only", "find", "distance"):
        yield name, getattr(view, name)
    yield from ((choice.name, choice.value) for choice in view.parameters)
    yield from view.token_filter.parameters().items()
    yield "readout", view.token_filter.readout
    yield "rotated", int(view.rotated)
