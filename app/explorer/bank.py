"""The plan of a model's bank: its parts in the order in which they are built, and the size of each.

The bank holds a unit vector for every direction and side of a model's matrices that is the residual stream, with the
tokens of both rays; searches go through it. Derived from a model's facts alone; looks at no file. Imports no torch.
"""

from collections.abc import Iterator
from typing import Literal

from app.core.address import CIRCUITS, Address, Kind
from app.explorer import recipes
from app.explorer.inventory import end_of, is_double, most_terms
from app.explorer.layout import BANK_ENDS, BANK_MODEL_KINDS, BANK_TOKENS, WHOLE_FLOATS_BYTES, WORDS_PART
from app.explorer.library import OpenModel
from app.explorer.view import End, Processing
from app.store.artifacts import Recipe

BANK_WORD = "bank"
"""The word for the bank in a task that builds it."""
BankBasis = Literal["svd", "neuron"]

STREAM_SIDES: dict[Kind, tuple[tuple[int, End], ...]] = {
    "ov": ((0, "read"), (1, "write")),
    "qk": ((0, "read"), (1, "read")),
    "mlp-in": ((0, "read"),),
    "mlp-gate": ((0, "read"),),
    "mlp-out": ((1, "write"),),
    "embed": ((1, "write"),),
    "unembed": ((0, "read"),),
}
"""The sides of a matrix that are the residual stream, 0 left and 1 right, and whether each reads or writes there."""
WORDS_BYTES = 2**28
"""The most bytes that the word vectors of one end may take in float32 to be stored so and held in memory; larger tables
are stored in float16."""
NEURON_BYTES = 2**32
"""The most bytes that a model's neurons may take in float16 to be in its bank: the 11 GB of Llama-3-8B would not leave
a default quota room for the rest."""
ROW_BYTES = 2 * BANK_TOKENS * 4 + 60
"""Bytes of a row of the bank, besides its vector."""
READING_BYTES = 5_000
"""Bytes of the readings of one layer's writes for each head of the model; measured."""
OTHER_BYTES = 4_000
"""Bytes of a part, besides its rows."""


def parts_of(model: OpenModel, processing: Processing) -> list[Recipe]:
    """List every part: first the tokens, without which nothing is found; then what is quick: singular directions, the
    last layers first; random directions; composition and alike; neurons.
    """
    layers = range(model.header.n_layers - 1, -1, -1)
    ends = ends_of(model, processing)
    return [
        *(recipes.words(model, end, part, processing) for end in ends for part in range(count_word_parts(model))),
        *(recipes.tokens(model, end, processing) for end in ends),
        *(recipes.bank(model, layer, processing) for layer in (*layers, None)),
        recipes.moments(model, processing),
        *(recipes.shadow(model, end, processing) for end in ends),
        recipes.composition(model, processing),
        recipes.alike(model, processing),
        *(
            recipes.bank(model, layer, processing, "neuron")
            for layer in (layers if has_neurons(model, processing) else ())
        ),
        *(recipes.readings(model, layer, processing) for layer in layers),
    ]


def has_neurons(model: OpenModel, processing: Processing) -> bool:
    """Return whether single neurons are in the bank: not where they would pass NEURON_BYTES, or where MLPs have no
    matrices here.
    """
    return 0 < 2 * model.header.d_model * _count_all(model, processing, "neuron") <= NEURON_BYTES


def ends_of(model: OpenModel, processing: Processing) -> tuple[End, ...]:
    """Return the ends of the model that its vectors are read with."""
    return tuple(end for end in BANK_ENDS if end_of(model, processing, end) == end)


def places_of(model: OpenModel, layer: int | None, processing: Processing) -> list[Address]:
    """Return the matrices of that layer, or (None) of the model's ends, whose singular directions are in the bank."""
    whole = Address(model.header.slug)
    if layer is None:
        ends = [whole.at(kind) for kind in BANK_MODEL_KINDS if kind in model.header.model_kinds]
        return [end for end in ends if not is_double(model.header, end, processing)]
    at = whole.at_layer(layer)
    heads = [at.at_head(head).at(circuit) for head in range(model.header.n_heads) for circuit in CIRCUITS]
    return heads + [at.at(kind) for kind in model.header.layer_kinds]


