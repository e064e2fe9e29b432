"""The page of a blind round: rays of a model and random ones to be told apart."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import PlainSerializer
from typing_extensions import TypedDict

from app.explorer.header import Model
from app.explorer.pages.shared import Linked, OfWeights
from app.explorer.serial import UNREAD, AddressText, EntryJson, ForPeople, SignWord, write_entries
from app.explorer.view import StreamSide, View
from app.models.vocabulary import TokenEntry

BlindOf = Literal["all", "readable"]

Obstacle = Literal["unjudged", "unreadable"]

BLIND_OF: tuple[BlindOf, ...] = get_args(BlindOf)
"""The rays that a blind round is drawn from: all of heads' strongest directions, or those readable at p < .01."""

Answer = Literal["l", "r"]
"""The left column, or the right one."""

Columns = tuple[tuple[TokenEntry, ...], tuple[TokenEntry, ...]]
"""Tokens on the left and on the right, without their scores: sizes of scores would tell which is which."""


class ColumnsJson(TypedDict):
    """The two columns of a question, largest score first; the scores are left out, since they would tell."""

    left: list[EntryJson]
    right: list[EntryJson]


def _write_columns(columns: Columns) -> ColumnsJson:
    left, right = map(write_entries, columns)
    return {"left": left, "right": right}


ColumnsValue = Annotated[Columns, UNREAD, PlainSerializer(_write_columns, return_type=ColumnsJson)]


@dataclass(frozen=True, slots=True)
class BlindResult:
    """A question of a blind round with its answer."""

    columns: ColumnsValue
    answer: Answer
    """The column that was taken for the model's."""
    right: Answer
    """The model's column."""
    address: AddressText
    """Address of the direction that the model's column was read out of."""
    side: StreamSide
    ray: SignWord
    z: float | None
    """z of the model's ray; None where it has too few trained tokens."""
    p: float | None


@dataclass(frozen=True, slots=True)
class BlindPage(Linked, OfWeights):
    """A blind round: ten times two columns of tokens, one of a ray of the model, one of a random direction.

    It holds nothing that tells which is which until all are answered.
    """

    address: AddressText
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    seed: int
    of: BlindOf
    answers: str
    """Answers given so far: `lrl`."""
    n_rounds: int
    n_directions: ForPeople[int]
    """Strongest directions of each matrix that its rays come from."""
    obstacle: Obstacle | None
    """Why there is no question: the vocabulary is too small for a control, or no readable ray was found."""
    columns: ColumnsValue | None
    """The next question; None after the last."""
    results: tuple[BlindResult, ...]
    """All questions, once all are answered."""
    n_right: int | None
    """Right answers; None, as `by_chance`, until all questions are answered."""
    by_chance: float | None
    """The probability of guessing at least so many right."""
    next_seed: ForPeople[int]
    """A seed of ten other questions."""
