"""What a notebook shows of a page: tokens as text, and nothing that a browser would act upon."""

from html.parser import HTMLParser

import pytest

from app.client.picture import draw
from app.client.text import spell
from tests.conftest import HOSTILE

ALLOWED = {"p", "a", "table", "thead", "tbody", "tr", "th", "td", "code"}


class Seen(HTMLParser):
    """Elements, their attributes, and the text of a piece of HTML."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.attributes, self.text = set(), [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def assert_harmless(html):
    seen = Seen(html)
    assert seen.elements <= ALLOWED
    assert {name for name, _ in seen.attributes} <= {"href", "scope"}
    assert all(value.startswith(("http://", "https://")) for name, value in seen.attributes if name == "href")
    assert seen.text.isprintable()
    return seen


@pytest.mark.parametrize(
    "path",
    [
        "hostile",
        "hostile/L1",
        "hostile/L1/H2",
        "hostile/L1/H2/qk",
        "hostile/L1/H2/ov/svd/1",
        "tiny/search?q=that",
        "tiny/token/70",
    ],
)
def test_pages_are_drawn_without_harm(lens, path):
    page = lens[path]
    seen = assert_harmless(page._repr_html_())
    assert page.url in [value for _, value in seen.attributes]


def test_tokens_of_a_matrix_are_told(lens):
    page = lens["tiny/L1/H3/ov"]
    seen = assert_harmless(page._repr_html_())
    first = page.directions[0]["right"]["plus"][0]["token"]
    assert spell(first).replace(" ", "·") in seen.text
    assert all(f"{side} {sign}" in seen.text for side in ("read", "write") for sign in "+−")


def test_what_a_prompt_says_next_is_told(lens):
    page = lens.prompt("tiny", "And God said that")
    assert spell(page.next[0]["token"]).replace(" ", "·") in assert_harmless(page._repr_html_()).text


@pytest.mark.parametrize("attack", HOSTILE)
def test_whatever_a_server_sends_is_text(attack):
    token = {"token": attack, "id": attack, "chance": attack}
    side = {"side": attack, "plus": [token], "minus": [token, 3, None]}
    direction = {"index": attack, "singular_value": attack, "left": side, "right": side}
    matrix = {"directions": [direction], "singular_values": [], "label": attack, "weights": attack}
    for json in (
        matrix,
        {"ov": matrix, "qk": {"directions": [{"left": attack}]}},
        {"left": side, "right": side},
        {"hits": [{"address": attack, "ray": attack, "side": attack, "theme": attack, "tokens": [token]}]},
        {"next": [token]},
        {attack: attack},
        {"directions": attack, "hits": {attack: attack}, "next": [attack], "ov": 1, "label": [attack]},
    ):
        assert_harmless(draw(json, attack, "https://lens.example/tiny"))


def test_long_lists_are_cut():
    json = {"next": [{"token": "x" * 1000, "chance": 0.5}] * 100}
    html = draw(json, "tiny/p/0", "")
    assert len(html) < 2500
    assert "and 88 more" in html
