"""Fits, decompositions that take minutes and run on request only: which were computed, and how to start another.

Reads names and headers of files, never arrays. Knows no HTTP.
"""

from contextlib import suppress
from dataclasses import replace

from app.core.address import Address
from app.core.basis import BASES
from app.explorer import recipes
from app.explorer.asking import tasks
from app.explorer.asking.using import list_outputs
from app.explorer.asking.views import choose_parameters, name_statistics
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import most_terms
from app.explorer.library import OpenModel
from app.explorer.pages.matrices import FitPage
from app.explorer.reading.matrices import canonical_address, list_tabs
from app.explorer.resources import Resources
from app.explorer.view import Choice, Tab, View
from app.explorer.visits import jobs


def missing_fit_page(r: Resources, model: OpenModel, address: Address, shown: View) -> FitPage | None:
    """Make the page that replaces a missing fit; None if it was computed, or if the basis is no fit."""
    if not BASES[shown.basis].is_fitted:
        return None
    place = canonical_address(address)
    recipe = recipes.decomposition(model, place, shown.weights, parameter_values(shown.parameters), shown.distance)
    if r.store.load(recipe) is not None:
        return None
    most = most_terms(model.header, place, parameter_values(shown.parameters))
    if address.index is not None and address.index >= most:
        raise UnknownAddress(
            f"Direction {address.index} is not here: {place.label} has at most directions 0 to {most - 1}."
        )
    wish = tasks.wish_of_view(model, place, shown)
    return FitPage(
        address=place,
        model=model.header,
        view=shown,
        tabs=list_tabs_with_fits(r, model, place, shown),
        there=computed_fits(r, model, place, shown),
        task=wish.task,
        command=jobs.command_of(wish),
        job=jobs.find_last_job(r, wish, place.kind or ""),
    )


def computed_fits(r: Resources, model: OpenModel, address: Address, shown: View) -> tuple[tuple[Choice, ...], ...]:
    """List the parameters of the computed fits of a matrix in its basis and these weights, smallest first; of a basis that is
    fitted to a text the statistics that are here, the shown ones first.
    """
    if BASES[address.basis or "svd"].is_of_text:
        here = [*list_outputs(r.store, model, shown.weights)]
        return tuple((name_statistics(number, here[0]),) for number in here)
    found = set()
    for recipe in r.store.recipes(model.fingerprint, address.path):
        if (recipe.basis, recipe.processing) != (address.basis, shown.weights):
            continue
        # Another version's fit may have other bounds or more numbers, and a file may name any number.
        with suppress(BadOption, ValueError, OverflowError):
            given = {name: int(value) for name, value in recipe.parameters if name not in recipes.READOUT_PARAMETERS}
            fit = choose_parameters(model, address, given)
            if r.store.exists(recipes.decomposition(model, address, shown.weights, parameter_values(fit))):
                found.add(fit)
    return tuple(sorted(found, key=lambda fit: [choice.value for choice in fit]))


def list_tabs_with_fits(r: Resources, model: OpenModel, address: Address, shown: View) -> tuple[Tab, ...]:
    """List the bases of the matrix, each with whether it opens a table here; one that is fitted to a text only where there
    are statistics of one, and where visits have nothing computed only what is there.
    """
    tabs = [_add_fits(r, model, tab, shown) if tab.is_fitted else tab for tab in list_tabs(address)]
    if not r.computes_for_visits:
        tabs = [tab for tab in tabs if _is_there(r, model, tab, shown)]
    return tuple(tab for tab in tabs if not BASES[tab.basis].is_of_text or list_outputs(r.store, model, shown.weights))


def _is_there(r: Resources, model: OpenModel, tab: Tab, shown: View) -> bool:
    """Return whether the tab is the one that is shown, was computed beforehand, or says itself whether it was."""
    if tab.is_fitted or tab.basis == shown.basis or BASES[tab.basis].is_of_text:
        return True
    return r.store.exists(recipes.decomposition(model, canonical_address(tab.address), shown.weights, {}))


def _add_fits(r: Resources, model: OpenModel, tab: Tab, shown: View) -> Tab:
    fits = computed_fits(r, model, tab.address, shown)
    usual = choose_parameters(model, tab.address, {})
    return replace(tab, is_here=bool(fits), fit=() if usual in fits else fits[0] if fits else ())


def parameter_values(parameters: tuple[Choice, ...]) -> dict[str, int]:
    """Map each parameter's name to its value."""
    return {choice.name: choice.value for choice in parameters}
