"""To the public: pages of what was computed beforehand, and nothing of a visit reaches the worker."""

import re
import shutil
import time
from collections import deque
from types import SimpleNamespace
from urllib.parse import urldefrag

import pytest

from app.core.address import parse
from app.explorer import recipes
from app.explorer.asking.agenda import public_tasks
from app.explorer.asking.views import Options
from app.explorer.making.tables import Tables
from app.explorer.visits import orders
from app.explorer.visits.census import visit_census
from app.jobs.precompute import precompute
from app.store.artifacts import ArtifactStore
from app.web.caching import kept

SHARED = "public, max-age=60, stale-while-revalidate=86400"
THERE = ("/tiny", "/tiny/L1", "/tiny/L1/H2", "/tiny/L1/H2/ov", "/tiny/L1/H2/ov/svd/3", "/tiny/L1/mlp-in")
ABSENT = ("/tiny/L0/H1", "/tiny/L1/H2/ov?weights=raw", "/tiny/L1/H2/ov/svd/3?rotated=1", "/tiny/embed", "/tiny/census")
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#place"}


@pytest.fixture
def nothing_kept():
    """Here answers are kept, as they are to the public."""


def refuse_to_start(*_):
    raise AssertionError("a visit had something computed")


@pytest.fixture(scope="module")
def filled(serve, tiny_data, tmp_path_factory):
    """The tiny model's folder with what some pages show."""
    folder = shutil.copytree(
        tiny_data, tmp_path_factory.mktemp("public") / "data", ignore=shutil.ignore_patterns("artifacts", "jobs")
    )
    visitor = serve(folder, "tiny")
    assert [visitor.get(path).status_code for path in THERE] == [200] * len(THERE)
    return folder


@pytest.fixture(scope="module")
def public(serve, filled):
    """A visitor of a public server over that folder, whose worker cannot be started."""
    visitor = serve(filled, "tiny", public=True, prompts=None)
    visitor.app.state.resources.queue._start = refuse_to_start
    return visitor


def test_what_was_computed_is_shown_and_nothing_else_is_begun(public):
    assert [public.get(path).status_code for path in THERE] == [200] * len(THERE)
    for path in ABSENT:
        answer = public.get(path)
        assert answer.status_code == 404, path
        assert "computes nothing" in answer.text
        assert "hx-get" not in answer.text.partition("<main")[2], "nothing asks again by itself"
        assert public.get(f"/api/v1{path}").json()["error"] == "not_computed"
    queue = public.app.state.resources.queue
    assert (queue.count().started, queue.count().waiting, queue.state()) == (0, 0, "idle")


def test_a_page_that_is_not_there_names_what_is(public):
    text = public.get("/tiny/L1/H2/ov?weights=raw").text
    assert "Of this matrix there is svd in folded weights." in text
    assert {'href="/tiny/L1/H2/ov"', 'href="/tiny/L1/H2"', 'href="/tiny"'} <= set(re.findall(r'href="[^"]*"', text))


def test_nobody_starts_jobs_imports_or_prompts(public):
    origin = {"Origin": "http://testserver"}
    assert public.post("/-/jobs?model=tiny", headers=origin).status_code == 403
    refused = public.post("/-/jobs", headers=origin)
    assert refused.status_code == 403
    assert "for the public" in refused.text
    assert public.post("/-/jobs/0123456789ab/cancel", headers=origin).status_code == 403
    assert public.post("/-/jobs?model=tiny&kind=import", headers=origin).status_code == 403
    assert public.get("/tiny/prompt").status_code >= 400
    assert public.post("/tiny/prompt", headers=origin, data={"text": "that"}).status_code >= 400
    assert "prompt" not in public.get("/tiny/L1/H2/ov/svd/3").text.partition("<main")[2].partition("</main")[0]


def test_a_gallery_and_a_census_of_some_layers_show_these_and_do_not_grow(serve, tiny_data, tmp_path):
    folder = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts", "jobs"))
    usual = serve(folder, "tiny")
    for page in ("notable", "census"):
        assert usual.get(f"/tiny/{page}").status_code == 200
    r = usual.app.state.resources
    model = r.library.model("tiny")
    visit_census(r, parse("tiny"), Options())
    for order in (orders.order_gallery(model, "folded")[0], orders.order_census_part(model, 0, "folded")):
        r.store.remove(order.recipe)
    public = serve(folder, "tiny", public=True, prompts=None)
    public.app.state.resources.queue._start = refuse_to_start
    for page, said in (
        ("notable", "From 1 of 2 layers so far, as many as were"),
        ("census", "of 2 layers were computed"),
    ):
        answer = public.get(f"/tiny/{page}")
        assert answer.status_code == 200
        assert said in answer.text
        assert 'hx-trigger="load delay' not in answer.text
        assert "every 2s" not in answer.text
    answer = public.get("/tiny/census?format=csv")
    assert (answer.status_code, "were computed beforehand" in answer.text) == (404, True)


