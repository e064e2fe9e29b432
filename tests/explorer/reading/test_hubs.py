from collections import Counter

import numpy as np
import pytest

from app.explorer.reading.hubs import find_hubs


@pytest.mark.parametrize(("n", "size"), [(1_000, 50_000), (1_000, 300)])
def test_a_hub_is_among_the_first_of_very_many_random_ends(n, size):
    generator = np.random.default_rng(n + size)
    ids = np.stack([[generator.permutation(size)[:20] for _ in range(2)] for _ in range(n)]).astype(np.int32)
    crowd = generator.choice(size, 3, replace=False)
    for at, token in enumerate(crowd.tolist()):  # in that many of ten ends, at one place
        ids[: n * (10 - at) // 10, :, at] = token
    counts = Counter(token for ends in ids.tolist() for end in ends for token in set(end[:10]))
    expected = {
        token for token, times in counts.items() if times >= 0.005 * 2 * n and times / (2 * n) >= 10 * 10 / size
    }
    found = set(np.flatnonzero(find_hubs(ids, size)).tolist())
    assert found == expected
    assert set(crowd.tolist()) <= found
    assert len(found) < size / 10


def test_what_stands_behind_the_first_ten_makes_no_hub():
    ids = np.arange(8_000, dtype=np.int32).reshape(200, 2, 20)
    ids[:, :, 15] = 9_000
    assert not find_hubs(ids, 10_000).any()
    ids[:, :, 5] = 9_000
    assert np.flatnonzero(find_hubs(ids, 10_000)).tolist() == [9_000]
