"""Pages of a pinned address: whatever they lead to is of the very weights that they show."""

import re

import pytest

PAGES = [
    "",
    "L1",
    "L1/H2",
    "L1/H2/ov",
    "L1/H2/ov/svd/3?path=L0H1.ov.2p_r-L1H2.ov.3n",
    "L1/H2/ov/svd/3/around",
    "L0/H1/ov/svd/2/around?path=L0H1.ov.2p",
    "L1/H2/full?token=+that",
    "L1/H2/alike",
    "L1/mlp-in",
    "L1/mlp-in/neuron/5/around",
    "L1/mlp-in/compare",
    "embed",
    "census",
    "notable",
    "blind",
    "search",
    "search?q=that,with",
    "search?q=that&order=alignment&kind=ov",
    "search?q=L0H1.ov.2p",
    "search?q=L1H2",
    "suggest?q=L1H2",
    "suggest?q=that",
    "token/70",
    "token/70?all=1",
    "composition",
    "composition?writer=0&reader=1",
]


def lost(tags, html, model, pin):
    """Links, and what a page fetches or sends, that are of the model and name no pin."""
    pattern = re.compile(rf"(?<![\w@.-]){model}(?![\w@.-])")
    return [
        value
        for _, own in tags(html).found
        for name, value in own.items()
        if name in {"href", "action", "hx-get"}
        and value
        and value.startswith("/")
        and not value.startswith("/-/jobs")
        and pattern.search(value)
    ]


@pytest.fixture(scope="module")
def composed(banked):
    """The visitor of a bank that has all that pages of heads beside heads are made of."""
    from tests.explorer.banks import build_bank

    build_bank(banked.app.state.resources, kinds=("composition", "alike"))
    return banked


@pytest.mark.parametrize("page", PAGES)
def test_no_link_of_a_pinned_page_loses_its_pin(composed, tags, pin, page):
    answer = composed.get(f"/tiny@{pin}/{page}".rstrip("/"))
    assert answer.status_code == 200
    assert f"/tiny@{pin}" in answer.text
    assert lost(tags, answer.text, "tiny", pin) == []


@pytest.mark.parametrize(
    "page",
    ["/-/pair?a={0}/L0/H1&b={0}/L1/H2", "/-/pair?a={0}/L0/H1&b={0}/L1/H2&part=key", "/-/compare?a={0}/L0/H1&b=L1H2"],
)
def test_no_link_of_two_pinned_places_loses_their_pin(composed, tags, pin, page):
    answer = composed.get(page.format(f"tiny@{pin}"))
    assert answer.status_code == 200
    assert lost(tags, answer.text, "tiny", pin) == []


@pytest.mark.parametrize("text", ["L1H2 ov 3", "that with", "#70", "L0H1.ov.2p", "census"])
def test_the_jump_box_of_a_pinned_page_keeps_its_pin(composed, pin, text):
    answer = composed.get(f"/tiny@{pin}/jump", params={"q": text})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"/tiny@{pin}/")


def test_json_of_a_pinned_page_has_pinned_places(composed, pin):
    found = composed.get(f"/api/v1/tiny@{pin}/search?q=that").json()
    assert {one["address"].partition("/")[0] for one in found["hits"]} == {f"tiny@{pin}"}
