import os
import shutil
import time

import pytest

from app.store import grounds
from app.web.caching import kept as kept_answers
from app.web.caching.asked import PageTarget
from app.web.caching.kept import AnswerKey, Origins
from app.web.http import answers

HEAD = "/tiny/L1/H2"
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
PAGES = (
    *("/L1", "/L1/H2", "/L1/H2/ov", "/L1/H2/qk/svd", "/L1/H2/ov/svd/3", "/L1/H2/ov?rotated=1", "/L1/H2/full"),
    *("/L1/mlp-in", "/L1/mlp-in/neuron", "/L1/mlp-out/svd/2", "/embed", "/heads/write/svd/0", "/blind", "/notable"),
)
FILES = ("/L1/H2?format=csv", "/L1/H2/ov?format=npz", "/L1/mlp-in/svd/1?format=csv")
TWINS = ("/L1", "/L1/H2", "/L1/H2/ov", "/L1/H2/ov/svd/3", "/L1/mlp-in/neuron", "/L1/H2/full", "/blind", "/notable")
OWN = ("/-/glossary", "/-/settings", "/docs", "/openapi.json", "/robots.txt")
KINDS = (
    *(f"/tiny{page}" for page in PAGES + FILES),
    *(f"/api/v1/tiny{twin}" for twin in TWINS),
    *OWN,
)


@pytest.fixture
def nothing_kept():
    """Here something is."""


@pytest.fixture(scope="module", autouse=True)
def settled():
    """Folders are believed at once: here nothing changes twice within their clock's tick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grounds, "SETTLED_NS", 0)
        yield


@pytest.fixture(scope="module")
def whole_data(serve, data, tmp_path_factory):
    """The tiny model's folder with all that pages of layers and galleries show."""
    folder = shutil.copytree(data, tmp_path_factory.mktemp("kept") / "data", ignore=shutil.ignore_patterns("jobs"))
    visitor = serve(folder, "tiny")
    for layer in (0, 1):
        for place in (*(f"H{head}" for head in range(4)), "mlp-in", "mlp-out"):
            assert visitor.get(f"/tiny/L{layer}/{place}").status_code == 200
    for place in ("embed", "unembed", "pos", "heads/write", "heads/read", "notable"):
        assert visitor.get(f"/tiny/{place}", follow_redirects=True).status_code == 200
    return folder


@pytest.fixture
def server(serve, whole_data):
    """server(**settings) -> a visitor of a server that has answered nothing yet."""
    return lambda **settings: serve(whole_data, "tiny", **settings)


@pytest.fixture
def made(monkeypatch):
    """The answers that were made anew."""
    found, make = [], answers.content_answer

    def counted(request, *how, **more):
        found.append(request.url.path)
        return make(request, *how, **more)

    monkeypatch.setattr(answers, "content_answer", counted)
    monkeypatch.setattr("app.web.http.answers.content_answer", counted)
    return found


def held(visitor):
    """What is kept, by what was asked."""
    entries = visitor.app.state.resources.store.memory._entries
    return {key: value[0] for key, value in entries.items() if isinstance(key, AnswerKey)}


def same(one, other):
    return (one.status_code, one.headers.raw, one.content) == (other.status_code, other.headers.raw, other.content)


def test_every_kind_of_answer_is_sent_again_as_it_was(server, made):
    visitor, other = server(), server()
    for path in KINDS:
        first = visitor.get(path)
        assert first.status_code == 200, path
        n = len(made)
        again = visitor.get(path)
        assert len(made) == n, path
        assert same(first, again), path
        assert same(other.get(path), again), path  # as whoever keeps nothing yet makes it
    for path in KINDS:  # the others have not changed it
        assert same(visitor.get(path), other.get(path)), path


def test_coding_version_and_head_are_the_visitors(server, made):
    visitor = server()
    plain = visitor.get(HEAD, headers={"Accept-Encoding": "identity"})
    packed = visitor.get(HEAD, headers={"Accept-Encoding": "gzip"})
    n = len(made)
    assert same(visitor.get(HEAD, headers={"Accept-Encoding": "gzip"}), packed)
    assert same(visitor.get(HEAD, headers={"Accept-Encoding": "gzip;q=0.9, br"}), packed)
    assert same(visitor.get(HEAD, headers={"Accept-Encoding": "br"}), plain)
    known = visitor.get(HEAD, headers={"If-None-Match": f'"x", {plain.headers["ETag"]}'})
    assert (known.status_code, known.content) == (304, b"")
    assert visitor.get(HEAD, headers={"If-None-Match": '"x"'}).status_code == 200
    empty = visitor.head(HEAD, headers={"Accept-Encoding": "gzip"})
    assert (empty.status_code, empty.content) == (200, b"")
    assert empty.headers.raw == packed.headers.raw
    assert len(made) == n
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers


