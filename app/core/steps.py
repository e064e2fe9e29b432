"""A computation in steps: how far it is, said between two of them, and how the steps of a part are steps of the whole.

Whoever takes the steps may do something else in between. Knows not what is computed.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

Step = tuple[int, int]
"""(done, total): how far a computation is, in units of its own."""
Result = TypeVar("Result")
Steps = Generator[Step, None, Result]
"""Yields how far it is, and returns its result."""


def run(steps: Steps[Result]) -> Result:
    """What the steps give at their end, taken without a pause."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: Result = end.value
        return result


def within(start: int, share: int, whole: int, steps: Steps[Result]) -> Steps[Result]:
    """The steps of one part as steps of the whole: a part that begins at `start` and has a `share` of it.

    Example: within(50, 20, 100, steps) says (60, 100) where steps say (1, 2); share 0 gives way as often and says no more
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


def in_one(compute: Callable[[], Result]) -> Steps[Result]:
    """The one step of what is not computed in several."""
    yield 0, 1
    return compute()
