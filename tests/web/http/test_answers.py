import http.client

import pytest

from app.explorer.visits import census

HEAD = "/tiny/L1/H2"
TABLES = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#place"}


@pytest.mark.parametrize("path", ["/tiny", HEAD, "/api/v1" + HEAD, "/-/glossary", HEAD + "?format=csv"])
def test_what_a_visitor_has_is_not_sent_again(client, path):
    first = client.get(path)
    strong = first.headers["ETag"].removeprefix("W/")
    again = client.get(path, headers={"If-None-Match": f'"other", {strong}'})
    assert (first.status_code, again.status_code) == (200, 304)
    assert again.content == b""
    assert again.headers["ETag"] == first.headers["ETag"]


def test_another_page_or_view_or_part_has_another_tag(client):
    answers = [
        client.get(HEAD),
        client.get(HEAD + "?weights=raw"),
        client.get(HEAD, headers=TABLES),
        client.get("/api/v1" + HEAD),
        client.get("/tiny/L1/H3"),
    ]
    assert len({answer.headers["ETag"] for answer in answers}) == len(answers)


def test_compressed_and_plain_are_the_same_page(client):
    plain = client.get(HEAD, headers={"Accept-Encoding": "identity"})
    packed = client.get(HEAD, headers={"Accept-Encoding": "gzip;q=0.9, br"})
    refused = client.get(HEAD, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in refused.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.text == plain.text == refused.text
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 2


def test_few_bytes_are_compressed_only_for_who_refuses_them_plain(client):
    assert "Content-Encoding" not in client.get("/api/v1/-/jobs", headers={"Accept-Encoding": "gzip"}).headers
    packed = client.get("/api/v1/-/jobs", headers={"Accept-Encoding": "gzip, identity;q=0"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json()["jobs"] == []


@pytest.mark.parametrize("path", ["/tiny", HEAD, "/tiny/notable", "/tiny/L9"])
def test_caches_are_told_what_an_answer_depends_on(client, path):
    vary = {part.strip() for part in client.get(path).headers["Vary"].split(",")}
    assert {"Accept-Encoding", "HX-Request", "HX-Request-Type"} <= vary


@pytest.mark.parametrize(
    ("path", "id_"),
    [(HEAD, "place"), (HEAD + "/ov", "place"), ("/tiny", "place"), ("/tiny/L1", "place"), ("/tiny/notable", "notable")],
)
def test_a_fragment_stands_in_its_page_word_for_word(client, path, id_):
    page = client.get(path).text
    fragment = client.get(path, headers=TABLES | {"HX-Target": f"div#{id_}"}).text
    assert fragment.lstrip().startswith("<")
    assert f'id="{id_}"' in fragment[: fragment.index(">")]
    assert fragment.strip() in page
    assert "<html" not in fragment
    assert fragment.rstrip().endswith(f"</{fragment.split()[0][1:]}>")


def test_a_full_request_of_htmx_gets_the_whole_page(client):
    full = {"HX-Request": "true", "HX-Request-Type": "full"}
    assert client.get(HEAD, headers=full).text == client.get(HEAD).text


def test_a_page_that_waits_gets_the_whole_one_in_its_place(client):
    answer = client.get(HEAD, headers=TABLES | {"HX-Target": "section#progress"})
    # The page's path is put in its place, too: it was that of a page that waits.
    assert answer.text.count('id="where" hx-swap-oob="true"') == 1
    assert answer.text.replace(' hx-swap-oob="true"', "") == client.get(HEAD).text
    assert (answer.headers["HX-Retarget"], answer.headers["HX-Reselect"]) == ("#main", "#main")
    assert answer.headers["Cache-Control"] == "no-store"


PLACES = ["", "/L1", "/L1/H2", "/L1/H2/ov", "/L1/H2/ov/svd/0", "/L1/H2/full?token=+that", "/embed", "/embed/pca/3"]
PLACES += ["/blind?answers=lr", "/notable", "/census"]


@pytest.mark.parametrize("place", PLACES)
def test_a_pin_does_not_keep_an_answer_that_is_asked_for_again(client, pin, place):
    for path in (f"/api/v1/tiny@{pin}{place}", f"/api/v1/tiny{place}", f"/tiny@{pin}{place}"):
        answer = client.get(path)
        assert answer.headers["Cache-Control"] in {"no-cache", "no-store"}
        assert ("ETag" in answer.headers) == (answer.status_code == 200)


def test_a_pinned_answer_is_sent_anew_where_another_server_has_other_defaults(client, serve, data, pin):
    path = f"/api/v1/tiny@{pin}/L1/H2/ov"
    folded = client.get(path)
    had = {"If-None-Match": folded.headers["ETag"]}
    assert client.get(path, headers=had).status_code == 304
    raw = serve(data, "tiny", weights="raw").get(path, headers=had)
    assert (folded.json()["weights"], raw.json()["weights"]) == ("folded", "raw")


def test_head_answers_without_a_body(client):
    answer = client.head(HEAD)
    assert answer.status_code == http.client.OK
    assert answer.content == b""


@pytest.fixture(scope="module")
def long(client):
    """Where the file of a whole census is."""
    while client.get("/tiny/census?format=csv").status_code == 503:
        pass
    return "/tiny/census?format=csv"


def test_a_long_file_is_sent_as_it_is_made(client, long):
    plain = client.get(long, headers={"Accept-Encoding": "identity"})
    small = client.get(long, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Content-Length" not in plain.headers.keys() | small.headers.keys()
    assert small.content == plain.content != b""
    assert small.headers["ETag"] == plain.headers["ETag"]


def test_a_long_file_that_the_visitor_has_is_not_made_again(client, long, monkeypatch):
    tag = client.get(long).headers["ETag"]
    monkeypatch.setattr(census, "_make_columns", lambda *_: pytest.fail("made again"))
    answer = client.get(long, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)


def test_head_of_a_long_file_does_not_make_it(client, long, monkeypatch):
    made = []
    columns = census._make_columns
    monkeypatch.setattr(census, "PART_ROWS", 1)
    monkeypatch.setattr(census, "_make_columns", lambda *part: made.append(part) or columns(*part))
    answer = client.head(long, headers={"Accept-Encoding": "identity"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert len(made) < 20
    told = client.get(long, headers={"Accept-Encoding": "identity"}).headers
    assert len(made) > 100
    assert dict(answer.headers) == dict(told)
