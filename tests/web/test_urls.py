from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.address import Ray, parse
from app.explorer.pages.directions import Hop
from app.explorer.pages.search import Inquiry
from app.explorer.view import ONLY, PROCESSINGS, SORTS, Choice, View
from app.models.token_filter import EVERY, TokenFilter
from app.store.jobs import Task
from app.web.query.finding import SearchQuery
from app.web.urls.urls import Urls
from tests.pages import BLIND_PAGE, COMPARE_PAGE

URLS = Urls("/lens", "https://lens.example/lens")
HEAD = parse("gpt2/L5/H3")
SEARCHES = st.builds(
    Inquiry,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["theme", "alignment"]),
    st.sampled_from(["svd", "neuron"]),
    st.sampled_from(["", "read", "key"]),
    st.sampled_from(["", "ov", "mlp-in"]),
    st.sampled_from(["", "5", "2-3", "ends"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 8),
)
VIEWS = st.builds(
    View,
    st.sampled_from(PROCESSINGS),
    st.sampled_from(PROCESSINGS),
    st.sampled_from(SORTS),
    st.integers(1, 10_000),
    st.sampled_from(ONLY),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(0, 1_024),
    st.sampled_from([(), (4,), (5, 6)]),
    token_filter=st.builds(
        TokenFilter,
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.integers(0, 10**6),
        st.sampled_from(["dot", "cosine"]),
    ),
)


def test_a_view_of_defaults_leaves_no_query():
    assert URLS.page(HEAD, View("raw", "raw")) == "/lens/gpt2/L5/H3"


@given(VIEWS)
def test_the_query_of_a_table_says_all_that_is_not_the_default(view):
    said = dict(parse_qsl(urlsplit(URLS.page(HEAD, view)).query, keep_blank_values=True))
    assert said.get("weights", view.default_weights) == view.weights
    assert said.get("sort", "order") == view.sort
    assert int(said.get("page", 1)) == view.page
    assert said.get("find", "") == view.find
    assert said.get("only", "all") == view.only
    assert_filtered(said, view.token_filter)


def assert_filtered(said, token_filter):
    assert said.get("readout", "dot") == token_filter.readout
    assert said.get("readout") != "dot"
    filters = {"ascii", "starts", "plain", "frequent"}
    assert {name: int(value) for name, value in said.items() if name in filters} == token_filter.parameters()


@given(VIEWS)
def test_only_tables_keep_sort_page_and_word(view):
    said = dict(parse_qsl(urlsplit(URLS.page(HEAD.at("ov").direction(1), view)).query))
    assert set(said) <= {"weights", "ascii", "starts", "plain", "frequent", "readout"}


@given(VIEWS)
def test_a_token_filter_stays_wherever_a_visit_reads_tokens(view):
    for place in (HEAD, HEAD.at("ov"), HEAD.at("qk").direction(2), parse("gpt2/embed/pca/3")):
        assert_filtered(dict(parse_qsl(urlsplit(URLS.page(place, view)).query)), view.token_filter)
    for place in (parse("gpt2"), HEAD.at_layer(5), parse("gpt2/embed/nmf")):
        assert_filtered(dict(parse_qsl(urlsplit(URLS.page(place, view)).query)), EVERY)
    assert_filtered(dict(parse_qsl(urlsplit(URLS.full(HEAD, view)).query)), EVERY)


@given(VIEWS)
def test_a_distance_stays_with_qk_where_layers_turn(view):
    qk = HEAD.at("qk")
    for place in (HEAD, qk, qk.direction(3)):
        said = dict(parse_qsl(urlsplit(URLS.page(place, view)).query))
        assert int(said.get("distance", 0)) == (0 if 5 in view.unrotated_layers else view.distance)
    for place in (HEAD.at("ov"), HEAD.at("ov").direction(3), HEAD.at_layer(5), parse("gpt2")):
        assert "distance" not in URLS.page(place, view)


@given(VIEWS)
def test_a_form_sends_what_its_page_would_link_to(view):
    link = parse_qsl(urlsplit(URLS.page(HEAD, view)).query, keep_blank_values=True)
    sent = [(name, str(value)) for name, value in URLS.fields(HEAD, view, "find", "page")]
    assert sent == [(name, value) for name, value in link if name not in {"find", "page"}]


@given(VIEWS)
def test_a_pinned_link_always_names_the_weights(view):
    url = urlsplit(URLS.pinned_url(HEAD, "0123abcd", view))
    assert url.netloc == "lens.example"
    assert parse(url.path.removeprefix("/lens/")) == HEAD.with_pin("0123abcd")
    assert dict(parse_qsl(url.query))["weights"] == view.weights


