import shutil
import time
from dataclasses import replace

import pytest

from app.store.jobs import LATEST_TIME, JobStore, Task

OWN = {"Origin": "http://testserver"}


@pytest.fixture(scope="module")
def own_data(tiny_data, tmp_path_factory):
    return shutil.copytree(tiny_data, tmp_path_factory.mktemp("jobs") / "data")


@pytest.fixture(scope="module")
def allowing(serve, own_data):
    """A server where visitors may start and cancel, with the other one's jobs."""
    return serve(own_data, "tiny", allow_jobs=True)


@pytest.fixture(scope="module")
def reading(serve, own_data):
    return serve(own_data, "tiny")


@pytest.fixture
def store(own_data):
    yield JobStore(own_data / "jobs")
    shutil.rmtree(own_data / "jobs", ignore_errors=True)


@pytest.fixture
def begun(allowing, monkeypatch, store):
    """What the runner was asked for, instead of processes."""
    asked = []

    def start(*words):
        asked.append(words)
        job = store.new(*words)
        store.write(job)
        return job

    monkeypatch.setattr(allowing.app.state.runner, "start", start)
    return asked


def written(store, **changes):
    job = replace(store.new("tiny"), **changes)
    store.write(job)
    return job


@pytest.fixture
def live(store):
    job = replace(
        store.new("tiny"), state="running", started=time.time() - 10, stage="layer 2 of 2", matrices_done=5, matrices=16
    )
    with store.hold_job(job.id):
        store.write(job)
        yield job


def test_no_page_names_jobs_where_there_are_none(reading, store):
    assert "/-/jobs" not in reading.get("/tiny").text
    page = reading.get("/-/jobs")
    assert "No job is known" in page.text
    assert "--allow-jobs" in page.text
    written(store)
    assert 'href="/-/jobs"' in reading.get("/tiny").text
    assert 'href="/-/jobs"' in reading.get("/-/glossary").text
    assert 'href="/-/jobs"' in reading.get("/tiny/L9").text


def test_the_list_and_the_page_of_a_job(reading, store, live):
    done = written(store, state="done", created=1.0, ended=2.0)
    page = reading.get("/-/jobs").text
    assert page.index(live.id) < page.index(done.id)
    assert "0.50 matrices/s, 22 s left (layer 2 of 2)" in page
    page = reading.get(f"/-/jobs/{live.id}").text
    assert "<h1>tiny: OV and QK, folded</h1>" in page
    assert "5 of 16 <a" in page
    assert "singular-lens precompute tiny --matrices ov,qk --weights folded" in page
    assert 'method="post"' not in page


def test_the_same_jobs_as_json(reading, store, live):
    done = written(store, state="done", ended=2.0)
    for query, ids in (("", {live.id, done.id}), ("?model=tiny", {live.id, done.id}), ("?live=true", {live.id})):
        page = reading.get(f"/-/jobs{query}").text
        assert f'href="/api/v1/-/jobs{query}">This page as JSON' in page
        json = reading.get(f"/api/v1/-/jobs{query}").json()
        assert {job["id"] for job in json["jobs"]} == ids
        assert json["page"] == f"/-/jobs{query}"
    assert reading.get("/api/v1/-/jobs?model=gpt2").status_code == 404
    assert reading.get("/api/v1/-/jobs?live=maybe").status_code == 422


@pytest.mark.parametrize("where", ["/-/jobs", "/-/jobs/{id}", "/api/v1/-/jobs", "/api/v1/-/jobs/{id}"])
def test_nobody_keeps_what_is_soon_no_longer_true(reading, live, where):
    answer = reading.get(where.format(id=live.id))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    if "/api/" not in where:
        assert '<meta name="robots" content="noindex">' in answer.text


def test_without_javascript_a_job_that_goes_on_is_loaded_again(reading, store, live):
    refresh = '<noscript><meta http-equiv="refresh" content="2"></noscript>'
    for where in ("/-/jobs", f"/-/jobs/{live.id}"):
        answer = reading.get(where)
        assert refresh in answer.text
        assert "Refresh" not in answer.headers  # it would reload with JavaScript too
    store.write(replace(live, state="done"))
    for where in ("/-/jobs", f"/-/jobs/{live.id}"):
        page = reading.get(where).text
        assert refresh not in page
        assert "hx-sse" not in page


def test_htmx_gets_the_part_that_changes(reading, live):
    headers = {"HX-Request-Type": "partial"}
    part = reading.get(f"/-/jobs/{live.id}", headers=headers).text
    assert part.lstrip().startswith("<section")
    assert part.strip() in reading.get(f"/-/jobs/{live.id}").text
    part = reading.get("/-/jobs?model=tiny&live=true", headers=headers).text
    assert 'hx-get="/-/jobs?model=tiny&amp;live=true"' in part
    assert reading.get("/-/jobs?model=tiny&live=true", headers=headers).text == part


def test_a_model_says_where_its_jobs_are(reading, allowing, live):
    assert 'hx-get="/-/jobs?model=tiny&amp;live=true"' in reading.get("/tiny").text
    assert 'method="post"' not in reading.get("/tiny").text
    page = allowing.get("/tiny").text
    assert page.count('<form method="post"') == 2
    assert 'action="/-/jobs?model=tiny&amp;matrices=ov%2Cqk&amp;weights=raw"' in page


