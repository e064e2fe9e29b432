import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.address import BASES, CIRCUITS, KINDS, MODEL_KINDS, Address, parse
from app.explorer.asking.jump import EXAMPLES, Target, _match_place, jump
from app.explorer.errors import UnknownAddress
from app.explorer.inventory import bases_of


@pytest.mark.parametrize(
    ("text", "address", "ray"),
    [
        ("L1", "L1", None),
        ("layer 1", "L1", None),
        ("L1H3", "L1/H3", None),
        (" l1h3 ", "L1/H3", None),
        ("L1 H3", "L1/H3", None),
        ("L1/H3", "L1/H3", None),
        ("layer 1 head 3", "L1/H3", None),
        ("1.3", "L1/H3", None),
        ("1 3", "L1/H3", None),
        ("L1.3", "L1/H3", None),
        ("l1h3 ov", "L1/H3/ov", None),
        ("L1H3QK", "L1/H3/qk", None),
        ("l1h3 ov 2", "L1/H3/ov/svd/2", None),
        ("L1H3.ov.2p", "L1/H3/ov/svd/2", "p"),
        ("L1H3.qk.2n", "L1/H3/qk/svd/2", "n"),
        ("L1H3 OV 2+", "L1/H3/ov/svd/2", "p"),
        ("L1H3 OV 2-", "L1/H3/ov/svd/2", "n"),
        ("L1H3 ov svd 2", "L1/H3/ov/svd/2", None),
        ("L1H3 2", "L1/H3/ov/svd/2", None),
        ("1.3.2", "L1/H3/ov/svd/2", None),
        ("L1/H3/ov/svd/2", "L1/H3/ov/svd/2", None),
        ("L01H03", "L1/H3", None),
        ("L1H3 svd", "L1/H3", None),
        ("L1H3 ov svd", "L1/H3/ov", None),
        ("L1H3 ov neuron 7", "L1/H3/ov/neuron/7", None),
        ("L1H3 neuron", "L1/H3/ov/neuron", None),
        ("L1 mlp-in", "L1/mlp-in", None),
        ("L1 mlp in 12", "L1/mlp-in/svd/12", None),
        ("l1mlpin12", "L1/mlp-in/svd/12", None),
        ("1 mlp_in", "L1/mlp-in", None),
        ("layer 1 W_out", "L1/mlp-out", None),
        ("l1 mlp out nmf 3", "L1/mlp-out/nmf/3", None),
        ("L1/mlp-out/neuron/100", "L1/mlp-out/neuron/100", None),
        ("L1 mlp-in pca", "L1/mlp-in/pca", None),
        ("embed", "embed", None),
        ("Embedding", "embed", None),
        ("embed nmf 12+", "embed/nmf/12", "p"),
        ("embed5n", "embed/svd/5", "n"),
        ("unembed 3", "unembed/svd/3", None),
        ("W_E 5", "embed/svd/5", None),
        ("W_U", "unembed", None),
        ("wpos", "pos", None),
        ("W_pos", "pos", None),
        ("pos 1", "pos/svd/1", None),
        ("positions pca 1-", "pos/pca/1", "n"),
        ("heads write 4", "heads/write/svd/4", None),
        ("heads/read", "heads/read", None),
        ("heads' writes dictionary 4", "heads/write/dictionary/4", None),
        ("OV outputs 4-", "heads/write/svd/4", "n"),
        ("all OV inputs", "heads/read", None),
    ],
)
def test_spellings(explorer, text, address, ray):
    assert jump(explorer, "tiny", text) == Target(parse(f"tiny/{address}"), ray)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("blocks.1.attn.W_V[3]", "L1/H3/ov"),
        ("blocks.1.attn.hook_pattern[3]", "L1/H3/qk"),
        ("blocks.1.hook_resid_pre", "L1"),
        ("blocks.1.attn.W_Q", "L1"),
        ("blocks.1.mlp.W_in", "L1/mlp-in"),
        ("transformer.h.1.mlp.c_proj.weight", "L1/mlp-out"),
        ("model.layers.1.mlp.up_proj.weight", "L1/mlp-in"),
        ("model.layers.1.self_attn.q_proj", "L1"),
        ("gpt_neox.layers.1.mlp.dense_4h_to_h", "L1/mlp-out"),
        ("transformer.wte.weight", "embed"),
        ("lm_head", "unembed"),
        ("transformer.wpe.weight", "pos"),
        ("a1.h3", "L1/H3"),
        ("A1H3", "L1/H3"),
        ("m1", "L1"),
        ("head 3 of layer 1", "L1/H3"),
        ("H3 L1 ov 2", "L1/H3/ov/svd/2"),
        ("(1, 3)", "L1/H3"),
        ("[1.3]", "L1/H3"),
        ("“L1H3”", "L1/H3"),
        ("L1N100", "L1/mlp-in/neuron/100"),
        ("MLP1 neuron 100", "L1/mlp-in/neuron/100"),
        ("L1H3 OV circuit", "L1/H3/ov"),
        ("L1H3 OV singular vector 2", "L1/H3/ov/svd/2"),
    ],
)
def test_what_others_call_it(explorer, text, address):
    assert jump(explorer, "tiny", text) == Target(parse(f"tiny/{address}"), None)


