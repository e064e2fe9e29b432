import json

import pytest

from app.web.security import HEADERS

OWN = ("/-/glossary", "/-/settings", "/docs", "/livez", "/readyz", "/openapi.json", "/robots.txt", "/favicon.ico")


@pytest.mark.parametrize(
    "path", ["/", "/tiny", "/tiny/L9", "/api/v1/tiny/L1/H2", "/static/site.css", "/static/no", *OWN]
)
def test_every_answer_carries_the_headers(client, path):
    answer = client.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_the_policy_allows_nothing_inline_and_no_other_host():
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {value for name, value in policy.items() if name != "default-src"} <= {"'self'", "'none'"}


@pytest.mark.parametrize("place", ["", "/L1", "/L1/H2", "/L1/H2/qk", "/L1/H2/ov/svd/0", "/L0/H0/qk/svd/3", "/notable"])
def test_a_hostile_vocabulary_changes_no_page(hostile, tags, place):
    html = hostile.get(f"/hostile{place}").text
    found = tags(html).found
    assert [one for one in found if one[0] in {"img", "iframe", "object", "style", "base"}] == []
    scripts = [attributes for tag, attributes in found if tag == "script"]
    assert len(scripts) == 2
    assert all(attributes["src"].startswith("/static/") for attributes in scripts)
    assert [
        name for _, attributes in found for name in attributes if name.startswith("on") or name == "autofocus"
    ] == []
    assert not any(character in html for character in "\x00\u202e\u2066\u2028\x1b\ufeff\u200b")


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
    assert sum(tag == "script" for tag, _ in found) == 2
    assert [name for _, attributes in found for name in attributes if name.startswith("on")] == []


@pytest.mark.parametrize("host", ["evil.example/x", 'a"><script>', "a b"])
def test_a_host_that_is_none_is_not_repeated(client, host):
    assert host not in client.get("/tiny/L1/H2", headers={"Host": host}).text


@pytest.mark.parametrize("path", ["/lens/tiny/L1/H2", "/tiny/L1/H2"])
def test_below_a_root_path_every_link_is_below_it(serve, data, tags, path):
    client = serve(data, "tiny", root_path="/lens")
    answer = client.get(path)
    assert answer.status_code == 200
    links = [value for _, attributes in tags(answer.text).found for name, value in attributes.items() if is_link(name)]
    assert links
    assert [link for link in links if not link.startswith(("/lens/", "#"))] == []
    assert client.get("/lens/api/v1/tiny/L9").json()["status"] == 404
    assert client.get("/lens").headers["Location"] == client.get("/").headers["Location"] == "/lens/tiny"


def is_link(name):
    return name in {"href", "src", "action", "hx-get"}


def test_the_link_to_send_starts_with_the_public_address(serve, data, client, pin):
    behind = serve(data, "tiny", public_url="https://lens.example/x/")
    assert f"https://lens.example/x/tiny@{pin}/L1/H2?weights=folded" in behind.get("/tiny/L1/H2").text
    assert f"http://testserver/tiny@{pin}/L1/H2?weights=folded" in client.get("/tiny/L1/H2").text
