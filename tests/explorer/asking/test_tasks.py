import pytest

from app.core.address import parse
from app.explorer.asking.tasks import Wish, command_words, read_wish, target_matrices, wish_of_view
from app.explorer.asking.views import Options, check_view
from app.explorer.errors import BadOption, UnknownAddress
from app.store.jobs import Task


@pytest.fixture
def model(explorer):
    return explorer.library.model("tiny")


def test_what_is_not_said_is_every_matrix_in_svd(model):
    asked = read_wish(model, "folded")
    every = ("ov", "qk", "mlp-in", "mlp-out", "embed", "unembed", "pos", "heads/write", "heads/read", "bank")
    assert asked == Wish("tiny", model.fingerprint, Task(every, ("folded",)))
    assert len(target_matrices(model, asked.task.matrices, "svd")) == 16 + 4 + 5


def test_or_every_matrix_that_has_the_basis(model):
    assert read_wish(model, "raw", basis="frequency").task.matrices == ("embed", "unembed")
    assert read_wish(model, "raw", basis="neuron").task.matrices[:2] == ("ov", "qk")


def test_the_bank_may_be_asked_for_alone(model):
    asked = read_wish(model, "folded", matrices="bank")
    assert asked.task == Task(("bank",), ("folded",))
    assert target_matrices(model, asked.task.matrices, "svd") == []
    assert command_words(asked.task) == ["--matrices", "bank", "--weights", "folded"]


def test_processings_have_one_order(model):
    assert read_wish(model, "raw", matrices="qk,ov", weights="raw,folded,raw").task == Task(
        ("qk", "ov"), ("folded", "raw")
    )


def test_every_parameter_of_the_basis_is_said(model):
    task = read_wish(
        model, "raw", matrices="embed,L1/mlp-in", basis="nmf", parameters={"components": 3, "seed": None}
    ).task
    assert task == Task(("embed", "L1/mlp-in"), ("raw",), "nmf", (("components", 3), ("seed", 0)))
    assert [str(place) for place in target_matrices(model, task.matrices, "nmf")] == [
        "tiny/embed/nmf",
        "tiny/L1/mlp-in/nmf",
    ]


def test_defaults_are_those_of_the_smallest_matrix(model):
    """One task has one set of parameters, and every matrix must be able to have it."""
    values = dict(read_wish(model, "raw", basis="dictionary").task.parameters)
    assert values == {"atoms": 128, "sparsity": 8, "seed": 0}  # what heads have: two rays of 8 directions of 8 heads


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"matrices": "mlp"}, "matrices are ov, qk, mlp-in"),
        ({"matrices": "ov,"}, "matrices are ov, qk"),
        ({"matrices": ""}, "matrices are ov, qk"),
        ({"matrices": "L0"}, "matrices are ov, qk"),
        ({"matrices": "L0/H0/ov/svd"}, "matrices are ov, qk"),
        ({"matrices": "../tiny/embed"}, "matrices are ov, qk"),
        ({"matrices": ",".join(["embed", *(f"L{n}/mlp-in" for n in range(20))])}, "at most 16"),
        ({"matrices": "banks"}, "bank is what is searched"),
        ({"matrices": "bank", "basis": "nmf"}, "no basis nmf"),
        ({"weights": "cooked"}, "folded, raw"),
        ({"weights": "raw folded"}, "folded, raw"),
        ({"weights": ""}, "folded, raw"),
        ({"basis": "fourier"}, "svd, used, pca, nmf"),
        ({"basis": "nmf", "parameters": {"components": 1}}, "components goes from 2 to"),
        ({"basis": "nmf", "parameters": {"atoms": 8}}, "nmf has components, seed"),
    ],
)
def test_a_wish_out_of_range_names_the_range(model, words, named):
    with pytest.raises(BadOption, match=named):
        read_wish(model, "folded", **words)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"matrices": "L7/mlp-in"}, "layers L0 to L1"),
        ({"matrices": "mlp-gate"}, "it has mlp-in, mlp-out"),
        ({"matrices": "ov", "basis": "pca"}, "pca is no basis of OV: that has svd, used, neuron"),
    ],
)
def test_a_matrix_that_is_not_there_is_told_with_those_that_are(model, words, named):
    with pytest.raises(UnknownAddress, match=named):
        read_wish(model, "folded", **words)


def test_an_encoder_has_raw_weights_only(relatives):
    bert = relatives.library.model("bert")
    assert read_wish(bert, "folded").task.processings == ("raw",)
    with pytest.raises(BadOption, match="raw only"):
        read_wish(bert, "folded", weights="folded,raw")


def test_what_a_page_shows_is_asked_for_in_words_that_ask_for_the_same(model):
    address = parse("tiny/L1/mlp-in/nmf")
    shown = check_view(model, address, Options(weights="raw", parameters={"components": 5}), "folded")
    asked = wish_of_view(model, address, shown)
    words = dict(zip(*[iter(command_words(asked.task))] * 2, strict=True))
    again = read_wish(
        model,
        "folded",
        matrices=words["--matrices"],
        weights=words["--weights"],
        basis=words["--basis"],
        parameters={"components": int(words["--components"]), "seed": int(words["--seed"])},
    )
    assert again == asked


def test_as_stored_a_tied_unembedding_is_computed_as_the_embedding(model):
    places = target_matrices(model, ("embed", "unembed"), "nmf", "raw")
    assert [str(place) for place in places] == ["tiny/embed/nmf"]
    assert len(target_matrices(model, ("embed", "unembed"), "nmf", "folded")) == 2


def test_but_not_an_untied_one(relatives):
    assert len(target_matrices(relatives.library.model("neox"), ("embed", "unembed"), "nmf", "raw")) == 2
