import math
import shutil

import numpy as np
import pytest

from app.core.address import KINDS, parse
from app.core.expectation import SURELY
from app.explorer import recipes
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.reading.around import MOST
from app.explorer.reading.bank import open_bank
from app.explorer.reading.readings import LEAST, MOST_FALSE
from app.explorer.views import Options
from app.explorer.visits.around import around
from tests.explorer.banks import build_bank, plant

DIRECTION = parse("tiny/L0/H1/ov/svd/2")


@pytest.fixture(scope="module")
def whole(open_explorer, tiny_data, tmp_path_factory):
    """An explorer whose tiny model has all that its bank is made of."""
    r = open_explorer(shutil.copytree(tiny_data, tmp_path_factory.mktemp("whole") / "data"))
    build_bank(r, kinds=("bank", "words", "tokens", "readings"))
    return r


def rows_of(r, processing="folded"):
    """Every row of the bank as it lies on disk: address, side, whether it is a neuron's, its unit vector in float64."""
    model = r.library.model("tiny")
    found = []
    for layer in (0, 1, None):
        for basis in ("svd", "neuron") if layer is not None else ("svd",):
            arrays = r.store.read(recipes.bank(model, layer, processing, basis)).arrays
            for n, vector in enumerate(arrays["vectors"].astype(np.float64)):
                kind, head = KINDS[arrays["kind"][n]], int(arrays["head"][n])
                place = parse("tiny") if layer is None else parse(f"tiny/L{layer}")
                place = place if head < 0 else place.at_head(head)
                number = arrays["unit" if basis == "neuron" else "index"][n]
                found.append(
                    (
                        place.at(kind).in_basis(basis).direction(int(number)),
                        int(arrays["side"][n]),
                        vector,
                        arrays["gain"][n],
                    )
                )
    return found


def writes(address, side):
    return side == 1 and address.kind != "qk"


def time(address, side):
    """When it reads, or writes, said anew: attention and MLP of layer b are steps 2b and 2b + 1."""
    if address.kind in {"embed", "unembed"}:
        return -1 if address.kind == "embed" else 99
    return 2 * address.layer + (address.kind not in {"ov", "qk"})


def plain(rows, row):
    """What a loop in float64 finds beside a row: name -> address, side -> (cosine, expected)."""
    address, side, vector, _ = rows[row]
    groups = {"like": {}, "others": {}, "neurons": {}}
    for other, other_side, unit, gain in rows:
        if gain < 0.1:
            continue
        is_neuron, own = other.basis == "neuron", other.matrix == address.matrix
        if writes(other, other_side) == writes(address, side):
            # Without shared keys and values each head is alone with its own matrix.
            if not is_neuron and not own:
                groups["like"][other, other_side] = unit @ vector
        else:
            first, then = (
                ((address, side), (other, other_side))
                if writes(address, side)
                else ((other, other_side), (address, side))
            )
            if time(*first) < time(*then) and not own:
                groups["neurons" if is_neuron else "others"][other, other_side] = unit @ vector
    found = {}
    for name, cosines in groups.items():
        values = np.array(list(cosines.values()))
        spread = math.sqrt(np.square(values).mean()) if len(values) else 1
        found[name] = (
            {
                place: (cosine, len(values) * math.erfc(abs(cosine) / spread / math.sqrt(2)))
                for place, cosine in cosines.items()
                if len(values) * math.erfc(abs(cosine) / spread / math.sqrt(2)) < SURELY
            },
            len(values),
        )
    return found


@pytest.mark.parametrize(
    "place",
    ["L0/H1/ov/svd/2", "L1/H3/qk/svd/0", "L1/mlp-in/neuron/5", "L0/mlp-out/svd/1", "embed/svd/0", "unembed/svd/3"],
)
def test_what_is_around_is_what_a_loop_finds(whole, place):
    rows = rows_of(whole)
    address = parse(f"tiny/{place}")
    page = around(whole, address, Options())
    own = [n for n, row in enumerate(rows) if row[0] == address]
    assert len(page.sides) == len(own)
    for side, row in zip(page.sides, own, strict=True):
        assert side.writes == writes(rows[row][0], rows[row][1])
        for name, list_ in (("like", side.neighbours), ("others", side.others), ("neurons", side.neurons)):
            expected, n_rows = plain(rows, row)[name]
            assert (list_.n_rows, list_.n_found) == (n_rows, len(expected)), (place, name)
            assert len(list_.found) == min(MOST, len(expected))
            for one in list_.found:
                sides = [
                    key
                    for key in expected
                    if key[0] == one.ray.address and expected[key][0] == pytest.approx(one.value, abs=1e-5)
                ]
                assert sides, one
                assert one.ray.sign == ("p" if one.value >= 0 else "n")
                assert one.expected == pytest.approx(expected[sides[0]][1], rel=1e-2, abs=1e-9)


