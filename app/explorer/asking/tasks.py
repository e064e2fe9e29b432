"""The tasks of a job: typed words checked against a model, and a task spelt as words for a terminal.

Starts nothing and computes nothing. Knows no HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from app.core.address import CIRCUITS, LAYER_KINDS, Address, AddressError, BasisName, parse
from app.core.basis import BASES, STATISTICS
from app.explorer import bank, recipes
from app.explorer.asking.places import check_place
from app.explorer.asking.streams import check_streams, is_of_streams, parse_map
from app.explorer.asking.views import choose_parameters
from app.explorer.errors import BadOption
from app.explorer.inventory import MOST_VECTORS, bound_vectors, is_double, places_of
from app.explorer.layout import USE_WORD, VECTORS_WORD
from app.explorer.library import OpenModel
from app.explorer.view import PROCESSINGS, Processing, View
from app.store.artifacts import Recipe
from app.store.jobs import Task

MOST_WORDS = 16
"""The most kinds or single matrices of a task."""

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class Wish:
    """A task that a job is to compute, with its model."""

    slug: str
    fingerprint: str
    task: Task


def read_wish(
    model: OpenModel,
    default: Processing,
    *,
    matrices: str | None = None,
    weights: str | None = None,
    basis: str | None = None,
    parameters: Mapping[str, int | None] | None = None,
) -> Wish:
    """Check a request against the model; what is not given is every matrix that has the basis, in svd, and with svd the
    bank.

    The processing is then the default where it is sound. BadOption, or UnknownAddress, naming the valid choices.

    Example: read_wish(model, "folded", matrices="embed,L5/mlp-in", basis="nmf", parameters={"components": 32})
    """
    slug = model.header.slug
    name = next((name for name in BASES if name == (basis or "svd")), None)
    if name is None:
        raise BadOption(f"basis must be one of {', '.join(BASES)}.")
    chosen = _check_choices("weights", weights, PROCESSINGS) or (model.processing_shown_first(default),)
    if not set(chosen) <= set(model.header.processings):
        raise BadOption(f"{slug} has weights=raw only. {model.header.unfoldable}")
    words = _matrix_words(model, name, matrices)
    # Matrices of several sizes may have several defaults: those of the largest, or of the first, are no better.
    places = target_matrices(model, words, name)
    values = [_choose_parameters(model, place, parameters or {}) for place in places] or [{}]
    if any(each != values[0] for each in values):
        values = [{key: min(each[key] for each in values) for key in values[0]}]
    return Wish(slug, model.fingerprint, Task(words, chosen, name, tuple(sorted(values[0].items()))))


def wish_of_view(model: OpenModel, address: Address, shown: View) -> Wish:
    """Return the task of one matrix, in the basis and the weights of that view."""
    parameters = tuple(sorted((choice.name, choice.value) for choice in shown.parameters))
    return Wish(model.header.slug, model.fingerprint, Task((address.path,), (shown.weights,), shown.basis, parameters))


def target_matrices(
    model: OpenModel, matrices: Sequence[str], basis: BasisName, processing: Processing | None = None
) -> list[Address]:
    """Return the matrices that the words of a task mean, in that basis; a matrix that shares another's page counts
    once.

    The bank is no matrix, nor are vectors, statistics of use and what is computed of streams: `app.explorer.bank` lists its
    parts.
    """
    places = [place.in_basis(basis) for word in matrices for place in _parse_matrices(model, word)]
    if processing is None:
        return places
    ones = [replace(place, kind="embed") if is_double(model.header, place, processing) else place for place in places]
    return list(dict.fromkeys(ones))


def list_vectors(model: OpenModel, processing: Processing) -> list[tuple[Recipe, int]]:
    """List the recipes of the singular vectors of every matrix, those that are not too large to be held, and their bytes at
    most.
    """
    layers = (*range(model.header.n_layers), None)
    bounded = [
        (place.in_basis("svd"), bound_vectors(model.header, place))
        for layer in layers
        for place in places_of(model.header, layer, processing)
    ]
    return [(recipes.vectors(model, place, processing, {}), size) for place, size in bounded if size <= MOST_VECTORS]


def command_words(task: Task) -> list[str]:
    """Spell a task as the words that follow the model's name in a terminal.

    Example: ["--matrices", "ov,qk", "--weights", "folded"]
    """
    words = ["--matrices", ",".join(task.matrices), "--weights", ",".join(task.processings)]
    if task.basis != "svd":
        words += ["--basis", task.basis]
    for name, value in task.parameters:
        words += [f"--{name}", str(value)]
    return words


def _matrix_words(model: OpenModel, basis: BasisName, said: str | None) -> tuple[str, ...]:
    """Return the given words, or all kinds of matrices of the model that have the basis."""
    has = (*CIRCUITS, *model.header.layer_kinds, *model.header.model_kinds)
    if said is None:
        kinds = tuple(kind for kind in has if kind in BASES[basis].kinds)
        return (*kinds, bank.BANK_WORD) if basis == "svd" else kinds
    words = tuple(dict.fromkeys(said.split(",")))
    if len(words) > MOST_WORDS:
        raise BadOption(f"matrices are at most {MOST_WORDS}: {', '.join(has)}, or single ones such as L0/H0/ov.")
    if any(_is_of_whole(word) for word in words) and basis != "svd":
        raise BadOption(f"The bank, use and streams are no matrices: they have no basis {basis}.")
    for word in words:
        if points := parse_map(word):
            check_streams(model, *points)
        try:
            for place in _parse_matrices(model, word)[:1]:
                check_place(model, place.in_basis(basis))
        except AddressError:
            raise BadOption(
                f"{word[:40]!r} is no matrix of {model.header.slug}: matrices are {', '.join(has)}, or single ones "
                "such as L0/H0/ov; bank is what is searched, vectors what files and comparisons are made of, use what "
                "directions do on text, linear-0-1 the map between two streams of it, unlikely what they hold of unlikely "
                "tokens."
            ) from None
    return words


def _is_of_whole(word: str) -> bool:
    """Return whether a word names something of the whole model that is no matrix."""
    return word in {bank.BANK_WORD, USE_WORD, VECTORS_WORD} or is_of_streams(word)


def _parse_matrices(model: OpenModel, word: str) -> list[Address]:
    """Return the matrices that a word means; AddressError if it means none."""
    if _is_of_whole(word):
        return []
    whole, layers, heads = Address(model.header.slug), range(model.header.n_layers), range(model.header.n_heads)
    if word in CIRCUITS:
        return [
            whole.at_layer(layer).at_head(head).at(kind)
            for layer in layers
            for head in heads
            for kind in CIRCUITS
            if kind == word
        ]
    if word in LAYER_KINDS:
        return [whole.at_layer(layer).at(kind) for layer in layers for kind in LAYER_KINDS if kind == word]
    place = parse(f"{whole}/{word}")
    if place.depth != "matrix":
        raise AddressError(f"{word} is no matrix")
    return [place]


def _choose_parameters(model: OpenModel, place: Address, parameters: Mapping[str, int | None]) -> dict[str, int]:
    # Statistics that nobody names are those that are shown when the task is run.
    chosen = choose_parameters(model, place, parameters)
    return {choice.name: choice.value for choice in chosen if choice.name != STATISTICS.name or choice.value}


def _check_choices(name: str, said: str | None, choices: Sequence[Word]) -> tuple[Word, ...]:
    """Return those of the choices that were given, in their usual order; BadOption if anything else was."""
    words = [] if said is None else said.split(",")
    if not set(words) <= set(choices):
        raise BadOption(f"{name} must be one of {', '.join(choices)}, or both with a comma between them.")
    return tuple(choice for choice in choices if choice in words)
