"""Searches over HTTP: the page, its fragment, its JSON twin and its table, and the boxes that lead there."""

import csv
import io
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.answers import check_answer
from tests.explorer.banks import build_bank

PAGE, API = "/tiny/search", "/api/v1/tiny/search"
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "section#found"}


def found(client, query):
    return check_answer("search", client.get(f"{API}?{query}").json())


@pytest.fixture(scope="module")
def json(banked):
    return found(banked, "q=that,with")


def test_page_and_json_have_the_same_rays(banked, json, tags):
    page = banked.get(f"{PAGE}?q=that,with")
    assert page.status_code == 200
    hrefs = [each.get("href", "") for tag, each in tags(page.text).found if tag == "a"]
    # A path begins at a - end: a server never hears what stands behind #.
    links = [re.sub(r"\?path=[^#]*", "", href) for href in hrefs]
    pages = [one["page"] for one in json["hits"]]
    assert len(pages) == 25
    assert [link for link in links if link in set(pages)] == pages
    for one in json["hits"][:3]:
        assert banked.get(f"/{one['address']}").status_code == 200
    assert json["page"] == f"{PAGE}?q=that%2Cwith"
    assert banked.get(json["json"]).json() == json


def test_the_answer_says_what_was_understood_and_searched(json):
    assert [token["token"] for token in json["query"]["tokens"]] == [" that", " with"]
    assert {one["of"] for one in json["query"]["variants"]} <= {"that", "with"}
    assert json["searched"]["share_of_model"] == 1
    assert json["fdr_at"]["rank"] == 10
    assert all(len(one["tokens"]) == 20 for one in json["hits"])
    themes = [one["theme"] for one in json["hits"]]
    assert themes == sorted(themes, reverse=True)


def test_what_comes_while_one_types_is_a_part_of_the_page(banked):
    url = f"{PAGE}?q=that&order=alignment&side=write&layers=0-1&used=1"
    part = banked.get(url, headers=PARTIAL)
    whole = banked.get(url).text
    section = part.text[part.text.index("<section") : part.text.index("</section>")]
    assert section in whole
    title = re.match(r"\s*(<title>.*?</title>)", part.text)[1]
    assert title in whole
    moves = part.text[part.text.index('<div class="moves"') :].strip()
    assert moves.replace(' hx-swap-oob="true"', "") in whole
    assert "weights=raw&amp;q=that" in moves
    assert "HX-Request-Type" in part.headers["Vary"]


def test_the_form_sends_what_the_url_says(banked, tags):
    url = (
        f"{PAGE}?q=that&order=alignment&basis=neuron&side=write&kind=mlp-out&layers=L1&readable=1&used=1&weights=folded"
    )
    html = banked.get(url).text
    form = tags(html).found
    assert next(each["value"] for tag, each in form if tag == "input" and each.get("id") == "words") == "that"
    chosen = {each.get("value") for tag, each in form if tag == "option" and "selected" in each}
    assert {"alignment", "neuron", "write", "mlp-out"} <= chosen
    assert {each["name"] for tag, each in form if tag == "input" and "checked" in each and "name" in each} == {
        "readable",
        "used",
    }
    assert next(each["value"] for tag, each in form if tag == "input" and each.get("name") == "layers") == "1"


def test_every_link_of_a_search_stays_in_its_weights(serve, fresh_data, tags):
    client = serve(fresh_data, "tiny")
    build_bank(client.app.state.resources, processing="raw", kinds=("bank", "words", "tokens", "shadow"))
    html = client.get(f"{PAGE}?q=that&weights=raw").text
    assert '<ol class="gallery nearest">' in html
    main = html[html.index("<main") : html.index("</main>")]
    main = main[main.index('id="found"') :]
    links = [own["href"] for tag, own in tags(main).found if tag == "a" and own["href"].startswith("/tiny")]
    assert len(links) > 100
    assert [link for link in links if "weights=raw" not in link] == []


