"""Probability of a score by guessing. Knows nothing of the questions."""

from math import comb


def tail_probability(right: int, asked: int) -> float:
    """Compute the probability of so many right answers or more by tossing a fair coin: exact.

    Example: tail_probability(9, 10) -> 11 / 1024. ValueError unless 0 <= right <= asked.
    """
    if not 0 <= right <= asked:
        raise ValueError(f"of {asked} answers 0 to {asked} are right, not {right}")
    return sum(comb(asked, n) for n in range(right, asked + 1)) / (1 << asked)
