"""Paths that somebody typed: which lead to a page, and which do not."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.address import parse
from app.web.http.redirects import BEHIND_A_LINK, spell_path

FILLED = {
    "{model}": "tiny",
    "{layer}": "L1",
    "{head}": "H2",
    "{circuit}": "ov",
    "{part}": "in",
    "{stack}": "write",
    "{basis}": "svd",
    "{index}": "3",
    "{key}": "0123456789abcdef",
    "{address:path}": "tiny/embed",
}


@pytest.fixture
def paths(client, job):
    """A path of every route that answers GET, but for static files."""
    forms = [route.path for route in client.app.routes if "GET" in route.methods]
    filled = FILLED | {"{id_}": job.id, "{id}": job.id}
    found = [re.sub("{.*?}", lambda name: filled.get(name[0], name[0]), form) for form in forms]
    assert not [path for path in found if "{" in path and not path.startswith("/static/")]
    return [path for path in found if "{" not in path]


@pytest.fixture(params=["", "/lens"])
def root(client, request):
    """The path that the server lives under for one test."""
    state = client.app.state
    usual = state.site
    state.site = replace(usual, settings=usual.settings.model_copy(update={"root_path": request.param}))
    yield request.param
    state.site = usual


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/SmolLM2", "/smollm2"),
        ("/smollm2/l5/h3/OV", "/smollm2/L5/H3/ov"),
        ("/smollm2@0123ABCD/L5/MLP-In/Neuron/35", "/smollm2@0123abcd/L5/mlp-in/neuron/35"),
        ("/API/v1/L5/l5", "/api/v1/l5/L5"),  # a model may be called so
        ("/api/v1", "/api/v1/"),
        ("/apix/L1", "/apix/L1"),
        ("/-/Jobs/", "/-/jobs"),
        ("/demo/L05", "/demo/L05"),
        ("/", "/"),
    ],
)
def test_a_path_has_one_spelling(typed, meant):
    assert spell_path(typed) == meant


@given(st.text(max_size=30), st.sampled_from(["", "/demo/", "/api/v1/", "//", "/L5/h3/"]))
def test_a_spelling_is_its_own(text, start):
    once = spell_path(start + text)
    assert spell_path(once) == once


def test_every_page_is_found_in_capitals_and_with_what_stood_behind_the_link(client, paths, root):
    assert {"/", "/-/glossary", "/tiny/notable", "/api/v1/tiny/L1/H2/full", "/openapi.json"} <= set(paths)
    for path in paths:
        meant = spell_path(path)
        for typed in (path.upper(), f"{path}/", f"{path})."):
            if typed not in {path}:
                answer = client.get(f"http://testserver{root}{typed}?weights=raw&find=A%20b")
                assert (answer.status_code, answer.headers["Location"]) == (
                    308,
                    f"{root}{meant}?weights=raw&find=A%20b",
                )


@pytest.mark.parametrize("end", BEHIND_A_LINK)
def test_whatever_stands_behind_a_link_is_no_part_of_it(client, pin, end):
    answer = client.get(f"/tiny@{pin.upper()}/L1/H2/ov/svd/3{end}")
    assert (answer.status_code, answer.headers["Location"]) == (308, f"/tiny@{pin}/L1/H2/ov/svd/3")
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("refused", "meant"),
    [
        ("weights=raw)", "weights=raw"),
        ("page=1&weights=raw%29.", "page=1&weights=raw"),
        ("weights=raw%E2%80%9D", "weights=raw"),
    ],
)
def test_whatever_stands_behind_a_links_query_is_no_part_of_it(client, refused, meant):
    for path in ("/tiny/L1/H2", "/api/v1/tiny/L1/H2"):
        answer = client.get(f"{path}?{refused}")
        assert (answer.status_code, answer.headers["Location"]) == (308, f"{path}?{meant}")


def test_a_query_that_is_taken_stays_as_it_is(client):
    assert client.get("/tiny/L1/H2?find=)").status_code == 200
    assert client.get("/tiny/L1/H2?weights=cooked").status_code == 422
    for refused in ("distance=)", "weights=%3Cscript%3E"):
        assert client.get(f"/tiny/L1/H2?{refused}").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/tiny/L05",
        "/tiny/l05",
        "/tiny/L1/H2/ov/svd/03.",
        "/Tiny/L9",
        "/Tiny/L1/H2/ov/svd/8",
        "/Gpt9",
        "/Tiny@00000000",
        "/tiny/L1/Census",
        "/-/Jobs/0123456789ab",
        "/api/v1/-/Jobs/L1/ov/svd",
        "/api/v1/-/Jobs/0123456789ab/L1/H2/ov/svd/0",
        "/Static/site.css",
        "/Tiny/L1/H2/" + "ov/" * 70,
        "//evil.example",
        "//Evil.example/tiny/",
        "//TINY/L1",
        "/%5CEvil.example/",
        "/\\Tiny",
        "/Tiny%0A/",
        "/Tiny%0D%0ALocation:%20x",
        "/https://Evil.example/tiny/",
    ],
)
def test_what_is_not_here_is_no_redirect(client, path):
    for asked in (path, f"/api/v1{path}"):
        assert client.get(f"http://testserver{asked}").status_code == 404


def test_what_is_not_here_leads_to_what_is_on_the_way(client):
    assert 'href="/tiny/L1"' in client.get("/TINY/l1/h9.").text


def test_only_what_is_read_is_sent_elsewhere(client):
    answer = client.post("/TINY", headers={"Origin": "http://testserver"})
    assert (answer.status_code, "Location" in answer.headers) == (405, False)
    assert client.head("/TINY").headers["Location"] == "/tiny"


def test_a_pasted_link_loses_no_more_than_the_path_of_the_proxy(client, root):
    for path, status in (("/tiny/L1", 303), ("tiny/L1", 404)):
        answer = client.get("/tiny/jump", params={"q": f"https://x/lens{path}"})
        assert answer.status_code == (status if root else 404), path
    if root:
        assert client.get("/tiny/jump", params={"q": "https://x/lens"}).headers["Location"] == "/lens/"


def test_a_pasted_link_to_any_page_leads_to_it(client, paths):
    for path in paths:
        if not path.startswith("/api/"):
            answer = client.get("/tiny/jump", params={"q": f"https://lens.example{path}"})
            assert (answer.status_code, answer.headers["Location"]) == (303, path)
    address = parse("tiny/L1/H2")
    answer = client.get(
        "/tiny/jump", params={"q": f"http://x/api/v1/{str(address).upper()}/full?token=a#p", "weights": "raw"}
    )
    assert answer.headers["Location"] == f"/{address}/full?token=a#p"
    assert not urlsplit(answer.headers["Location"]).netloc


@pytest.mark.parametrize("path", ["//evil.example/", "//evil.example/L1", "/\\evil.example/", "/gpt9/L1", "/tiny/L9"])
def test_a_refused_query_leads_only_to_what_is_here(client, path):
    answer = client.get(f"http://testserver{path}?weights=raw)")
    assert answer.status_code in {404, 422}
    assert "Location" not in answer.headers
