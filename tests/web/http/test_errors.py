import re

import pytest

from app.explorer.errors import Busy, ComputationFailed, Importing, NotImported, NotReady
from app.explorer.visits import browse
from app.web.http import errors

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#tables"}
WAITS = PARTIAL | {"HX-Target": "section#progress"}
UNKNOWN = [
    ("/tiny/L9", "L0 to L1"),
    ("/tiny/L0/H9", "H0 to H3"),
    ("/tiny/L0/H0/ov/svd/99", "0 to 7"),
    ("/other", "tiny"),
    ("/tiny@00000000", "fingerprint"),
    ("/tiny/L05", "L0, L1"),
    ("/tiny/L0/H0/mlp", "ov or qk"),
    ("/tiny/L0/H0/ov/pca", "svd"),
    ("/tiny/L0/H0/ov/svd/0/0/0", "six parts"),
    ("/Ti!ny", "small letters"),
    ("/tiny/L999999999999999999999", "L0, L1"),
]
BAD = [
    ("/tiny/L0/H0?sort=random", "strength"),
    ("/tiny/L0/H0?page=0", "1"),
    ("/tiny/L0/H0?page=99999999", "10000"),
    ("/tiny/L0/H0?page=9", "page"),
    ("/tiny?weights=cooked", "folded"),
    ("/tiny?score=beauty", "copying"),
    ("/tiny/L0/H0?find=" + "x" * 101, "100"),
]


@pytest.fixture
def failing(serve, data, monkeypatch):
    """failing(error) -> a client of a server on which opening a head ends so."""

    def arrange(error):
        def head(*_words, **_more):
            raise error

        monkeypatch.setattr(browse, "visit_head", head)
        return serve(data, "tiny", raise_errors=False)

    return arrange


@pytest.mark.parametrize(("path", "told"), UNKNOWN)
def test_an_unknown_address_is_told_what_is_there(client, path, told):
    page, json = client.get(path), client.get("/api/v1" + path)
    assert page.status_code == json.status_code == 404
    assert told in page.text
    assert told in json.json()["detail"]
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("path", "told"), BAD)
def test_a_bad_value_is_told_its_range(client, path, told):
    page, json = client.get(path), client.get("/api/v1" + path)
    assert page.status_code == json.status_code == 422
    assert told in page.text
    assert json.json()["error"] == "bad_option"


def test_a_file_of_what_is_no_table_is_refused(client):
    assert client.get("/tiny?format=csv").status_code == 422
    refused = client.get("/tiny/L1/mlp-in/compare?format=csv")
    assert refused.status_code == 422
    assert "The table of each basis is one" in refused.text


def test_one_shape_of_json_for_every_error(client):
    for path in ("/api/v1/tiny/L9", "/api/v1/tiny?weights=x", "/api/v1/nothing/of/this/kind", "/api/other"):
        answer = client.get(path)
        body = answer.json()
        assert set(body) == {"error", "status", "detail"}
        assert body["status"] == answer.status_code
    assert set(client.post("/api/v1/tiny").json()) == {"error", "status", "detail"}


def test_only_what_is_not_taken_is_told_what_is(client, monkeypatch):
    own = {"Origin": "http://testserver"}
    assert "may be GET, HEAD and POST, and" in client.put("/-/jobs", headers=own).text
    assert client.put("/-/jobs", headers=own).headers["Allow"] == "GET, HEAD, POST"
    assert "may be GET and HEAD, and" in client.put("/tiny", headers=own).text
    monkeypatch.delattr(errors, "_find_methods")  # which asks every route
    assert client.get("/tiny/and/so/on/and/on/and/on").status_code == 404
    assert client.post("/-/jobs?model=tiny").status_code == 403


def test_a_fragment_keeps_the_id_it_will_replace(client):
    answer = client.get("/tiny/L9", headers=PARTIAL)
    assert answer.status_code == 404
    assert answer.text.lstrip().startswith('<section class="lazy problem" id="tables"')
    assert "<html" not in answer.text


@pytest.mark.parametrize("target", ['div#"><script>', "div#a b", ""])
def test_a_hostile_target_is_no_id(client, target):
    answer = client.get("/tiny/L9", headers=PARTIAL | {"HX-Target": target})
    assert 'id="problem"' in answer.text


def test_an_error_page_leads_to_the_places_on_the_way(client):
    page = client.get("/tiny/L1/H9").text
    assert 'href="/tiny"' in page
    assert 'href="/tiny/L1"' in page


