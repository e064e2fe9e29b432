"""Which answers are made where pages do not wait for them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

READ_THE_BANK = [
    "/tiny/search?q=that",
    "/tiny/token/70",
    "/tiny/L0/H1/ov/svd/2/around",
    "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2",
]


@pytest.fixture
def busy(banked):
    """A visitor while the thread of searches is taken."""
    searches = banked.app.state.threads.searches
    banked.portal.call(searches.acquire_on_behalf_of, "somebody")
    yield banked
    if "somebody" in searches.statistics().borrowers:  # not the search that a server makes by itself
        banked.portal.call(searches.release_on_behalf_of, "somebody")


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize("path", READ_THE_BANK)
def test_what_reads_the_bank_stands_before_no_page(busy, monkeypatch, prefix, path):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(busy.get, f"{prefix}{path}")
        assert busy.get("/tiny/suggest?q=L1").status_code == 200
        assert not waiting.done()
        busy.portal.call(busy.app.state.threads.searches.release_on_behalf_of, "somebody")
        assert waiting.result(30).status_code == 200


def test_the_map_of_compositions_does_not_wait_for_what_takes_long(banked):
    long = banked.app.state.threads.long
    banked.portal.call(long.acquire_on_behalf_of, "somebody")
    try:
        assert banked.get("/tiny/composition?kind=v").status_code == 200
    finally:
        banked.portal.call(long.release_on_behalf_of, "somebody")
