"""How likely a score is for somebody who guesses. Knows nothing of the questions."""

from math import comb


def at_least(right: int, asked: int) -> float:
    """The probability of so many right answers or more out of those asked, by tossing a fair coin: exact.

    Example: at_least(9, 10) -> 11 / 1024. ValueError unless 0 <= right <= asked.
    """
    if not 0 <= right <= asked:
        raise ValueError(f"of {asked} answers 0 to {asked} are right, not {right}")
    return sum(comb(asked, n) for n in range(right, asked + 1)) / (1 << asked)
