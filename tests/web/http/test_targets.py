import asyncio

import pytest

from app.web.http.targets import OriginForm


def seen(raw, query=b"", host=b"localhost"):
    """What the app behind it gets: raw path, path, query, Host headers."""
    got = []

    async def app(scope, receive, send):
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        got.append((scope["raw_path"], scope["path"], scope["query_string"], hosts))

    headers = [(b"accept", b"*/*"), (b"host", host)]
    scope = {"type": "http", "raw_path": raw, "path": raw.decode(), "query_string": query, "headers": headers}
    asyncio.run(OriginForm(app)(scope, None, None))
    return got[0]


@pytest.mark.parametrize(
    ("raw", "path", "host"),
    [
        (b"http://lens.example/tiny/L1", "/tiny/L1", b"lens.example"),
        (b"HTTP://Lens.Example:80/a%20b", "/a b", b"Lens.Example:80"),
        (b"https://[::1]:8/x", "/x", b"[::1]:8"),
        (b"http://lens.example", "/", b"lens.example"),
        (b"http://lens.example//http://other/", "//http://other/", b"lens.example"),
        (b"http://a@lens.example/", "/", b"a@lens.example"),
    ],
)
def test_a_whole_address_is_its_path_below_the_host_that_it_names(raw, path, host):
    raw_path, decoded, query, hosts = seen(raw, b"page=2")
    assert (decoded, query, hosts) == (path, b"page=2", [host])
    assert raw.endswith(raw_path) or raw_path == b"/"


@pytest.mark.parametrize(
    "raw", [b"/tiny", b"/http://lens.example/", b"//lens.example/", b"tiny", b"*", b"http:///x", b"a:80"]
)
def test_everything_else_stays_as_it_is(raw):
    assert seen(raw) == (raw, raw.decode(), b"", [b"localhost"])