@pytest.mark.parametrize("path", ["", "/L1", "/L1/H2", "/L1/H2/ov/svd/3"])
def test_pinned_addresses_are_for_shared_caches_and_others_are_not(public, pin, path):
    for start in ("", "/api/v1"):
        answer = public.get(f"{start}/tiny@{pin}{path}")
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, SHARED)
        assert answer.headers["Vary"] == "Accept-Encoding"
        known = public.get(f"{start}/tiny@{pin}{path}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (known.status_code, known.headers["Cache-Control"]) == (304, SHARED)
        assert public.get(f"{start}/tiny{path}").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("query", "is_shared"),
    [
        ("?weights=raw", True),
        ("?embed=1", True),
        ("?weights=folded&fragment=place", True),
        ("?junk=1", False),
        ("?weights=folded&weights2=x", False),
        ("?weights=raw&sort=gap", True),
        ("?page=2", True),
        *((query, False) for query in ("?&=", "?page=1", "?page=02", "?page=%32", "?embed=0", "?embed=x", "?embed=")),
        *((query, False) for query in ("?weights=raw&weights=raw", "?weights=raw&", "?%77eights=raw", "?sort=order")),
        ("?fragment=nobody", False),
    ],
)
def test_made_up_words_fill_no_shared_cache(public, pin, query, is_shared):
    for path in (f"/tiny@{pin}/L1/H2", f"/api/v1/tiny@{pin}/L1/H2"):
        answer = public.get(path + query)
        assert answer.status_code in {200, 404, 422}
        if answer.status_code == 200:
            assert answer.headers["cache-control"].startswith("public" if is_shared else "no-cache"), path


def test_errors_and_redirects_are_for_nobody_else(public, pin):
    for path in (f"/tiny@{pin}/L9", f"/tiny@{pin}/embed", "/tiny@00000000/L1", f"/tiny@{pin}/L1/H2?page=999"):
        answer = public.get(path)
        assert answer.status_code >= 400, path
        assert answer.headers["Cache-Control"] == "no-store"
    assert public.get(f"/TINY@{pin}").headers["Cache-Control"] == "no-cache"


def test_an_address_alone_decides_whether_it_is_a_page_or_a_part(public, pin):
    for path in (f"/tiny@{pin}/L1/H2", f"/tiny@{pin}/L1/H2?sort=weakest", "/tiny/L1/H2"):
        whole = public.get(path)
        assert public.get(path, headers=HTMX).text == whole.text
        part_path = f"{path}{'&' if '?' in path else '?'}fragment=place"
        part = public.get(part_path, headers=HTMX)
        assert public.get(part_path).text == part.text
        assert "<html" in whole.text
        assert "<html" not in part.text
        assert part.headers["Cache-Control"] == whole.headers["Cache-Control"]
        assert "fragment=" not in part.text


def test_the_same_part_as_htmx_gets_elsewhere(serve, filled, public):
    usual = serve(filled, "tiny", prompts="off")
    part = public.get("/tiny/L1/H2?fragment=place").text
    for own in (part, usual.get("/tiny/L1/H2", headers=HTMX).text):
        assert own.startswith('<div class="place" id="place"')
        assert "L1H2 of tiny, folded weights" in own


def test_a_part_stays_a_part_where_its_page_is_elsewhere(public):
    answer = public.get("/TINY/L1/H2?sort=weakest&fragment=place")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/tiny/L1/H2?sort=weakest&fragment=place")


@pytest.mark.parametrize(
    "query", ["fragment=", "fragment=a b", "fragment=" + "x" * 41, "notafragment=place", "fragment=place&k=1"]
)
def test_what_is_no_name_of_a_part_is_the_page(public, query):
    assert "<html" in public.get(f"/tiny/L1/H2?{query}").text


def links_of(tags, html):
    return [own for name, own in tags(html).found if name == "a" and "href" in own]


def test_every_link_with_a_query_asks_crawlers_to_leave_it(public, tags):
    waiting, known = deque(["/tiny", "/tiny/L1/H2/ov?sort=weakest", "/tiny/L1/H2?sort=gap"]), set()
    while waiting and len(known) < 40:
        path = waiting.popleft()
        answer = public.get(path, follow_redirects=True)
        if path in known or not answer.headers["Content-Type"].startswith("text/html"):
            continue
        known.add(path)
        for own in links_of(tags, answer.text):
            url = urldefrag(own["href"]).url
            if "?" in url:
                assert "nofollow" in own.get("rel", "").split(), (path, own)
            if url.startswith("/") and "?" not in url and url not in known:
                waiting.append(url)
    assert len(known) == 40