def test_all_that_was_found_is_a_table(banked, json):
    answer = banked.get(f"{PAGE}?q=that,with&format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 200
    first = [(row["direction"], row["ray"], row["side"]) for row in rows[:25]]
    assert first == [(one["address"], one["ray"], one["side"]) for one in json["hits"]]
    assert float(rows[0]["theme"]) == json["hits"][0]["theme"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 422, "Say what to search for"),
        ("q=", 422, "Say what to search for"),
        ("q=-that", 422, "Only words to subtract"),
        ("q=%2399999", 422, "from #0 to #"),
        ("q=%23" + "9" * 30, 422, "from #0 to #"),
        ("q=L9H0.ov.0p", 422, "layers L0 to L1"),
        ("q=that&page=99", 422, "there are 8"),
        ("q=that&order=best", 422, "order"),
        ("q=that&layers=x", 422, "layers"),
        ("q=that&layers=7", 422, "0 to 1"),
        ("q=that&kind=pos", 422, "kind is one of"),
        ("q=that&readable=perhaps", 422, "readable"),
        ("q=that&weights=raw", 404, "precompute tiny --matrices bank"),
        ("q=" + "x" * 1_200, 422, "1000"),
        ("q=" + "x" * 10_000, 414, ""),
    ],
)
def test_what_cannot_be_searched_for_is_an_error_to_programs_and_a_sentence_to_people(banked, query, status, said):
    answer = banked.get(f"{API}?{query}")
    assert answer.status_code == status
    assert said in answer.text
    page = banked.get(f"{PAGE}?{query}")
    assert page.status_code in {200, status}
    if "Say" not in said:
        assert said.replace("'", "&#39;") in page.text


@pytest.mark.parametrize(
    "q", ["%00", "%FF%FE", "%ED%A0%80", "%3Cscript%3Ealert(1)%3C/script%3E", "%22", "a%0Ab", "%F0%9F%8E%89"]
)
def test_hostile_words_are_words(banked, q):
    for url in (f"{PAGE}?q={q}", f"/-/search?q={q}"):
        answer = banked.get(url, follow_redirects=True)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "\x00" not in answer.text
    assert banked.get(f"{API}?q={q}").status_code in {200, 422}


def test_hostile_tokens_are_escaped(hostile, serve):
    from tests.explorer.banks import build_bank

    app = next(app for app in serve.apps if app.state.resources.slugs == ("hostile",))
    build_bank(app.state.resources, "hostile")
    html = hostile.get("/hostile/search?q=script").text
    assert 'id="found"' in html
    assert not re.search(r"<script>(?!</script>)", html)


def test_no_answer_is_kept_in_memory(banked):
    memory = banked.app.state.resources.store.memory
    banked.get(f"{PAGE}?q=that,with,at")
    assert not [key for key in memory._entries if "search" in str(key)]


@pytest.mark.parametrize("text", ["that with", "that, with", "nonsense", "<script>", "#9999"])
def test_what_is_no_address_is_a_search(banked, text):
    answer = banked.get("/tiny/jump", params={"q": text, "weights": "raw"})
    assert answer.status_code == 303
    to = urlsplit(answer.headers["Location"])
    assert to.path == PAGE
    assert parse_qs(to.query) == {"q": [text], "weights": ["raw"]}


def test_a_token_by_its_id_and_a_name_with_its_bracket_lead_to_their_places(banked):
    to = banked.get("/tiny/jump", params={"q": "#70", "weights": "raw"}).headers["Location"]
    assert to == "/tiny/token/70?weights=raw"
    to = banked.get("/tiny/jump", params={"q": "blocks.1.attn.W_V[2]"}).headers["Location"]
    assert to == "/tiny/L1/H2/ov"
    assert banked.get("/tiny/jump", params={"q": "(L1H2)."}).headers["Location"] == "/tiny/L1/H2"


def test_what_enter_takes_is_marked(banked, tags):
    for text, path in (
        ("L1H2", "/tiny/L1/H2"),
        ("census", "/tiny/census"),
        ("#70", "/tiny/token/70"),
        ("that", "/tiny/search"),
    ):
        html = banked.get("/tiny/suggest", params={"q": text}, headers=PARTIAL | {"HX-Target": "div#below"}).text
        (marked,) = [item for item in html.split("</li>") if "<kbd>" in item]
        (link,) = [own["href"] for tag, own in tags(marked).found if tag == "a"]
        assert link.partition("?")[0] == path
        target = banked.get("/tiny/jump", params={"q": text}).headers["Location"]
        assert target.partition("?")[0] == path


