"""Decompositions that take minutes and are computed on request only: which are there, and how to come by another.

Looks at names and headers of files, never into arrays. Knows no HTTP.
"""

from contextlib import suppress
from dataclasses import replace

from app.core.address import Address
from app.core.basis import BASES
from app.explorer import recipes
from app.explorer.asking import tasks
from app.explorer.asking.views import choices
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import most_terms
from app.explorer.library import OpenModel
from app.explorer.pages.matrices import FitPage
from app.explorer.reading.matrices import canonical, tabs
from app.explorer.resources import Resources
from app.explorer.view import Choice, Tab, View
from app.explorer.visits import jobs


def absent(r: Resources, model: OpenModel, address: Address, shown: View) -> FitPage | None:
    """What stands where a fit is not there; None if it is, or if the basis is computed for whoever asks."""
    if not BASES[shown.basis].is_fitted:
        return None
    place = canonical(address)
    recipe = recipes.decomposition(model, place, shown.weights, chosen(shown.parameters), shown.distance)
    if r.store.load(recipe) is not None:
        return None
    most = most_terms(model.header, place, chosen(shown.parameters))
    if address.index is not None and address.index >= most:
        raise UnknownAddress(
            f"Direction {address.index} is not here: {place.label} has at most directions 0 to {most - 1}."
        )
    wish = tasks.wish_for(model, place, shown)
    return FitPage(
        address=place,
        model=model.header,
        view=shown,
        tabs=known(r, model, place, shown),
        there=there(r, model, place, shown),
        task=wish.task,
        command=jobs.command_of(wish),
        job=jobs.last_one(r, wish, place.kind or ""),
    )


def there(r: Resources, model: OpenModel, address: Address, shown: View) -> tuple[tuple[Choice, ...], ...]:
    """The parameters of the fits of that matrix in that basis and these weights, smallest first."""
    found = set()
    for recipe in r.store.recipes(model.fingerprint, address.path):
        if (recipe.basis, recipe.processing) != (address.basis, shown.weights):
            continue
        # One of another version has other bounds, or more numbers; whoever can write files can write any number.
        with suppress(BadOption, ValueError, OverflowError):
            given = {name: int(value) for name, value in recipe.parameters if name not in recipes.READ}
            fit = choices(model, address, given)
            if r.store.exists(recipes.decomposition(model, address, shown.weights, chosen(fit))):
                found.add(fit)
    return tuple(sorted(found, key=lambda fit: [choice.value for choice in fit]))


def known(r: Resources, model: OpenModel, address: Address, shown: View) -> tuple[Tab, ...]:
    """The bases of the matrix at the address, each with whether it opens a table here."""
    return tuple(_opening(r, model, tab, shown) if tab.is_fitted else tab for tab in tabs(address))


def _opening(r: Resources, model: OpenModel, tab: Tab, shown: View) -> Tab:
    fits = there(r, model, tab.address, shown)
    usual = choices(model, tab.address, {})
    return replace(tab, is_here=bool(fits), fit=() if usual in fits else fits[0] if fits else ())


def chosen(parameters: tuple[Choice, ...]) -> dict[str, int]:
    """The values alone."""
    return {choice.name: choice.value for choice in parameters}
