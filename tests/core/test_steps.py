from itertools import pairwise

import pytest

from app.core.steps import rescale_steps, run, single_step


def counted(n, result="made"):
    for done in range(n):
        yield done, n
    return result


def said(steps):
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            return found, end.value


def test_steps_give_their_result_at_their_end():
    assert run(counted(5)) == run(counted(0)) == "made"


def test_steps_of_a_part_are_steps_of_the_whole():
    assert said(rescale_steps(50, 20, 100, counted(4))) == ([(50, 100), (55, 100), (60, 100), (65, 100)], "made")


def test_parts_one_after_the_other_never_go_back():
    def whole():
        for part in range(3):
            yield from rescale_steps(100 * part, 100, 300, counted(7))

    steps, _ = said(whole())
    assert len(steps) == 21
    assert all(before < after for before, after in pairwise(steps))


def test_a_part_without_a_share_gives_way_as_often():
    assert said(rescale_steps(2, 0, 5, counted(3)))[0] == [(2, 5)] * 3


def test_a_part_that_does_not_know_how_much_there_is_stays_where_it_is():
    def unsure():
        yield 0, 0
        return None

    assert said(rescale_steps(10, 5, 20, unsure()))[0] == [(10, 20)]


def test_a_part_is_closed_with_the_whole():
    closed = []

    def part():
        try:
            yield 0, 1
        finally:
            closed.append(True)

    steps = rescale_steps(0, 1, 1, part())
    next(steps)
    steps.close()
    assert closed == [True]


def test_what_fails_in_a_part_fails_the_whole():
    def failing():
        yield 0, 2
        raise ValueError("of the part")

    with pytest.raises(ValueError, match="of the part"):
        run(rescale_steps(0, 1, 1, failing()))


def test_what_is_computed_in_one_is_not_begun_before_its_step():
    asked = []
    steps = single_step(lambda: asked.append(1) or "made")
    assert (next(steps), asked) == ((0, 1), [])
    assert said(steps) == ([], "made")
    assert asked == [1]
