import math
import shutil

import numpy as np
import pytest

from app.core.address import KINDS, Ray, format_short, parse
from app.core.finding.expectation import SURELY
from app.core.finding.reversal import count_bins
from app.core.folding import fold_head
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import SIDES
from app.explorer.layout import PARTS
from app.explorer.reading.finding.around import MOST
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.readings import LEAST_SPECIFICITY
from app.explorer.visits.finding.around import visit_around
from tests.explorer.banks import build_bank, plant_rows

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
    page = visit_around(whole, address, Options())
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
                    if key[0] == one.address and expected[key][0] == pytest.approx(one.value, abs=1e-5)
                ]
                assert sides, one
                assert one.ray == ("p" if one.value >= 0 else "n")
                assert one.expected == pytest.approx(expected[sides[0]][1], rel=1e-2, abs=1e-9)


@pytest.mark.parametrize("place", ["L0/H1/ov/svd/2", "L1/mlp-in/neuron/5", "embed/svd/0"])
def test_around_the_other_end_lies_the_other_end_of_each(whole, place):
    address = parse(f"tiny/{place}")
    page, turned = (visit_around(whole, address, Options(), f"{format_short(Ray(address, sign))}") for sign in "pn")
    assert (page.path[-1].ray.sign, turned.path[-1].ray.sign) == ("p", "n")
    bank = open_bank(whole, whole.library.model("tiny"), "folded")
    for side, other in zip(page.sides, turned.sides, strict=True):
        for list_, turned_list in (
            (side.neighbours, other.neighbours),
            (side.others, other.others),
            (side.neurons, other.neurons),
        ):
            assert (list_.n_found, list_.n_rows) == (turned_list.n_found, turned_list.n_rows)
            for one, two in zip(list_.found, turned_list.found, strict=True):
                assert (two.address, two.value, two.z) == (one.address, -one.value, -one.z)
                assert {one.ray, two.ray} == {"p", "n"}
                row = bank.find(two.address, SIDES[two.address.kind].index(two.side))
                ids = bank.rows.ids[row, "pn".index(two.ray)]
                assert [token.id for token in two.tokens] == ids[: len(two.tokens)].tolist()


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
    plant_rows(r, model, 1, vectors=vectors)
    (_, writing) = visit_around(r, DIRECTION, Options()).sides
    first = writing.others.found[0]
    assert (first.address, first.ray, first.side) == (parse("tiny/L1/H3/ov/svd/1"), "n", "read")
    assert first.value == pytest.approx(-1, abs=1e-5)
    (reading, _) = visit_around(r, parse("tiny/L1/H3/ov/svd/1"), Options()).sides
    assert reading.others.found[0].address == DIRECTION
    # Written later, it cannot be read, however well it would fit.
    assert DIRECTION not in [
        one.address for one in visit_around(r, parse("tiny/L1/H3/ov/svd/1"), Options()).sides[1].others.found
    ]


def plant_reading(r, model, *, part, reader, specificity=5.0, reversed_pairs=0):
    """That head of the last layer reads the direction so specifically; so many pairs in the wrong order are as specific."""
    for layer in range(model.header.n_layers):
        recipe = recipes.readings(model, layer, "folded")
        kept = r.store.read(recipe)
        arrays = {name: array[:0] for name, array in kept.arrays.items()} | {"pairs": kept.arrays["pairs"]}
        counts, found = np.zeros_like(kept.arrays["counts"]), np.array([specificity], np.float32)
        if layer == 0:
            counts[PARTS.index(part), 1] = count_bins(found)
            own = {"kind": KINDS.index("ov"), "head": 1, "index": 2, "part": PARTS.index(part), "layer": 1}
            own |= {"reader": reader, "specificity": specificity}
            arrays |= {name: np.array([value], kept.arrays[name].dtype) for name, value in own.items()}
        else:
            counts[PARTS.index(part), 0] = reversed_pairs * count_bins(found)
        r.store.write(recipe, arrays | {"counts": counts}, kept.facts)


