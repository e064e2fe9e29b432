"""The bases of a matrix side by side, as a page. Computes nothing; `app.explorer.making.comparison` does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.core.address import Address, BasisName
from app.core.basis import BASES
from app.explorer import recipes
from app.explorer.asking import tasks
from app.explorer.asking.places import check_place
from app.explorer.asking.views import Options, choices, visited
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import SIDES, bases_of
from app.explorer.layout import MOST_NONZEROS, SPANS
from app.explorer.library import OpenModel
from app.explorer.pages.compare import Compared, ComparePage, Partner
from app.explorer.pages.directions import Direction
from app.explorer.reading.directions import directions, row_of
from app.explorer.reading.matrices import canonical, tabs
from app.explorer.resources import Resources
from app.explorer.view import Choice, View
from app.explorer.visits import fits, jobs, orders
from app.explorer.visits.orders import Order, fulfilled
from app.store.artifacts import Artifact

NONZEROS = 8
TOKENS = 8
Fit = tuple[Choice, ...]


def compare(
    r: Resources,
    address: Address,
    options: Options,
    nonzeros: int = NONZEROS,
    first: int = 16,
    direction: str = "",
    wanted: Mapping[BasisName, Sequence[int]] | None = None,
) -> ComparePage:
    """The bases of the matrix at the address; `wanted`: of a basis that is fitted, the fit with these parameters.

    BadOption naming the range; UnknownAddress as everywhere, and for a fit that is not there.
    """
    opened, shown = visited(r, address, options)
    if not 1 <= nonzeros <= MOST_NONZEROS:
        raise BadOption(f"nonzeros goes from 1 to {MOST_NONZEROS}.")
    if first not in SPANS:
        raise BadOption(f"first must be one of {', '.join(map(str, SPANS))}.")
    there = _there(r, opened, address, shown)
    fitted = _fits(opened, address, there) | _wanted(opened, address, shown, there, wanted or {})
    (artifact,) = fulfilled(r, _order(r, opened, address, shown, fitted))
    bases: list[BasisName] = artifact.facts["bases"]
    if not bases:
        raise UnknownAddress(
            f"The bases of {address.label} are not here: it has rank 0, it is zero and has no directions to compare."
        )
    of, index = _chosen(address, direction, {name: _indices(artifact, name) for name in bases})
    return ComparePage(
        address=address,
        model=opened.header,
        view=shown,
        nonzeros=nonzeros,
        most=MOST_NONZEROS,
        first=first,
        firsts=SPANS,
        mean_share=artifact.facts["mean_share"],
        bases=tuple(
            _compared(artifact, name, nonzeros, first, fitted.get(name, ()), there.get(name, ())) for name in bases
        ),
        overlaps=_table(artifact, f"overlaps_{first}"),
        smallest=_table(artifact, f"smallest_{first}"),
        chosen=_row(r, opened, address, shown, of, index, fitted),
        direction=f"{of}/{index}",
        partners=tuple(
            _partner(r, opened, address, shown, artifact, (of, index), other, fitted) for other in bases if other != of
        ),
        absent=tuple(tab for tab in tabs(address) if tab.basis not in bases),
    )


def _there(r: Resources, opened: OpenModel, address: Address, shown: View) -> dict[BasisName, tuple[Fit, ...]]:
    """Of each basis that is fitted the fits that are there."""
    assert address.kind is not None
    names = [name for name in bases_of(address.kind) if BASES[name].is_fitted]
    return {name: fits.there(r, opened, address.in_basis(name), shown) for name in names}


def _fits(opened: OpenModel, address: Address, there: dict[BasisName, tuple[Fit, ...]]) -> dict[BasisName, Fit]:
    """One for each basis that has any: that with the default parameters if it is there, else the first."""
    found: dict[BasisName, Fit] = {}
    for name, of_basis in there.items():
        usual = choices(opened, address.in_basis(name), {})
        if of_basis:
            found[name] = usual if usual in of_basis else of_basis[0]
    return found


def _wanted(
    opened: OpenModel,
    address: Address,
    shown: View,
    there: dict[BasisName, tuple[Fit, ...]],
    wanted: Mapping[BasisName, Sequence[int]],
) -> dict[BasisName, Fit]:
    """Those that are asked for; UnknownAddress naming those that are there, and how to come by it."""
    found: dict[BasisName, Fit] = {}
    for name, values in wanted.items():
        place = address.in_basis(name)
        check_place(opened, place)
        names = [parameter.name for parameter in BASES[name].parameters]
        if len(values) != len(names):
            raise BadOption(f"{name} must be {len(names)} numbers with commas between them: {', '.join(names)}.")
        fit = found[name] = choices(opened, place, dict(zip(names, values, strict=True)))
        if fit not in there[name]:
            command = jobs.command_of(tasks.wish_for(opened, place, replace(shown, basis=name, parameters=fit)))
            has = "; ".join(map(_words, there[name])) or "none"
            raise UnknownAddress(
                f"{place.label} is not here with {_words(fit)} in {shown.weights} weights; fits that are: {has}. "
                f"{command} computes it."
            )
    return found


def _words(fit: Fit) -> str:
    """As `components 32, seed 0`."""
    return ", ".join(f"{choice.name} {choice.value}" for choice in fit)


def _order(r: Resources, opened: OpenModel, address: Address, shown: View, fitted: dict[BasisName, Fit]) -> Order:
    fits_there = {
        name: fits.chosen(fit)
        for name, fit in fitted.items()
        if r.store.exists(recipes.decomposition(opened, address.in_basis(name), shown.weights, fits.chosen(fit)))
    }
    return orders.comparison(opened, address, shown.weights, fits_there)


def _indices(artifact: Artifact, name: BasisName) -> Sequence[int]:
    """What the addresses of that basis's vectors end with, in the order of the artifact's rows."""
    if name == "neuron":
        return [*map(int, artifact.arrays["unit"])]
    return range(artifact.facts["terms"][artifact.facts["bases"].index(name)])


def _chosen(address: Address, direction: str, there: Mapping[BasisName, Sequence[int]]) -> tuple[BasisName, int]:
    """Which direction's partners are asked for: `svd/12`; the first singular direction if nothing is said."""
    name, _, number = (direction or "svd/0").partition("/")
    basis = next((basis for basis in there if basis == name), None)
    if basis is None:
        raise BadOption(
            f"direction must begin with one of {', '.join(there)}, as svd/0: these bases of {address.label} are compared."
        )
    if not number.isdecimal() or not number.isascii() or len(number) > 6 or int(number) not in there[basis]:
        left_out = ", without those that are zero" if len(there[basis]) <= max(there[basis]) else ""
        raise BadOption(
            f"direction goes from {basis}/{min(there[basis])} to {basis}/{max(there[basis])} here{left_out}."
        )
    return basis, int(number)