@given(VIEWS)
def test_links_made_at_once_are_those_made_one_by_one(view):
    matrix = HEAD.at("qk")
    found = URLS.directions(matrix, view, (35, *range(12)))
    assert list(found.items()) == [(i, URLS.page(matrix.direction(i), view)) for i in (35, *range(12))]


@given(VIEWS)
def test_choices_made_at_once_change_one_option_and_lead_to_the_first_page(view):
    for name, values in (("sort", SORTS), ("only", ONLY)):
        found = URLS.choices(HEAD, view, name, values)
        assert list(found) == list(values)
        for value, url in found.items():
            said = parse_qsl(urlsplit(url).query, keep_blank_values=True)
            assert dict(said) == dict(
                parse_qsl(urlsplit(URLS.page(HEAD, view, page=1, **{name: value})).query, keep_blank_values=True)
            )
            assert len(said) == len(dict(said))


@pytest.mark.parametrize("link", ["home", "models", "settings", "docs", "openapi", "glossary"])
def test_every_link_is_below_the_root(link):
    assert getattr(URLS, link)().startswith("/lens/")


def test_jobs_have_their_addresses():
    assert URLS.jobs() == "/lens/-/jobs"
    assert URLS.jobs("tiny", live=True) == "/lens/-/jobs?model=tiny&live=true"
    assert URLS.wish("tiny", Task(("ov", "qk"), ("raw",))) == "/lens/-/jobs?model=tiny&matrices=ov%2Cqk&weights=raw"
    assert URLS.job_cancel("0123456789ab") == "/lens/-/jobs/0123456789ab/cancel"
    assert URLS.job_api("0123456789ab") == "/lens/api/v1/-/jobs/0123456789ab"


FIT = (Choice("components", 16, 2, 64, 32), Choice("seed", 0, 0, 9_999, 0))
MATRIX = parse("gpt2/L5/mlp-in")
FITS = st.builds(
    lambda components, seed: (Choice("components", components, 2, 64, 32), Choice("seed", seed, 0, 9_999, 0)),
    st.integers(2, 64),
    st.integers(0, 9_999),
)


def said_by(url):
    return dict(parse_qsl(urlsplit(url).query))


@given(VIEWS, FITS)
def test_a_fit_is_named_by_its_own_parameters_whatever_is_shown(view, fit):
    """And by nothing of another basis: only what differs from the defaults is said."""
    shown = replace(view, basis="dictionary", parameters=(Choice("atoms", 5, 2, 64, 32),))
    for address in (MATRIX.in_basis("nmf"), MATRIX.in_basis("nmf").direction(3)):
        url = URLS.fit(address, shown, fit)
        said = said_by(url)
        assert urlsplit(url).path == f"/lens/{address}"
        assert int(said.get("components", 32)) == fit[0].value
        assert int(said.get("seed", 0)) == fit[1].value
        assert not {"atoms", "page", "distance"} & set(said)
        assert said.get("weights", view.default_weights) == view.weights
    assert URLS.fit(MATRIX.in_basis("pca"), View("raw", "raw"), ()) == "/lens/gpt2/L5/mlp-in/pca"


def test_parameters_stay_within_their_basis():
    shown = View("raw", "raw", basis="nmf", parameters=FIT)
    assert URLS.page(MATRIX.in_basis("nmf"), shown) == "/lens/gpt2/L5/mlp-in/nmf?components=16"
    assert URLS.page(MATRIX.in_basis("nmf").direction(1), shown) == "/lens/gpt2/L5/mlp-in/nmf/1?components=16"
    for other in (MATRIX, MATRIX.in_basis("ica"), MATRIX.in_basis("svd").direction(0), parse("gpt2/L5")):
        assert "components" not in URLS.page(other, shown)


@given(VIEWS)
def test_a_comparison_is_one_page_for_a_matrix_in_any_basis(view):
    plain = URLS.compare(MATRIX, view)
    assert urlsplit(plain).path == "/lens/gpt2/L5/mlp-in/compare"
    assert set(said_by(plain)) <= {"weights"}
    for place in (MATRIX.in_basis("nmf"), MATRIX.in_basis("nmf").direction(4)):
        assert URLS.compare(place, view) == plain
    assert said_by(URLS.compare(MATRIX, view, direction="pca/3", nonzeros=8, first=4)).items() >= {
        ("direction", "pca/3"),
        ("first", "4"),
    }
    assert "nonzeros" not in URLS.compare(MATRIX, view, nonzeros=8)
    assert "direction" not in URLS.compare(MATRIX, view, direction="svd/0")


