import pytest

from app.web.api.description import describe
from app.web.api.snapshot import read_snapshot
from app.web.routes import ROUTERS


@pytest.fixture(scope="module")
def document():
    return describe(*ROUTERS)


@pytest.fixture
def forms(document):
    return document["components"]["schemas"]


def test_the_file_that_is_served_says_what_the_code_says(document):
    assert read_snapshot() == document, "the API has changed: run make openapi"


def test_fields_have_the_sentences_below_them_also_where_a_form_extends_another(forms):
    score, merit = forms["TokenJson"]["properties"]["score"], forms["DirectionPage"]["properties"]["merit"]
    assert score["description"].startswith("Dot product of the token's vector with the direction")
    assert merit["description"].startswith("The number that the basis orders by")
    assert merit["description"] == forms["Direction"]["properties"]["merit"]["description"]
    assert "description" not in forms["TokenJson"]["properties"]["id"]


def test_a_form_has_the_fields_that_programs_get_and_no_other(forms):
    page = forms["DirectionPage"]
    assert {"label", "links", "matrix", "singular_values", *forms["Direction"]["properties"]} <= set(page["properties"])
    assert not {"model", "view", "tabs", "previous", "words"} & set(page["properties"])
    assert (set(page["required"]), page["additionalProperties"]) == (set(page["properties"]), False)


def test_sentences_say_what_is_null_and_how_fields_are_read_alone(forms):
    gap = forms["Direction"]["properties"]["gap"]
    assert gap["anyOf"] == [{"type": "number"}, {"type": "null"}]
    assert "; null where" in gap["description"]
    assert forms["SideReadout"]["properties"]["rays"]["description"].startswith("Null for")
    assert "readOnly" not in forms["Direction"]["properties"]["label"]
