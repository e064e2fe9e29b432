"""Surroundings, tokens and pairs over HTTP: the pages, their parts and their JSON twins."""

import re
import shutil

import pytest

from app.core.address import parse
from app.explorer.reading.finding.bank import open_bank
from app.explorer.resources import close_resources, open_resources
from app.store.jobs import JobStore, Task
from app.web.view.numbers import cell
from tests.answers import check_answer
from tests.explorer.banks import build_bank, plant_edges
from tests.workers import SETTINGS

PART = {"HX-Request": "true", "HX-Request-Type": "partial"}
DIRECTION = "/tiny/L0/H1/ov/svd/2"


@pytest.fixture(scope="module")
def banked_data(tiny_data, tmp_path_factory):
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("banked") / "data")
    r = open_resources(data=data, **SETTINGS)
    plant_edges(r, build_bank(r, kinds=("bank", "words", "tokens", "readings")))
    close_resources(r)
    return data


@pytest.fixture(scope="module")
def banked(serve, banked_data):
    return serve(banked_data, "tiny")


@pytest.fixture(scope="module")
def hostile_banked(serve, hostile_data, tmp_path_factory):
    data = shutil.copytree(hostile_data, tmp_path_factory.mktemp("hostile") / "data")
    r = open_resources(data=data, **(SETTINGS | {"models": ("hostile",)}))
    build_bank(r, "hostile", kinds=("bank", "words", "tokens", "readings"))
    close_resources(r)
    return serve(data, "hostile")


def links(tags, html):
    return [own["href"] for tag, own in tags(html).found if tag == "a" and own.get("href", "").startswith("/")]


@pytest.mark.parametrize(
    "path",
    [
        f"{DIRECTION}/around",
        "/tiny/L1/H2/qk/svd/1/around?path=L0H1.ov.2n_r-L1H2.qk.1p",
        "/tiny/L1/mlp-in/neuron/5/around",
        "/tiny/token/70",
        "/tiny/token/70?all=1",
        "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2&part=key",
        f"{DIRECTION}?path=L1H2.qk.1p_w-L0H1.ov.2n",
    ],
)
def test_no_link_leads_nowhere(banked, tags, path):
    html = banked.get(path).text
    places = {link.partition("#")[0] for link in links(tags, html)}
    assert len(places) > 10
    for link in sorted(places):
        assert banked.get(link).status_code in {200, 202, 303, 307}, link


def test_a_direction_says_where_its_surroundings_are_and_they_come_alone(banked, tags):
    page = banked.get(DIRECTION).text
    (lazy,) = [own for tag, own in tags(page).found if own.get("id") == "around"]
    assert lazy["hx-get"] == f"{DIRECTION}/around"
    assert f'href="{lazy["hx-get"]}"' in page  # without JavaScript
    alone = banked.get(lazy["hx-get"], headers=PART | {"HX-Target": "section#around"}).text
    assert alone.lstrip().startswith('<section class="around" id="around"')
    assert alone.strip() in banked.get(lazy["hx-get"]).text
    assert "nothing here was run" in alone
    assert "influence" not in alone


def test_a_walk_is_a_strip_and_a_link_to_send(banked, tags, pin):
    places = [f"L0H{head}.ov.{index}" for head in range(4) for index in range(8)]
    pages = (
        (at, banked.get(f"/tiny/{at.replace('H', '/H').replace('.ov.', '/ov/svd/')}/around").text) for at in places
    )
    at, onward = next((at, link) for at, html in pages for link in links(tags, html) if f"path={at}p_" in link)
    page = banked.get(onward.partition("#")[0]).text
    assert '<nav class="path"' in page
    strip = page.split('<nav class="path"')[1].split("</nav>")[0]
    first, last, _ = links(tags, strip)
    assert first == f"/tiny/{at.replace('H', '/H').replace('.ov.', '/ov/svd/')}#p"
    assert last == onward
    assert f"tiny@{pin}" in page
    assert f"path={at}p_" in page.split('id="link"')[1].split(">")[0]
    assert '<nav class="path"' not in banked.get(DIRECTION).text


NAMED = re.compile(r'<a href="([^"]+)">[^<]* <b class="([pn])">')


