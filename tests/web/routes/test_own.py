import re
from pathlib import Path

import pytest

from app.config import Settings
from app.web.view.glossary import TERMS

STATIC = Path(__file__).parents[3] / "static"


def test_the_glossary_has_every_word(client):
    page = client.get("/-/glossary").text
    assert all(f'id="{key}"' in page for key in TERMS)


def test_the_settings_page_has_every_setting_and_tells_nothing_of_the_machine(serve, data):
    page = serve(data, "tiny", host="198.51.100.7").get("/-/settings").text
    for name, field in Settings.model_fields.items():
        assert f"SINGULAR_LENS_{name.upper()}" in page
        assert field.description in page.replace("&#39;", "'")
    assert str(data) not in page
    assert "198.51.100.7" not in page


def test_the_api_page_has_every_route_and_an_example(client):
    page, api = client.get("/docs").text, client.get("/openapi.json").json()
    assert len(api["paths"]) >= 10
    assert all(f"<code>{path}</code>" in page for path in api["paths"])
    assert page.count("Example answer") >= 8


def test_a_versioned_file_keeps_for_ever(client):
    page = client.get("/tiny").text
    for url in re.findall(r'"(/static/[^"]+)"', page):
        answer = client.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert client.get(url, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("version", ["", "?v=0123"])
def test_a_file_without_its_version_is_asked_for_again(client, version):
    answer = client.get(f"/static/site.css{version}")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.content == (STATIC / "site.css").read_bytes()


@pytest.mark.parametrize(
    "name", ["../pyproject.toml", "%2e%2e/pyproject.toml", "..%2fpyproject.toml", "", "/etc/passwd"]
)
def test_nothing_else_is_a_static_file(client, name):
    assert client.get(f"/static/{name}").status_code == 404


def test_crawlers_stay_on_cheap_pages(client):
    lines = client.get("/robots.txt").text.partition("\n\n")[0].splitlines()
    assert lines[0] == "User-agent: *"
    assert {
        "Disallow: /api/",
        "Disallow: /*/L",
        "Disallow: /*/census",
        "Disallow: /*/blind",
        "Disallow: /*/token",
        "Disallow: /-/jobs",
    } <= set(lines)


def test_the_icon_is_found_without_being_told(client):
    answer = client.get("/favicon.ico")
    assert answer.status_code == 308
    assert client.get(answer.headers["Location"]).headers["Content-Type"] == "image/svg+xml"


def test_a_static_file_that_the_visitor_has_is_not_sent_again(client):
    tag = client.get("/static/site.css").headers["ETag"]
    for known in (tag, f'"other", {tag}', "*"):
        assert client.get("/static/site.css", headers={"If-None-Match": known}).status_code == 304


@pytest.mark.parametrize("settings", [{}, {"root_path": "/lens"}, {"public_url": "https://lens.example/lens"}])
def test_the_overview_for_programs_leads_to_what_there_is(serve, data, settings):
    visitor = serve(data, "tiny", **settings)
    root, public = settings.get("root_path", ""), settings.get("public_url", "")
    answer = visitor.get(f"{root}/llms.txt")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    title, _, summary = answer.text.split("\n")[:3]
    assert (title, summary[:2]) == ("# singular-lens", "> ")
    origin = public or f"http://testserver{root}"
    links = re.findall(r"\]\((\S+)\)", answer.text)
    assert {f"{origin}/", f"{origin}/tiny", f"{origin}/openapi.json", f"{origin}/-/glossary"} <= set(links)
    for link in links:
        assert link.startswith(f"{origin}/")
        assert visitor.get(link.replace(origin, f"http://testserver{root}")).status_code in {200, 307}, link


def test_the_overview_for_programs_links_nothing_that_crawlers_should_not_ask_for(client):
    closed = re.findall(r"Disallow: (\S+)", client.get("/robots.txt").text)
    forms = [re.compile(re.escape(path).replace(r"\*", ".*")) for path in closed if not path.startswith("/api")]
    links = re.findall(r"\]\(http://testserver(\S+)\)", client.get("/llms.txt").text)
    assert links
    assert [link for link in links if any(form.match(link) for form in forms)] == []


def test_whoever_shows_a_pasted_link_may_fetch_it(client):
    first, others = client.get("/robots.txt").text.split("\n\n")
    assert first.startswith("User-agent: *\n")
    assert others.splitlines()[-1] == "Disallow:"
    assert {line.partition(": ")[0] for line in others.splitlines()[:-1]} == {"User-agent"}
