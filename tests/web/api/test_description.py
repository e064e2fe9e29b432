from app.web.api import schema
from app.web.api.description import describe, describe_forms
from app.web.api.snapshot import read_snapshot
from app.web.routes import ROUTERS


def test_the_file_that_is_served_says_what_the_code_says():
    assert read_snapshot() == describe(*ROUTERS), "the API has changed: run make openapi"


def test_fields_have_the_sentences_below_them_also_where_a_form_extends_another():
    forms = describe_forms()
    score, merit = forms["TokenJson"]["properties"]["score"], forms["DirectionPageJson"]["properties"]["merit"]
    assert score["description"].startswith("Dot product of its vector with the direction")
    assert merit["description"] == forms["DirectionJson"]["properties"]["merit"]["description"]
    assert "description" not in forms["TokenJson"]["properties"]["id"]
    assert set(forms) == {name for name in vars(schema) if name.endswith("Json")}