@pytest.fixture
def planted(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    model = build_bank(r, kinds=("bank", "readings"))
    return lambda **how: plant_reading(r, model, **how) or r


def test_a_planted_reading_is_told_at_both_ends(planted):
    r = planted(part="value", reader=2)
    (one,) = visit_around(r, DIRECTION, Options()).sides[1].readings.found
    assert (one.writer, one.part, one.heads) == (DIRECTION, "value", (parse("tiny/L1/H2"),))
    assert (one.specificity, one.false_share, one.distance) == (5.0, 0.0, 1)
    (other,) = visit_around(r, parse("tiny/L1/H2/ov/svd/0"), Options()).sides[0].readings.found
    assert (other.writer, other.specificity) == (DIRECTION, 5.0)
    assert other.tokens[0]
    for place in ("L1/H3/ov/svd/0", "L0/H1/ov/svd/2"):
        assert not visit_around(r, parse(f"tiny/{place}"), Options()).sides[0].readings.found
    assert not visit_around(r, parse("tiny/L1/H1/ov/svd/2"), Options()).sides[1].readings.found


def test_the_strength_of_a_reading_is_in_units_of_the_stream(planted):
    """The singular value is the oracle's; what norms divide by is made up."""
    r = planted(part="value", reader=2)
    model = r.library.model("tiny")
    r.store.write(recipes.use(model, "folded"), {"stream": np.array([2.0, 4.0], np.float32)}, {})
    head = fold_head(model.weights().head(0, DIRECTION.head), model.weights().norms(0, DIRECTION.head))
    strength = np.linalg.svd((head.W_V @ head.W_O).double().numpy(), compute_uv=False)[DIRECTION.index]
    for place, side in ((DIRECTION, 1), (parse("tiny/L1/H2/ov/svd/0"), 0)):
        (one,) = visit_around(r, place, Options()).sides[side].readings.found
        assert one.strength == pytest.approx(5.0 * strength / 4.0, rel=1e-4)
    r.store.remove(recipes.use(model, "folded"))
    (one,) = visit_around(r, DIRECTION, Options()).sides[1].readings.found
    assert one.strength is None


@pytest.mark.parametrize("how", [{"specificity": LEAST_SPECIFICITY - 0.1}, {"reversed_pairs": 1}])
def test_a_reading_that_does_not_pass_both_bounds_is_only_counted(planted, how):
    readings = visit_around(planted(part="query", reader=0, **how), DIRECTION, Options()).sides[1].readings
    assert (readings.found, readings.n_found, readings.n_weaker) == ((), 0, 1)


def test_until_all_layers_are_there_nothing_is_said_of_readings(planted):
    """That no head reads it would be false, and what share means nothing is not known."""
    r = planted(part="value", reader=2)
    recipe = recipes.readings(r.library.model("tiny"), 1, "folded")
    data = r.store.path(recipe).read_bytes()
    for damage in (lambda path: path.write_bytes(data[:-1] + bytes([data[-1] ^ 1])), lambda path: path.unlink()):
        r.store.path(recipe).write_bytes(data)
        assert visit_around(r, DIRECTION, Options()).sides[1].readings.found
        damage(r.store.path(recipe))
        page = visit_around(r, DIRECTION, Options())
        assert [side.readings for side in page.sides] == [None, None]
        assert page.sides[1].others.n_rows


def test_without_a_bank_the_page_says_which_command_builds_it(open_explorer, fresh_data):
    page = visit_around(open_explorer(fresh_data), DIRECTION, Options())
    assert page.sides == ()
    assert "singular-lens precompute tiny --matrices bank" in page.unbuilt.why


def test_a_bank_without_readings_says_the_rest(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    build_bank(r, kinds=("bank",))
    page = visit_around(r, DIRECTION, Options())
    assert len(page.sides) == 2
    assert [side.readings for side in page.sides] == [None, None]
    assert page.unbuilt is None


@pytest.mark.parametrize("place", ["tiny", "tiny/L0/H1", "tiny/L0/H1/ov", "tiny/embed/nmf/0", "tiny/L0/mlp-in/pca/0"])
def test_only_directions_have_surroundings(whole, place):
    with pytest.raises(UnknownAddress, match="surroundings"):
        visit_around(whole, parse(place), Options())


def test_what_is_not_there_is_refused(whole):
    with pytest.raises(UnknownAddress, match="H0 to H3"):
        visit_around(whole, parse("tiny/L0/H9/ov/svd/0"), Options())
    with pytest.raises(UnknownAddress, match="not among the vectors"):
        visit_around(whole, parse("tiny/pos/svd/0"), Options())
    with pytest.raises(BadOption, match="path"):
        visit_around(whole, DIRECTION, Options(), "nonsense")


def test_rows_of_another_processing_are_never_looked_at(whole):
    page = visit_around(whole, DIRECTION, Options(weights="raw"))
    assert page.sides == ()
    assert "--weights raw" in page.unbuilt.why
    model = whole.library.model("tiny")
    assert open_bank(whole, model, "folded").share == 1


@pytest.mark.parametrize(("place", "kind", "side"), [("L1/H0/ov/svd/0", "ov", 0), ("L1/H0/qk/svd/0", "qk", 1)])
def test_heads_that_share_keys_and_values_are_left_out_and_listed_once(relatives, place, kind, side):
    model = build_bank(relatives, "llama", kinds=("bank", "readings"))
    assert model.header.n_kv_heads == 2
    own = relatives.store.read(recipes.bank(model, 1, "folded")).arrays

    def row(head, index):
        of_kind = (own["kind"] == KINDS.index(kind)) & (own["head"] == head) & (own["side"] == side)
        return np.flatnonzero(of_kind & (own["index"] == index))[0]

    vectors = own["vectors"].copy()
    vectors[[row(1, 1), row(2, 1)]] = vectors[row(0, 0)]  # a sibling's, and one of another group
    plant_rows(relatives, model, 1, vectors=vectors)
    try:
        shared = visit_around(relatives, parse(f"llama/{place}"), Options()).sides[side]
    finally:
        plant_rows(relatives, model, 1, vectors=own["vectors"])
    assert shared.neighbours.found[0].address == parse(f"llama/L1/H2/{kind}/svd/1")
    assert shared.neighbours.found[0].value == pytest.approx(1, abs=1e-5)
    assert parse(f"llama/L1/H1/{kind}/svd/1") not in [one.address for one in shared.neighbours.found]
    part, heads = shared.reader
    assert part == ("value" if kind == "ov" else "key")
    assert [str(head) for head in heads] == ["llama/L1/H0", "llama/L1/H1"]
