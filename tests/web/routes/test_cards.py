"""Cards, oEmbed and frames: what a pasted link shows, and which pages other sites may put in a frame."""

import re
import shutil
import struct
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, unquote_plus, urlsplit

import pytest

from app.web.view.templating import PAGE_TEMPLATES
from tests.explorer.banks import build_bank

ORIGIN = {"Origin": "http://testserver"}
PLACES = (
    "/tiny",
    "/tiny/L1",
    "/tiny/L1/H2",
    "/tiny/L1/H2/ov",
    "/tiny/L1/H2/qk/svd/1",
    "/tiny/embed",
    "/tiny/L0/mlp-in",
)
WITH_CARDS = (
    *PLACES,
    "/tiny?score=qk-top",
    "/tiny/L1/H2/ov?weights=raw",
    "/tiny/census",
    "/tiny/token/70",
    "/tiny/search?q=that",
    "/tiny/search?q=that&kind=ov",
    "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2",
    "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2&part=key",
    "/-/compare?a=tiny/L0/H1/ov&b=tiny/L1/H2/ov",
    "/-/compare?a=tiny/L0/H1/ov/svd/0&b=tiny/L1/H2/ov/svd/0~raw",
    "/-/list?title=Two&of=tiny/L1/H2,tiny/L1/H2/ov/svd/1",
)
WITH_CARDS_OF_PLACES = {
    "/tiny/notable": "/tiny",
    "/tiny/composition": "/tiny",
    "/tiny/linear": "/tiny",
    "/tiny/unlikely": "/tiny",
    "/tiny/L1/H2/full?token=t": "/tiny/L1/H2",
    "/tiny/L1/H2/alike": "/tiny/L1/H2",
    "/tiny/L1/H2/ov/svd/1/around": "/tiny/L1/H2/ov/svd/1",
    "/tiny/L1/H2/ov/compare": "/tiny/L1/H2/ov",
}
FRAMED = (*WITH_CARDS, *WITH_CARDS_OF_PLACES)
UNFRAMED = ("/tiny/prompt", "/tiny/x", "/tiny/sara", "/-/glossary", "/-/settings", "/docs", "/tiny/blind")


@pytest.fixture(scope="module")
def reader(serve, tiny_data, tmp_path_factory):
    """A visitor of a server with a bank, where prompts are run and jobs may be started."""
    client = serve(shutil.copytree(tiny_data, tmp_path_factory.mktemp("cards") / "data"), "tiny", allow_jobs=True)
    build_bank(client.app.state.resources)
    return client


