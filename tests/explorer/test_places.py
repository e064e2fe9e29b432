import pytest

from app.core.address import AddressError, parse
from app.explorer.errors import UnknownAddress
from app.explorer.places import named


def test_what_spells_an_address_is_that_address(relatives):
    assert named(relatives, "llama/L1/H2/qk/svd/3") == parse("llama/L1/H2/qk/svd/3")
    with pytest.raises(AddressError, match="'mlps' is not a head"):
        named(relatives, "llama/L1/mlps")


@pytest.mark.parametrize("tail", ["mlp", "mlp-in", "mlp-gate", "mlp-out", "mlp-in/svd", "mlp-out/svd/3"])
def test_the_mlp_of_a_mixture_says_why_it_has_no_page(relatives, tail):
    with pytest.raises(UnknownAddress, match="a mixture of 4 experts, not one matrix"):
        named(relatives, f"mixtral/L1/{tail}")


def test_a_dense_mlp_has_no_page_yet(relatives):
    with pytest.raises(UnknownAddress, match="L1 of llama has no page for its MLP yet"):
        named(relatives, "llama/L1/mlp-in")


@pytest.mark.parametrize(
    ("place", "known"), [("mixtral/L7/mlp-in", "L0 to L1"), ("nobody/L0/mlp-in", "This server has")]
)
def test_the_mlp_of_nothing_names_what_is_there(relatives, place, known):
    with pytest.raises(UnknownAddress, match=known):
        named(relatives, place)
