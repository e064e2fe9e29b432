import pytest

from app.core.address import parse
from app.explorer.inventory import bound_vectors
from app.explorer.making.vectors import term_vectors
from tests.explorer.making.test_vectors import PLACES
from tests.explorer.steps import run_steps


@pytest.mark.parametrize("place", [*PLACES, "L0/mlp-in/neuron", "L1/H2/ov/neuron", "embed/pca"])
def test_their_size_is_known_before(context_of, place):
    context, address = context_of("gpt2", "folded"), parse(f"tiny/{place}")
    arrays, _ = run_steps(term_vectors(context, address, {}))
    size = sum(array.nbytes for array in arrays.values())
    assert size <= bound_vectors(context.model.header, address) <= 2 * size