def listed(html):
    """Address -> sign, link of all that is named in the lists around a direction; the links' own signs are the labels'."""
    found = {}
    for link, sign in NAMED.findall(html.split('class="sides"')[1]):
        place, _, end = link.partition("#")
        assert end == sign, link
        assert place.endswith(sign) if "path=" in place else sign == "p", link
        found[place.partition("?")[0]] = (sign, link)
    return found


@pytest.mark.parametrize("sign", ["p", "n"])
def test_the_way_back_from_whatever_is_around_an_end_leads_to_that_end(banked, sign):
    back = 0
    for head in range(4):
        for index in range(8):
            place, ray = f"/tiny/L0/H{head}/ov/svd/{index}", f"L0H{head}.ov.{index}{sign}"
            html = banked.get(f"{place}/around?path={ray}").text
            for _, link in listed(html).values():
                query = link.partition("?")[2].partition("#")[0]
                assert query.startswith(f"path={ray}_")
                other = listed(banked.get(f"{link.partition('?')[0]}/around?{query}").text)
                if place in other:
                    back += 1
                    assert other[place] == (sign, f"{place}{'?path=' + ray if sign == 'n' else ''}#{sign}")
    assert back


def test_of_a_minus_end_everything_says_so_without_a_fragment(banked, tags):
    html = banked.get(f"{DIRECTION}?path=L0H1.ov.2n").text
    assert html.index('id="n"') < html.index('id="p"')
    (lazy,) = [own for tag, own in tags(html).found if own.get("id") == "around"]
    assert lazy["hx-get"] == f"{DIRECTION}/around?path=L0H1.ov.2n"
    assert "path=L0H1.ov.2n" in html.split('id="link"')[1].split(">")[0]
    part = banked.get(lazy["hx-get"], headers=PART | {"HX-Target": "section#around"}).text
    assert "of its − end" in " ".join(re.sub("<[^>]*>", "", part.split("</h2>")[0]).split())
    assert f'href="{DIRECTION}#p"' in part
    assert f'href="{DIRECTION}?path=L0H1.ov.2n#n"' in banked.get(f"{DIRECTION}/around").text


def test_every_link_to_a_minus_end_says_so_to_the_server(banked, tags):
    for path in ("/tiny/token/70?all=1", "/tiny/search?q=+that", "/tiny/notable", "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2"):
        ends = [link for link in links(tags, banked.get(path).text) if link.endswith("#n")]
        assert all(re.search(r"path=\S+n#n$", link) for link in ends), path
    assert [link for link in links(tags, banked.get("/tiny/token/70?all=1").text) if link.endswith("#n")]


@pytest.mark.parametrize(
    "path", ["nonsense", "L9H9.ov.0p", "<script>alert(1)</script>", "x" * 5_00, "%ED%A0%80", "%00"]
)
def test_a_path_that_is_none_is_a_sentence(banked, path):
    for place in (DIRECTION, f"{DIRECTION}/around"):
        answer = banked.get(f"{place}?path={path}")
        assert answer.status_code == 422
        assert "<script>alert" not in answer.text


def test_twins_have_the_form_that_is_described_and_say_what_pages_say(banked, tags):
    told = banked.get(f"/api/v1{DIRECTION}/around").json()
    check_answer("surroundings", told)
    html = banked.get(f"{DIRECTION}/around").text
    for side in told["sides"]:
        for name in ("neighbours", "others", "neurons"):
            for one in side[name]["found"]:
                assert f"/{one['address']}?path=" in html
    token = banked.get("/api/v1/tiny/token/70").json()
    check_answer("token", token)
    page = banked.get("/tiny/token/70?all=1").text
    shown = {link.partition("#")[0].partition("?")[0] for link in links(tags, page)}
    assert {f"/{one['address']}" for group in token["groups"] for one in group["rays"]} <= shown
    pair = banked.get("/api/v1/-/pair?a=tiny/L0/H1&b=tiny/L1/H2").json()
    check_answer("pair", pair)
    assert pair["page"] == "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2"
    assert f"{pair['whole']:.2f}" in banked.get(pair["page"]).text


