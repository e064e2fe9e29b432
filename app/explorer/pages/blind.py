"""The page of a blind round: rays of a model and random ones to be told apart."""

from dataclasses import dataclass
from typing import Literal, get_args

from app.core.address import Address
from app.explorer.header import Model
from app.explorer.view import View
from app.models.vocabulary import TokenEntry

BlindOf = Literal["all", "readable"]

Obstacle = Literal["unjudged", "unreadable"]

BLIND_OF: tuple[BlindOf, ...] = get_args(BlindOf)
"""The rays that a blind round is drawn from: all of heads' strongest directions, or those readable at p < .01."""

Answer = Literal["l", "r"]
"""The left column, or the right one."""

Columns = tuple[tuple[TokenEntry, ...], tuple[TokenEntry, ...]]
"""Tokens on the left and on the right, without their scores: sizes of scores would tell which is which."""


@dataclass(frozen=True, slots=True)
class BlindResult:
    """A question of a blind round with its answer."""

    columns: Columns
    answer: Answer
    """The column that the visitor took for the model's."""
    right: Answer
    direction: Address
    side: str
    ray: Literal["p", "n"]
    z: float | None
    """z of the model's ray; None where it has too few trained tokens."""
    p: float | None


@dataclass(frozen=True, slots=True)
class BlindPage:
    """Ten times two columns of tokens, one read out of a ray of the model, one of a random direction.

    It holds nothing that tells which is which until all are answered.
    """

    address: Address
    """The model's address."""
    model: Model
    view: View
    seed: int
    of: BlindOf
    answers: str
    """Answers given so far: `lrl`."""
    n_rounds: int
    n_directions: int
    """Strongest directions of each matrix that its rays come from."""
    obstacle: Obstacle | None
    """Why there is no question: the vocabulary is too small for a control, or no readable ray was found."""
    columns: Columns | None
    """The next question; None after the last."""
    results: tuple[BlindResult, ...]
    """All questions, once all are answered."""
    n_right: int
    by_chance: float
    """The probability of guessing at least n_right."""
    next_seed: int
    """A seed of ten other questions."""
