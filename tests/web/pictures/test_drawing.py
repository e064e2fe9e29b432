"""Cards as pictures: size, what stands where, and that nothing of a token is ever markup, a file or an address."""

import itertools
import re
import struct
from xml.etree import ElementTree

import pytest

from app.web.http.site import _find_folder
from app.web.pictures.card import Card, CardRow
from app.web.pictures.drawing import HEIGHT, WIDTH, draw_png, draw_svg, open_lettering
from app.web.view.assets import load_assets
from app.web.view.templating import make_environment
from tests.conftest import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def templates():
    return make_environment(_find_folder("templates"), load_assets(_find_folder("static")), "")


def card_of(*tokens, **more):
    said = {"kicker": "a model", "title": "L1H2 OV 3", "subtitle": "of 8", "verdict": "1 of 4 stands out"}
    return Card(rows=(CardRow("writes +", tokens, "p", is_marked=True),), **(said | more))


def size_of(png):
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def texts_of(svg):
    return ["".join(one.itertext()) for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_card_is_1200_by_630_and_small(templates):
    spectrum = tuple(1 / (n + 1) for n in range(64))
    png = draw_png(templates, card_of(*[f"token{n}" for n in range(10)], spectrum=spectrum, at=3, is_marked=True))
    assert size_of(png) == (WIDTH, HEIGHT) == (1200, 630)
    assert len(png) < 120_000


def test_tokens_stand_in_their_chips_beside_each_other(templates):
    svg = ElementTree.fromstring(draw_svg(templates, card_of("one", "two", "three" * 60, "four")))
    chips = [one for one in svg.iter(f"{SVG}rect") if one.get("rx")]
    spans = [(float(one.get("x")), float(one.get("x")) + float(one.get("width"))) for one in chips]
    assert len(spans) == 3, "what is too long is cut, and what does not fit behind it is left out"
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))
    assert spans[-1][1] <= WIDTH - 60


@pytest.mark.parametrize("token", [*HOSTILE, "&#60;image/>", "]]>", "<![CDATA[", "<image href='file:///etc/passwd'/>"])
def test_a_token_is_text_whatever_it_says(templates, token):
    shown = "".join(one for one in token if one.isprintable())
    svg = draw_svg(templates, card_of(shown, kicker=shown, title=shown, subtitle=shown, verdict=shown))
    allowed = {"svg", "rect", "text", "tspan", "g", "circle"}
    assert {one.tag.removeprefix(SVG) for one in ElementTree.fromstring(svg).iter()} <= allowed
    assert not re.search("href|url\\(", re.sub(">[^<]*<", "><", svg))
    letters = open_lettering()
    if letters.measure(letters.spell(shown), 60) < 1000:
        assert letters.spell(shown) in texts_of(svg)
    assert size_of(draw_png(templates, card_of(shown))) == (1200, 630)


def test_every_script_draws_something_of_its_own(templates):
    blank = draw_png(templates, card_of(" "))
    drawn = {draw_png(templates, card_of(word)) for word in ("мир", "السلام", "שלום", "สวัสดี", "中文")}
    assert len(drawn | {blank}) == 6