def bank_sides_of(model: OpenModel, kind: Kind, processing: Processing) -> Iterator[tuple[int, End]]:
    """Yield the sides of such a matrix that are in the bank, 0 left and 1 right, and the end that each is read with."""
    for side, does in STREAM_SIDES[kind]:
        yield side, "write" if end_of(model, processing, does) == "write" else "read"


def count_rows(model: OpenModel, processing: Processing, recipe: Recipe) -> int:
    """Count the rows of such a part of the bank: the most directions that its matrices may have."""
    layer = recipes.layer_of(recipe)
    places = places_of(model, layer, processing)
    if recipe.basis == "neuron":
        return sum(model.header.d_mlp for place in places if place.circuit is None)
    return sum(len(STREAM_SIDES[place.kind]) * most_terms(model.header, place, {}) for place in places if place.kind)


def count_directions(model: OpenModel, processing: Processing, end: End) -> int:
    """Count the singular directions of the whole model at that end, at most."""
    total = 0
    for layer in (*range(model.header.n_layers), None):
        for place in places_of(model, layer, processing):
            assert place.kind is not None
            own = [each for _, each in bank_sides_of(model, place.kind, processing) if each == end]
            total += len(own) * most_terms(model.header, place, {})
    return total


def count_shadow(model: OpenModel, processing: Processing, end: End) -> int:
    """Count the random directions that are read at that end."""
    return max(1, count_directions(model, processing, end) // recipes.SHADOW_SHARE)


def count_word_parts(model: OpenModel) -> int:
    """Count the parts of the vocabulary."""
    return -(-model.header.d_vocab // WORDS_PART)


def word_ids(model: OpenModel, part: int) -> range:
    """Return the tokens of that part of the vocabulary."""
    return range(part * WORDS_PART, min((part + 1) * WORDS_PART, model.header.d_vocab))


def is_halved(model: OpenModel, processing: Processing, basis: BankBasis) -> bool:
    """Return whether vectors in that basis are stored in float16, since in float32 they would pass WHOLE_FLOATS_BYTES."""
    return 4 * model.header.d_model * _count_all(model, processing, basis) > WHOLE_FLOATS_BYTES


def are_words_halved(model: OpenModel) -> bool:
    """Return whether word tables are stored in float16, and read from disk each time."""
    return 4 * model.header.d_vocab * model.header.d_model > WORDS_BYTES


def part_bytes(model: OpenModel, processing: Processing, recipe: Recipe, *, halved: bool) -> int:
    """Estimate the bytes of a part on disk; `halved` is what `is_halved` returns."""
    d, heads = model.header.d_model, model.header.n_layers * model.header.n_heads
    end: End = BANK_ENDS[f"/{BANK_ENDS[1]}" in recipe.subject]
    match recipe.kind:
        case "bank":
            size = count_rows(model, processing, recipe) * (ROW_BYTES + (2 if halved else 4) * d)
        case "words":
            part = word_ids(model, int(recipe.subject.rpartition("/")[2]))
            size = (2 if are_words_halved(model) else 4) * d * len(part)
        case "shadow":
            size = 8 * BANK_TOKENS * count_shadow(model, processing, end)
        case "tokens":
            size = 4 * model.header.d_vocab * (2 + max(1, d // recipes.WORDS_REMOVED))
        case "readings":
            size = READING_BYTES * heads
        case "composition" | "alike":  # of three kinds, of four sides
            size = 4 * heads**2 * (3 if recipe.kind == "composition" else 4)
        case _:
            size = len(BANK_ENDS) * 4 * d * d
    return OTHER_BYTES + size


def _count_all(model: OpenModel, processing: Processing, basis: BankBasis) -> int:
    """Count the rows of the whole model in that basis, at most."""
    layers = (*range(model.header.n_layers), None) if basis == "svd" else range(model.header.n_layers)
    return sum(count_rows(model, processing, recipes.bank(model, layer, processing, basis)) for layer in layers)