def test_who_has_it_already_warms_it_for_the_others(server, made):
    tag = server().get(HEAD).headers["ETag"]
    visitor = server()
    first = visitor.get(HEAD, headers={"If-None-Match": tag})
    again = visitor.get(HEAD, headers={"If-None-Match": tag})
    assert (first.status_code, first.content) == (304, b"")
    assert same(first, again)
    n = len(made)
    assert visitor.get(HEAD).status_code == 200
    assert len(made) == n


def test_a_page_that_does_not_change_is_not_made_for_who_has_it(client):
    """What the pages themselves say of it is what is said here: both ways to 304 have the same headers."""
    jobs = client.get("/-/jobs")
    known = client.get("/-/jobs", headers={"If-None-Match": jobs.headers["ETag"]})
    assert known.status_code == 304
    assert not {"content-length", "content-type", "content-encoding"} & set(known.headers)
    assert {name: known.headers[name] for name in ("etag", "cache-control", "vary")} == {
        name: jobs.headers[name] for name in ("etag", "cache-control", "vary")
    }


@pytest.mark.parametrize(
    ("path", "spellings"),
    [
        (
            HEAD,
            [
                "?page=1",
                "?weights=folded",
                "?",
                "?sort=order&page=1",
                "?page=2&page=1",
                "?ascii=0&x=y",
                "?rotated=false",
            ],
        ),
        (
            f"{HEAD}?sort=gap&ascii=1",
            ["?ascii=true&sort=gap", "?sort=order&ascii=on&sort=gap", "?page=01&sort=gap&ascii=1"],
        ),
        (f"/api/v1{HEAD}/ov?weights=raw", ["?weights=raw&frequent=0", "?utm=1&weights=raw"]),
        ("/tiny/blind", ["?seed=1", "?of=all&answers="]),
    ],
)
def test_every_spelling_of_the_same_is_one_answer(server, made, path, spellings):
    visitor = server()
    visitor.get(path)  # what it is made of is computed, perhaps
    first = visitor.get(path)
    n = len(made)
    for spelling in spellings:
        assert same(visitor.get(path.partition("?")[0] + spelling), first), spelling
    assert len(made) == n
    assert len(held(visitor)) == 1


def test_what_is_refused_is_refused_beside_what_is_kept(server):
    visitor = server()
    assert visitor.get(HEAD).status_code == 200
    n = len(held(visitor))
    for query in ("?page=0", "?page=x", "?seed=1", "?k=5", "?weights=cooked", "?ascii=2", "?page=99"):
        assert visitor.get(HEAD + query).status_code in {404, 422}, query
    assert visitor.get("/livez", headers={"Host": "a b"}).status_code == 400
    assert visitor.get(HEAD, headers={"Host": "a.example"}).status_code == 421
    assert visitor.get(HEAD, headers={"Host": "a b"}).status_code == 400
    assert visitor.request("GET", HEAD, content=b"x" * 600_000).status_code == 413
    assert visitor.post(HEAD).status_code == 403
    assert len(held(visitor)) == n


def test_parts_are_kept_by_their_names(server, made):
    visitor = server()
    direction = f"{HEAD}/ov/svd/3"
    whole = visitor.get(direction)
    part = visitor.get(direction, headers=PARTIAL | {"HX-Target": "div#place"})
    turned = visitor.get(direction, headers=PARTIAL | {"HX-Target": "section#rotation"})
    assert len({whole.text, part.text, turned.text}) == 3
    n = len(made)
    for target in ("rotation", "div#rotation"):
        assert same(visitor.get(direction, headers=PARTIAL | {"HX-Target": target}), turned)
    for target in ("", "place", "a", "x#b", "-", "a b"):
        assert same(visitor.get(direction, headers=PARTIAL | {"HX-Target": target}), part)
    for headers in ({"HX-Request": "true"}, {"HX-Request-Type": "full"}, {"HX-Target": "rotation"}):
        assert same(visitor.get(direction, headers=headers), whole)
    assert len(made) == n
    assert len(held(visitor)) == 3


