"""What the client does with every answer that a server, or something else, may give."""

import httpx
import pytest

from app.client import Lens, LensError, Wait, talk

COMING = {"error": "not_ready", "status": 202, "detail": "L1H2 OV is being computed.", "done": 3, "total": 8}
GOOD = {"address": "demo", "links": {"page": "/demo", "pinned": "http://lens.example/demo@0"}}


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """Let no time pass but that which is waited for."""
    clock = [0.0]
    monkeypatch.setattr(talk.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(talk.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    return clock


def later(status=202, seconds="2", **said):
    return httpx.Response(status, json=COMING | {"status": status} | said, headers={"Retry-After": seconds})


def good():
    return httpx.Response(200, json=GOOD)


@pytest.mark.parametrize("status", [202, 429, 503])
def test_what_comes_later_is_asked_for_again(told, slept, status):
    heard = []
    lens = told(later(status), later(status, "1"), good(), tell=heard.append)
    assert lens["demo"].address == "demo"
    assert slept == [3.0]
    assert heard == [Wait("L1H2 OV is being computed.", 3, 8, seconds) for seconds in (2.0, 1.0)]
    assert str(heard[0]) == "L1H2 OV is being computed. 3 of 8"


def test_a_file_that_comes_later_is_asked_for_again(told, slept):
    later_file = httpx.Response(503, text="Computing… L1H2 OV.\n", headers={"Retry-After": "2"})
    lens = told(
        good(), later_file, httpx.Response(200, text="index,plus\r\n0,\r\n", headers={"Content-Type": "text/csv"})
    )
    assert lens["demo"].table().columns == {"index": [0], "plus": [[]]}
    assert slept == [2.0]


def test_nobody_waits_for_ever(told, slept):
    lens = told(later(), timeout=5)
    with pytest.raises(LensError, match=r"Not there after 5 s: L1H2 OV is being computed\. 3 of 8") as raised:
        lens["demo"]
    assert (raised.value.status, slept) == (202, [4.0])


def test_a_server_that_says_at_once_is_not_asked_without_a_pause(told, slept):
    assert told(later(seconds="0"), good())["demo"].address == "demo"
    assert slept[0] > 0


def test_a_date_in_retry_after_is_no_reason_to_give_up(told, slept):
    assert told(later(seconds="Wed, 21 Oct 2026 07:28:00 GMT"), good())["demo"].address == "demo"
    assert slept == [2.0]


@pytest.mark.parametrize("status", [403, 404, 422, 503])
def test_errors_are_the_servers_own_sentence(told, status):
    lens = told(httpx.Response(status, json={"error": "x", "status": status, "detail": "It has\u202e layers."}))
    with pytest.raises(LensError) as raised:
        lens.get("demo/L9", weights="raw")
    error = raised.value
    assert (error.status, error.detail) == (status, "It has\\u202e layers.")
    assert error.address == "http://lens.example/api/v1/demo/L9?weights=raw"
    assert str(error) == f"{error.detail} [{status} {error.address}]"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<p>Welcome</p>"),
        httpx.Response(200, text="hello"),
        httpx.Response(200),
        httpx.Response(200, json=[1]),
        httpx.Response(200, content=b"{", headers={"Content-Type": "application/json"}),
        httpx.Response(200, content=b"[" * 100_000, headers={"Content-Type": "application/json"}),
        httpx.Response(204),
        httpx.Response(404, html="<h1>Not Found</h1>"),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(502, html="Bad Gateway"),
        httpx.Response(308, headers={"Location": "/api/v1/demo"}),
    ],
)
def test_what_is_no_server_of_ours_is_told(told, answer):
    with pytest.raises(LensError, match="singular-lens"):
        told(answer)["demo"]


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("slow"), httpx.ConnectTimeout("slow")])
def test_a_server_that_says_nothing(told, failure):
    with pytest.raises(LensError, match=r"No answer from http://lens\.example/ in time"):
        told(failure)["demo"]


def test_a_server_that_is_not_there():
    with pytest.raises(LensError, match=r"No server of singular-lens answers at http://127\.0\.0\.1:9/"):
        list(Lens("http://127.0.0.1:9"))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://lens.example", "http://", "lens", "http://a b"])
def test_what_is_no_address_of_a_server(url):
    with pytest.raises(LensError, match="no address of a server"):
        Lens(url)


def test_a_server_or_a_folder():
    for said in ({}, {"url": "http://lens.example", "data": "folder"}):
        with pytest.raises(LensError, match="Name a server"):
            Lens(**said)


def test_a_server_below_a_path(told):
    asked = []

    def answer(request):
        asked.append(str(request.url))
        return httpx.Response(200, json=GOOD | {"links": {"page": "/lens/demo"}})

    lens = Lens("https://lens.example/lens/", transport=httpx.MockTransport(answer), headers={"X-Who": "me"})
    assert lens["demo"].url == lens["https://lens.example/lens/demo"].url == "https://lens.example/lens/demo"
    assert asked == ["https://lens.example/lens/api/v1/demo"] * 2


def test_a_prompt_is_sent_in_a_body_from_the_servers_own_origin(told):
    lens = told(httpx.Response(303, headers={"Location": "/api/v1/demo/p/0123456789abcdef"}), good())
    assert lens.prompt("demo", "my secret", weights="raw").path == "demo/p/0123456789abcdef"
    sent, read = told.asked
    assert (sent.method, sent.headers["Origin"], sent.content) == ("POST", "http://lens.example", b"text=my+secret")
    assert str(read.url) == "http://lens.example/api/v1/demo/p/0123456789abcdef?weights=raw"


def test_redirects_are_followed_on_the_same_host_alone(told):
    onward = httpx.Response(308, headers={"Location": "https://lens.example/api/v1/demo"})
    assert told(onward, good())["demo"].address == "demo"
    assert str(told.asked[-1].url) == "https://lens.example/api/v1/demo"
    away = told(
        httpx.Response(302, headers={"Location": "https://login.example/"}), good(), headers={"X-Key": "secret"}
    )
    with pytest.raises(LensError, match=r"leads to another server, login\.example"):
        away["demo"]
    assert {request.url.host for request in told.asked} == {"lens.example"}


@pytest.mark.parametrize("models", [None, 3, [3], [{}]])
def test_a_server_without_models_is_none_of_ours(told, models):
    with pytest.raises(LensError, match="not as a server of singular-lens"):
        list(told(httpx.Response(200, json={"models": models})))


def test_a_form_that_leads_nowhere_is_told(told):
    with pytest.raises(LensError, match="instead of a link"):
        told(good()).prompt("demo", "text")


def test_links_that_no_browser_should_follow_are_left_out(told):
    lens = told(httpx.Response(200, json={"links": {"page": "javascript:alert(1)", "pinned": 7}}))
    assert (lens["demo"].url, lens["demo"].pinned) == ("", "")


@pytest.mark.parametrize("content", [b"", b'"', b"a,b\r\n1\r\n", b"\xff"])
def test_files_that_are_broken_are_told(told, content):
    for kind, read, said in (
        ("text/csv", "table", "is no CSV"),
        ("application/octet-stream", "vectors", "are no file"),
    ):
        lens = told(good(), httpx.Response(200, content=content, headers={"Content-Type": kind}))
        with pytest.raises(LensError, match=said):
            getattr(lens["demo"], read)()
