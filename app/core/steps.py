"""Computations in steps: generators that yield (done, total) and return a result.

Whoever takes the steps may do something else in between. Knows nothing of what is computed.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

Step = tuple[int, int]
"""(done, total): the progress of a computation, in units of its own."""
Result = TypeVar("Result")
Steps = Generator[Step, None, Result]
"""A computation that yields its progress and returns its result."""


class FindingStep(tuple[int, int]):
    """A step that also says what the computation has found so far, as numbers of its own."""

    so_far: tuple[int, ...]

    def __new__(cls, done: int, total: int, so_far: tuple[int, ...]) -> "FindingStep":
        """Make the step."""
        made = super().__new__(cls, (done, total))
        made.so_far = so_far
        return made


def run(steps: Steps[Result]) -> Result:
    """Take all steps without a pause and return their result."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: Result = end.value
        return result


def rescale_steps(start: int, share: int, whole: int, steps: Steps[Result]) -> Steps[Result]:
    """Rescale the steps of one part to steps of the whole: the part begins at `start` and has a `share` of it.

    Example: rescale_steps(50, 20, 100, steps) yields (60, 100) where steps yield (1, 2); with share 0 progress stands
    still
    """
    try:
        while True:
            done, total = next(steps)
            yield start + share * done // max(total, 1), whole
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        steps.close()


def single_step(compute: Callable[[], Result]) -> Steps[Result]:
    """Compute in one step."""
    yield 0, 1
    return compute()
