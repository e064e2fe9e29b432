"""Lists of places, which their links hold: what they show, how they are put in another order, their cards."""

import re
import shutil
import struct
from html import unescape

import pytest

OF = "tiny/L1/H2/ov/svd/3,tiny/L0/H1,tiny/embed/svd/1~raw"


def words_of(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def names_of(html):
    return re.findall(r'<h2><a href="[^"]+">([^<]+)</a>', html)


def test_it_shows_its_places_in_their_order_with_tokens(client):
    own = client.get("/api/v1/tiny/L1/H2/ov/svd/3").json()
    page = client.get("/-/list", params={"title": "Three of them", "of": OF})
    assert page.status_code == 200
    assert '<h1 dir="auto">Three of them</h1>' in page.text
    assert names_of(page.text)[:2] == ["L1H2 OV 3", "L0H1"]
    assert len(names_of(page.text)) == 3
    first = page.text[page.text.index('id="place-1"') : page.text.index('id="place-2"')]
    shown = [unescape(token) for token in re.findall(r'<bdi class="chip[^"]*">([^<]*)</bdi>', first)]
    assert len(shown) == 8 * sum(bool(own[side][ray]) for side in ("left", "right") for ray in ("plus", "minus"))
    assert "noindex" in page.text


def test_what_is_not_computed_yet_stands_without_tokens(serve, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    cold = serve(data, "tiny", wait_seconds=0)
    page = cold.get("/-/list?of=tiny/L0/H1")
    assert (page.status_code, names_of(page.text)) == (200, ["L0H1"])
    assert "Not computed here yet" in words_of(page.text)
    assert cold.get("/-/list/card.png?of=tiny/L0/H1").headers["cache-control"] == "no-store"


def test_its_link_is_the_list_and_moves_and_removes(client):
    page = client.get("/-/list", params={"title": "a b", "of": OF}).text
    link = unescape(re.search(r'id="link" value="http://testserver([^"]+)"', page)[1])
    assert link == f"/-/list?title=a+b&of={OF}"
    assert names_of(client.get(link).text) == names_of(page)
    first, second, third = names_of(page)

    def follow(label):
        return names_of(
            client.get(unescape(re.search(rf'href="([^"]+)" rel="nofollow" aria-label="{label}"', page)[1])).text
        )

    assert follow(f"Move {second} up") == [second, first, third]
    assert follow(f"Move {second} down") == [first, third, second]
    assert follow(f"Remove {first}") == [second, third]
    assert f'aria-label="Move {first} up"' not in page
    assert f'aria-label="Move {third} down"' not in page


def test_its_card_is_of_its_places(client):
    page = client.get("/-/list", params={"title": "Three", "of": OF}).text
    picture = unescape(re.search(r'property="og:image" content="http://testserver([^"]+)"', page)[1])
    card = client.get(picture)
    assert card.headers["content-type"] == "image/png"
    assert struct.unpack(">II", card.content[16:24]) == (1200, 630)
    other = client.get(picture.replace("title=Three", "title=Four"))
    assert other.content != card.content
    framed = client.get("/-/list", params={"title": "Three", "of": OF, "embed": "1"})
    assert "frame-ancestors *" in framed.headers["content-security-policy"]
    assert "<form" not in framed.text.partition("<dialog")[0]


@pytest.mark.parametrize(
    ("of", "n", "said"),
    [
        ("", 0, "Nothing is on this list yet"),
        (",, ,", 0, "Nothing is on this list yet"),
        ("tiny/L1/H2,tiny/L1/H2", 1, "1 place."),
        ("tiny/L9/H2,tiny/L1/H2", 1, "'tiny/L9/H2' is no place here"),
        ("none/L1,tiny/L1/H2~other,<b>", 0, "are no place here"),
        ("http://testserver/tiny/L1/H2\ntiny/L1/H2/,tiny/L1/H2~folded", 1, "1 place."),
        ("tiny,tiny/L1,tiny/L1/mlp-in", 3, "3 places"),
    ],
)
def test_what_is_no_place_is_named_and_the_rest_stays(client, of, n, said):
    page = client.get("/-/list", params={"of": of})
    assert page.status_code == 200
    assert len(names_of(page.text)) == n
    assert said in words_of(page.text)
    typed = unescape(re.search(r'name="of" value="([^"]*)"', page.text)[1])
    assert {name.partition("~")[0] for name in re.split(r"[,\s]+", of) if name and "no place" in said} <= {
        name.partition("~")[0] for name in typed.split(",")
    }, "what was typed stays in its box"
    assert "<b>&lt;" not in page.text


def test_too_many_are_refused_with_how_many_may_be(client):
    answer = client.get("/-/list", params={"of": ",".join(f"tiny/L0/H{n}" for n in range(51))})
    assert answer.status_code == 422
    assert "These are 51 places" in words_of(answer.text)
    assert client.get("/-/list", params={"of": "x" * 1801}).status_code == 422


def test_the_notes_are_the_browsers_own(client):
    page = client.get("/-/notes")
    assert page.status_code == 200
    assert "this server keeps nothing of them" in words_of(page.text)
    assert "need JavaScript" in words_of(page.text)
    assert 'data-address="tiny/L1/H2/ov"' in client.get("/tiny/L1/H2/ov").text
    assert 'data-address="tiny/L1/H2/ov~raw"' in client.get("/tiny/L1/H2/ov?weights=raw").text