def test_a_page_in_the_place_of_one_that_waited_is_not_kept_as_the_page(server):
    visitor = server()
    waited = visitor.get(HEAD, headers=PARTIAL | {"HX-Target": "progress"})
    assert waited.headers["HX-Retarget"] == "#main"
    assert "HX-Retarget" not in visitor.get(HEAD).headers
    assert "HX-Retarget" not in visitor.get(HEAD, headers=PARTIAL).headers
    assert visitor.get(HEAD, headers=PARTIAL | {"HX-Target": "progress"}).headers["HX-Retarget"] == "#main"


def test_links_are_those_of_the_visitors_origin_and_root(server, made):
    visitor = server(root_path="/lens", allowed_hosts="one.example,two.example")
    pages = {host: visitor.get(f"/lens{HEAD}", headers={"Host": host}) for host in ("one.example", "two.example:81")}
    for host, page in pages.items():
        assert f"http://{host}/lens/tiny@" in page.text
    n = len(made)
    for host, page in pages.items():
        assert same(visitor.get(f"/lens{HEAD}", headers={"Host": host}), page)
        assert same(visitor.get(HEAD, headers={"Host": host}), page)  # the proxy has taken the root off
    assert len(made) == n


def test_a_public_url_is_the_only_origin(server, made):
    visitor = server(public_url="https://lens.example", allowed_hosts="testserver,two.example")
    page = visitor.get(HEAD)
    n = len(made)
    assert same(visitor.get(HEAD, headers={"Host": "two.example"}), page)
    assert len(made) == n


def test_names_that_somebody_makes_up_take_nothing_from_the_others(server, made):
    visitor = server()
    page = visitor.get(HEAD)
    for port in range(1, 30):
        odd = visitor.get(HEAD, headers={"Host": f"127.0.0.1:{port}"})
        assert f"http://127.0.0.1:{port}/tiny@" in odd.text
    assert len({asked.origin for asked in held(visitor)} - {("http", b"testserver")}) <= kept_answers.MOST_ORIGINS
    n = len(made)
    assert same(visitor.get(HEAD), page)
    assert len(made) == n


SERVER = ("10.0.0.7", 8000)


def admit(origins, host):
    return origins.admit(host.encode(), "http", SERVER)


