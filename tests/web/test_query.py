import pytest
from pydantic import ValidationError

from app.core.basis import BASES
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption
from app.models.token_filter import TokenFilter
from app.web.query.form import ViewQuery
from app.web.query.jobs import JobsQuery, WishQuery
from app.web.query.matrix import (
    PARAMETERS,
    BasisQuery,
    CompareQuery,
    DirectionQuery,
    FitQuery,
    PageQuery,
    TableQuery,
    TokenQuery,
)
from app.web.query.model import BlindQuery, CensusQuery, JumpQuery, MapQuery
from app.web.query.using import LinearQuery

NAMES = {parameter.name for basis in BASES.values() for parameter in basis.parameters}


def test_every_parameter_of_every_basis_can_be_said():
    assert set(PARAMETERS) == set(FitQuery.model_fields) == NAMES
    assert len(PARAMETERS) == len(NAMES)
    assert all(FitQuery.model_fields[name].description.endswith(".") for name in NAMES)


def test_what_is_not_said_is_left_to_the_basis():
    assert FitQuery().parameters() == dict.fromkeys(PARAMETERS)
    assert FitQuery(components=3, seed=0).parameters() == dict.fromkeys(PARAMETERS) | {"components": 3, "seed": 0}


@pytest.mark.parametrize("value", [2.5, "many", "1e3", ""])
@pytest.mark.parametrize("name", sorted(NAMES - {"statistics"}))
def test_only_whole_numbers_are_parameters(name, value):
    with pytest.raises(ValidationError, match=name):
        FitQuery(**{name: value})


def test_pages_of_matrices_take_weights_and_parameters():
    options = BasisQuery(weights="raw", atoms=7).options()
    assert (options.weights, options.parameters["atoms"], options.parameters["seed"]) == ("raw", 7, None)
    assert options == Options(weights="raw", parameters=options.parameters)


def test_tables_and_pages_keep_them():
    for query in (TableQuery, PageQuery):
        options = query(weights="raw", groups=5, sort="gap", page=3, find="a", distance=2).options()
        assert options.parameters["groups"] == 5
        assert (options.sort, options.page, options.find, options.distance) == ("gap", 3, "a", 2)


def test_a_wish_says_its_model_and_may_leave_the_rest():
    wish = WishQuery(model="tiny")
    assert (wish.weights, wish.matrices, wish.basis) == (None, None, None)
    with pytest.raises(ValidationError, match="model"):
        WishQuery()


@pytest.mark.parametrize(("name", "most"), [("model", 64), ("weights", 40), ("matrices", 400), ("basis", 40)])
def test_the_words_of_a_wish_are_no_longer_than_any_could_be(name, most):
    said = {"model": "tiny"}
    assert WishQuery(**said | {name: "x" * most})
    with pytest.raises(ValidationError, match=name):
        WishQuery(**said | {name: "x" * (most + 1)})


def test_a_comparison_has_its_defaults():
    query = CompareQuery()
    assert (query.nonzeros, query.first, query.direction) == (8, 16, "svd/0")
    assert query.wanted_fits() == {}
    with pytest.raises(ValidationError):
        CompareQuery(direction="x" * 41)


def test_a_comparison_may_name_its_fits():
    query = CompareQuery(nmf="32,0", dictionary="512,8,3")
    assert query.wanted_fits() == {"nmf": (32, 0), "dictionary": (512, 8, 3)}


@pytest.mark.parametrize("basis", ["nmf", "ica", "dictionary"])
@pytest.mark.parametrize("said", ["", "a", "-1,0", "1,", ",1", "1 2", "1.5", "٣,0", "1,2\n", "1234567", "1,2,3,4,5"])
def test_a_fit_is_named_by_numbers_and_commas(basis, said):
    with pytest.raises(ValidationError, match=basis):
        CompareQuery(**{basis: said})


FILTERS = ("ascii", "starts", "plain", "frequent", "readout", "rotated")
HEEDLESS = (
    BlindQuery,
    CensusQuery,
    CompareQuery,
    FitQuery,
    JobsQuery,
    JumpQuery,
    LinearQuery,
    MapQuery,
    TokenQuery,
    ViewQuery,
    WishQuery,
)


@pytest.mark.parametrize("query", HEEDLESS, ids=lambda query: query.__name__)
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_that_a_page_would_not_heed_is_refused(query, name):
    assert name not in query.model_fields
    with pytest.raises(BadOption, match=f"^{name} means nothing here. Valid: ") as refused:
        query(**{name: "1"})
    assert all((field.alias or valid) in str(refused.value) for valid, field in query.model_fields.items())


@pytest.mark.parametrize("query", [DirectionQuery, TableQuery, PageQuery])
def test_tables_heed_every_filter(query):
    options = query(ascii="1", starts="1", plain="1", frequent="500", rotated="1", readout="cosine").options()
    assert (options.token_filter, options.rotated) == (TokenFilter(True, True, True, 500, "cosine"), True)


def test_options_are_named_as_a_query_has_them():
    with pytest.raises(BadOption, match="Valid: weights, from, to, basis"):
        LinearQuery(components="1")


@pytest.mark.parametrize("said", ["-1", "abc", "9" * 11, "1.5"])
def test_what_names_no_statistics_is_left_to_those_that_are_here(said):
    assert FitQuery(statistics=said).statistics == -1
    assert FitQuery(statistics="621621991").statistics == 621621991


def test_json_of_tables_says_where_their_files_are():
    for form in (TableQuery, DirectionQuery):
        with pytest.raises(
            BadOption,
            match=r"is no file\. The same address without /api/v1 takes format=csv, format=npz or format=parquet",
        ):
            form.model_validate({"format": "xml"})


def test_what_no_page_knows_is_nobodys_business():
    assert TokenQuery(token=" a", utm_source="mail").token == " a"


def test_full_circuits_have_a_token_and_a_distance():
    options = TokenQuery(weights="raw", distance=3, token=" a").options()
    assert options == Options(weights="raw", distance=3)
    with pytest.raises(BadOption, match="components means nothing here"):
        TokenQuery(components=3)


@pytest.mark.parametrize("form", [TokenQuery, ViewQuery, JobsQuery, MapQuery, CompareQuery])
def test_a_page_that_is_no_file_says_so(form):
    with pytest.raises(BadOption, match="is no file"):
        form.model_validate({"format": "csv"})
