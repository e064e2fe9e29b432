import threading
import time

import numpy as np
import pytest

from app.explorer.reading.finding import streams
from app.explorer.reading.finding.streams import run_in_parallel, widen_floats


def test_every_finite_half_is_widened_exactly():
    few = np.arange(2**16, dtype=np.uint16).view(np.float16)
    few = few[np.isfinite(few)]
    out = np.full(len(few), np.nan, np.float32)
    widen_floats(few, out)
    np.testing.assert_array_equal(out, few.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(out), np.signbit(few))


def test_an_error_of_one_is_told():
    done = []

    def work(item):
        done.append(item)
        if item == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        run_in_parallel(work, range(5))
    assert 3 in done


def test_nobody_works_any_more_once_an_error_is_told():
    """What was begun writes into what the caller then lets go of."""
    begun, ended = threading.Event(), []

    def work(item):
        if item == 0:
            begun.wait(10)
            raise ValueError("zero")
        begun.set()
        time.sleep(0.05)
        ended.append(item)

    with pytest.raises(ValueError, match="zero"):
        run_in_parallel(work, range(40))
    n = len(ended)
    assert 1 <= n < 39  # those that had not begun were dropped
    time.sleep(0.1)
    assert len(ended) == n


def test_a_thread_keeps_its_buffers():
    first, second = (streams._get_buffers(*shape)[0] for shape in ((4, 3), (2, 5)))
    assert np.shares_memory(first, second)
    assert second.shape == (2, 5)
