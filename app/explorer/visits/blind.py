"""The blind round: of two columns of tokens, one is a ray of the model's and one a random direction's. Which is which?

It tests on visitors the claim that singular directions can be read. Rays are drawn from the strongest directions of
heads, whether readable or not (or, if the visitor chooses so, only from readable ones). Both columns have the same
number of tokens, in order of score, read with the same table; untrained tokens are left in. A seed and a number
determine a question: nothing about visitors is stored. Knows no HTTP and imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, Address
from app.core.judging.chance import tail_probability
from app.core.judging.rays import ALPHA, HEADLINE
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import end_of, stream_side_of
from app.explorer.layout import CONTROL_SHOWN, SIDE_PREFIXES
from app.explorer.library import OpenModel
from app.explorer.options import LARGEST_SEED, ROUNDS
from app.explorer.pages.blind import BLIND_OF, Answer, BlindOf, BlindPage, BlindResult, Columns, Obstacle
from app.explorer.resources import Resources
from app.explorer.view import PROCESSINGS, StreamSide, View
from app.explorer.visits import orders
from app.explorer.visits.orders import fulfil
from app.models.vocabulary import TokenEntry
from app.store.artifacts import Arrays

TOKENS = 12
"""Tokens of each column."""
N_DIRECTIONS = 8
"""Strongest directions of a matrix that rays are drawn from."""
MOST_MATRICES = 8
"""Matrices in which a readable ray is looked for, at most."""
ENDS = ("top", "bottom")


@dataclass(frozen=True)
class AskedRay:
    """One of the model's rays, as a row of its matrix's artifact."""

    matrix: Address
    arrays: Arrays
    prefix: str
    row: int
    sign: int
    """0 for the + ray, 1 for the - ray."""

    @property
    def side(self) -> StreamSide:
        """The side that it is a ray of."""
        assert self.matrix.kind is not None
        return stream_side_of(self.matrix.kind, SIDE_PREFIXES.index(self.prefix))

    def headline(self, name: str) -> float | None:
        """Read the ray's `z` or `p`; None where it was not judged."""
        value = float(self.arrays[f"{self.prefix}_{name}"][self.row, self.sign, HEADLINE])
        return None if np.isnan(value) else value


def visit_blind(r: Resources, address: Address, options: Options, seed: int, answers: str, of: BlindOf) -> BlindPage:
    """Make the page with the question after these answers, or with the results after the last one."""
    _check_options(seed, answers, of)
    if address.depth != "model":
        raise UnknownAddress(f"{address} has no blind round: it is of a whole model, as {address.model}/blind.")
    opened, view = resolve_view(r, address, options)
    is_over = len(answers) == ROUNDS
    if is_over and of == "all":  # queue all that is missing in one place before waiting for any
        matrices = (
            next(_draw_matrices(opened, address, _make_generator(view, seed, of, number))) for number in range(ROUNDS)
        )
        orders.fulfil_in_line(r, [orders.order_matrix(opened, matrix, view) for matrix in dict.fromkeys(matrices)])
    results: list[BlindResult] = []
    columns: Columns | None = None
    numbers = range(ROUNDS) if is_over else [len(answers)]
    for number in numbers:
        question = _ask_question(r, opened, address, view, seed, number, of)
        if isinstance(question, str):
            return _make_page(opened, address, view, seed, answers, of, obstacle=question)
        ray, right, columns = question
        if is_over:
            results.append(_make_result(ray, right, columns, cast("Answer", answers[number])))
    return _make_page(opened, address, view, seed, answers, of, None if is_over else columns, tuple(results))


def _check_options(seed: int, answers: str, of: str) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise BadOption(f"seed goes from 0 to {LARGEST_SEED}.")
    if len(answers) > ROUNDS or set(answers) - set("lr"):
        raise BadOption(f"answers are up to {ROUNDS} letters, each l or r.")
    if of not in BLIND_OF:
        raise BadOption(f"of must be one of {', '.join(BLIND_OF)}.")


