from collections.abc import Callable
from importlib import import_module

import pytest

from app.core import address
from app.core.basis import BASES, Parameter, Samples


def test_addresses_can_name_every_basis():
    assert tuple(BASES) == address.BASES


@pytest.mark.parametrize("name", [name for name, basis in BASES.items() if not basis.is_of_text])
def test_every_basis_of_a_matrix_alone_has_a_file(name):
    assert isinstance(import_module(f"app.core.bases.{name}").decompose, Callable)


def test_what_is_not_given_has_its_default():
    nmf = BASES["nmf"]
    assert nmf.values({}, Samples(50_257, 768)) == {"components": 64, "seed": 0}
    assert nmf.values({"components": 7, "seed": None}, Samples(50_257, 768)) == {"components": 7, "seed": 0}


@pytest.mark.parametrize(
    ("samples", "bounds"), [((50_257, 768), (2, 6_144)), ((50_257, 8_192), (2, 8_192)), ((100, 768), (2, 100))]
)
def test_bounds_shrink_with_the_matrix(samples, bounds):
    (atoms,) = (parameter for parameter in BASES["dictionary"].parameters if parameter.name == "atoms")
    assert atoms.bounds(Samples(*samples)) == bounds


@pytest.mark.parametrize("samples", [(1, 8), (2, 1), (10, 16), (50_257, 768)])
def test_a_default_is_within_its_bounds(samples):
    for basis in BASES.values():
        size = Samples(*samples)
        assert basis.values(basis.values({}, size), size) == basis.values({}, size)
        for parameter in basis.parameters:
            low, high = parameter.bounds(size)
            assert 0 <= low <= high <= parameter.high


def test_a_value_out_of_range_is_refused_with_the_range():
    with pytest.raises(ValueError, match="components goes from 2 to 16 here"):
        BASES["ica"].values({"components": 17}, Samples(50, 16))


def test_no_sample_can_use_more_atoms_than_there_are():
    dictionary, size = BASES["dictionary"], Samples(50_257, 768)
    assert dictionary.values({"atoms": 5}, size) == {"atoms": 5, "sparsity": 5, "seed": 0}
    with pytest.raises(ValueError, match="sparsity goes from 1 to 5 with so many atoms"):
        dictionary.values({"atoms": 5, "sparsity": 6}, size)


def test_a_parameter_that_does_not_depend_on_the_stream():
    assert Parameter("seed", low=0, high=9, default=1).bounds(Samples(3, 2)) == (0, 9)
