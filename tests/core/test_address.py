import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.address import (
    BASES,
    CIRCUITS,
    KINDS,
    LABELS,
    LAYER_KINDS,
    MODEL_KINDS,
    PIN,
    RESERVED,
    SLUG,
    Address,
    AddressError,
    Ray,
    format_short,
    parse,
    parse_short,
)

slugs = st.from_regex(SLUG, fullmatch=True).filter(lambda slug: slug not in RESERVED)
pins = st.none() | st.from_regex(PIN, fullmatch=True)
numbers = st.integers(0, 99_999)


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    """An address of any depth."""
    model = Address(draw(slugs), draw(pins))
    layer = model.at_layer(draw(numbers))
    head = layer.at_head(draw(numbers))
    places = [model.at(draw(st.sampled_from(MODEL_KINDS))), layer.at(draw(st.sampled_from(LAYER_KINDS)))]
    matrix = draw(st.sampled_from([*places, head.at(draw(st.sampled_from(CIRCUITS)))]))
    decomposition = matrix.in_basis(draw(st.sampled_from(BASES)))
    direction = decomposition.direction(draw(numbers))
    return draw(st.sampled_from([model, layer, head, matrix, decomposition, direction]))


@given(addresses())
def test_what_is_printed_is_parsed(address):
    assert parse(str(address)) == address


@given(addresses())
def test_the_parent_is_one_part_shorter(address):
    parent = address.parent
    parts = 2 if address.depth == "matrix" and address.kind in {"heads/write", "heads/read"} else 1
    assert str(address).count("/") == (0 if parent is None else str(parent).count("/") + parts)
    assert parent is None or str(address).startswith(f"{parent}/")


@given(st.text() | st.from_regex(r"[a-z0-9@]+(/[LH]?[0-9a-z]+){0,6}", fullmatch=True))
@example("gpt2/L٣")  # a digit elsewhere, not in an address
@example("gpt2\n")
@example("gpt2/L5/H3/ov/svd/12\n")
@example("gpt2//H3")
@example("gpt2@")
@example("")
def test_any_text_is_an_address_or_an_address_error(text):
    try:
        spelled = str(parse(text))
    except AddressError:
        return
    assert spelled == text  # one spelling each


def test_a_message_does_not_repeat_a_page_of_text():
    with pytest.raises(AddressError) as error:
        parse("gpt2/" + "x" * 10_000)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("text", "depth", "label"),
    [
        ("gpt2", "model", "gpt2"),
        ("gpt2/L5", "layer", "L5"),
        ("gpt2/L5/H3", "head", "L5H3"),
        ("gpt2/L5/H3/ov", "matrix", "L5H3 OV"),
        ("gpt2/L5/H3/qk/svd", "decomposition", "L5H3 QK"),
        ("gpt2@0123abcd/L5/H3/qk/svd/12", "direction", "L5H3 QK 12"),
        ("gpt2/L5/mlp-in", "matrix", "L5 MLP in"),
        ("gpt2/L5/mlp-out/neuron", "decomposition", "L5 MLP out neuron"),
        ("gpt2/embed/nmf/12", "direction", "embedding nmf 12"),
        ("gpt2/heads/write/svd/0", "direction", "OV outputs 0"),
    ],
)
def test_depth_and_label(text, depth, label):
    assert (parse(text).depth, parse(text).label) == (depth, label)


@pytest.mark.parametrize("text", ["gpt2/L05", "gpt2/5", "gpt2/L5/H-1", "gpt2/L5/H3/OV", "gpt2/L100000", "api", "GPT2"])
def test_one_spelling_only(text):
    with pytest.raises(AddressError):
        parse(text)


def test_every_matrix_has_its_words():
    assert set(LABELS) == set(KINDS)
    assert len(set(LABELS.values())) == len(KINDS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt2/heads", "heads/write"),
        ("gpt2/mlp-in", "a layer, nor one of embed"),
        ("gpt2/L5/ov", "a head, nor one of mlp-in"),
        ("gpt2/L5/H3/mlp-in", "expected ov or qk"),
        ("gpt2/embed/12", "expected one of svd, used, pca"),
        ("gpt2/embed/svd/1/2", "gpt2/embed/svd/0"),
    ],
)
def test_a_misplaced_part_is_told_what_could_stand_there(text, expected):
    with pytest.raises(AddressError, match=expected):
        parse(text)


def test_the_steps_between_addresses():
    model = parse("gpt2@0123abcd")
    direction = model.at_layer(5).at_head(3).at("ov").direction(12)
    assert str(direction) == "gpt2@0123abcd/L5/H3/ov/svd/12"
    assert str(direction.matrix) == "gpt2@0123abcd/L5/H3/ov"
    assert str(direction.with_pin(None)) == "gpt2/L5/H3/ov/svd/12"


@st.composite
def rays(draw: st.DrawFn) -> Ray:
    """An end of any direction."""
    direction = draw(addresses().filter(lambda address: address.depth == "direction"))
    return Ray(direction, draw(st.sampled_from(["p", "n"])), draw(st.booleans()))


@given(rays())
def test_a_rays_short_form_is_parsed(ray):
    model = Address(ray.address.model, ray.address.pin)
    text = format_short(ray)
    assert parse_short(text, model) == ray
    assert parse_short(text.upper(), model) == ray
    head, sign, tail = text.rpartition(ray.sign)
    assert parse_short(f"{head}{'+' if sign == 'p' else '-'}{tail}", model) == ray


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("L27H0.ov.0n", "gpt2/L27/H0/ov/svd/0"),
        ("L27H0.ov.ica.0n", "gpt2/L27/H0/ov/ica/0"),
        ("L3.mlp-in.0n", "gpt2/L3/mlp-in/svd/0"),
        ("embed.0n~raw", "gpt2/embed/svd/0"),
        ("heads.write.0n", "gpt2/heads/write/svd/0"),
    ],
)
def test_short_forms_of_every_kind_of_place(text, spelt):
    ray = Ray(parse(spelt), "n", is_raw=text.endswith("~raw"))
    assert format_short(ray) == text
    assert parse_short(text.replace("n", "−") if text.count("n") == 1 else text, Address("gpt2")) == ray


def test_a_short_form_without_a_sign_is_the_positive_end():
    assert parse_short("L5H3.qk.7", Address("gpt2")) == Ray(parse("gpt2/L5/H3/qk/svd/7"), "p")


@given(
    st.text() | st.from_regex(r"[Ll]?[0-9]{0,3}[hH]?[0-9]?[.](ov|qk|embed|mlp-in)[.][0-9]{0,7}[pn+-]?", fullmatch=True)
)
@example("L5.ov.0p")
@example("L5H3.embed.0p")
@example("L5H3.mlp-in.0p")
@example("L05H3.ov.0p")
@example("L5H3.ov.0p\n")
@example("L٣H3.ov.0p")
@example("ſ.ov.0p")
def test_any_text_is_a_ray_or_an_address_error(text):
    try:
        ray = parse_short(text, Address("gpt2"))
    except AddressError:
        return
    assert parse_short(format_short(ray), Address("gpt2")) == ray
