"""A blind round: of two columns of tokens, one is a ray of the model's and one a random direction's. Which is which?

A test of the claim that singular directions can be read, on whoever plays: rays are drawn from the strongest
directions of heads without a look at how readable they are (or, where the visitor wants that, only from readable ones:
then it asks whether people can tell those). Both columns have the same number of tokens, in their order, read with the
same table; tokens that training never moved come as they come. A seed and a number are a question: nothing is kept of
who plays. Knows no HTTP and imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, Address
from app.core.judging.chance import at_least
from app.core.judging.rays import ALPHA, HEADLINE
from app.explorer.asking.views import Options, visited
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import SIDES, end_of
from app.explorer.layout import CONTROL_SHOWN, PREFIXES
from app.explorer.library import OpenModel
from app.explorer.options import LARGEST_SEED, ROUNDS
from app.explorer.pages.blind import BLIND_OF, Answer, BlindOf, BlindPage, BlindResult, Columns, Obstacle
from app.explorer.resources import Resources
from app.explorer.view import PROCESSINGS, View
from app.explorer.visits import orders
from app.explorer.visits.orders import fulfilled
from app.models.vocabulary import TokenEntry
from app.store.artifacts import Arrays

TOKENS = 12
"""In each column."""
N_DIRECTIONS = 8
"""Strongest directions of a matrix that rays are drawn from."""
LOOKED_AT = 8
"""Matrices in which a readable ray is sought."""
ENDS = ("top", "bottom")


@dataclass(frozen=True)
class AskedRay:
    """One of the model's rays, as its matrix's artifact has it."""

    matrix: Address
    arrays: Arrays
    prefix: str
    row: int
    sign: int
    """0 for the + ray, 1 for the - ray."""

    @property
    def side(self) -> str:
        """read, write, query or key."""
        assert self.matrix.kind is not None
        return SIDES[self.matrix.kind][PREFIXES.index(self.prefix)]

    def headline(self, name: str) -> float | None:
        """Its `z` or `p`."""
        value = float(self.arrays[f"{self.prefix}_{name}"][self.row, self.sign, HEADLINE])
        return None if np.isnan(value) else value


def blind(r: Resources, address: Address, options: Options, seed: int, answers: str, of: BlindOf) -> BlindPage:
    """The next question after these answers, or after the last what was right."""
    _check(seed, answers, of)
    if address.depth != "model":
        raise UnknownAddress(f"{address} has no blind round: it is of a whole model, as {address.model}/blind.")
    opened, view = visited(r, address, options)
    is_over = len(answers) == ROUNDS
    if is_over and of == "all":  # all that is missing stands in line, in one place, before any is waited for
        matrices = (next(_matrices(opened, address, _chance(view, seed, of, number))) for number in range(ROUNDS))
        orders.in_line(r, [orders.matrix(opened, matrix, view) for matrix in dict.fromkeys(matrices)])
    results: list[BlindResult] = []
    columns: Columns | None = None
    numbers = range(ROUNDS) if is_over else [len(answers)]
    for number in numbers:
        question = _question(r, opened, address, view, seed, number, of)
        if isinstance(question, str):
            return _page(opened, address, view, seed, answers, of, obstacle=question)
        ray, right, columns = question
        if is_over:
            results.append(_result(ray, right, columns, cast("Answer", answers[number])))
    return _page(opened, address, view, seed, answers, of, None if is_over else columns, tuple(results))


def _check(seed: int, answers: str, of: str) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise BadOption(f"seed goes from 0 to {LARGEST_SEED}.")
    if len(answers) > ROUNDS or set(answers) - set("lr"):
        raise BadOption(f"answers are up to {ROUNDS} letters, each l or r.")
    if of not in BLIND_OF:
        raise BadOption(f"of must be one of {', '.join(BLIND_OF)}.")


def _page(
    model: OpenModel,
    address: Address,
    view: View,
    seed: int,
    answers: str,
    of: BlindOf,
    columns: Columns | None = None,
    results: tuple[BlindResult, ...] = (),
    *,
    obstacle: Obstacle | None = None,
) -> BlindPage:
    n_right = sum(result.answer == result.right for result in results)
    return BlindPage(
        address=address,
        model=model.header,
        view=view,
        seed=seed,
        of=of,
        answers=answers,
        n_rounds=ROUNDS,
        n_directions=N_DIRECTIONS,
        obstacle=obstacle,
        columns=columns,
        results=results,
        n_right=n_right,
        by_chance=at_least(n_right, len(results)),
        next_seed=(seed + 1) % (LARGEST_SEED + 1),
    )


def _chance(view: View, seed: int, of: BlindOf, number: int) -> np.random.Generator:
    """All that is random about a question.

    Other weights and other rays are other questions: one who knows these answers knows none of those.
    """
    return np.random.default_rng((seed, PROCESSINGS.index(view.weights), BLIND_OF.index(of), number))


def _question(
    r: Resources, model: OpenModel, address: Address, view: View, seed: int, number: int, of: BlindOf
) -> tuple[AskedRay, Answer, Columns] | Obstacle:
    """The model's ray, where it stands, and both columns, or why there are none."""
    chance = _chance(view, seed, of, number)
    for matrix in _matrices(model, address, chance):
        (artifact,) = fulfilled(r, orders.matrix(model, matrix, view))
        if not any(f"{prefix}_p" in artifact.arrays for prefix in PREFIXES):
            return "unjudged"
        rays = _rays(matrix, artifact.arrays, of)
        if rays:
            ray = rays[int(chance.integers(len(rays)))]
            break
    else:
        return "unreadable"
    (control,) = fulfilled(r, orders.control(model, end_of(model, view.weights, ray.side), view))
    own = ray.arrays[f"{ray.prefix}_{ENDS[ray.sign]}_ids"][ray.row]
    columns = (
        _entries(model, own),
        _entries(model, _random_ids(control.arrays, _chance(view, seed, of, ROUNDS), number)),
    )
    is_left = bool(chance.integers(2))
    return ray, "l" if is_left else "r", columns if is_left else columns[::-1]