def _compared(
    artifact: Artifact, name: BasisName, nonzeros: int, first: int, fit: Fit, there: tuple[Fit, ...]
) -> Compared:
    arrays = artifact.arrays
    terms = artifact.facts["terms"][artifact.facts["bases"].index(name)]
    return Compared(
        basis=name,
        parameters=fit,
        terms=terms,
        errors=tuple(arrays[f"errors_{name}"].tolist()),
        error=float(arrays[f"errors_{name}"][nonzeros - 1]),
        control=float(arrays[f"control_{name}"][nonzeros - 1]),
        explained=float(arrays[f"explained_{name}"][SPANS.index(first)]),
        others=tuple(other for other in there if other != fit),
    )


def _table(artifact: Artifact, name: str) -> tuple[tuple[float, ...], ...]:
    rows: list[list[Any]] = artifact.arrays[name].tolist()
    return tuple(map(tuple, rows))


def _row(
    r: Resources,
    opened: OpenModel,
    address: Address,
    shown: View,
    basis: BasisName,
    index: int,
    fitted: dict[BasisName, Fit],
) -> Direction | None:
    """The direction with its tokens, where its decomposition was computed before."""
    place = canonical(address.in_basis(basis))
    parameters = fits.chosen(fitted.get(basis) or choices(opened, address.in_basis(basis), {}))
    artifact = r.store.load(recipes.decomposition(opened, place, shown.weights, parameters))
    if artifact is None or address.kind is None:
        return None
    row = row_of(artifact.arrays, index)
    if row is None:
        return None
    (found,) = directions(artifact.arrays, slice(row, row + 1), place, SIDES[address.kind], TOKENS, opened.vocabulary)
    return found


def _partner(
    r: Resources,
    opened: OpenModel,
    address: Address,
    shown: View,
    artifact: Artifact,
    chosen: tuple[BasisName, int],
    other: BasisName,
    fitted: dict[BasisName, Fit],
) -> Partner:
    of, index = chosen
    row = _indices(artifact, of).index(index)
    partner = _indices(artifact, other)[int(artifact.arrays[f"partner_{of}_{other}"][row])]
    return Partner(
        basis=other,
        address=address.in_basis(other).direction(partner),
        parameters=fitted.get(other, ()),
        cosine=float(artifact.arrays[f"cosine_{of}_{other}"][row]),
        control=float(artifact.arrays[f"near_{other}"][0]),
        direction=_row(r, opened, address, shown, other, partner, fitted),
    )