def test_weights_may_stand_behind_a_place(explorer):
    assert jump(explorer, "tiny", "L1H3.ov.2n~raw") == Target(parse("tiny/L1/H3/ov/svd/2"), "n", "raw")
    assert jump(explorer, "tiny", "tiny/L1~Folded") == Target(parse("tiny/L1"), None, "folded")
    with pytest.raises(UnknownAddress, match="names no place"):
        jump(explorer, "tiny", "L1~cooked")


@pytest.mark.parametrize("address", ["tiny", "tiny/L1/H3", "tiny/L1/H3/ov/svd/2"])
def test_whole_addresses(explorer, address):
    assert jump(explorer, "tiny", f"/{address}").address == parse(address)
    assert jump(explorer, "tiny", f"{address}#n") == Target(parse(address), "n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "nonsense",
        "L",
        "H3",
        "L1 ov",
        "L1H3 ov ov",
        "L1H3 ov 2 3",
        "L1H3ov٣",
        "x" * 9999,
        "mlp-in",
        "heads",
        "L1H3 mlp-in",
        "L1 embed",
        "ov",
        "neuron 7",
        "L1 nmf 3",
        "pca",
        "embed 1 2",
        "L1H3 full",
    ],
)
def test_what_names_no_place_gets_examples(explorer, text):
    with pytest.raises(UnknownAddress, match=re.escape(EXAMPLES)):
        jump(explorer, "tiny", text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("L9", "L0 to L1"),
        ("L0H9", "H0 to H3"),
        ("L0H0 ov 99", "0 to 7"),
        ("L99999", "L0 to L1"),
        ("L9 mlp-in", "L0 to L1"),
        ("embed 32", "0 to 31"),
        ("L1 mlp in neuron 128", "0 to 127"),
        ("L1 mlp-gate", "mlp-in, mlp-out"),
        ("L1H3 ov nmf", "svd, used, neuron"),
        ("pos nmf 1", "svd, pca"),
    ],
)
def test_what_the_model_does_not_have_names_what_it_has(explorer, text, named):
    with pytest.raises(UnknownAddress, match=named):
        jump(explorer, "tiny", text)


@given(
    st.one_of(
        st.text(max_size=300),
        st.from_regex(r"(?i)[lh0-9 ./ovqksvdpn+@#-]{0,30}", fullmatch=True),
        st.from_regex(
            r"([Ll]1 |)(mlp|w|embed|pos|heads)[ _-](in|e|u|write|)( nmf| svd|)[ 0-9]{0,4}[pn-]?", fullmatch=True
        ),
        st.from_regex(r"[Ll][0-9]{1,7}[Hh ]?[0-9]{0,7}[ .](ov|qk|OV)?[ .][0-9]{0,7}[pn+]?", fullmatch=True),
    )
)
def test_any_text_is_a_place_of_this_server_or_unknown(explorer, text):
    try:
        target = jump(explorer, "tiny", text)
    except UnknownAddress:
        pass
    else:
        assert target.address.model == "tiny"
        assert parse(str(target.address)) == target.address
        assert target.ray in (None, "p", "n")


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_page_is_called_leads_to_it(explorer, kind, basis):
    if kind == "mlp-gate" or basis not in bases_of(kind):
        return
    head = Address("tiny", None, 1, 2) if kind in CIRCUITS else Address("tiny", None, 1)
    matrix = (Address("tiny") if kind in MODEL_KINDS else head).at(kind)
    for place in (matrix, matrix.in_basis(basis).direction(1)):
        assert jump(explorer, "tiny", place.label).address == place


@pytest.mark.parametrize("example", re.split(", | or ", EXAMPLES.removeprefix("Try ").removesuffix(".")))
def test_the_examples_are_places(example):
    assert _match_place("gpt2", example) is not None


def test_an_unknown_model_is_unknown(explorer):
    with pytest.raises(UnknownAddress, match="tiny"):
        jump(explorer, "gpt9", "L0")
