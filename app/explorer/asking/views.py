"""The view of a place: a query's options, checked against the model and with its defaults filled in.

Knows no computation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.core.address import Address
from app.core.basis import BASES, STATISTICS
from app.explorer.asking.places import locate_model
from app.explorer.asking.using import choose_statistics
from app.explorer.errors import BadOption
from app.explorer.inventory import require_tokens, samples_of
from app.explorer.library import OpenModel
from app.explorer.options import LARGEST_DISTANCE, LONGEST_FIND
from app.explorer.resources import Resources
from app.explorer.view import ONLY, PROCESSINGS, SORTS, Choice, Only, Processing, Sort, View
from app.models.token_filter import EVERY, TokenFilter, filter_tokens


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a query string."""

    weights: Processing | None = None
    """The weight processing; None: the operator's choice."""
    sort: Sort = "order"
    page: int = 1
    only: Only = "all"
    find: str = ""
    distance: int = 0
    whole: bool = False
    """All rows of a table at once, for a file."""
    tokens: int | None = None
    """Tokens at either end of a row, for a file; None: as many as the page shows."""
    parameters: Mapping[str, int | None] = field(default_factory=dict)
    """Parameters of the basis; None: its default."""
    token_filter: TokenFilter = EVERY
    rotated: bool = False
    """Compare singular directions with random rotations of their span, too."""


def resolve_view(r: Resources, address: Address, options: Options) -> tuple[OpenModel, View]:
    """Return the model at the address and its view there; UnknownAddress or BadOption naming the range, NotBuilt where its
    basis is fitted to statistics and there are none.
    """
    model = locate_model(r, address)
    if not BASES[address.basis or "svd"].is_of_text:
        return model, check_view(model, address, options, r.default_weights)
    # Which statistics there are, is told below, and says more than a range.
    others = {name: value for name, value in options.parameters.items() if name != STATISTICS.name}
    shown = check_view(model, address, replace(options, parameters=others), r.default_weights)
    chosen, usual = choose_statistics(r.store, model, shown.weights, options.parameters.get(STATISTICS.name))
    return model, replace(shown, parameters=(name_statistics(chosen, usual),))


def name_statistics(chosen: int, usual: int) -> Choice:
    """Name the statistics that a basis is fitted to as its parameter; `usual`: those that are shown where none are named."""
    return Choice(STATISTICS.name, chosen, STATISTICS.low, STATISTICS.high, usual)


def check_view(model: OpenModel, address: Address, options: Options, default: Processing) -> View:
    """Check the options at that place, with the operator's default where the model has it; BadOption naming the range."""
    _check_choice("weights", options.weights, (None, *PROCESSINGS))
    _check_choice("sort", options.sort, SORTS)
    _check_choice("only", options.only, ONLY)
    if options.page < 1:
        raise BadOption(f"There is no page {options.page}: pages are counted from 1.")
    if len(options.find) > LONGEST_FIND:
        raise BadOption(f"The text to find is too long: at most {LONGEST_FIND} characters.")
    first = model.processing_shown_first(default)
    weights = options.weights or first
    if weights not in model.header.processings:
        raise BadOption(f"{address.model} has weights=raw only. {model.header.unfoldable}")
    _check_distance(model, address, options.distance)
    _check_token_filter(model, address, options.token_filter)
    _check_rotated(address, options.rotated)
    unrotated = _layers_without_rotation(model, address) if options.distance else ()
    return View(
        weights=weights,
        default_weights=first,
        sort=options.sort,
        page=options.page,
        only=options.only,
        find=options.find,
        distance=options.distance,
        unrotated_layers=unrotated,
        basis=address.basis or "svd",
        parameters=choose_parameters(model, address, options.parameters),
        token_filter=options.token_filter,
        rotated=options.rotated,
    )


def choose_parameters(model: OpenModel, address: Address, given: Mapping[str, int | None]) -> tuple[Choice, ...]:
    """Choose the parameters of the address's basis, given ones first; BadOption naming the range, or the parameters it
    has.
    """
    basis = BASES[address.basis or "svd"]
    names = [parameter.name for parameter in basis.parameters]
    for name, value in given.items():
        if value is not None and name not in names:
            has = f"{basis.name} has {', '.join(names)}" if names else f"{basis.name} has no parameters"
            raise BadOption(f"{name} means nothing here: {has}.")
    if address.kind is None or not names:
        return ()
    samples = samples_of(model.header, address.kind)
    try:
        values = basis.values(given, samples)
    except ValueError as error:
        raise BadOption(f"{error}: {address.matrix.label} of {address.model} in {basis.name}.") from error
    return tuple(
        Choice(each.name, values[each.name], *each.bounds(samples), each.default_for(samples))
        for each in basis.parameters
    )


def largest_distance(model: OpenModel, address: Address) -> int | None:
    """Return the largest distance for the QK at the address, or for a head's; None where distance means nothing."""
    if address.layer is None or address.head is None or address.circuit == "ov" or not model.rotates(address.layer):
        return None
    return min(LARGEST_DISTANCE, model.header.n_ctx - 1)


def _check_distance(model: OpenModel, address: Address, distance: int) -> None:
    most = largest_distance(model, address) if distance else 0
    if most is None:
        raise BadOption(_why_no_distance(model, address))
    if not 0 <= distance <= most:
        raise BadOption(
            f"distance goes from 0 to {most} here: a text for {address.model} has {model.header.n_ctx} tokens."
        )


def _why_no_distance(model: OpenModel, address: Address) -> str:
    if address.head is None or address.circuit == "ov":
        return f"distance must be 0 for {address.label}: it belongs to QK, so ask for it at a head, its QK or a direction of that."
    if model.header.positions != "rotary":
        return f"distance must be 0: {address.model} has no rotary positions, so its QK is the same at any distance."
    return f"distance must be 0 in L{address.layer}: this layer of {address.model} does not turn queries and keys."


def _check_token_filter(model: OpenModel, address: Address, token_filter: TokenFilter) -> None:
    if token_filter == EVERY:
        return
    said = ", ".join([*token_filter.parameters(), *([] if token_filter.readout == "dot" else ["readout"])])
    if address.kind is None and address.head is None:
        raise BadOption(
            f"{said}: tokens are chosen at a head, a matrix or a direction, and how they are ranked; {address.label} shows all, "
            "by dot product."
        )
    if BASES[address.basis or "svd"].is_fitted:
        raise BadOption(f"A fit is read with all tokens, by dot product: leave {said} out.")
    if not token_filter:
        return
    if not 0 <= token_filter.frequent < model.header.d_vocab:
        raise BadOption(
            f"frequent goes from 0 to {model.header.d_vocab - 1}: {address.model} has {model.header.d_vocab} tokens."
        )
    # Only the table knows which tokens were trained, so reading it may still refuse.
    require_tokens(model, token_filter, int(filter_tokens(model.vocabulary, token_filter).sum()))


def _check_rotated(address: Address, rotated: bool) -> None:
    if rotated and (address.kind is None or address.basis not in {None, "svd"}):
        raise BadOption(
            "rotated is there for singular directions: ask for it at a matrix or one of its directions in svd."
        )


def _layers_without_rotation(model: OpenModel, address: Address) -> tuple[int, ...]:
    assert address.layer is not None
    around = range(max(address.layer - 1, 0), min(address.layer + 2, model.header.n_layers))
    return tuple(layer for layer in around if not model.rotates(layer))


def _check_choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise BadOption(f"{name} must be one of {', '.join(filter(None, choices))}.")
