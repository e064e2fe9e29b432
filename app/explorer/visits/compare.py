"""The visit that compares the bases of a matrix. Computes nothing; `app.explorer.making.comparison` does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.core.address import Address, BasisName
from app.core.basis import BASES
from app.explorer import recipes
from app.explorer.asking import tasks
from app.explorer.asking.places import check_place
from app.explorer.asking.using import choose_statistics
from app.explorer.asking.views import Options, choose_parameters, name_statistics, resolve_view
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import SIDES, bases_of
from app.explorer.layout import MOST_NONZEROS, SPANS
from app.explorer.library import OpenModel
from app.explorer.pages.compare import Compared, ComparePage, Partner
from app.explorer.pages.directions import Direction
from app.explorer.reading.directions import read_directions, row_of
from app.explorer.reading.matrices import canonical_address
from app.explorer.resources import Resources
from app.explorer.view import Choice, View
from app.explorer.visits import fits, jobs, orders
from app.explorer.visits.orders import Order, fulfil
from app.store.artifacts import Artifact

NONZEROS = 8
TOKENS = 8
Fit = tuple[Choice, ...]


def visit_comparison(
    r: Resources,
    address: Address,
    options: Options,
    nonzeros: int = NONZEROS,
    first: int = 16,
    direction: str = "",
    wanted: Mapping[BasisName, Sequence[int]] | None = None,
) -> ComparePage:
    """Make the page that compares the bases of a matrix; `wanted`: the parameters of a fit, by basis.

    BadOption naming the range; UnknownAddress as everywhere, and for a fit that was not computed.
    """
    opened, shown = resolve_view(r, address, options)
    if not 1 <= nonzeros <= MOST_NONZEROS:
        raise BadOption(f"nonzeros goes from 1 to {MOST_NONZEROS}.")
    if first not in SPANS:
        raise BadOption(f"first must be one of {', '.join(map(str, SPANS))}.")
    there = _list_fits(r, opened, address, shown)
    fitted = _choose_fits(opened, address, there) | _check_wanted(r, opened, address, shown, there, wanted or {})
    (artifact,) = fulfil(r, _order_comparison(r, opened, address, shown, fitted))
    bases: list[BasisName] = artifact.facts["bases"]
    if not bases:
        raise UnknownAddress(
            f"The bases of {address.label} are not here: it has rank 0, it is zero and has no directions to compare."
        )
    of, index = _parse_direction(address, direction, {name: _indices_of(artifact, name) for name in bases})
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
            _describe_basis(artifact, name, nonzeros, first, fitted.get(name, ()), there.get(name, ()))
            for name in bases
        ),
        overlaps=_read_table(artifact, f"overlaps_{first}"),
        smallest=_read_table(artifact, f"smallest_{first}"),
        chosen=_load_direction(r, opened, address, shown, of, index, fitted),
        direction=f"{of}/{index}",
        partners=tuple(
            _find_partner(r, opened, address, shown, artifact, (of, index), other, fitted)
            for other in bases
            if other != of
        ),
        absent=tuple(tab for tab in fits.list_tabs_with_fits(r, opened, address, shown) if tab.basis not in bases),
    )


def _list_fits(r: Resources, opened: OpenModel, address: Address, shown: View) -> dict[BasisName, tuple[Fit, ...]]:
    """List the computed fits of each fitted basis, and what axes of outputs may be fitted to."""
    assert address.kind is not None
    names = [name for name in bases_of(address.kind) if BASES[name].is_fitted or BASES[name].is_of_text]
    return {name: fits.computed_fits(r, opened, address.in_basis(name), shown) for name in names}


def _choose_fits(opened: OpenModel, address: Address, there: dict[BasisName, tuple[Fit, ...]]) -> dict[BasisName, Fit]:
    """Choose one computed fit for each basis: the one with default parameters if there is one, else the first."""
    found: dict[BasisName, Fit] = {}
    for name, of_basis in there.items():
        usual = choose_parameters(opened, address.in_basis(name), {})
        if of_basis:
            found[name] = usual if usual in of_basis else of_basis[0]
    return found


def _check_wanted(
    r: Resources,
    opened: OpenModel,
    address: Address,
    shown: View,
    there: dict[BasisName, tuple[Fit, ...]],
    wanted: Mapping[BasisName, Sequence[int]],
) -> dict[BasisName, Fit]:
    """Check the wanted fits; UnknownAddress naming the computed ones, and the command for a missing one."""
    found: dict[BasisName, Fit] = {}
    for name, values in wanted.items():
        place = address.in_basis(name)
        check_place(opened, place)
        names = [parameter.name for parameter in BASES[name].parameters]
        if len(values) != len(names):
            raise BadOption(f"{name} must be {len(names)} numbers with commas between them: {', '.join(names)}.")
        if BASES[name].is_of_text:
            found[name] = (name_statistics(*choose_statistics(r.store, opened, shown.weights, values[0])),)
            continue
        fit = found[name] = choose_parameters(opened, place, dict(zip(names, values, strict=True)))
        if fit not in there[name]:
            command = jobs.command_of(tasks.wish_of_view(opened, place, replace(shown, basis=name, parameters=fit)))
            has = "; ".join(map(_name_fit, there[name])) or "none"
            raise UnknownAddress(
                f"{place.label} is not here with {_name_fit(fit)} in {shown.weights} weights; fits that are: {has}. "
                f"{command} computes it."
            )
    return found


def _name_fit(fit: Fit) -> str:
    """Name a fit by its parameters.

    Example: "components 32, seed 0"
    """
    return ", ".join(f"{choice.name} {choice.value}" for choice in fit)


def _order_comparison(
    r: Resources, opened: OpenModel, address: Address, shown: View, fitted: dict[BasisName, Fit]
) -> Order:
    fits_there = {
        name: fits.parameter_values(fit)
        for name, fit in fitted.items()
        if BASES[name].is_of_text
        or r.store.exists(
            recipes.decomposition(opened, address.in_basis(name), shown.weights, fits.parameter_values(fit))
        )
    }
    return orders.order_comparison(opened, address, shown.weights, fits_there)


def _indices_of(artifact: Artifact, name: BasisName) -> Sequence[int]:
    """List the indices in the addresses of a basis's vectors, in the order of the artifact's rows."""
    if name == "neuron":
        return [*map(int, artifact.arrays["unit"])]
    return range(artifact.facts["terms"][artifact.facts["bases"].index(name)])


def _parse_direction(
    address: Address, direction: str, there: Mapping[BasisName, Sequence[int]]
) -> tuple[BasisName, int]:
    """Parse the direction whose partners are shown, as svd/12; empty: the first singular direction. Else BadOption."""
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


def _describe_basis(
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


def _read_table(artifact: Artifact, name: str) -> tuple[tuple[float, ...], ...]:
    rows: list[list[Any]] = artifact.arrays[name].tolist()
    return tuple(map(tuple, rows))


def _load_direction(
    r: Resources,
    opened: OpenModel,
    address: Address,
    shown: View,
    basis: BasisName,
    index: int,
    fitted: dict[BasisName, Fit],
) -> Direction | None:
    """Load a direction with its tokens; None where its decomposition is not in the store."""
    place = canonical_address(address.in_basis(basis))
    parameters = fits.parameter_values(fitted.get(basis) or choose_parameters(opened, address.in_basis(basis), {}))
    artifact = r.store.load(recipes.decomposition(opened, place, shown.weights, parameters))
    if artifact is None or address.kind is None:
        return None
    row = row_of(artifact.arrays, index)
    if row is None:
        return None
    (found,) = read_directions(
        artifact.arrays, slice(row, row + 1), place, SIDES[address.kind], TOKENS, opened.vocabulary
    )
    return found


def _find_partner(
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
    row = _indices_of(artifact, of).index(index)
    partner = _indices_of(artifact, other)[int(artifact.arrays[f"partner_{of}_{other}"][row])]
    return Partner(
        basis=other,
        address=address.in_basis(other).direction(partner),
        parameters=fitted.get(other, ()),
        cosine=float(artifact.arrays[f"cosine_{of}_{other}"][row]),
        control=float(artifact.arrays[f"near_{of}_{other}"][0]),
        direction=_load_direction(r, opened, address, shown, other, partner, fitted),
    )