def _matrices(model: OpenModel, address: Address, chance: np.random.Generator) -> Iterator[Address]:
    """Matrices of heads in the order in which a ray is sought in them; each as likely as any other to be the first."""
    n_heads = model.header.n_heads
    order = chance.permutation(model.header.n_layers * n_heads * len(CIRCUITS))[:LOOKED_AT]
    for at in order.tolist():
        rest, circuit = divmod(at, len(CIRCUITS))
        layer, head = divmod(rest, n_heads)
        yield address.at_layer(layer).at_head(head).at(CIRCUITS[circuit])


def _rays(matrix: Address, arrays: Arrays, of: BlindOf) -> list[AskedRay]:
    """Both rays of both sides of the strongest directions, or those of them that are readable."""
    rays = [
        AskedRay(matrix, arrays, prefix, row, sign)
        for prefix in PREFIXES
        for row in range(min(N_DIRECTIONS, len(arrays["strength"])))
        for sign in range(len(ENDS))
    ]
    return rays if of == "all" else [ray for ray in rays if (ray.headline("p") or 1.0) < ALPHA]


def _random_ids(control: Arrays, chance: np.random.Generator, number: int) -> NDArray[np.int32]:
    """The tokens of one random ray; `chance` orders all of them, so no two questions of a round have the same."""
    order = chance.permutation(CONTROL_SHOWN * len(ENDS))
    direction, sign = divmod(int(order[number]), len(ENDS))
    ids: NDArray[np.int32] = control["ids"][direction, sign]
    return ids


def _entries(model: OpenModel, ids: NDArray[np.int32]) -> tuple[TokenEntry, ...]:
    return tuple(model.vocabulary.entry(id_) for id_ in ids[:TOKENS].tolist())


def _result(ray: AskedRay, right: Answer, columns: Columns, answer: Answer) -> BlindResult:
    return BlindResult(
        columns=columns,
        answer=answer,
        right=right,
        direction=ray.matrix.direction(ray.row),
        side=ray.side,
        ray="n" if ray.sign else "p",
        z=ray.headline("z"),
        p=ray.headline("p"),
    )