def test_pieces_of_a_place_are_not_searched_for(banked):
    page = banked.get(f"{PAGE}?q=L1H2").text
    assert 'href="/tiny/L1/H2"' in page
    assert "names a place" in page
    assert '<ol class="gallery nearest">' not in page
    assert "names a place" in banked.get(f"{API}?q=L1H2").json()["detail"]
    assert '<ol class="gallery nearest">' in banked.get(f'{PAGE}?q="L1H2"').text


def test_a_word_that_is_said_often_is_one_term(banked):
    assert found(banked, "q=" + "that+" * 50)["query"] == found(banked, "q=that")["query"]


def test_what_one_may_write_for_layers_is_said_in_words(banked):
    detail = banked.get(f"{API}?q=that&layers=x").json()["detail"]
    assert "one layer, such as 5" in detail
    assert "[0-9]" not in detail


def test_the_first_screen_is_tokens_then_where_they_are(banked):
    html = banked.get(f"{PAGE}?q=that,with").text
    assert html.index('class="asking"') < html.index('class="gallery nearest"') < html.index('class="depths"')
    assert 'href="#found"' in html
    assert "0.0% at most" not in html


def test_a_search_has_a_link_to_send(banked, tags, pin):
    form = tags(banked.get(f"{PAGE}?q=that,with&order=alignment").text).found
    (link,) = [own["value"] for tag, own in form if own.get("id") == "link"]
    assert link.endswith(f"/tiny@{pin}/search?weights=folded&q=that%2Cwith&order=alignment")
    assert banked.get(link).status_code == 200


def test_without_a_bank_the_box_still_jumps(client):
    page = client.get(f"{PAGE}?q=L1H2")
    assert page.status_code == 200
    assert "singular-lens precompute tiny --matrices bank" in page.text
    assert 'href="/tiny/L1/H2"' in page.text
    assert client.get("/tiny/jump?q=L1H2").headers["Location"] == "/tiny/L1/H2"


def test_a_ray_of_another_model_is_a_place_of_that_model(relatives):
    other = next(slug for slug in relatives.app.state.resources.slugs if slug != "llama")
    page = relatives.get(f"/llama/search?q={other}/L0H1.ov.2n")
    assert page.status_code == 200
    assert f"A place of {other}:" in page.text
    assert f"/{other}/L0/H1/ov/svd/2" in page.text
    jumped = relatives.get(f"/llama/jump?q={other}/L0H1.ov.2n").headers["Location"]
    assert jumped == f"/{other}/L0/H1/ov/svd/2?path=L0H1.ov.2n#n"


def test_a_place_that_only_one_model_has_is_where_the_box_of_all_leads(relatives):
    slugs = relatives.app.state.resources.slugs
    kept = [slug for slug in slugs if relatives.get(f"/{slug}/pos").status_code in {200, 202}]
    to = relatives.get("/-/search?q=pos")
    assert (to.status_code == 303) == (len(kept) == 1)
    assert relatives.get("/-/search?q=L0").status_code == 200


def test_every_model_is_searched_apart(relatives):
    found = check_answer("every", relatives.get("/api/v1/-/search?q=that").json())
    assert found["models"] == []
    assert all("--matrices bank" in one["detail"] for one in found["missing"])
    page = relatives.get("/-/search?q=that")
    assert page.status_code == 200
    assert all(f">{one['model']}</a>" in page.text for one in found["missing"])
    assert relatives.get("/-/search?q=llama/L1").headers["Location"] == "/llama/L1"
    assert relatives.get("/-/search?q=llama/L99").status_code == 404


def test_a_server_of_one_model_has_one_search(banked):
    to = banked.get("/-/search?q=that").headers["Location"]
    assert to == "/tiny/jump?q=that"
    (only,) = banked.get("/api/v1/-/search?q=that").json()["models"]
    assert [one["address"] for one in only["hits"]] == [
        one["address"] for one in banked.get(f"{API}?q=that").json()["hits"][:5]
    ]


@pytest.mark.parametrize("path", ["/tiny", "/tiny/L1/H2", "/tiny/notable", "/-/glossary", "/-/settings"])
def test_every_page_has_a_box_that_leads_to_a_search(banked, path, tags):
    forms = [each for tag, each in tags(banked.get(path).text).found if tag == "form" and each.get("role") == "search"]
    assert forms
    for form in forms:
        answer = banked.get(form["action"], params={"q": "that with"}, follow_redirects=True)
        assert answer.status_code == 200
        assert 'id="found"' in answer.text