def test_what_takes_longer_of_a_token_comes_by_itself(banked, tags):
    page = banked.get("/tiny/token/70").text
    (lazy,) = [own for tag, own in tags(page).found if own.get("id") == "groups"]
    alone = banked.get(lazy["hx-get"], headers=PART | {"HX-Target": "section#groups"}).text
    assert "Neurons that write it" in alone
    assert "hx-get" not in alone
    assert "Neurons that write it" not in page
    assert f'href="{lazy["hx-get"]}"' in page


def test_a_text_leads_to_its_token_and_a_head_to_its_full_circuits(banked):
    for text in ("+that", "%C2%B7that"):
        answer = banked.get(f"/tiny/token?text={text}&weights=raw")
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/tiny/token/")
        assert answer.headers["Location"].endswith("?weights=raw")
    assert banked.get("/tiny/token/70?head=l1h2").headers["Location"] == "/tiny/L1/H2/full?token=%2370"
    assert banked.get("/tiny/token/70?head=nonsense").status_code == 422
    refused = banked.get("/tiny/token?text=THAT")
    assert refused.status_code == 422
    assert "text=+that" in refused.text  # a link to what may have been meant


@pytest.mark.parametrize("id_", ["304", "99999999999", "-1", "007", "x", "\u0663", "%3Cb"])
def test_an_id_that_is_none_is_a_page_that_says_so(banked, id_):
    for start in ("/tiny", "/api/v1/tiny"):
        assert banked.get(f"{start}/token/{id_}").status_code == 404


def test_chips_lead_to_tokens_in_the_weights_that_are_looked_at(banked, tags):
    for path in ("/tiny/L1/H2", "/tiny/L1", DIRECTION, "/tiny/L1/H2/full?token=+that"):
        for weights in ("", "raw"):
            separator = "&" if "?" in path else "?"
            found = tags(banked.get(f"{path}{separator}weights={weights}" if weights else path).text).found
            to_tokens = [own for tag, own in found if tag == "a" and "/token/" in own.get("href", "")]
            assert to_tokens
            assert all(own["href"].endswith("?weights=raw") == bool(weights) for own in to_tokens)


def test_tables_have_no_stop_of_the_tab_key_for_a_chip_and_lists_have(banked, tags):
    def stops(path):
        found = tags(banked.get(path).text).found
        return [own for tag, own in found if tag == "a" and "/token/" in own.get("href", "") and "tabindex" not in own]

    assert not stops("/tiny/L1/H2")
    assert stops(DIRECTION)


def test_hostile_tokens_stay_text(hostile_banked, tags):
    for id_ in range(40):
        answer = hostile_banked.get(f"/hostile/token/{id_}?all=1")
        assert answer.status_code in {200, 404}
        found = tags(answer.text).found
        assert not [tag for tag, _ in found if tag == "img"]
        assert all("src" in own for tag, own in found if tag == "script")
    for place in ("L0/H1/ov/svd/2/around", "L1/H2/qk/svd/1/around"):
        found = tags(hostile_banked.get(f"/hostile/{place}").text).found
        assert not [tag for tag, _ in found if tag == "img"]


RESTED = [
    "/tiny/token/70",
    f"{DIRECTION}/around",
    "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2",
    "/tiny/search?q=that",
    "/tiny/composition",
    "/tiny/L1/H2/alike",
]
"""Pages that rest on what only precomputing builds."""


@pytest.mark.parametrize("path", RESTED)
def test_what_is_not_built_is_one_sentence_to_people_and_one_error_to_programs(client, path):
    page = client.get(path)
    assert page.status_code == 200
    assert "<code>singular-lens precompute tiny --matrices bank</code>" in page.text
    assert 'action="/tiny/jump"' in page.text
    assert '<a href="/tiny">tiny</a>' in page.text  # where one is
    twin = client.get(f"/api/v1{path}")
    assert (twin.status_code, twin.json()["error"]) == (404, "not_built")
    assert "singular-lens precompute tiny --matrices bank builds it" in twin.json()["detail"]


def test_a_job_that_may_be_building_it_is_linked(serve, fresh_data):
    store = JobStore(fresh_data / "jobs")
    job = store.new("tiny", task=Task(("bank",)))
    client = serve(fresh_data, "tiny")
    with store.hold_job(job.id):
        store.write(job)
        for path in RESTED:
            assert f'href="/-/jobs/{job.id}"' in client.get(path).text, path
    assert "/-/jobs/" not in client.get(RESTED[0]).text