def test_a_neighbour_with_a_query_is_still_known_as_one(public, tags):
    rels = [own.get("rel") for own in links_of(tags, public.get("/tiny/L1/H2/ov?sort=weakest").text)]
    assert {"nofollow prev", "nofollow next"} <= set(rels)


def test_a_crawler_that_heeds_robots_asks_for_nothing_dear(public):
    closed = [
        line.removeprefix("Disallow: ") for line in public.get("/robots.txt").text.partition("\n\n")[0].splitlines()[1:]
    ]
    patterns = [re.compile(re.escape(path).replace(r"\*", ".*")) for path in closed]
    for dear in (
        *("/tiny/search?q=a", "/-/search?q=a", "/tiny/embed/compare", "/-/compare?a=tiny&b=tiny", "/tiny/token/7"),
        *("/tiny/L1/H2", "/tiny/embed?sort=weakest", "/tiny/notable?page=2", "/tiny/census", "/tiny?fragment=gallery"),
        *("/tiny/composition", "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2", "/-/status", "/api/v1/tiny", "/tiny/suggest?q=L1"),
        *("/tiny/linear?from=0&to=1", "/tiny/unlikely", "/tiny/blind", "/-/jobs"),
    ):
        assert any(pattern.match(dear) for pattern in patterns), dear
    for cheap in ("/", "/tiny", "/-/glossary", "/docs", "/tiny/embed"):
        assert not any(pattern.match(cheap) for pattern in patterns), cheap


def test_a_page_of_what_is_there_is_made_once_a_minute(serve, filled):
    public = serve(filled, "tiny", public=True, prompts=None)
    counts = public.app.state.counts
    for path in ("/tiny", "/tiny/search?q=that"):
        begun = counts.kept_hits
        assert [public.get(path).status_code for _ in range(3)] == [200] * 3
        assert counts.kept_hits - begun == 2, path
    begun = counts.kept_hits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + kept.REUSE_SECONDS))
        assert public.get("/tiny/search?q=that").status_code == 200
    assert counts.kept_hits == begun


def test_pages_do_not_offer_what_only_a_visit_computes(public, serve, filled):
    usual = serve(filled, "tiny", prompts="off")
    only_visits = ("rotated=1", "readout=cosine", "format=npz", 'name="ascii"', "/full", "/compare")
    offered = {word for path in THERE for word in only_visits if word in usual.get(path).text}
    assert offered == set(only_visits)
    for path in THERE:
        text = public.get(path).text
        assert [word for word in only_visits if word in text] == [], path
        assert not re.search(r'href="[^"]*/(ov|mlp-in|embed)/(compare|neuron)"', text)
        assert not re.search(r'aria-label="Weights">.*weights=raw.*?</nav>', text)


def test_what_pages_lead_to_is_there_once_the_operator_has_it_computed(serve, filled, tmp_path):
    folder = shutil.copytree(filled, tmp_path / "data")
    public = serve(folder, "tiny", public=True, prompts=None)
    r = public.app.state.resources
    r.queue._start = refuse_to_start
    model = r.library.model("tiny")
    links = ("/-/compare?a=tiny/L1/H2/ov&b=tiny/L1/H2/ov", "/tiny/L1/H2/ov?format=npz", "/tiny/L1/mlp-in/neuron/3")
    assert [public.get(link).status_code for link in links] == [404] * 3
    store = ArtifactStore(folder / "artifacts", 10**9, "operator")
    for task in public_tasks(model, "folded"):
        deque(precompute(store, Tables("cpu"), model, task), maxlen=0)
    assert [public.get(link).status_code for link in links] == [200] * 3
    assert 'action="/-/compare"' in public.get("/tiny/L1/H2?page=1").text
    assert "format=npz" in public.get("/tiny/L1/H2/ov/svd/3?page=1").text


def test_a_public_page_speaks_of_no_jobs_and_no_prompts(public):
    for path in (*THERE, "/", "/-/glossary"):
        assert "/-/jobs" not in public.get(path).text, path
    assert "--allow-jobs" not in public.get("/-/jobs").text
    for path in ("/tiny/prompt", "/api/v1/tiny/p/0123456789ab"):
        assert "--prompts" not in public.get(path).text, path
    said = public.get("/llms.txt").text
    assert "/prompt" not in said
    assert "202" not in said


def test_the_switch_of_weights_leads_only_to_pages_that_are_there(serve, filled, tmp_path):
    """A map alone is what a few visits leave behind, before a server is for the public."""
    folder = shutil.copytree(filled, tmp_path / "data")
    usual = serve(folder, "tiny")
    assert usual.get("/tiny?weights=raw").status_code == 200
    r = usual.app.state.resources
    model = r.library.model("tiny")
    assert r.store.exists(recipes.scores(model, "raw"))
    r.store.remove(recipes.layer(model, 0, "raw"))
    text = serve(folder, "tiny", public=True, prompts=None).get("/tiny/L1/H2").text
    assert "weights=raw" not in text