def test_what_is_being_computed_shows_progress_and_comes_back(failing):
    client = failing(NotReady("Reading L1H2", 3, 8))
    page, json = client.get("/tiny/L1/H2"), client.get("/api/v1/tiny/L1/H2")
    assert page.status_code == json.status_code == 202
    assert "Refresh" not in page.headers  # it would end what a visitor clicked meanwhile
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "Reading L1H2" in page.text
    assert '<progress value="37" max="100"' in page.text
    assert 'hx-get="/tiny/L1/H2"' in page.text
    assert json.json() == {"error": "not_ready", "status": 202, "detail": "Reading L1H2", "done": 3, "total": 8}
    assert int(json.headers["Retry-After"]) >= 1
    assert "What takes long goes on while this page is open." in page.text


def test_in_a_frame_too_what_is_on_its_way_comes(failing, tags):
    for coming in (NotReady("Reading L1H2", 3, 8), Busy("Too much")):
        page = failing(coming).get("/tiny/L1/H2?weights=raw&embed=1")
        assert "frame-ancestors *" in page.headers["Content-Security-Policy"]
        found = tags(page.text).found
        links = [of["href"] for tag, of in found if tag == "a"]
        assert links
        assert not [link for link in links if "embed" in link]
        if page.status_code == 202:
            (again,) = [of["hx-get"] for _, of in found if "hx-get" in of]
            assert again == "/tiny/L1/H2?weights=raw&embed=1"
            assert "Reading L1H2" in failing(coming).get(again, headers=WAITS).text


def test_in_a_frame_what_comes_is_loaded_as_a_whole_page(client, failing):
    """A part would be shown whether or not its page may be framed."""
    failed = failing(ComputationFailed("The matrix holds NaN"))
    for answer in (
        client.get("/tiny/L1/H2?embed=1", headers=WAITS),
        client.get("/tiny/L9?embed=1", headers=WAITS),
        failed.get("/tiny/L1/H2?embed=1", headers=WAITS),
    ):
        assert (answer.status_code, answer.text, answer.headers["HX-Refresh"]) == (200, "", "true")
        assert answer.headers["Cache-Control"] == "no-store"


def test_what_rests_is_asked_for_sooner(failing):
    soon = failing(NotReady("Reading L1H2", 3, 8, rests=True)).get("/tiny/L1/H2")
    late = failing(NotReady("Reading L1H2", 3, 8)).get("/tiny/L1/H2")
    assert 0 < int(soon.headers["Retry-After"]) < int(late.headers["Retry-After"])
    delays = [int(re.search(r"load delay:(\d+)ms", page.text)[1]) for page in (soon, late)]
    assert delays[0] < delays[1]


def test_a_file_that_is_not_there_yet_is_said_in_plain_words(failing):
    file = failing(NotReady("L1H2 is being read.")).get("/tiny/L1/H2?format=csv")
    assert (file.status_code, file.text) == (503, "Computing… L1H2 is being read.\n")
    failed = failing(ComputationFailed("The matrix holds NaN")).get("/tiny/L1/H2?format=csv")
    assert failed.text == "This could not be computed. The matrix holds NaN\n"


def test_a_page_that_waits_has_the_heading_of_what_it_waits_for_now(failing, tags):
    was = failing(Importing("demo is being imported", 1, 2, None)).get("/tiny/L1/H2")
    now = failing(NotReady("The map is being computed")).get("/tiny/L1/H2", headers=WAITS)
    (heading,) = [of for tag, of in tags(was.text).found if tag == "h1"]
    (other,) = [of for tag, of in tags(now.text).found if tag == "h1"]
    assert (heading["id"], "hx-swap-oob" in other) == (other["id"], True)
    assert ">L1H2 · importing…</h1>" in was.text
    assert ">L1H2 · computing…</h1>" in now.text
    assert "<title>L1H2 · computing… · tiny · singular-lens</title>" in now.text
    part = failing(NotReady("Reading")).get("/tiny/L1/H2", headers=PARTIAL)  # a part has no say in it
    assert "<h1" not in part.text
    assert "<title" not in part.text


def test_a_model_that_is_on_its_way_is_not_said_to_be_computed(failing):
    page = failing(Importing("smollm2 is being imported: fetching", 12, 93, "0123456789ab")).get("/tiny/L0/H0")
    assert page.status_code == 202
    assert '<a href="/-/jobs/0123456789ab">The import’s own page</a>' in page.text
    assert ">L0H0 · importing…</h1>" in page.text
    assert "while this page is open" not in page.text


