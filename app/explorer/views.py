"""How a visitor wants to see a place: the options of a query, held against the model and with its defaults filled in.

Knows nothing of what is computed.
"""

from dataclasses import dataclass

from app.core.address import Address
from app.explorer.errors import BadOption
from app.explorer.library import OpenModel
from app.explorer.pages import PROCESSINGS, SORTS, Processing, Sort, View

LONGEST_FIND = 100
FARTHEST = 1_024
"""The largest distance; less where the model's texts are shorter."""


@dataclass(frozen=True, slots=True)
class Options:
    """What stands in the query string."""

    weights: Processing | None = None
    """None: the operator's choice."""
    sort: Sort = "strength"
    page: int = 1
    find: str = ""
    distance: int = 0
    whole: bool = False
    """All rows of a table at once, for a file."""


def seen(model: OpenModel, address: Address, options: Options, default: Processing) -> View:
    """The options at that place, with the operator's default where the model has it; BadOption naming the range."""
    _check_choice("weights", options.weights, (None, *PROCESSINGS))
    _check_choice("sort", options.sort, SORTS)
    if options.page < 1:
        raise BadOption(f"There is no page {options.page}: pages are counted from 1.")
    if len(options.find) > LONGEST_FIND:
        raise BadOption(f"The text to find is too long: at most {LONGEST_FIND} characters.")
    first = model.shown_first(default)
    weights = options.weights or first
    if weights not in model.header.processings:
        raise BadOption(f"{address.model} has weights=raw only. {model.header.unfoldable}")
    _check_distance(model, address, options.distance)
    still = _still_layers(model, address) if options.distance else ()
    return View(weights, first, options.sort, options.page, options.find, options.distance, still)


def farthest(model: OpenModel, address: Address) -> int | None:
    """The largest distance for the QK at the address, or for that of a head; None where distance means nothing."""
    if address.layer is None or address.head is None or address.circuit == "ov" or not model.rotates(address.layer):
        return None
    return min(FARTHEST, model.header.n_ctx - 1)


def _check_distance(model: OpenModel, address: Address, distance: int) -> None:
    most = farthest(model, address) if distance else 0
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


def _still_layers(model: OpenModel, address: Address) -> tuple[int, ...]:
    assert address.layer is not None
    around = range(max(address.layer - 1, 0), min(address.layer + 2, model.header.n_layers))
    return tuple(layer for layer in around if not model.rotates(layer))


def _check_choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise BadOption(f"{name} must be one of {', '.join(filter(None, choices))}.")
