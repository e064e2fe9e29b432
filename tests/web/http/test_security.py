import functools
import json

import pytest

from app.web.http.security import HEADERS

VALUES = {
    "model": "tiny",
    "layer": "L1",
    "head": "H2",
    "circuit": "ov",
    "basis": "svd",
    "index": "0",
    "id_": "0123456789ab",
    "id": "0123456789ab",
    "name:path": "site.css",
    "address:path": "tiny/L1",
}
"""What stands for the variable parts of a route."""
REQUESTS = {
    "as asked": {},
    "HEAD": {"method": "HEAD"},
    "a part": {"headers": {"HX-Request-Type": "partial"}},
    "known": {"headers": {"If-None-Match": "*"}},
    "another method": {"method": "DELETE"},
    "another host": {"headers": {"Host": "evil.example"}},
    "another origin": {"method": "POST", "headers": {"Origin": "http://evil.example"}},
    "bad option": {"params": {"weights": "cooked", "page": "0"}},
    "too long": {"params": {"x": "x" * 2_000}},
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_every_answer_of_every_route_carries_the_headers(client, request_):
    paths = [route.path for route in every_route(client.app.routes)]
    assert len(paths) > 18  # as many kinds of URL as there are
    for path in paths:
        url = functools.reduce(lambda text, value: text.replace(f"{{{value[0]}}}", value[1]), VALUES.items(), path)
        asked = {"method": "GET", "url": url} | request_
        answer = client.request(**asked)
        assert answer.status_code in {200, 303, 304, 307, 308, 403, 404, 405, 414, 421, 422}, path
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
        assert answer.headers.get("Content-Type") or answer.status_code in {303, 304, 307, 308}, path


def every_route(routes):
    """Those of included routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "routes", None)
        if inner is None:
            yield route
        else:
            yield from every_route(getattr(inner, "routes", inner))


def test_the_policy_allows_nothing_inline_and_no_other_host():
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {value for name, value in policy.items() if name not in {"default-src", "img-src"}} <= {"'self'", "'none'"}
    assert policy["img-src"] == "'self' blob:", "a figure that the page's own script drew"


@pytest.mark.parametrize(
    "place",
    [
        "/suggest?q=%3Cimg%20src=x%20onerror=alert(1)%3E%E2%80%AE",
        "/suggest?q=%0D%0A",
        "",
        "/L1",
        "/L1/H2",
        "/L1/H2/qk",
        "/L1/H2/ov/svd/0",
        "/L0/H0/qk/svd/3",
        "/notable",
    ],
)
def test_a_hostile_vocabulary_changes_no_page(hostile, tags, place):
    html = hostile.get(f"/hostile{place}").text
    found = tags(html).found
    assert [one for one in found if one[0] in {"img", "iframe", "object", "style", "base"}] == []
    scripts = [attributes for tag, attributes in found if tag == "script"]
    assert len(scripts) == 3
    assert all(attributes["src"].startswith("/static/") for attributes in scripts)
    assert [
        name for _, attributes in found for name in attributes if name.startswith("on") or name == "autofocus"
    ] == []
    assert not any(character in html for character in "\x00\u202e\u2066\u2028\x1b\ufeff\u200b")


def test_hostile_tokens_side_by_side_change_no_page(hostile, tags):
    while (answer := hostile.get("/-/compare?a=hostile/L0/H0&b=L1H1")).status_code == 202:
        pass
    found = tags(answer.text, text_of=("bdi",))
    assert len(found.texts) > 100
    assert [one for one in found.found if one[0] in {"img", "iframe", "object", "style", "base"}] == []
    assert sum(tag == "script" for tag, _ in found.found) == 3
    assert [name for _, attributes in found.found for name in attributes if name.startswith("on")] == []


def test_every_token_of_a_hostile_vocabulary_is_shown_as_it_is(hostile, tags):
    page = hostile.get("/hostile/L1/H2/ov/svd/0")
    shown = set(tags(page.text, text_of=("bdi",)).texts)
    assert {"</script>", "<img·src=x·onerror=alert(1)>", "&lt;b&gt;", '"', "]]>"} <= shown
    texts = {token["token"] for token in hostile.get("/api/v1/hostile/L1/H2/ov/svd/0").json()["right"]["plus"]}
    assert {"</script>", "\x00", "\u202eright to left", "\u2028", "x" * 10_000} <= texts


def test_json_of_hostile_tokens_is_ascii(hostile):
    answer = hostile.get("/api/v1/hostile/L1/H2/ov/svd/0")
    assert answer.content.isascii()
    assert json.loads(answer.content) == answer.json()


def test_a_long_token_does_not_make_a_long_page(hostile):
    assert len(hostile.get("/hostile/L1/H2").content) < 200_000


@pytest.mark.parametrize("query", ["find=%3Cscript%3Ealert(1)%3C/script%3E", "find=%22%20onfocus=%22alert(1)"])
def test_what_a_visitor_types_stays_text(client, tags, query):
    found = tags(client.get(f"/tiny/L1/H2?{query}").text).found
    assert sum(tag == "script" for tag, _ in found) == 3
    assert [name for _, attributes in found for name in attributes if name.startswith("on")] == []


@pytest.mark.parametrize("path", ["/lens/tiny/L1/H2", "/tiny/L1/H2"])
def test_below_a_root_path_every_link_is_below_it(serve, data, tags, path):
    client = serve(data, "tiny", root_path="/lens")
    answer = client.get(path)
    assert answer.status_code == 200
    links = [value for _, attributes in tags(answer.text).found for name, value in attributes.items() if is_link(name)]
    assert links
    absolute = "http://testserver/lens/-/oembed?"  # which other sites follow
    assert [link for link in links if not link.startswith(("/lens/", "#", absolute))] == []
    assert client.get("/lens/api/v1/tiny/L9").json()["status"] == 404
    assert client.get("/lens").headers["Location"] == client.get("/").headers["Location"] == "/lens/tiny"


def is_link(name):
    return name in {"href", "src", "action", "hx-get"}


def test_the_link_to_send_starts_with_the_public_address(serve, data, client, pin):
    behind = serve(data, "tiny", public_url="https://lens.example/x/")
    assert f"https://lens.example/x/tiny@{pin}/L1/H2?weights=folded" in behind.get("/tiny/L1/H2").text
    assert f"http://testserver/tiny@{pin}/L1/H2?weights=folded" in client.get("/tiny/L1/H2").text
