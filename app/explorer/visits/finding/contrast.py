"""The visit that compares two places of one kind, of one model or two: two texts in, one frozen page out.

Raises what `app.explorer.visits.browse` does; BadOption says why two places cannot be compared. Knows no HTTP, imports
no torch.
"""

from dataclasses import replace
from weakref import WeakKeyDictionary

from app.core.address import Address, AddressError, parse
from app.core.basis import BASES
from app.explorer.asking.jump import jump
from app.explorer.asking.places import noun_of, split_weights
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import MOST_VECTORS, bound_vectors, is_double
from app.explorer.library import OpenModel
from app.explorer.pages.contrast import ContrastPage, Gulf, Match
from app.explorer.pages.matrices import FitPage
from app.explorer.reading.finding import contrast as reading
from app.explorer.reading.finding.contrast import Half
from app.explorer.resources import Resources
from app.explorer.view import Processing
from app.explorer.visits import fits, orders
from app.explorer.visits.vectors import MIB, visit_vectors

_known_same_tokens: WeakKeyDictionary[OpenModel, WeakKeyDictionary[OpenModel, bool]] = WeakKeyDictionary()
"""Cache of whether two open models have the same tokens."""
EXAMPLES = "Name two heads, matrices or directions of one kind, as smollm2/L5/H3/ov and smollm2/L6/H1/ov; ~raw behind one takes the weights as stored."


def visit_contrast(r: Resources, a: str, b: str) -> ContrastPage:
    """Compare the places that two texts name: addresses or what the jump box takes in a's model, with ~raw or not."""
    if not a.strip() or not b.strip():
        return ContrastPage(a, b, None, None)
    first = _parse_place(r, a, None)
    second = _parse_place(r, b, first[0])
    one, other = _get_halves(r, first, second)
    is_one_space = one.model.header.d_model == other.model.header.d_model
    is_direction = one.address.index is not None
    if is_direction:
        found: tuple[Match, ...] = (reading.match_pair(one, other, is_one_space=is_one_space),)
        matched = chance = None
    else:
        found, matched, chance = reading.match_directions(one, other, is_one_space=is_one_space)
    return ContrastPage(
        a,
        b,
        one.place(),
        other.place(),
        spans=reading.compare_spans(one, other) if is_one_space and not is_direction else (),
        matches=found,
        matched=matched,
        chance=chance,
        apart=_find_gulf(one, other),
    )


def _find_gulf(one: Half, other: Half) -> Gulf:
    if one.model.header.d_model != other.model.header.d_model:
        return "widths"
    return "" if one.model.fingerprint == other.model.fingerprint else "models"


def _parse_place(r: Resources, text: str, beside: Address | None) -> tuple[Address, Processing | None]:
    """Parse a place and the weights named with it; UnknownAddress with examples.

    `beside`: a place whose model and pin are meant where the text names none.
    """
    name, processing = split_weights(text)
    if (found := _parse_address(r, name)) is None:
        model = beside.model if beside else (r.slugs[0] if len(r.slugs) == 1 else None)
        if model is None:
            raise UnknownAddress(f"{name[:40]!r} names no place. {EXAMPLES}")
        found = jump(r, model, name).address
    return _matrix_of(found.with_pin_of(beside) if beside else found), processing


def _parse_address(r: Resources, name: str) -> Address | None:
    try:
        found = parse(name.strip("/"))
    except AddressError:
        return None
    return found if found.model in r.slugs else None


def _matrix_of(address: Address) -> Address:
    """Return the OV for a head, a matrix or direction as it is; BadOption for any other place."""
    if address.depth == "head":
        return address.at("ov")
    if address.kind is None:
        raise BadOption(f"{address} is a {address.depth}: heads, matrices and directions are compared. {EXAMPLES}")
    return address


def _get_halves(
    r: Resources, first: tuple[Address, Processing | None], second: tuple[Address, Processing | None]
) -> tuple[Half, Half]:
    """Get both places' data; all that is missing is queued before waiting for any of it."""
    asked: list[tuple[OpenModel, Address, Options]] = []
    wanted: list[orders.Order] = []
    _check_kinds(first[0], second[0])
    for address, processing in (first, second):
        options = Options(weights=processing)
        model, view = resolve_view(r, address, options)
        if is_double(model.header, address, view.weights):
            raise BadOption(
                f"As stored, the unembedding of {address.model} is its embedding: name {address.model}/embed~raw."
            )
        if (size := bound_vectors(model.header, address)) > MOST_VECTORS:
            raise BadOption(
                f"{address.matrix.label} of {address.model} is too large to be compared here: its vectors may take "
                f"{size // MIB} MiB, and {MOST_VECTORS // MIB} MiB are held at most."
            )
        asked.append((model, address, options))
        _check_tokens(asked[0][0], model)
        if absent := fits.missing_fit_page(r, model, address, view):
            raise UnknownAddress(f"{address.label} was not computed here: {absent.command} computes it.")
        wanted.append(orders.order_matrix(model, address, view))
        if not BASES[view.basis].is_fitted:
            wanted.append(orders.order_vectors(model, address, view))
    artifacts = orders.fulfil(r, *dict.fromkeys(wanted))
    by_recipe = dict(zip((order.recipe for order in dict.fromkeys(wanted)), artifacts, strict=True))
    halves = []
    for model, address, options in asked:
        found = visit_vectors(r, address, options)
        assert not isinstance(found, FitPage)
        place = replace(address, basis=address.basis or "svd")
        halves.append(
            Half(model, place, found, dict(by_recipe[orders.order_matrix(model, address, found.view).recipe].arrays))
        )
    one, other = halves
    return one, other


def _check_kinds(first: Address, second: Address) -> None:
    if first.kind != second.kind:
        raise BadOption(
            f"{first.matrix.label} and {second.matrix.label} are of two kinds, and what they read and write is not the same "
            "thing: compare two of one kind."
        )
    if (first.index is None) != (second.index is None):
        matrix, direction = (first, second) if first.index is None else (second, first)
        raise BadOption(
            f"{direction.label} is a {noun_of(direction)}, {matrix.label} a matrix: compare two of one kind."
        )


def _check_tokens(one: OpenModel, other: OpenModel) -> None:
    """Raise BadOption where the two models have different tokens."""
    if one is not other and not _has_same_tokens(one, other):
        slugs = one.header.slug, other.header.slug
        raise BadOption(f"{slugs[0]} and {slugs[1]} have other tokenizers: their tokens cannot be held side by side.")


def _has_same_tokens(one: OpenModel, other: OpenModel) -> bool:
    known = _known_same_tokens.setdefault(one, WeakKeyDictionary())
    if other not in known:
        known[other] = _compare_tokens(one, other)
    return known[other]


def _compare_tokens(one: OpenModel, other: OpenModel) -> bool:
    if one.manifest.files.get("tokenizer.json") == other.manifest.files.get("tokenizer.json"):
        return one.header.d_vocab == other.header.d_vocab
    ids = range(one.header.d_vocab)
    return one.header.d_vocab == other.header.d_vocab and all(
        one.vocabulary.entry(id_).text == other.vocabulary.entry(id_).text for id_ in ids
    )