def test_a_list_by_cs_keeps_the_path_to_the_pair_and_on(banked, tags):
    html = banked.get(f"{DIRECTION}/around?path=L0H1.ov.2n").text
    readers = links(tags, html.split('<p class="readers">')[1].split("</p>")[0])
    (to_pair,) = [link for link in readers if "b=tiny/L1/H3" in link]
    assert to_pair == "/-/pair?a=tiny/L0/H1&b=tiny/L1/H3&path=L0H1.ov.2n"
    page = banked.get(to_pair).text
    assert "CS 9.0" in page  # what the value takes in; the other number is of the whole circuit
    own = page.split("<tbody>")[1].split("</tbody>")[0]
    back, on = [link for link in links(tags, own) if "path=" in link and "/token/" not in link][:2]
    assert back == f"{DIRECTION}?path=L0H1.ov.2n#n"
    assert "path=L0H1.ov.2n_r-L1H3." in on
    told = banked.get(f"/api/v1{to_pair}").json()
    assert told["passage"]["taken_in"] == 9
    assert (told["passage"]["ray"], told["path"]) == ("n", ["L0H1.ov.2n"])
    assert told["page"] == to_pair
    # And from what reads to what is read.
    for index in range(8):
        html = banked.get(f"/tiny/L1/H3/ov/svd/{index}/around").text
        whole = html.split("Read by the whole value")[1].split("</ol>")[0]
        assert f'href="{DIRECTION}?path=L1H3.ov.{index}p_w-L0H1.ov.2' in whole
        listed(f'class="sides"{whole}')


def test_two_heads_are_asked_for_where_they_are_not_named(banked):
    for path in ("/-/pair", "/-/pair?a=tiny/L0/H1", "/-/pair?a=&b=&part=key"):
        answer = banked.get(path)
        assert answer.status_code == 200
        assert '<form class="finder" action="/-/pair">' in answer.text
    assert 'value="tiny/L0/H1"' in banked.get("/-/pair?a=tiny/L0/H1").text
    assert banked.get("/-/pair?a=tiny/L0/H1&b=L1H2").status_code == 200
    assert banked.get("/api/v1/-/pair").status_code == 422


def test_a_direction_says_its_gain_as_lists_do(banked):
    r = banked.app.state.resources
    bank = open_bank(r, r.library.model("tiny"), "folded")
    for place in ("L0/H1/ov/svd/2", "L0/H1/ov/svd/7", "L1/mlp-in/neuron/5"):
        shown = re.search(r">gain</a> <b>([^<]*)</b>", banked.get(f"/tiny/{place}").text)
        assert shown[1] == cell(float(bank.rows.gain[bank.find(parse(f"tiny/{place}"), 0)])), place
    assert ">gain</a> <b>" not in banked.get("/tiny/L0/mlp-in/pca/0").text


def test_of_a_token_what_stands_out_comes_first_and_tokens_before_numbers(banked):
    for id_ in range(40, 80):
        html = banked.get(f"/tiny/token/{id_}?all=1").text
        assert not re.search(r">1 (neurons|that (write|read) )", html)
        standing = [n != "None" for n in re.findall(r'<p class="quieter">.*? (\S+) of \S+ beyond chance', html)]
        assert len(standing) == 6
        assert standing == sorted(standing, reverse=True), id_
    for row in html.split("<tbody>")[1].split("</tbody>")[0].split("</tr>")[:-1]:
        assert row.index('class="chip') if 'class="chip' in row else row.index("<bdi") < row.index('data-of="z"')


def test_tokens_and_pairs_have_a_link_to_send(banked, tags, pin):
    for path in ("/tiny/token/70", "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2&part=key&path=L0H1.ov.2n"):
        page = banked.get(path).text
        assert 'data-copy="link"' in page
        (own,) = [own for _, own in tags(page).found if own.get("id") == "link"]
        assert f"tiny@{pin}" in own["value"]
        assert "weights=folded" in own["value"]
        link = own["value"].partition("://")[2].partition("/")[2]
        assert "tiny@" not in link.replace(f"tiny@{pin}", "")
        assert banked.get(f"/{link}").status_code == 200
    assert link.endswith("&part=key&path=L0H1.ov.2n")
