"""Two places of one kind side by side, of one model or of two: two texts in, one frozen page out.

Raises what `app.explorer.visits.browse` does; BadOption says why two places cannot be compared. Knows no HTTP, imports no torch.
"""

from dataclasses import replace
from weakref import WeakKeyDictionary

from app.core.address import Address, AddressError, parse
from app.core.basis import BASES
from app.explorer.asking.jump import jump
from app.explorer.asking.places import noun_of
from app.explorer.asking.views import Options, visited
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import is_double
from app.explorer.library import OpenModel
from app.explorer.pages.contrast import ContrastPage, Gulf, Match
from app.explorer.pages.matrices import FitPage
from app.explorer.reading.finding import contrast as reading
from app.explorer.reading.finding.contrast import Half
from app.explorer.resources import Resources
from app.explorer.view import PROCESSINGS, Processing
from app.explorer.visits import fits, orders
from app.explorer.visits.vectors import MIB, MOST_BYTES, measure_bytes, vectors

_have_same: WeakKeyDictionary[OpenModel, WeakKeyDictionary[OpenModel, bool]] = WeakKeyDictionary()
"""Whether two models have the same tokens, of those that are open."""
EXAMPLES = "Name two heads, matrices or directions of one kind, as smollm2/L5/H3/ov and smollm2/L6/H1/ov; ~raw behind one takes the weights as stored."


def contrast(r: Resources, a: str, b: str) -> ContrastPage:
    """The two places that the texts name: addresses, or within a's model whatever the jump box takes, `~raw` behind."""
    if not a.strip() or not b.strip():
        return ContrastPage(a, b, None, None)
    first = _named(r, a, None)
    second = _named(r, b, first[0])
    one, other = _halves(r, first, second)
    is_one_space = one.model.header.d_model == other.model.header.d_model
    is_direction = one.address.index is not None
    if is_direction:
        found: tuple[Match, ...] = (reading.pair(one, other, is_one_space=is_one_space),)
        matched = chance = None
    else:
        found, matched, chance = reading.matches(one, other, is_one_space=is_one_space)
    return ContrastPage(
        a,
        b,
        one.place(),
        other.place(),
        spans=reading.spans(one, other) if is_one_space and not is_direction else (),
        matches=found,
        matched=matched,
        chance=chance,
        apart=_apart(one, other),
    )


def _apart(one: Half, other: Half) -> Gulf:
    if one.model.header.d_model != other.model.header.d_model:
        return "widths"
    return "" if one.model.fingerprint == other.model.fingerprint else "models"


def _named(r: Resources, text: str, beside: Address | None) -> tuple[Address, Processing | None]:
    """The place, and the weights that were named with it; UnknownAddress with examples.

    `beside`: a place of the model that is meant where the text names none, at whose pin it is.
    """
    name, tilde, weights = text.strip().partition("~")
    processing = next((each for each in PROCESSINGS if each == weights.lower()), None)
    if tilde and processing is None:
        raise BadOption(f"What stands behind ~ is one of {', '.join(PROCESSINGS)}: {text[:40]!r} has neither.")
    if (found := _address(r, name)) is None:
        model = beside.model if beside else (r.slugs[0] if len(r.slugs) == 1 else None)
        if model is None:
            raise UnknownAddress(f"{name[:40]!r} names no place. {EXAMPLES}")
        found = jump(r, model, name).address
    return _matrix_of(found.seen_from(beside) if beside else found), processing


def _address(r: Resources, name: str) -> Address | None:
    try:
        found = parse(name.strip("/"))
    except AddressError:
        return None
    return found if found.model in r.slugs else None


def _matrix_of(address: Address) -> Address:
    """A head stands for its OV; what is no head, matrix or direction has nothing to be compared."""
    if address.depth == "head":
        return address.at("ov")
    if address.kind is None:
        raise BadOption(f"{address} is a {address.depth}: heads, matrices and directions are compared. {EXAMPLES}")
    return address


def _halves(
    r: Resources, first: tuple[Address, Processing | None], second: tuple[Address, Processing | None]
) -> tuple[Half, Half]:
    """Both, all that is missing of them put in line before any of it is waited for."""
    asked: list[tuple[OpenModel, Address, Options]] = []
    wanted: list[orders.Order] = []
    _check_kinds(first[0], second[0])
    for address, processing in (first, second):
        options = Options(weights=processing)
        model, view = visited(r, address, options)
        if is_double(model.header, address, view.weights):
            raise BadOption(
                f"As stored, the unembedding of {address.model} is its embedding: name {address.model}/embed~raw."
            )
        if (size := measure_bytes(model.header, address)) > MOST_BYTES:
            raise BadOption(
                f"{address.matrix.label} of {address.model} is too large to be compared here: its vectors may take "
                f"{size // MIB} MiB, and {MOST_BYTES // MIB} MiB are held at most."
            )
        asked.append((model, address, options))
        _check_tokens(asked[0][0], model)
        if absent := fits.absent(r, model, address, view):
            raise UnknownAddress(f"{address.label} was not computed here: {absent.command} computes it.")
        wanted.append(orders.matrix(model, address, view))
        if not BASES[view.basis].is_fitted:
            wanted.append(orders.vectors_of(model, address, view))
    artifacts = orders.fulfilled(r, *dict.fromkeys(wanted))
    by_recipe = dict(zip((order.recipe for order in dict.fromkeys(wanted)), artifacts, strict=True))
    halves = []
    for model, address, options in asked:
        found = vectors(r, address, options)
        assert not isinstance(found, FitPage)
        place = replace(address, basis=address.basis or "svd")
        halves.append(
            Half(model, place, found, dict(by_recipe[orders.matrix(model, address, found.view).recipe].arrays))
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
    """BadOption where tokens of the one are not tokens of the other."""
    if one is not other and not _same_tokens(one, other):
        slugs = one.header.slug, other.header.slug
        raise BadOption(f"{slugs[0]} and {slugs[1]} have other tokenizers: their tokens cannot be held side by side.")


def _same_tokens(one: OpenModel, other: OpenModel) -> bool:
    known = _have_same.setdefault(one, WeakKeyDictionary())
    if other not in known:
        known[other] = _compared(one, other)
    return known[other]


def _compared(one: OpenModel, other: OpenModel) -> bool:
    if one.manifest.files.get("tokenizer.json") == other.manifest.files.get("tokenizer.json"):
        return one.header.d_vocab == other.header.d_vocab
    ids = range(one.header.d_vocab)
    return one.header.d_vocab == other.header.d_vocab and all(
        one.vocabulary.entry(id_).text == other.vocabulary.entry(id_).text for id_ in ids
    )
