import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.address import Ray, parse
from app.explorer.asking.walk import MOST_HOPS, extend_path, read_path, spell_path
from app.explorer.errors import BadOption
from app.explorer.options import LONGEST_PATH
from app.explorer.pages.directions import Hop

HERE = parse("tiny/L1/H2/ov/svd/3")


@pytest.fixture(scope="module")
def tiny(explorer):
    return explorer.library.model("tiny")


def test_a_path_is_read_as_it_was_spelt(tiny):
    text = "L0H1.ov.2n_r-L1.mlp-in.5p_l-L1.mlp-gate.neuron.7n_w-L1H2.ov.3p"
    with pytest.raises(BadOption, match="mlp-gate"):
        read_path(tiny, HERE, text)
    text = "L0H1.ov.2n_r-L1.mlp-in.5p_l-L1.mlp-in.neuron.7n_w-L1H2.ov.3p"
    hops = read_path(tiny, HERE, text)
    assert [hop.relation for hop in hops] == ["", "reads", "like", "writes"]
    assert [hop.ray.sign for hop in hops] == ["n", "p", "n", "p"]
    assert hops[2].ray.address == parse("tiny/L1/mlp-in/neuron/7")
    assert spell_path(hops) == text


def test_a_path_that_leads_elsewhere_has_been_left(tiny):
    begun = (Hop(Ray(HERE, "p")),)
    assert read_path(tiny, HERE, "") == read_path(tiny, HERE, "L0H1.ov.2n_r-L1H2.ov.4p") == begun


@pytest.mark.parametrize(
    "text",
    [
        "L1H9.ov.3p",
        "L9H0.ov.0p",
        "x-L1H2.ov.3p",
        "L1H2.ov.3p_",
        "//evil.example",
        "<script>alert(1)</script>",
        "L1H2.ov.\u0663",
        "\x00",
        "\ud800",
        "L1H2.ov.3p" * 60,
        "_".join(["L1H2.ov.3p"] * (MOST_HOPS + 1)),
    ],
)
def test_what_is_no_path_is_refused_in_a_sentence(tiny, text):
    with pytest.raises(BadOption, match="path") as refused:
        read_path(tiny, HERE, text)
    assert str(refused.value).isprintable() or "\ud800" in text
    assert len(str(refused.value)) < LONGEST_PATH


RAYS = st.builds(Ray, st.integers(0, 7).map(HERE.in_basis("svd").direction), st.sampled_from("pn"))


@given(st.lists(st.tuples(st.just("like"), RAYS), max_size=30))
def test_a_longer_walk_forgets_where_it_began_and_stays_a_link(tiny, steps):
    hops = (Hop(Ray(HERE, "p")),)
    for relation, ray in steps:
        hops = extend_path(hops, relation, ray)
        assert hops[-1].ray == ray
        assert len({hop.ray for hop in hops}) == len(hops), "a loop"
    assert len(hops) <= MOST_HOPS
    text = spell_path(hops)
    assert len(text) <= LONGEST_PATH
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzLH0123456789.-_")
    again = read_path(tiny, hops[-1].ray.address, text)
    assert [hop.ray for hop in again] == [hop.ray for hop in hops]
    assert [hop.relation for hop in again[1:]] == [hop.relation for hop in hops[1:]]


def test_a_path_begins_at_the_end_that_is_looked_at(tiny):
    assert spell_path((Hop(Ray(HERE, "p")),)) == ""
    assert spell_path((Hop(Ray(HERE, "n")),)) == "L1H2.ov.3n"
    assert read_path(tiny, HERE, "L1H2.ov.3n") == (Hop(Ray(HERE, "n")),)


def test_a_hop_back_cuts_the_path_at_the_ray_and_keeps_its_sign():
    first, other = Ray(HERE, "n"), Ray(parse("tiny/L1/mlp-in/svd/5"), "p")
    walked = extend_path((Hop(first),), "reads", other)
    assert extend_path(walked, "writes", first) == (Hop(first),)
    # Its other end is another ray.
    turned = Ray(HERE, "p")
    assert extend_path(walked, "writes", turned) == (*walked, Hop(turned, "writes"))


@pytest.mark.parametrize(
    "text",
    [
        "L0H1.ov.2n_r-L1.mlp-out.5p",  # which reads nothing
        "L1H2.ov.3p_r-L0H1.ov.2n",  # earlier
        "L0H1.ov.2n_w-L1H2.ov.3p",
        "L1H2.ov.3p_r-L1H1.qk.0p",  # at the same time
        "L1H2.ov.3p_w-L0H1.qk.2n",  # which writes nothing
    ],
)
def test_a_path_that_cannot_be_is_refused(tiny, text):
    with pytest.raises(BadOption, match="cannot read what"):
        read_path(tiny, HERE, text)