def test_who_is_named_more_often_has_the_place_of_who_is_named_less(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    origins = Origins((), most=2, seconds=60.0)
    assert all(admit(origins, name) for name in ("a", "b", "b", "b"))
    assert [admit(origins, "c") for _ in range(2)] == [False, True]  # once it has come more often than a
    assert not admit(origins, "a")
    clock[0] = 61.0
    for _ in range(8):
        clock[0] += 61.0
        assert admit(origins, "b")
    assert admit(origins, "d")  # of what was, little is left


@pytest.mark.parametrize("own", ["localhost", "localhost:8000", "10.0.0.7:8000", "10.0.0.7", "lens.example:8000", ""])
def test_made_up_names_leave_the_servers_own_its_answers(own):
    origins = Origins({"localhost", "lens.example"}, most=2)
    for at in range(10_000):
        admit(origins, f"1.1.{at // 256}.{at % 256}")
        if at % 1000 == 0:
            assert admit(origins, own)
    assert len(origins._asked) <= kept_answers.MOST_COUNTED


@pytest.mark.parametrize(
    "odd", ["LOCALHOST:8000", "localhost:81", "localhost:8000.", "localhost.", "lens.example:", "[::1]"]
)
def test_other_spellings_and_ports_are_not_the_servers_own(odd):
    origins = Origins({"localhost", "lens.example"}, most=1)
    for _ in range(3):
        assert admit(origins, "common")
    assert not admit(origins, odd)


def test_an_address_in_brackets_is_an_address():
    assert Origins({"::1"}, most=0).admit(b"[::1]:8000", "http", SERVER)


def test_pages_of_what_is_there_and_all_that_is_no_page_are_not_kept(serve, whole_data):
    visitor = serve(whole_data, "tiny", "no-such-folder/here")
    told = {
        "/": 200,
        "/api/v1/": 200,
        "/tiny": 200,
        "/api/v1/tiny": 200,
        "/tiny/embed/nmf": 200,  # a fit that is not there
        "/-/jobs": 200,
        "/api/v1/-/jobs": 200,
        "/livez": 200,
        "/readyz": 200,
        "/static/site.css": 200,
        "/tiny/heads": 307,
        "/TINY/L1": 308,
        "/tiny/jump?q=L1": 303,
        "/tiny/L9": 404,
        "/tiny/L1?sort=cooked": 422,
        "/tiny/embed/nmf?format=csv": 404,
    }
    for path, status in told.items():
        assert visitor.get(path).status_code == status, path
        assert not held(visitor), path


def test_a_layer_is_kept_once_all_that_it_shows_is_there(serve, fresh_data, made):
    visitor = serve(fresh_data, "tiny")
    before = visitor.get("/tiny/L1")
    assert before.status_code == 200
    assert not held(visitor)  # the rates of its heads are not known
    for head in range(4):
        assert visitor.get(f"/tiny/L1/H{head}").status_code == 200
    after = visitor.get("/tiny/L1")
    n = len(made)
    assert same(visitor.get("/tiny/L1"), after)
    assert len(made) == n


def test_a_page_that_had_to_wait_is_kept(serve, fresh_data, made):
    visitor = serve(fresh_data, "tiny")
    page = visitor.get(HEAD)
    assert page.status_code == 200
    n = len(made)
    assert same(visitor.get(HEAD), page)
    assert len(made) == n


def test_a_fit_that_comes_shows_on_its_matrix(serve, whole_data, tmp_path, made):
    data = shutil.copytree(whole_data, tmp_path / "data")
    visitor = serve(data, "tiny")
    first = visitor.get("/tiny/embed")
    n = len(made)
    visitor.get("/tiny/embed")
    assert len(made) == n
    (folder,) = data.glob("artifacts/*/embed")
    (folder / "new.safetensors").write_bytes(b"")  # whatever it is: the page is made anew
    assert same(visitor.get("/tiny/embed"), first)
    assert len(made) == n + 1


def test_what_was_deleted_or_damaged_is_still_shown_to_who_asks_again(serve, whole_data, tmp_path):
    data = shutil.copytree(whole_data, tmp_path / "data")
    visitor = serve(data, "tiny")
    page = visitor.get(HEAD)
    for path in data.glob("artifacts/*/L1/H2/*/*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert same(visitor.get(HEAD), page)
    shutil.rmtree(data / "artifacts")
    assert same(visitor.get(HEAD), page)


def test_the_first_job_shows_on_every_page(serve, whole_data, tmp_path, made):
    data = shutil.copytree(whole_data, tmp_path / "data", ignore=shutil.ignore_patterns("jobs"))
    visitor = serve(data, "tiny")
    before = visitor.get(HEAD)
    assert "/-/jobs" not in before.text
    jobs = visitor.app.state.resources.jobs
    jobs.write(jobs.new("tiny"))
    after = visitor.get(HEAD)
    assert 'href="/-/jobs' in after.text
    n = len(made)
    assert same(visitor.get(HEAD), after)
    shutil.rmtree(data / "jobs")
    assert same(visitor.get(HEAD), before)
    assert len(made) == n


def test_artifacts_of_a_kept_answer_are_in_use(serve, whole_data, tmp_path, monkeypatch):
    data = shutil.copytree(whole_data, tmp_path / "data")
    visitor = serve(data, "tiny")
    visitor.get(HEAD)
    files = [path for kept in held(visitor).values() for path in kept.grounds.artifacts]
    assert len(files) == 2
    for file in files:
        os.utime(file, (1, 1))
    visitor.get(HEAD)
    assert {file.stat().st_mtime for file in files} == {1}  # it was used a moment ago
    monkeypatch.setattr(kept_answers, "TOUCH_SECONDS", 0.0)
    visitor.get(HEAD)
    ends = time.monotonic() + 30
    while any(file.stat().st_mtime == 1 for file in files) and time.monotonic() < ends:
        visitor.get("/livez")
    assert all(file.stat().st_mtime > 1 for file in files)


def test_the_budget_holds_whatever_is_asked(server):
    visitor = server(memory_mib=1)
    memory = visitor.app.state.resources.store.memory
    for page in range(1, 400):
        assert visitor.get(f"{HEAD}?find=x{page}").status_code == 200
        assert memory.used <= 2**20
    assert 5 < len(held(visitor)) < 399


def test_odd_spellings_take_no_room(server):
    visitor = server()
    visitor.get(HEAD)
    before = held(visitor)
    for n in range(300):
        odd = PARTIAL | {"HX-Target": f"x{n}", "HX-Request-Type": "full"}
        assert visitor.get(f"{HEAD}?x{n}={n}&page=1", headers=odd).status_code == 200
    assert held(visitor) == before


def test_other_weights_under_the_name_are_another_target(server):
    visitor = server()
    visitor.get(HEAD)
    (asked,) = held(visitor)
    model = visitor.app.state.resources.library.model("tiny")
    assert asked.target == PageTarget(HEAD, model.fingerprint, (), has_parts=True, is_made_at_once=True)
