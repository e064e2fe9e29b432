"""Every shape that the code names is checked at every call of a test: one that says something else than happens fails."""

from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import app
from app.core.folding import fold_embedding

APP = Path(app.__file__).parent


def test_no_module_that_names_shapes_is_left_unchecked(pytestconfig):
    *checked, _ = pytestconfig.getoption("jaxtyping_packages").split(",")
    naming = {
        ".".join(path.relative_to(APP.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in APP.rglob("*.py")
        if "from jaxtyping import" in path.read_text(encoding="utf-8")
    }
    assert len(naming) > 50
    assert {name for name in naming if not any(f"{name}.".startswith(f"{package}.") for package in checked)} == set()


def test_a_shape_other_than_the_named_one_is_noticed():
    with pytest.raises(TypeCheckError):
        fold_embedding(torch.zeros(3), center=True)
