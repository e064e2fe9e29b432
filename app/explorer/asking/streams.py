"""The streams that a visitor or a task names, checked against the model, and the recipes of what is computed of them.

They are counted by the layer that they enter; the last, n_layers, is what the final norm reads. Which text they are of is
decided by the statistics of use that are in the store: those of the operator's text before those of what the model
writes. Looks at names of files only; imports no torch.
"""

import re

from app.core.address import Address
from app.explorer import recipes
from app.explorer.asking.using import list_statistics
from app.explorer.asking.views import choose_parameters
from app.explorer.errors import BadOption
from app.explorer.layout import LINEAR_WORD, UNLIKELY_WORD
from app.explorer.library import OpenModel
from app.explorer.recipes import number_in
from app.explorer.view import Processing
from app.store.artifacts import ArtifactStore, Recipe

MAP = re.compile(rf"{LINEAR_WORD}-(0|[1-9][0-9]{{0,3}})-(0|[1-9][0-9]{{0,3}})")


def spell_map(start: int, end: int) -> str:
    """Spell the map between two streams as a word of a task.

    Example: spell_map(12, 30) -> "linear-12-30"
    """
    return f"{LINEAR_WORD}-{start}-{end}"


def parse_map(word: str) -> tuple[int, int] | None:
    """Return the streams of a word of a task; None for another word.

    Example: parse_map("linear-12-30") -> (12, 30)
    """
    found = MAP.fullmatch(word)
    return None if found is None else (int(found[1]), int(found[2]))


def is_of_streams(word: str) -> bool:
    """Return whether the word of a task names something of streams."""
    return word == UNLIKELY_WORD or parse_map(word) is not None


def check_streams(model: OpenModel, start: int | None, end: int | None) -> tuple[int, int]:
    """Return the streams to map between, by default the first and the last; BadOption naming the range."""
    last = model.header.n_layers
    first, then = 0 if start is None else start, last if end is None else end
    if not 0 <= first < then <= last:
        raise BadOption(
            f"from goes from 0 to {last - 1}, to from 1 to {last}, and from is smaller than to: the streams of {model.header.slug} are "
            f"numbered by the layer that they enter, and {last} is what its final norm reads."
        )
    return first, then


def find_text(store: ArtifactStore, model: OpenModel, processing: Processing) -> int | None:
    """Find the number of the text that pages are of; None where there are no statistics of any. Proves nothing."""
    shown = list_statistics(store, model, processing)
    return number_in(shown[0], "text") if shown else None


def find_fit(store: ArtifactStore, model: OpenModel, processing: Processing) -> dict[str, int] | None:
    """Find the parameters of the embedding's usual NMF; None where it was not computed."""
    place = Address(model.header.slug).at("embed").in_basis("nmf")
    usual = {choice.name: choice.value for choice in choose_parameters(model, place, {})}
    return usual if store.exists(recipes.decomposition(model, place, processing, usual)) else None


def list_recipes(store: ArtifactStore, model: OpenModel, processing: Processing, word: str) -> list[Recipe]:
    """List the recipes of what a word of a task names of streams, none for another word."""
    text = find_text(store, model, processing) or 0
    if word == UNLIKELY_WORD:
        return [recipes.unlikely(model, processing, text)]
    points = parse_map(word)
    if points is None:
        return []
    return [recipes.linear(model, processing, *points, text, find_fit(store, model, processing))]
