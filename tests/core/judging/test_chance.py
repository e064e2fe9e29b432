import itertools

import pytest

from app.core.judging.chance import tail_probability


@pytest.mark.parametrize("asked", [0, 1, 2, 5, 10])
def test_against_every_row_of_coins(asked):
    scores = [sum(coins) for coins in itertools.product((0, 1), repeat=asked)]
    for right in range(asked + 1):
        assert tail_probability(right, asked) == sum(score >= right for score in scores) / len(scores)


@pytest.mark.parametrize(("right", "asked"), [(-1, 10), (11, 10)])
def test_a_score_that_nobody_can_have(right, asked):
    with pytest.raises(ValueError, match="0 to 10"):
        tail_probability(right, asked)
