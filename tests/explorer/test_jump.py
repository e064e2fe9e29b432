import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.address import parse
from app.explorer.errors import UnknownAddress
from app.explorer.jump import Target, jump


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
    ],
)
def test_spellings(explorer, text, address, ray):
    assert jump(explorer, "tiny", text) == Target(parse(f"tiny/{address}"), ray)


@pytest.mark.parametrize("address", ["tiny", "tiny/L1/H3", "tiny/L1/H3/ov/svd/2"])
def test_whole_addresses(explorer, address):
    assert jump(explorer, "tiny", f"/{address}").address == parse(address)
    assert jump(explorer, "tiny", f"{address}#n") == Target(parse(address), "n")


@pytest.mark.parametrize(
    "text", ["", "5", "nonsense", "L", "H3", "L1 ov", "L1H3 ov ov", "L1H3 ov 2 3", "L1H3ov٣", "x" * 9999]
)
def test_what_names_no_place_gets_examples(explorer, text):
    with pytest.raises(UnknownAddress, match="L5H3 ov 12"):
        jump(explorer, "tiny", text)


@pytest.mark.parametrize(
    ("text", "named"), [("L9", "L0 to L1"), ("L0H9", "H0 to H3"), ("L0H0 ov 99", "0 to 7"), ("L99999", "L0 to L1")]
)
def test_what_the_model_does_not_have_names_what_it_has(explorer, text, named):
    with pytest.raises(UnknownAddress, match=named):
        jump(explorer, "tiny", text)


@given(
    st.one_of(
        st.text(max_size=300),
        st.from_regex(r"(?i)[lh0-9 ./ovqksvdpn+@#-]{0,30}", fullmatch=True),
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


def test_an_unknown_model_is_unknown(explorer):
    with pytest.raises(UnknownAddress, match="tiny"):
        jump(explorer, "gpt9", "L0")
