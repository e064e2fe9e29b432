"""The table of options: a row for whatever a query may say, and what changes numbers is in the recipe."""

import importlib
import inspect
import pkgutil
from collections import Counter

import pytest
from pydantic import BaseModel

from app.core.address import parse
from app.explorer.asking.views import check_view
from app.explorer.options import MATRICES, OF_NUMBERS, OPTIONS, PLACES, find_option, usual_values
from app.explorer.visits import orders
from app.web import query
from app.web.query.matrix import PageQuery

OTHER = {
    "weights": "raw",
    "distance": 3,
    "components": 3,
    "atoms": 3,
    "sparsity": 2,
    "groups": 3,
    "seed": 1,
    "statistics": 7,
    "frequent": 100,
    "readout": "cosine",
    "sort": "gap",
    "page": 2,
    "only": "readable",
    "find": "a",
    "k": 5,
    "format": "csv",
    "path": "L0H0.qk.0p",
    "prompt": "0123456789abcdef",
}
"""Than the default; a flag is set."""
BASES = {"components": "nmf", "seed": "nmf", "atoms": "dictionary", "sparsity": "dictionary", "groups": "frequency"}
"""A basis of the embedding for each parameter."""

OF_HEAD = {"statistics": "ov/used"}


def test_a_name_means_one_thing_on_a_page():
    rows = Counter((option.name, page) for option in OPTIONS for page in option.pages)
    assert [row for row, n in rows.items() if n > 1] == []


def test_every_row_stands_in_a_form_and_says_what_it_means():
    files = [importlib.import_module(f"{query.__name__}.{each.name}") for each in pkgutil.iter_modules(query.__path__)]
    forms = [
        form for file in files for _, form in inspect.getmembers(file, inspect.isclass) if issubclass(form, BaseModel)
    ]
    described = {
        (field.alias or name, field.description) for form in forms for name, field in form.model_fields.items()
    }
    assert {(option.name, option.meaning) for option in OPTIONS} == described
    assert all(option.meaning.endswith((".", "…", ")")) for option in OPTIONS)


@pytest.mark.parametrize(
    "option", [each for each in OPTIONS if {*each.pages} & {*MATRICES}], ids=lambda each: each.name
)
def test_what_changes_numbers_is_in_the_recipe_and_nothing_else(seen_of, option):
    name = option.name
    family = "llama" if name == "distance" else "gpt2"
    r, slug = seen_of(family)
    place = parse(f"{slug}/embed/{BASES[name]}" if name in BASES else f"{slug}/L0/H0/{OF_HEAD.get(name, 'qk')}")
    form = PageQuery(**{name: OTHER.get(name, 1)} | ({"format": "csv"} if name == "k" else {}))

    def recipe(options):
        model = r.library.model(slug)
        return orders.order_matrix(model, place, check_view(model, place, options, "folded")).recipe

    is_other = recipe(form.options()) != recipe(PageQuery().options())
    assert is_other == (option.changes == "numbers" and name != "rotated")  # which is an artifact of its own


def test_links_leave_out_what_is_usual():
    assert usual_values("matrix")["sort"] == "order"
    assert usual_values("blind")["seed"] is None
    assert "sort" not in usual_values("direction")
    assert find_option("kind", "composition").default == "q"
    with pytest.raises(KeyError):
        find_option("sort", "token")


def test_what_changes_numbers_of_matrices_is_named_once():
    assert set(OF_NUMBERS) >= {"ascii", "readout", "components", "distance"}
    assert not set(OF_NUMBERS) & {"sort", "page", "path", "format"}
    assert set(PLACES) < {page for option in OPTIONS for page in option.pages}