@pytest.mark.parametrize("id_", ["0123456789ab", None])
def test_a_model_that_could_not_be_imported_promises_nothing(failing, id_):
    client = failing(NotImported("smollm2 could not be imported: no network", id_))
    page, json = client.get("/tiny/L0/H0"), client.get("/api/v1/tiny/L0/H0")
    assert page.status_code == json.status_code == 503
    assert ">This model could not be imported</h1>" in page.text
    assert "no network" in page.text
    assert "ask again" not in page.text
    assert "Retry-After" not in page.headers | json.headers
    assert ('<a href="/-/jobs/0123456789ab">The import’s own page</a>' in page.text) == (id_ is not None)
    assert "starts it again" not in page.text  # not here, where visitors start no jobs


def test_a_page_that_waits_says_where_it_is_and_where_its_links_lead(failing, tags):
    client = failing(NotReady("Reading L1H2"))
    page = client.get("/tiny/L1/H2?weights=raw").text
    assert "<title>L1H2 · computing… · tiny · singular-lens</title>" in page
    assert ">L1H2 · computing…</h1>" in page
    links = [attributes.get("href") for tag, attributes in tags(page).found if tag == "a"]
    assert {"/tiny?weights=raw", "/tiny/L1?weights=raw", "/tiny/L1/H2?weights=raw"} <= set(links)
    assert "/api/v1/tiny/L1/H2?weights=raw" in links
    assert 'action="/tiny/jump"' in page
    assert '<input type="hidden" name="weights" value="raw">' in page


def test_what_fails_while_a_page_waits_is_a_page_in_its_place(failing):
    failed = failing(ComputationFailed("The matrix holds NaN")).get("/tiny/L1/H2", headers=WAITS)
    assert failed.headers["HX-Retarget"] == "#main"
    assert ">This could not be computed</h1>" in failed.text
    for coming in (NotReady("Reading"), Busy("Too much")):
        part = failing(coming).get("/tiny/L1/H2", headers=WAITS)
        assert "HX-Retarget" not in part.headers
        assert '<section class="lazy problem" id="progress" hx-get="/tiny/L1/H2"' in part.text


def test_a_part_that_is_being_computed_asks_for_itself(failing):
    answer = failing(NotReady("Reading")).get("/tiny/L1/H2?sort=gap", headers=PARTIAL)
    assert answer.status_code == 202
    assert 'id="tables" hx-get="/tiny/L1/H2?sort=gap"' in answer.text
    assert "Refresh" not in answer.headers


def test_a_full_queue_says_when_to_return(failing):
    answer = failing(Busy("Too much to do")).get("/tiny/L1/H2")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_failed_computation_is_that_pages_error(failing):
    client = failing(ComputationFailed("The matrix holds NaN"))
    page, json = client.get("/tiny/L1/H2"), client.get("/api/v1/tiny/L1/H2")
    assert page.status_code == json.status_code == 503
    assert page.headers["Retry-After"] == json.headers["Retry-After"] == str(ComputationFailed.retry_after)
    assert "The matrix holds NaN" in page.text
    assert 'href="/tiny/L1"' in page.text
    assert json.json() == {"error": "failed", "status": 503, "detail": "The matrix holds NaN"}
    assert client.get("/tiny/L1").status_code == 200


def test_a_part_that_failed_does_not_ask_for_itself_for_ever(failing):
    part = failing(ComputationFailed("The matrix holds NaN")).get("/tiny/L1/H2", headers=PARTIAL)
    assert "hx-get" not in part.text
    assert 'href="/tiny/L1/H2"' in part.text


@pytest.mark.parametrize("path", ["/tiny/L1/H2", "/api/v1/tiny/L1/H2"])
def test_an_unexpected_error_says_nothing_of_the_machine(failing, path):
    answer = failing(RuntimeError("/home/someone/secret")).get(path)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"]


def test_a_path_of_two_slashes_is_no_link_to_another_host(failing):
    answer = failing(Busy("Too much")).get("//tiny/L1/H2")
    assert 'href="//' not in answer.text


def test_a_query_of_no_text_is_answered(client):
    assert client.get("/tiny/L9?find=%ff").status_code == 404


def test_a_pin_of_other_weights_leads_to_the_place_in_those_of_today(client):
    page = client.get("/tiny@00000000/L1/H2")
    assert page.status_code == 404
    assert 'href="/tiny/L1/H2"' in page.text
    assert 'href="/tiny@' not in page.text


def test_a_bad_option_leads_to_the_place_without_it(client):
    assert 'href="/tiny/L1/H2"' in client.get("/tiny/L1/H2?page=zero").text
    assert 'href="/tiny/L9"' not in client.get("/tiny/L9").text
