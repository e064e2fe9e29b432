from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.address import parse
from app.explorer.pages import PROCESSINGS, SORTS, View
from app.web.urls import Urls

URLS = Urls("/lens", "https://lens.example/lens")
HEAD = parse("gpt2/L5/H3")
VIEWS = st.builds(
    View,
    st.sampled_from(PROCESSINGS),
    st.sampled_from(PROCESSINGS),
    st.sampled_from(SORTS),
    st.integers(1, 10_000),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(0, 1_024),
    st.sampled_from([(), (4,), (5, 6)]),
)


def test_a_view_of_defaults_leaves_no_query():
    assert URLS.page(HEAD, View("raw", "raw")) == "/lens/gpt2/L5/H3"


@given(VIEWS)
def test_the_query_of_a_table_says_all_that_is_not_the_default(view):
    said = dict(parse_qsl(urlsplit(URLS.page(HEAD, view)).query, keep_blank_values=True))
    assert said.get("weights", view.default_weights) == view.weights
    assert said.get("sort", "strength") == view.sort
    assert int(said.get("page", 1)) == view.page
    assert said.get("find", "") == view.find


@given(VIEWS)
def test_only_tables_keep_sort_page_and_word(view):
    said = dict(parse_qsl(urlsplit(URLS.page(HEAD.at_circuit("ov").direction(1), view)).query))
    assert set(said) <= {"weights"}


@given(VIEWS)
def test_a_distance_stays_with_qk_where_layers_turn(view):
    qk = HEAD.at_circuit("qk")
    for place in (HEAD, qk, qk.direction(3)):
        said = dict(parse_qsl(urlsplit(URLS.page(place, view)).query))
        assert int(said.get("distance", 0)) == (0 if 5 in view.still else view.distance)
    for place in (HEAD.at_circuit("ov"), HEAD.at_circuit("ov").direction(3), HEAD.at_layer(5), parse("gpt2")):
        assert "distance" not in URLS.page(place, view)


@given(VIEWS)
def test_a_form_sends_what_its_page_would_link_to(view):
    link = parse_qsl(urlsplit(URLS.page(HEAD, view)).query, keep_blank_values=True)
    sent = [(name, str(value)) for name, value in URLS.fields(HEAD, view, "find", "page")]
    assert sent == [(name, value) for name, value in link if name not in {"find", "page"}]


@given(VIEWS)
def test_a_pinned_link_always_names_the_weights(view):
    url = urlsplit(URLS.pinned(HEAD, "0123abcd", view))
    assert url.netloc == "lens.example"
    assert parse(url.path.removeprefix("/lens/")) == HEAD.pinned("0123abcd")
    assert dict(parse_qsl(url.query))["weights"] == view.weights


@given(VIEWS)
def test_links_made_at_once_are_those_made_one_by_one(view):
    matrix = HEAD.at_circuit("qk")
    assert URLS.directions(matrix, view, 12) == [URLS.page(matrix.direction(i), view) for i in range(12)]


@pytest.mark.parametrize("link", ["home", "models", "settings", "docs", "openapi", "glossary"])
def test_every_link_is_below_the_root(link):
    assert getattr(URLS, link)().startswith("/lens/")


def test_jobs_have_their_addresses():
    assert URLS.jobs() == "/lens/-/jobs"
    assert URLS.jobs("tiny", live=True) == "/lens/-/jobs?model=tiny&live=true"
    assert URLS.wish("tiny", ("ov", "qk"), ("raw",)) == "/lens/-/jobs?model=tiny&circuits=ov%2Cqk&weights=raw"
    assert URLS.job_cancel("0123456789ab") == "/lens/-/jobs/0123456789ab/cancel"
    assert URLS.job_api("0123456789ab") == "/lens/api/v1/-/jobs/0123456789ab"