def test_news_end_with_the_job(reading, store):
    job = written(store, state="done", ended=1.0)
    answer = reading.get(f"/-/jobs/{job.id}/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.text.startswith("data: ")
    assert answer.text.endswith("event: end\ndata: \n\n")
    assert "<strong" in answer.text


@pytest.mark.parametrize("id_", ["0123456789ab", "x", "0123456789AB", "%0a", "0123456789ab%0a"])
def test_a_job_that_is_not_here(reading, allowing, store, id_):
    written(store)
    for where in (f"/-/jobs/{id_}", f"/-/jobs/{id_}/events", f"/api/v1/-/jobs/{id_}"):
        assert reading.get(where).status_code == 404
    assert allowing.post(f"/-/jobs/{id_}/cancel", headers=OWN).status_code == 404


def test_a_job_is_started_with_a_post_and_shown(allowing, begun, pin):
    answer = allowing.post("/-/jobs?model=tiny&weights=raw,folded&matrices=qk", headers=OWN)
    assert answer.status_code == 303
    assert answer.headers["Cache-Control"] == "no-store"
    ((slug, fingerprint, task),) = begun
    assert (slug, task) == ("tiny", Task(("qk",), ("folded", "raw")))
    assert fingerprint.startswith(pin)
    assert "Start again" in allowing.get(answer.headers["Location"]).text  # nobody runs it here


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("", 422, "model"),
        ("?model=gpt2", 404, "tiny"),
        ("?model=../tiny", 404, "tiny"),
        ("?model=tiny&weights=cooked", 422, "folded, raw"),
        ("?model=tiny&matrices=mlp", 422, "ov, qk"),
        ("?model=tiny&matrices=" + "ov," * 100, 422, "16"),
        ("?model=tiny&matrices=" + "ov," * 200, 422, "400"),
        ("?model=tiny&matrices=embed&basis=nmf&components=999", 422, "components goes from 2 to"),
        ("?model=" + "x" * 100, 422, "64"),
    ],
)
def test_a_bad_wish_is_told_what_would_do(allowing, begun, query, status, named):
    answer = allowing.post(f"/-/jobs{query}", headers=OWN)
    assert answer.status_code == status
    assert named in answer.text
    assert begun == []


def test_a_job_is_cancelled_with_a_post(allowing, store, live):
    assert f'action="/-/jobs/{live.id}/cancel"' in allowing.get(f"/-/jobs/{live.id}").text
    answer = allowing.post(f"/-/jobs/{live.id}/cancel", headers=OWN)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/-/jobs/{live.id}")
    assert store.is_cancelled(live.id)
    page = allowing.get(f"/-/jobs/{live.id}").text
    assert "being cancelled" in page
    assert "/cancel" not in page


def test_what_has_ended_is_not_cancelled(allowing, store):
    job = written(store, state="done", ended=1.0)
    assert allowing.post(f"/-/jobs/{job.id}/cancel", headers=OWN).status_code == 303
    assert store.get(job.id).state == "done"
    assert not store.is_cancelled(job.id)