class Metas(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.metas, self.links = {}, {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        if tag == "meta" and (name := said.get("property") or said.get("name")):
            self.metas[name] = said.get("content")
        if tag == "link" and said.get("type"):
            self.links[said["type"]] = said["href"]


def size_of(png):
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize("path", [*FRAMED, *UNFRAMED[:6]])
def test_every_page_says_what_a_chat_shows(reader, path):
    found = Metas(reader.get(path).text).metas
    assert found["og:site_name"] == "singular-lens"
    assert found["og:title"]
    assert found["og:image:alt"] == found["og:title"]
    assert found["og:description"]
    assert (found["og:image:width"], found["og:image:height"]) == ("1200", "630")
    assert found["twitter:card"] == "summary_large_image"
    picture = found["og:image"]
    assert picture.startswith("http://testserver/")
    answer = reader.get(picture)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert size_of(answer.content) == (1200, 630)
    assert len(answer.content) < 120_000
    assert answer.headers["cache-control"] == "public, max-age=3600"


def test_a_card_is_of_its_own_address_and_options(reader):
    pictures = [Metas(reader.get(path).text).metas["og:image"] for path in WITH_CARDS]
    cards = [reader.get(picture.removeprefix("http://testserver")).content for picture in pictures]
    assert len(set(cards)) == len(set(pictures)) == len(WITH_CARDS)
    tag = reader.get("/tiny/L1/H2/ov/card.png").headers["etag"]
    assert reader.get("/tiny/L1/H2/ov/card.png", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tiny/L9/card.png", 404),
        ("/tiny/nothing/card.png", 404),
        ("/none/card.png", 404),
        ("/tiny/L1/card.png?weights=x", 422),
    ],
)
def test_what_is_not_there_has_no_card(reader, path, status):
    assert reader.get(path).status_code == status


def test_a_link_pasted_before_it_is_computed_has_a_plain_card(serve, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    cold = serve(data, "tiny", wait_seconds=0)
    answer = cold.get("/tiny/L1/H1/card.png")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    plain = answer.content
    assert size_of(plain) == (1200, 630)
    for _ in range(600):
        if (answer := cold.get("/tiny/L1/H1/card.png")).headers["cache-control"] != "no-store":
            break
    assert answer.content != plain


def test_an_experiments_card_is_its_visitors_own(reader):
    fields = {"prompts": "so it is\nin the sea", "edit": "L1H2.ov.3:-1"}
    place = reader.post("/tiny/x", data=fields, headers=ORIGIN).headers["location"]
    page = reader.get(place)
    assert Metas(page.text).metas["og:image"] == f"http://testserver{place}/card.png"
    card = reader.get(f"{place}/card.png")
    assert size_of(card.content) == (1200, 630)
    assert card.headers["cache-control"] == "private, no-store"


def described_by(link):
    return parse_qs(urlsplit(link).query)["url"][0]


def policy_of(answer):
    return re.search("frame-ancestors ([^;]+)", answer.headers["content-security-policy"])[1]


@pytest.mark.parametrize("path", FRAMED)
def test_a_page_that_asks_nothing_of_a_visitor_may_be_framed(reader, path):
    framed = reader.get(f"{path}{'&' if '?' in path else '?'}embed=1")
    assert framed.status_code == 200
    assert policy_of(framed) == "*"
    assert 'method="post"' not in framed.text
    assert "<header" not in framed.text
    assert '<base target="_blank">' in framed.text
    whole = reader.get(path)
    assert policy_of(whole) == "'none'"
    assert "<header" in whole.text


@pytest.mark.parametrize("path", UNFRAMED)
def test_no_other_page_is(reader, path):
    for asked in (f"{path}?embed=1", f"{path}?embed=0", f"/api/v1{path}?embed=1"):
        assert policy_of(reader.get(asked)) == "'none'"


def test_a_frame_says_why_a_page_is_not_there(reader):
    framed = reader.get("/tiny/L9?embed=1&weights=raw")
    assert (framed.status_code, policy_of(framed)) == (404, "*")
    assert "tiny has layers L0 to L1" in framed.text
    assert "<header" not in framed.text
    assert policy_of(reader.get("/tiny/L9")) == "'none'"
    assert policy_of(reader.get("/tiny/L9?embed=1", headers={"HX-Request": "true", "HX-Request-Type": "partial"})) == (
        "'none'"
    )
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    refused = reader.get("/tiny/prompt?embed=1", headers=elsewhere)
    assert (refused.status_code, policy_of(refused)) == (403, "'none'")


def test_pages_that_post_are_marked_as_not_to_be_framed(reader):
    """Whatever has a form that sends something is none of those; a new one must be looked at."""
    assert {kind.__name__ for kind, how in PAGE_TEMPLATES.items() if not how.may_be_framed} >= {
        *("FitPage", "BlindPage", "PromptFormPage", "PromptPage", "EditPage", "SteerPage", "SaraPage", "SaraFormPage"),
        *("ExperimentFormPage", "ExperimentPage", "JobsPage", "JobPage"),
    }


@pytest.mark.parametrize("sources", ["'none'", "https://huggingface.co", "https://a.example https://*.b.example:8443"])
def test_the_operator_says_who_may_frame(serve, tiny_data, tmp_path, sources):
    own = serve(shutil.copytree(tiny_data, tmp_path / "data"), "tiny", frame_ancestors=sources)
    assert policy_of(own.get("/tiny/L1/H2?embed=1")) == sources
    assert policy_of(own.get("/tiny/L1/H2")) == "'none'"


@pytest.mark.parametrize("path", FRAMED)
def test_oembed_describes_the_frame_and_the_picture(reader, path):
    page = reader.get(path)
    assert page.status_code == 200
    metas = Metas(page.text)
    found = reader.get(metas.links["application/json+oembed"].removeprefix("http://testserver")).json()
    assert (found["version"], found["type"]) == ("1.0", "rich")
    source = unescape(re.search('src="([^"]+)"', found["html"])[1])
    framed = reader.get(source.removeprefix("http://testserver"))
    assert policy_of(framed) == "*"
    assert Metas(framed.text).metas["og:title"] == metas.metas["og:title"]
    assert unescape(re.search(r'<footer class="foot"><a class="brand" href="([^"]+)"', framed.text)[1]) == (
        described_by(metas.links["application/json+oembed"]).removeprefix("http://testserver")
    )
    thumbnail = found["thumbnail_url"]
    assert unquote_plus(thumbnail) == unquote_plus(metas.metas["og:image"])
    assert reader.get(thumbnail.removeprefix("http://testserver")).headers["content-type"] == "image/png"
    if path in WITH_CARDS_OF_PLACES:
        assert thumbnail == f"http://testserver{WITH_CARDS_OF_PLACES[path]}/card.png"


def test_oembed_keeps_to_the_width_that_a_site_has(reader):
    narrow = reader.get("/-/oembed", params={"url": "http://testserver/tiny/L1/H2", "maxwidth": 300}).json()
    assert narrow["width"] == 300
    assert 'width="300"' in narrow["html"]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://elsewhere/tiny/L1/H2", 404),
        ("http://testserver.evil/tiny/L1", 404),
        ("http://testserver/tiny/prompt", 404),
        ("http://testserver/-/jobs", 404),
        ("http://testserver/none/L1", 404),
        ("http://testserver/tiny/L9", 404),
        ("http://testserver/tiny/sara", 404),
        ("http://testserver/none/token/3", 404),
        ("http://testserver/api/v1/tiny/L1", 404),
        ("http://testserver/static/site.css", 404),
        ('http://testserver/tiny/token/"><b>', 200),
        ('http://testserver/tiny/search?q="><script>alert(1)</script>', 200),
        ("http://testserver/-/list?title=<b>&of=tiny/L1", 200),
        ("javascript:alert(1)", 404),
        ('http://testserver/tiny/L1/H2?a="><script>alert(1)</script>', 200),
        ("", 422),
    ],
)
def test_oembed_describes_nothing_else_and_holds_no_markup(reader, url, status):
    answer = reader.get(f"/-/oembed?url={quote(url, safe='')}")
    assert answer.status_code == status
    if status == 200:
        html = answer.json()["html"]
        assert html.count("<") == 2
        assert html.count('"') == 10
    assert reader.get("/-/oembed?url=http://testserver/tiny&format=xml").status_code == 501


def test_a_card_that_rests_on_what_is_not_built_is_not_kept(reader):
    answer = reader.get("/tiny/token/70/card.png?weights=raw")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


def test_on_a_public_server_what_is_not_computed_has_a_plain_card_and_computes_nothing(serve, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    public = serve(data, "tiny", public=True, prompts=None)
    answer = public.get("/tiny/L1/H1/card.png")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "Not computed here yet" in public.get("/-/list?of=tiny/L0/H1").text
    assert public.app.state.resources.queue.state() == "idle"