def test_a_comparison_names_the_fits_that_it_shows():
    fitted = replace(COMPARE_PAGE.bases[0], basis="nmf", parameters=FIT)
    page = replace(COMPARE_PAGE, bases=(*COMPARE_PAGE.bases, fitted))
    numbers = ",".join(str(choice.value) for choice in FIT)
    assert URLS.compare_values(page) == {"nonzeros": 2, "first": 4, "direction": "svd/0", "nmf": numbers}
    other = (replace(FIT[0], value=5), FIT[1])
    assert URLS.compare_values(page, nmf=other)["nmf"] == f"5,{FIT[1].value}"
    assert "nmf" not in URLS.compare_values(COMPARE_PAGE)


def test_a_wish_says_basis_and_parameters():
    task = Task(("embed",), ("raw",), "nmf", (("components", 4), ("seed", 0)))
    url = URLS.wish("tiny", task)
    assert said_by(url) == {
        "model": "tiny",
        "matrices": "embed",
        "weights": "raw",
        "basis": "nmf",
        "components": "4",
        "seed": "0",
    }


def test_rotations_stay_with_singular_directions():
    shown = View("raw", "raw", rotated=True)
    for place in (MATRIX, MATRIX.in_basis("svd").direction(3), HEAD.at("qk")):
        assert URLS.page(place, shown) == f"/lens/{place}?rotated=1"
        assert URLS.page(place, shown, rotated=0) == f"/lens/{place}"
    for place in (HEAD, parse("gpt2/L5"), MATRIX.in_basis("pca"), MATRIX.in_basis("nmf").direction(1)):
        assert URLS.page(place, shown) == f"/lens/{place}"
    assert URLS.compare(MATRIX, shown) == "/lens/gpt2/L5/mlp-in/compare"


def test_a_blind_round_always_names_its_seed():
    assert URLS.blind(BLIND_PAGE, answers="") == "/lens/gpt2/blind?seed=1"
    assert said_by(URLS.blind(BLIND_PAGE, answers="lr", of="readable")) == {
        "seed": "1",
        "answers": "lr",
        "of": "readable",
    }


@given(VIEWS, SEARCHES)
def test_a_search_is_read_as_it_was_written(view, inquiry):
    url = URLS.search(HEAD, view, inquiry)
    assert urlsplit(url).path == "/lens/gpt2/search"
    said = SearchQuery.model_validate(dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)))
    assert said.inquiry() == replace(inquiry, q=said.q)
    assert said.q.split() == inquiry.q.split() or any(ord(character) < 160 for character in inquiry.q)
    assert (said.weights or view.default_weights) == view.weights


@given(VIEWS, SEARCHES)
def test_the_links_of_a_strip_are_the_search_in_one_layer(view, inquiry):
    links = URLS.search_layers(HEAD, view, inquiry, "ov", (0, 3))
    for layer, link in links.items():
        whole = URLS.search(HEAD, view, inquiry, kind="ov", layers=str(layer), page=1)
        assert sorted(parse_qsl(urlsplit(link).query)) == sorted(parse_qsl(urlsplit(whole).query))


def test_a_walk_keeps_its_sign_and_its_weights():
    first, other = parse("gpt2/L5/H3/ov/svd/12"), parse("gpt2/L7/H1/ov/svd/0")
    view = View("raw", "folded")
    link = URLS.walk([Hop(Ray(first, "n"))], "reads", Ray(other, "p"), view)
    assert link == "/lens/gpt2/L7/H1/ov/svd/0?weights=raw&path=L5H3.ov.12n_r-L7H1.ov.0p#p"
    hops = [Hop(Ray(first, "n")), Hop(Ray(other, "p"), "reads")]
    assert URLS.walk_steps(hops, view) == [
        "/lens/gpt2/L5/H3/ov/svd/12?weights=raw&path=L5H3.ov.12n#n",
        link,
    ]
    assert URLS.ray(first, "n", view) == URLS.walk_steps(hops, view)[0]
    assert URLS.ray(first, "p", view) == "/lens/gpt2/L5/H3/ov/svd/12?weights=raw#p"
    assert URLS.around(first, view) == "/lens/gpt2/L5/H3/ov/svd/12/around?weights=raw"


def test_tokens_and_pairs_keep_the_weights():
    view = View("raw", "folded", sort="gap", page=3)
    assert URLS.tokens(parse("gpt2@0123abcd/L5/H3"), view).to(7) == "/lens/gpt2@0123abcd/token/7?weights=raw"
    assert URLS.token(HEAD, 7, view) == "/lens/gpt2/token/7?weights=raw"
    assert URLS.token_box(HEAD) == "/lens/gpt2/token"
    pair = URLS.pair(HEAD, parse("gpt2/L7/H1"), "key", view)
    assert pair == "/lens/-/pair?a=gpt2/L5/H3&b=gpt2/L7/H1&weights=raw&part=key"
    assert URLS.pair(HEAD, parse("gpt2/L7/H1")) == "/lens/-/pair?a=gpt2/L5/H3&b=gpt2/L7/H1"
