from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from app.store.memory import ENTRY_OVERHEAD, GROWTH_FACTOR, Memory

STEPS = st.lists(st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(0, 5), st.integers(0, 3_000)))


@given(STEPS)
def test_what_was_used_last_stays_within_the_budget(steps):
    most = 5 * ENTRY_OVERHEAD + 3_000
    memory, order = Memory(most), {}  # key -> (value, size), the least recently used first
    for number, (what, key, size) in enumerate(steps):
        if what == "put":
            memory.put(key, number, size)
            order.pop(key, None)
            order[key] = number, int(GROWTH_FACTOR * size) + ENTRY_OVERHEAD
            while sum(size for _, size in order.values()) > most and len(order) > 1:
                del order[next(iter(order))]
        elif what == "get":
            assert memory.get(key) == order.get(key, (None,))[0]
            if key in order:
                order[key] = order.pop(key)
        else:
            memory.drop(key)
            order.pop(key, None)
        assert memory.used == sum(size for _, size in order.values())
        assert memory.used <= most
        assert len(memory) == len(order)


def test_one_that_is_larger_than_the_budget_is_there_until_the_next():
    memory = Memory(1_000)
    memory.put("small", "small", 10)
    memory.put("large", "large", 10**6)
    assert (memory.get("large"), memory.get("small")) == ("large", None)
    memory.put("small", "small", 10)
    assert (memory.get("large"), memory.get("small")) == (None, "small")


def test_many_threads_leave_its_count_right():
    memory = Memory(20_000)

    def use(seed):
        for step in range(500):
            memory.put((seed * step) % 37, step, 100 * (step % 7))
            memory.get(step % 37)
            memory.drop((seed + step) % 37)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(1, 5)))
    assert 0 <= memory.used <= 20_000
    for key in range(37):
        memory.drop(key)
    assert (memory.used, len(memory)) == (0, 0)


def test_values_are_counted_by_the_type_of_their_keys():
    memory = Memory(10**6)
    for key in ("a", "b", 1):
        memory.put(key, None, 100)
    n_text, text_bytes = memory.used_by(str)
    assert n_text == 2
    assert text_bytes + memory.used_by(int)[1] == memory.used
