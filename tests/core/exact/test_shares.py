import threading
import time

import pytest
import torch

from app.core.exact.shares import map_shares, map_side_by_side


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4
    torch.set_num_threads(before)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 39, 40])
@pytest.mark.parametrize("most", [3, 100])
def test_every_row_in_order_and_no_share_too_large(n, most):
    rows = torch.arange(n)
    parts = map_shares(lambda part: part, rows, least=4, most=most)
    assert torch.equal(torch.cat(parts), rows)
    assert max(map(len, parts)) <= most


def test_shares_have_cores_of_their_own():
    meeting = threading.Barrier(4, timeout=60)

    def work(part):
        meeting.wait()  # all four are here at the same time
        return torch.get_num_threads()

    assert map_shares(work, torch.arange(40), least=10, most=40) == [1, 1, 1, 1]
    assert map_shares(lambda part: torch.get_num_threads(), torch.arange(20), least=10, most=40) == [2, 2]


def test_what_is_small_stays_where_it_is():
    caller = threading.get_ident()
    assert map_shares(lambda part: threading.get_ident(), torch.arange(7), least=4, most=40) == [caller]


def test_a_failure_reaches_the_caller_and_leaves_the_threads_as_they_were():
    def work(part):
        raise ArithmeticError(f"{len(part)} rows")

    with pytest.raises(ArithmeticError, match="10 rows"):
        map_shares(work, torch.arange(40), least=10, most=40)


def test_items_of_any_kind_each_taken_by_whoever_has_time():
    assert map_side_by_side(lambda item: item * 2, ["a", "b", "c", "d", "e"]) == ["aa", "bb", "cc", "dd", "ee"]
    assert map_side_by_side(len, []) == []


def test_the_same_threads_work_again_and_again():
    """A new one would keep memory of its own, and have its own way of counting cores."""
    seen = [set(map_side_by_side(lambda _: threading.get_ident(), range(40))) for _ in range(3)]
    assert len(set.union(*seen)) <= 4
    torch.set_num_threads(2)
    assert map_side_by_side(lambda _: torch.get_num_threads(), range(4)) == [1] * 4
    torch.set_num_threads(4)


def test_nothing_goes_on_once_one_has_failed():
    ended = []

    def work(item):
        if item == 0:
            raise ArithmeticError("at once")
        time.sleep(0.02)
        ended.append(item)

    with pytest.raises(ArithmeticError, match="at once"):
        map_side_by_side(work, range(4))
    assert sorted(ended) == [1, 2, 3]


def test_inference_is_said_anew_in_each_thread():
    with torch.inference_mode():
        assert all(map_side_by_side(lambda _: torch.is_inference_mode_enabled(), range(4)))
    assert not any(map_side_by_side(lambda _: torch.is_inference_mode_enabled(), range(4)))
