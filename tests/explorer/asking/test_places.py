import pytest

from app.core.address import LAYER_KINDS, MODEL_KINDS, Address, parse
from app.core.basis import BASES
from app.explorer.asking.places import locate_model, neighbours_of
from app.explorer.errors import UnknownAddress
from app.explorer.inventory import bases_of, most_terms, samples_of


@pytest.mark.parametrize("tail", ["mlp-in", "mlp-gate", "mlp-out", "mlp-in/svd", "mlp-out/svd/3"])
def test_the_mlp_of_a_mixture_says_why_it_has_no_page(relatives, tail):
    with pytest.raises(UnknownAddress, match="a mixture of 4 experts, not one matrix"):
        locate_model(relatives, parse(f"mixtral/L1/{tail}"))


@pytest.mark.parametrize(
    ("place", "known"),
    [
        ("mixtral/L7/mlp-in", "L0 to L1"),
        ("nobody/L0/mlp-in", "This server has"),
        ("neox/L0/mlp-gate", "it has mlp-in, mlp-out"),
        ("llama/pos", "not learned vectors. It has embed, unembed, heads/write, heads/read"),
        ("bert/unembed", "it is an encoder"),
        ("llama/L0/H0/ov/pca", "pca is no basis of OV: that has svd, used, neuron"),
        ("llama/L0/mlp-in/dictionary", "dictionary is no basis of MLP in: that has svd, pca, nmf, ica, neuron"),
        ("llama/embed/svd/999", "0 to 31"),
        ("llama/L0/H0/ov/svd/8", "0 to 7"),
        ("llama/L0/H0/ov/neuron/32", "0 to 31"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(relatives, place, known):
    with pytest.raises(UnknownAddress, match=known):
        locate_model(relatives, parse(place))


@pytest.mark.parametrize("family", ["gpt2", "llama", "neox", "bert", "mixtral", "olmo2"])
def test_a_model_has_the_matrices_that_it_says(seen_of, family):
    """And no others: what `located` lets through has tensors."""
    r, slug = seen_of(family)
    model = r.library.model(slug)
    weights = model.weights()
    has_mlp = not model.header.n_experts
    for kind in LAYER_KINDS:
        expected = has_mlp and (kind != "mlp-gate" or weights.mlp(0).W_gate is not None)
        assert is_there(r, Address(slug, layer=0, kind=kind)) == expected
    for kind in MODEL_KINDS:
        expected = {"pos": weights.positions() is not None, "unembed": not model.manifest.encoder}.get(kind, True)
        assert is_there(r, Address(slug, kind=kind)) == expected


def is_there(r, address):
    try:
        locate_model(r, address)
    except UnknownAddress:
        return False
    return True


def test_every_basis_is_a_tab_of_the_matrices_that_have_it():
    assert bases_of("ov") == ("svd", "used", "neuron")
    assert bases_of("embed") == tuple(name for name, basis in BASES.items() if not basis.is_of_text)
    assert "dictionary" not in bases_of("mlp-out")


def test_sizes_and_bounds(relatives):
    model = relatives.library.model("llama").header
    assert samples_of(model, "mlp-in") == (model.d_mlp, model.d_model)
    assert samples_of(model, "heads/read").n == 2 * model.n_layers * model.n_heads * model.d_head
    assert samples_of(model, "qk") == (model.d_model, model.d_model)
    embed = parse("llama/embed/dictionary")
    assert most_terms(model, embed, {}) == min(8 * model.d_model, model.d_vocab)
    assert most_terms(model, embed, {"atoms": 5}) == 5
    assert most_terms(model, parse("llama/L0/mlp-in/neuron"), {}) == model.d_mlp


def test_neighbours_stay_within_their_kind(relatives):
    model = relatives.library.model("llama").header
    assert neighbours_of(model, parse("llama/L0/mlp-out/pca")) == (None, parse("llama/L1/mlp-out/pca"))
    assert neighbours_of(model, parse("llama/embed")) == (None, None)
