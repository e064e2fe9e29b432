import dataclasses
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

from app.core.address import parse
from app.explorer import pages
from app.web.view.templating import (
    PAGE_TEMPLATES,
    describe_norms,
    distances,
    escape_bib,
    format_moment,
    group_by_circuit,
    trail_of,
)
from tests.pages import MODEL

TEMPLATES = Path(__file__).parents[3] / "templates"
SOURCES = {path.relative_to(TEMPLATES).as_posix(): path.read_text() for path in TEMPLATES.rglob("*.*")}


def test_every_page_value_has_its_templates():
    rooms = [import_module(found.name) for found in pkgutil.walk_packages(pages.__path__, "app.explorer.pages.")]
    named = {name: value for room in rooms for name, value in vars(room).items()}
    kinds = {value for name, value in named.items() if name.endswith("Page") and dataclasses.is_dataclass(value)}
    assert set(PAGE_TEMPLATES) == kinds
    for picture in PAGE_TEMPLATES.values():
        assert picture.whole in SOURCES
        assert picture.fragment is None or picture.fragment in SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_templates_trust_nothing_and_need_no_exception_from_the_policy(name):
    source = SOURCES[name]
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", source)
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:|hx-on|hx-vals=.js:", source)
    assert re.findall(r"<script(?![^>]* src=)", source) == []
    assert not re.search(r"https?://", source.replace('xmlns="http://www.w3.org/2000/svg"', ""))  # a picture's own name


@pytest.mark.parametrize("kind", [kind for kind, picture in PAGE_TEMPLATES.items() if picture.fragment])
def test_a_whole_page_includes_its_fragment(kind):
    picture = PAGE_TEMPLATES[kind]
    assert f'{{% include "{picture.fragment}" %}}' in SOURCES[picture.whole]


def test_the_trail_leads_from_the_model_to_the_place():
    places = trail_of(parse("gpt2@0123abcd/L5/H3/ov/svd/12"))
    assert [str(place) for place in places] == [
        "gpt2@0123abcd",
        "gpt2@0123abcd/L5",
        "gpt2@0123abcd/L5/H3",
        "gpt2@0123abcd/L5/H3/ov",
        "gpt2@0123abcd/L5/H3/ov/svd/12",
    ]


def test_scores_are_grouped_by_circuit_in_their_order():
    assert group_by_circuit(("copying", "ov-top", "ov-first-share", "qk-top")) == [
        ("", ["copying"]),
        ("OV", ["ov-top", "ov-first-share"]),
        ("QK", ["qk-top"]),
    ]


def test_a_moment_is_the_same_everywhere():
    assert format_moment(0) == "1970-01-01 00:00:00 UTC"
    assert format_moment(1764772863.9) == "2025-12-03 14:41:03 UTC"


def test_no_text_ends_a_bibtex_field_early():
    assert not re.search(r"(?<!\\)[{}]", escape_bib("}, url = {evil} \\} 100%"))


def test_the_distances_that_are_offered_are_those_that_can_be_asked_for():
    assert distances(31) == [0, 1, 2, 4, 8, 16]
    assert distances(1024)[-1] == 1024
    assert distances(1023)[-1] == 256


def test_norms_are_named_with_their_places():
    plain = MODEL
    assert describe_norms(plain) == "LayerNorm before attention"
    olmo2 = dataclasses.replace(plain, normalization="RMS", reads_normed=False, post_norm=True, qk_norm="RMS")
    assert describe_norms(olmo2) == "RMSNorm after attention, of queries and keys"
    assert describe_norms(dataclasses.replace(plain, encoder=True)) == "LayerNorm after attention, on the stream"
