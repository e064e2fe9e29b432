"""What records the examples of the API's description asks for every answer, and shortens it to its form."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from app.web.routes import ROUTERS

SCRIPT = spec_from_file_location("examples", Path(__file__).parents[1] / "docs" / "examples.py")
examples = module_from_spec(SCRIPT)
SCRIPT.loader.exec_module(examples)


def test_each_route_of_the_api_is_asked():
    routes = (route for router in ROUTERS for route in router.routes if route.path.startswith("/api/v1"))
    assert set(examples.TARGETS) == {route.name for route in routes if route.include_in_schema}


def test_a_shortened_answer_has_its_form():
    assert examples.shorten({"a": [1.23456789, None, "x", 4], "b": [[1, 2], [3]], "c": 0.00012345}) == {
        "a": [1.235, None, "x"],
        "b": [[1, 2], [3]],
        "c": 0.0001234,
    }
    rows = [{"n": number, "created": 1_800_000_000.5, "is_new": True} for number in range(9)]
    assert examples.shorten(rows) == rows[:1]
    assert examples.shorten({"none": None, "empty": []}) == {"none": None, "empty": []}