def _make_page(
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
        n_right=n_right if results else None,
        by_chance=tail_probability(n_right, len(results)) if results else None,
        next_seed=(seed + 1) % (LARGEST_SEED + 1),
    )


def _make_generator(view: View, seed: int, of: BlindOf, number: int) -> np.random.Generator:
    """Make the random generator of one question.

    Other weights and other rays are other questions: whoever knows these answers knows none of those.
    """
    return np.random.default_rng((seed, PROCESSINGS.index(view.weights), BLIND_OF.index(of), number))


def _ask_question(
    r: Resources, model: OpenModel, address: Address, view: View, seed: int, number: int, of: BlindOf
) -> tuple[AskedRay, Answer, Columns] | Obstacle:
    """Draw the model's ray, its side of the page and both columns, or return why there are none."""
    chance = _make_generator(view, seed, of, number)
    for matrix in _draw_matrices(model, address, chance):
        (artifact,) = fulfil(r, orders.order_matrix(model, matrix, view))
        if not any(f"{prefix}_p" in artifact.arrays for prefix in SIDE_PREFIXES):
            return "unjudged"
        rays = _list_rays(matrix, artifact.arrays, of)
        if rays:
            ray = rays[int(chance.integers(len(rays)))]
            break
    else:
        return "unreadable"
    (control,) = fulfil(r, orders.order_control(model, end_of(model, view.weights, ray.side), view))
    own = ray.arrays[f"{ray.prefix}_{ENDS[ray.sign]}_ids"][ray.row]
    columns = (
        _look_up_entries(model, own),
        _look_up_entries(model, _pick_random_ids(control.arrays, _make_generator(view, seed, of, ROUNDS), number)),
    )
    is_left = bool(chance.integers(2))
    return ray, "l" if is_left else "r", columns if is_left else columns[::-1]


def _draw_matrices(model: OpenModel, address: Address, chance: np.random.Generator) -> Iterator[Address]:
    """Draw matrices of heads, uniformly and without repetition, to look for a ray in."""
    n_heads = model.header.n_heads
    order = chance.permutation(model.header.n_layers * n_heads * len(CIRCUITS))[:MOST_MATRICES]
    for at in order.tolist():
        rest, circuit = divmod(at, len(CIRCUITS))
        layer, head = divmod(rest, n_heads)
        yield address.at_layer(layer).at_head(head).at(CIRCUITS[circuit])


def _list_rays(matrix: Address, arrays: Arrays, of: BlindOf) -> list[AskedRay]:
    """List both rays of both sides of the strongest directions, or the readable ones among them."""
    rays = [
        AskedRay(matrix, arrays, prefix, row, sign)
        for prefix in SIDE_PREFIXES
        for row in range(min(N_DIRECTIONS, len(arrays["strength"])))
        for sign in range(len(ENDS))
    ]
    return rays if of == "all" else [ray for ray in rays if (ray.headline("p") or 1.0) < ALPHA]


def _pick_random_ids(control: Arrays, chance: np.random.Generator, number: int) -> NDArray[np.int32]:
    """Pick the tokens of one random ray; `chance` shuffles all of them, so that no two questions share one."""
    order = chance.permutation(CONTROL_SHOWN * len(ENDS))
    direction, sign = divmod(int(order[number]), len(ENDS))
    ids: NDArray[np.int32] = control["ids"][direction, sign]
    return ids


def _look_up_entries(model: OpenModel, ids: NDArray[np.int32]) -> tuple[TokenEntry, ...]:
    return tuple(model.vocabulary.entry(id_) for id_ in ids[:TOKENS].tolist())


def _make_result(ray: AskedRay, right: Answer, columns: Columns, answer: Answer) -> BlindResult:
    return BlindResult(
        columns=columns,
        answer=answer,
        right=right,
        address=ray.matrix.direction(ray.row),
        side=ray.side,
        ray="n" if ray.sign else "p",
        z=ray.headline("z"),
        p=ray.headline("p"),
    )