@pytest.mark.parametrize("where", ["/-/jobs?model=tiny", "/-/jobs?model=nowhere", "/-/jobs", "/-/jobs/{id}/cancel"])
def test_where_the_operator_has_not_allowed_it_nobody_starts_or_cancels(reading, store, live, where):
    answer = reading.post(where.format(id=live.id), headers=OWN)
    assert answer.status_code in ({403, 422} if where == "/-/jobs" else {403})
    assert "--allow-jobs" in answer.text or answer.status_code == 422
    assert not store.is_cancelled(live.id)
    assert len(store.all()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_no_other_site_makes_a_visitor_start_or_cancel(allowing, begun, store, live, headers):
    for where in ("/-/jobs?model=tiny", f"/-/jobs/{live.id}/cancel"):
        answer = allowing.post(where, headers=headers)
        assert answer.status_code == 403
        assert "Only pages of this server" in answer.text
    assert begun == []
    assert not store.is_cancelled(live.id)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_link_changes_nothing(allowing, begun, store, live, method):
    allowing.request(method, "/-/jobs?model=tiny&weights=raw")
    assert allowing.request(method, f"/-/jobs/{live.id}/cancel").status_code == 404
    assert begun == []
    assert not store.is_cancelled(live.id)


def test_hostile_words_of_a_file_stay_text(reading, store, tags):
    attack = "<script>alert(1)</script>"
    job = written(store, state="failed", message=attack, stage=attack)
    page = reading.get(f"/-/jobs/{job.id}").text
    assert attack not in page
    assert "&lt;script&gt;" in page
    assert sum(tag == "script" for tag, _ in tags(page).found) == 3


def test_head_of_news_ends(reading, live):
    answer = reading.head(f"/-/jobs/{live.id}/events")
    assert (answer.status_code, answer.content) == (200, b"")


def test_below_a_root_path_forms_and_news_are_below_it(serve, own_data, live, tags):
    client = serve(own_data, "tiny", root_path="/lens", allow_jobs=True)
    for where in ("/-/jobs", f"/-/jobs/{live.id}", "/tiny"):
        for _, attributes in tags(client.get(f"/lens{where}").text).found:
            for name in ("action", "hx-get", "hx-sse:connect", "href"):
                absolute = "http://testserver/lens/-/oembed?"  # which other sites follow
                assert attributes.get(name, "#").startswith(("/lens/", "#", absolute))
    answer = client.post(f"/lens/-/jobs/{live.id}/cancel", headers=OWN)
    assert answer.headers["Location"] == f"/lens/-/jobs/{live.id}"


@pytest.fixture
def importing(store):
    job = replace(store.new_import("tiny"), state="running", started=time.time() - 10, stage="writing", done=2, total=8)
    with store.hold_job(job.id):
        store.write(job)
        yield job


def test_an_import_has_a_jobs_page(reading, importing):
    page = reading.get(f"/-/jobs/{importing.id}").text
    assert "<h1>Importing tiny</h1>" in page
    assert '<progress value="2" max="8"' in page
    assert "2 of 8" in page
    assert "now: writing" in page
    assert "singular-lens import MODEL --name tiny" in page
    for of_matrices in ("time left", "matrices", "computing", 'method="post"'):
        assert of_matrices not in page.split('id="job"')[1].split("</section>")[0]
    assert "writing, 2 of 8" in reading.get("/-/jobs").text
    json = reading.get(f"/api/v1/-/jobs/{importing.id}").json()
    assert (json["kind"], json["basis"], json["matrices"], json["done"], json["total"]) == ("import", None, [], 2, 8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "done"}, "done</strong>: its pages are there.</p>"),
        ({"state": "failed", "message": "<b>no network"}, "failed</strong>: &lt;b&gt;no network.</p>"),
        (
            {"state": "cancelled", "started": 1.0},
            "cancelled</strong>: the layers that it wrote are kept; started again",
        ),
        (
            {"state": "running", "started": 1.0},
            "interrupted</strong>: the process that ran it is gone. The layers that it wrote are kept",
        ),
        ({}, "interrupted</strong>: the server that was to run it is gone. It had not begun.</p>"),
    ],
)
def test_an_import_says_how_it_ended(allowing, store, changes, words):
    job = replace(store.new_import("tiny"), **changes)
    store.write(job)
    page = allowing.get(f"/-/jobs/{job.id}").text
    assert words in page
    assert 'id="again"' not in page  # this server has the model, and imports it from nowhere
    assert ('<a id="result" href="/tiny">' in page) == (job.state == "done")


def test_no_time_that_a_file_may_hold_breaks_a_page(reading, store):
    latest = replace(store.new("tiny"), created=LATEST_TIME, started=LATEST_TIME, ended=LATEST_TIME, state="done")
    store.write(latest)
    store.write(beyond := replace(store.new("tiny"), created=1e12, started=1e12, ended=1e12, state="done"))
    assert "9892-" in reading.get(f"/-/jobs/{latest.id}").text
    page = reading.get("/-/jobs")
    assert (page.status_code, latest.id in page.text, beyond.id in page.text) == (200, True, False)


def test_an_import_is_cancelled_with_a_post_where_visitors_may(allowing, reading, store, importing):
    assert reading.post(f"/-/jobs/{importing.id}/cancel", headers=OWN).status_code == 403
    assert not store.is_cancelled(importing.id)
    assert allowing.post(f"/-/jobs/{importing.id}/cancel", headers=OWN).status_code == 303
    assert store.is_cancelled(importing.id)


def test_no_visitor_imports_what_the_operator_has_not_named(allowing, reading, store):
    for query, status in (("tiny", 422), ("gpt2", 404), ("../etc", 404)):
        answer = allowing.post(f"/-/jobs?model={query}&kind=import", headers=OWN)
        assert answer.status_code == status
    assert allowing.post("/-/jobs?model=tiny&kind=everything", headers=OWN).status_code == 422
    assert reading.post("/-/jobs?model=tiny&kind=import", headers=OWN).status_code == 403
    assert store.is_empty()


def test_what_could_not_be_imported_is_begun_again_with_a_post(serve, tiny_data, tmp_path):
    (tmp_path / "empty").mkdir()
    data = shutil.copytree(tiny_data, tmp_path / "data")
    client = serve(data, "tiny", str(tmp_path / "empty"), allow_jobs=True)
    r = client.app.state.resources
    for _ in range(6_000):
        if r.imports.of("empty").state == "failed":
            break
        time.sleep(0.01)
    first = r.imports.of("empty").job
    assert f'<a href="/-/jobs/{first}">its&nbsp;import</a>' in client.get("/").text
    page = client.get(f"/-/jobs/{first}").text
    assert str(tmp_path) not in page
    assert 'action="/-/jobs?model=empty&amp;kind=import"' in page
    answer = client.post("/-/jobs?model=empty&kind=import", headers=OWN)
    assert answer.status_code == 303
    assert answer.headers["Location"] != f"/-/jobs/{first}"
    assert "Importing empty" in client.get(answer.headers["Location"]).text
