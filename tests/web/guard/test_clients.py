import asyncio
import ipaddress
import logging

import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.explorer.running.visitor import VISITOR
from app.web.guard.clients import MOST_HOPS, UNKNOWN_CLIENT, Visitors, client_key

PROXIES = [ipaddress.ip_network(name) for name in ("10.0.0.0/8", "2001:db8::/32")]
ALICE = "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "key"),
    [
        (ALICE, [], ALICE),
        (ALICE, ["198.51.100.1"], ALICE),  # no proxy of ours: what it says is anybody's words
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [ALICE], ALICE),
        ("10.0.0.1", [f"6.6.6.6, {ALICE}"], ALICE),
        ("10.0.0.1", [f"6.6.6.6, {ALICE} ,10.0.0.2,10.9.9.9"], ALICE),
        ("10.0.0.1", ["6.6.6.6", ALICE, "10.0.0.2"], ALICE),  # several fields are one list
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [f"{ALICE}:51234"], ALICE),
        ("10.0.0.1", ["[2001:470:1:2:3:4:5:6]:443"], "2001:470:1:2::/64"),
        ("10.0.0.1", ["[2001:470:1:2::9]"], "2001:470:1:2::/64"),
        ("10.0.0.1", ["2001:470:1:2::"], "2001:470:1:2::/64"),
        ("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["6.6.6.6,"], "10.0.0.1"),
        ("10.0.0.1", ["<script>"], "10.0.0.1"),
        ("10.0.0.1", ["999.1.1.1"], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4:5:6"], "10.0.0.1"),
        ("2001:db8::1", [ALICE], ALICE),
        ("::ffff:10.0.0.1", [f"::ffff:{ALICE}"], ALICE),
        ("::1", [], "::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", [ALICE], UNKNOWN_CLIENT),
        ("testclient", [ALICE], UNKNOWN_CLIENT),
    ],
)
def test_the_visitor_is_the_last_hop_that_is_no_proxy(peer, forwarded, key):
    assert client_key(peer, forwarded, PROXIES) == key


def test_without_proxies_it_is_the_peer():
    assert client_key("10.0.0.1", [ALICE], []) == "10.0.0.1"


@given(st.lists(st.text(max_size=60), max_size=5))
def test_nothing_written_before_the_visitors_hop_changes_whose_it_is(written):
    assert client_key("10.0.0.1", [*written, f"{ALICE}, 10.0.0.2"], PROXIES) == ALICE


@given(st.lists(st.text(max_size=60), max_size=5))
def test_no_words_make_a_visitor_the_operator(written):
    assert client_key("10.0.0.1", written, PROXIES)
    assert client_key(*written[:1] or [""], written, PROXIES)


def test_hops_without_end_are_not_looked_at():
    """So many that a visitor could make the walk long; the proxies at the end are our own."""
    key = client_key("10.0.0.1", [",".join(["10.0.0.2"] * 4_000)], PROXIES)
    assert key == "10.0.0.2"
    assert client_key("10.0.0.1", [",".join([ALICE, *["10.0.0.2"] * MOST_HOPS])], PROXIES) == "10.0.0.2"


async def asked(app, client, **headers):
    """Whoever is noted while one request is answered, in the thread that answers it."""
    found = []

    async def route(scope, receive, send):
        found.append(await anyio.to_thread.run_sync(VISITOR.get))

    app.app = route
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    await app({"type": "http", "client": client, "headers": fields}, None, None)
    return found[0], VISITOR.get()


def test_it_is_known_to_whatever_answers_and_forgotten_after(caplog):
    app = Visitors(None, ["10.0.0.0/8"])
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(asked(app, ("10.0.0.1", 5), **{"x-forwarded-for": ALICE})) == (ALICE, "")
        assert asyncio.run(asked(app, None)) == (UNKNOWN_CLIENT, "")
    assert not caplog.records


def test_a_proxy_that_nobody_named_is_told_of_once(caplog):
    app = Visitors(None, [])
    for _ in range(3):
        assert asyncio.run(asked(app, ("10.0.0.1", 5), **{"x-forwarded-for": ALICE}))[0] == "10.0.0.1"
    (record,) = caplog.records
    assert "SINGULAR_LENS_TRUSTED_PROXIES" in record.message