def test_a_planted_reader_is_found_and_a_walk_leads_to_it(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    model = build_bank(r, kinds=("bank",))
    of_layer = {layer: r.store.read(recipes.bank(model, layer, "folded")).arrays for layer in (0, 1)}

    def at(layer, kind, head, index, side):
        own = of_layer[layer]
        (row,) = np.flatnonzero(
            (own["kind"] == KINDS.index(kind)) & (own["head"] == head) & (own["index"] == index) & (own["side"] == side)
        )
        return row

    vectors = of_layer[1]["vectors"].copy()
    vectors[at(1, "ov", 3, 1, 0)] = -of_layer[0]["vectors"][at(0, "ov", 1, 2, 1)]
    plant(r, model, 1, vectors=vectors)
    (_, writing) = around(r, DIRECTION, Options()).sides
    first = writing.others.found[0]
    assert (first.ray.address, first.ray.sign, first.side) == (parse("tiny/L1/H3/ov/svd/1"), "n", "read")
    assert first.value == pytest.approx(-1, abs=1e-5)
    (reading, _) = around(r, parse("tiny/L1/H3/ov/svd/1"), Options()).sides
    assert reading.others.found[0].ray.address == DIRECTION
    # Written later, it cannot be read, however well it would fit.
    assert DIRECTION not in [
        one.ray.address for one in around(r, parse("tiny/L1/H3/ov/svd/1"), Options()).sides[1].others.found
    ]


def test_readings_pass_both_bounds_and_never_lead_back(whole):
    model = whole.library.model("tiny")
    for index in range(8):
        for head in range(4):
            _, written = around(whole, parse(f"tiny/L0/H{head}/ov/svd/{index}"), Options()).sides
            for one in written.readings.found:
                assert one.specificity >= LEAST
                assert one.false_share <= MOST_FALSE
                assert one.distance >= 1
                assert len(one.heads) == 1
            assert not around(whole, parse(f"tiny/L1/H{head}/ov/svd/{index}"), Options()).sides[1].readings.found
    assert model.header.n_kv_heads == model.header.n_heads


def test_without_a_bank_the_page_says_which_command_builds_it(open_explorer, fresh_data):
    page = around(open_explorer(fresh_data), DIRECTION, Options())
    assert page.sides == ()
    assert "singular-lens precompute tiny --matrices bank" in page.missing


def test_a_bank_without_readings_says_the_rest(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    build_bank(r, kinds=("bank",))
    page = around(r, DIRECTION, Options())
    assert len(page.sides) == 2
    assert [side.readings for side in page.sides] == [None, None]
    assert page.missing == ""


@pytest.mark.parametrize("place", ["tiny", "tiny/L0/H1", "tiny/L0/H1/ov", "tiny/embed/nmf/0", "tiny/L0/mlp-in/pca/0"])
def test_only_directions_have_surroundings(whole, place):
    with pytest.raises(UnknownAddress, match="surroundings"):
        around(whole, parse(place), Options())


def test_what_is_not_there_is_refused(whole):
    with pytest.raises(UnknownAddress, match="H0 to H3"):
        around(whole, parse("tiny/L0/H9/ov/svd/0"), Options())
    with pytest.raises(UnknownAddress, match="not among the vectors"):
        around(whole, parse("tiny/pos/svd/0"), Options())
    with pytest.raises(BadOption, match="path"):
        around(whole, DIRECTION, Options(), "nonsense")


def test_rows_of_another_processing_are_never_looked_at(whole):
    page = around(whole, DIRECTION, Options(weights="raw"))
    assert page.sides == ()
    assert "--weights raw" in page.missing
    model = whole.library.model("tiny")
    assert open_bank(whole, model, "folded").share == 1


def test_heads_that_share_keys_and_values_are_left_out_and_listed_once(relatives):
    model = build_bank(relatives, "llama", kinds=("bank", "readings"))
    assert model.header.n_kv_heads == 2
    for place, partner in (("L1/H0/ov/svd/0", "ov"), ("L1/H0/qk/svd/0", "qk")):
        page = around(relatives, parse(f"llama/{place}"), Options())
        shared = page.sides[0 if partner == "ov" else 1]
        siblings = {parse(f"llama/L1/H{head}") for head in (0, 1)}
        assert not [
            one
            for one in shared.neighbours.found
            if one.ray.address.parent.parent in siblings and one.ray.address.kind == partner
        ]
        part, heads = shared.reader
        assert part == ("value" if partner == "ov" else "key")
        assert [str(head) for head in heads] == ["llama/L1/H0", "llama/L1/H1"]
