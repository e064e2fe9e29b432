"""The pages of every matrix in the bases that a visit computes, against dense float64 of the checkpoint's tensors."""

from dataclasses import replace

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.asking.views import resolve_view
from app.explorer.errors import UnknownAddress
from app.explorer.making import decompositions
from app.explorer.making.decompositions import decompose_matrix
from app.explorer.reading import directions
from app.explorer.reading.matrices import make_direction_page
from app.explorer.visits import browse, orders
from app.explorer.visits.browse import MOST_ROWS, Options
from tests.explorer.dense import (
    CASES,
    D_MODEL,
    LAYER_KINDS,
    apply_sign_rule,
    assert_reads,
    compute_gaps,
    count_present,
    explained_shares,
)
from tests.explorer.steps import run_steps

OF_STREAM = {"read", "write"}
N_KNOWN = {"gpt2": 300}
PAGES = [case for case in CASES if case != ("gpt2", "unembed", "raw")]
"""As stored, that is one with the embedding: it has no page of its own."""
PCA = [case for case in PAGES if case[0] in {"gpt2", "llama"} and case[1] not in {"mlp-gate", "heads/read"}]
NEURON = [case for case in PAGES if case[1] != "pos"]
FREQUENCY = [case for case in PAGES if case[1] in {"embed", "unembed"}]


@pytest.fixture
def page_of(seen_of):
    """page_of("gpt2", "mlp-in", "raw", "pca"): the whole table, eight tokens a ray."""

    def look(family, kind, weights, basis="svd", **parameters):
        r, slug = seen_of(family)
        path = f"L1/{kind}" if kind in LAYER_KINDS else kind
        options = Options(weights=weights, whole=True, parameters=parameters)
        return browse.visit_matrix(r, parse(f"{slug}/{path}/{basis}"), options)

    return look


@pytest.fixture
def assert_sides(oracle_of):
    """assert_sides(row, case, sides, left, right): what both sides show of the vectors."""

    def check(row, case, sides, left, right):
        for side, name, vector in ((row.left, sides[0], left), (row.right, sides[1], right)):
            assert_side(oracle_of(case[0]), case, side, name, vector)

    return check


def assert_side(oracle, case, side, name, vector):
    family, kind, weights = case
    assert side.side == name
    scores = oracle.table(name, weights) @ vector if name in OF_STREAM else vector
    if name in OF_STREAM or name == "token":
        scores = scores[: N_KNOWN.get(family, 97)]
    assert_reads(side, scores)
    if kind != "heads/read":
        assert len(side.plus) == len(side.minus) == 8


@pytest.mark.parametrize("case", PAGES, ids="-".join)
def test_singular_directions_are_what_float64_says(page_of, oracle_of, assert_sides, case):
    page, expected = page_of(*case), oracle_of(case[0]).dense(case[1], case[2])
    U, s, Vh = np.linalg.svd(expected.matrix, full_matrices=False)
    s = s[: count_present(s)]
    assert page.rank == len(s) == len(page.directions)
    np.testing.assert_allclose(page.singular_values, s, rtol=1e-5, atol=1e-6 * s[0])
    shares = s**2 / (s**2).sum()
    np.testing.assert_allclose([row.energy_share for row in page.directions], shares, rtol=1e-4)
    apart = compute_gaps(s)
    np.testing.assert_allclose([row.gap for row in page.directions], apart, atol=1e-5)
    assert page.curve.at[0] == 0
    assert page.curve.at[-1] == len(s)
    assert page.curve.explained == page.curve.svd
    np.testing.assert_allclose(page.curve.explained, np.r_[0, shares.cumsum()][list(page.curve.at)], atol=1e-5)
    assert dict(page.scores)["stable-rank"] == pytest.approx(1 / shares[0], rel=1e-5)
    for i, row in enumerate(page.directions):
        assert (row.index, row.merit, row.unit) == (i, None, None)
        if apart[i] > 0.02:
            assert_sides(row, case, page.sides, *apply_sign_rule(U[:, i], Vh[i]))
    if expected.bias.any():
        assert_side(oracle_of(case[0]), case, page.bias, page.sides[1], expected.bias)
    else:
        assert page.bias is None


@pytest.mark.parametrize("case", PCA, ids="-".join)
def test_principal_directions_are_those_about_the_mean(page_of, oracle_of, assert_sides, case):
    page, expected = page_of(*case, "pca"), oracle_of(case[0]).dense(case[1], case[2])
    samples, mean = expected.samples, expected.samples.mean(axis=0)
    size, n = np.square(samples).sum(), len(samples)
    U, s, Vh = np.linalg.svd(samples - mean, full_matrices=False)
    s = s[: count_present(s)]
    np.testing.assert_allclose(page.singular_values, s, rtol=1e-5, atol=1e-6 * s[0])
    np.testing.assert_allclose([row.merit for row in page.directions], s**2 / n, rtol=1e-4)
    np.testing.assert_allclose([row.energy_share for row in page.directions], s**2 / size, rtol=1e-4)
    for i, row in enumerate(page.directions):
        if compute_gaps(s)[i] > 0.02:
            left, right = (U[:, i], Vh[i]) if expected.is_upright else (Vh[i], U[:, i])
            assert_sides(row, case, page.sides, *apply_sign_rule(left, right))
    of_mean = n * np.square(mean).sum() / size
    assert dict(page.scores)["mean-share"] == pytest.approx(of_mean, abs=1e-6)
    assert dict(page.scores)["error"] == pytest.approx(0, abs=2e-3)
    at = list(page.curve.at)
    np.testing.assert_allclose(page.curve.explained, (of_mean + np.r_[0, np.cumsum(s**2) / size])[at], atol=1e-5)
    best = np.linalg.svd(samples)[1] ** 2 / size
    np.testing.assert_allclose(page.curve.svd, np.r_[0, best.cumsum()][at], atol=1e-5)
    if of_mean > 1e-9:
        assert page.bias_term == "mean"
        assert_side(oracle_of(case[0]), case, page.bias, page.sides[int(expected.is_upright)], mean)


@pytest.mark.parametrize("place", ["unembed", "heads/write"])
def test_a_mean_that_is_rounding_is_not_read_out(page_of, place):
    """Folded unembeddings are centred over the vocabulary, and of a stack each vector has its opposite."""
    page = page_of("llama", place, "folded", "pca")
    assert dict(page.scores)["mean-share"] == pytest.approx(0, abs=1e-9)
    assert page.bias is None


@pytest.mark.parametrize("case", NEURON, ids="-".join)
def test_the_neuron_basis_is_the_matrix_as_it_stands(page_of, oracle_of, seen_of, case):
    page, expected = page_of(*case, "neuron"), oracle_of(case[0]).dense(case[1], case[2])
    samples, has_neurons = expected.samples, case[1] in LAYER_KINDS
    lines = samples if has_neurons else samples.T
    norms = np.linalg.norm(lines, axis=1)
    assert sorted(row.unit for row in page.directions) == list(range(len(lines)))
    assert page.indices == tuple(row.unit for row in page.directions)
    assert all(row.index == row.address.index == row.unit for row in page.directions)
    np.testing.assert_allclose(page.singular_values, norms[[row.unit for row in page.directions]], rtol=1e-5)
    np.testing.assert_allclose(page.singular_values, np.sort(norms)[::-1], rtol=1e-5)
    assert dict(page.scores)["error"] == pytest.approx(0, abs=2e-3)
    of_samples_first = expected.is_upright
    for row in page.directions[::7]:
        assert (row.gap, row.badge) == (None, None)
        ones, other = (row.left, row.right) if of_samples_first == has_neurons else (row.right, row.left)
        names = page.sides if of_samples_first == has_neurons else page.sides[::-1]
        vector = lines[row.unit] / norms[row.unit]
        assert_side(oracle_of(case[0]), case, other, names[1], vector)
        if has_neurons:
            assert [(token.id, token.score) for token in (*ones.plus, *ones.minus)] == [(row.unit, 1.0)]
            assert ones.plus[0].place == row.address
        else:
            assert_side(oracle_of(case[0]), case, ones, names[0], np.eye(D_MODEL)[row.unit])
    order = [row.unit for row in page.directions]
    vectors = lines[order] if has_neurons else np.eye(D_MODEL)[order]
    at = [n for n in page.curve.at if n]
    np.testing.assert_allclose(page.curve.explained[1:], explained_shares(samples, vectors, at), atol=1e-5)


@pytest.mark.parametrize("case", NEURON, ids="-".join)
def test_an_address_has_the_number_that_the_checkpoint_has(seen_of, oracle_of, case):
    """`neuron/3` is the third row of W_in after the first, whatever its norm, raw and folded; so for coordinates."""
    (r, slug), (family, kind, weights) = seen_of(case[0]), case
    expected, has_neurons = oracle_of(family).dense(kind, weights), kind in LAYER_KINDS
    lines = expected.samples if has_neurons else expected.samples.T
    place = parse(f"{slug}/L1/{kind}/neuron" if has_neurons else f"{slug}/{kind}/neuron")
    for number in (3, len(lines) - 1):
        page = browse.visit_direction(r, place.direction(number), Options(weights=weights))
        norm = np.linalg.norm(lines[number])
        assert (page.index, page.unit) == (number, number)
        assert page.singular_value == pytest.approx(norm, rel=1e-5)
        assert page.singular_values[page.indices.index(number)] == page.singular_value
        # Of its two sides, that which is not a single 1.
        side = page.right if expected.is_upright == has_neurons else page.left
        if side.side in OF_STREAM:
            assert_side_whole(oracle_of(family), family, side, side.side, lines[number] / norm, weights)
        assert page.previous == place.direction(number - 1)
        assert page.next == (place.direction(number + 1) if number + 1 < len(lines) else None)
        assert [other.index for other in page.same] == [number] * len(page.same)


@pytest.mark.parametrize("case", FREQUENCY, ids="-".join)
def test_the_frequency_basis_is_gram_schmidt_of_group_means(page_of, oracle_of, assert_sides, case):
    page, expected = page_of(*case, "frequency", groups=7), oracle_of(case[0]).dense(case[1], case[2])
    assert [(choice.name, choice.value) for choice in page.view.parameters] == [("groups", 7)]
    samples, n = expected.samples, len(expected.samples)
    group = np.arange(n) * 7 // n
    means = np.array([samples[group == g].mean(axis=0) for g in range(7)])
    Q, R = np.linalg.qr(means.T)
    Q = (Q * np.sign(np.diag(R))).T
    merits = [1 / (1 + np.flatnonzero(group == g).mean()) for g in range(7)]
    if page.rank == 6:  # the means of what is centred over the vocabulary sum to zero, but for rounding
        Q, merits = Q[:6], merits[:6]
    coordinates = samples @ Q.T
    strength = np.linalg.norm(coordinates, axis=0)
    np.testing.assert_allclose(page.singular_values, strength, rtol=1e-4)
    np.testing.assert_allclose([row.merit for row in page.directions], merits, rtol=1e-6)
    for i, row in enumerate(page.directions):
        unit = coordinates[:, i] / strength[i]
        assert_sides(row, case, page.sides, *((unit, Q[i]) if expected.is_upright else (Q[i], unit)))
    rest = samples - coordinates @ Q
    assert dict(page.scores)["error"] == pytest.approx(np.linalg.norm(rest) / np.linalg.norm(samples), rel=1e-4)
    at = [count for count in page.curve.at if count]
    np.testing.assert_allclose(page.curve.explained[1:], explained_shares(samples, Q, at), atol=1e-5)
    assert all(own <= best + 1e-6 for own, best in zip(page.curve.explained, page.curve.svd, strict=True))


@pytest.mark.parametrize(("family", "kind"), [("gpt2", "mlp-out"), ("gpt2", "mlp-in"), ("llama", "mlp-gate")])
@pytest.mark.parametrize("basis", ["svd", "pca"])
def test_a_neurons_chip_leads_to_that_neuron(page_of, oracle_of, seen_of, family, kind, basis):
    r, _slug = seen_of(family)
    page, expected = page_of(family, kind, "folded", basis), oracle_of(family).dense(kind, "folded")
    of_neurons = "left" if page.sides[0] == "neuron" else "right"
    chips = [chip for row in page.directions[:3] for chip in getattr(row, of_neurons).plus[:2]]
    for chip in chips:
        assert (chip.kind, chip.shown, chip.place.basis) == ("neuron", str(chip.id), "neuron")
        one = browse.visit_direction(r, chip.place, Options(weights="folded"))
        assert one.unit == chip.id
        weights = expected.samples[chip.id]
        other, name = (one.right, page.sides[1]) if of_neurons == "left" else (one.left, page.sides[0])
        assert_side_whole(oracle_of(family), family, other, name, weights / np.linalg.norm(weights))
        assert one.singular_value == pytest.approx(np.linalg.norm(weights), rel=1e-5)


def assert_side_whole(oracle, family, side, name, vector, weights="folded"):
    assert_reads(side, (oracle.table(name, weights) @ vector)[: N_KNOWN.get(family, 97)], 50)


@pytest.mark.parametrize(("kind", "basis"), [("heads/write", "svd"), ("heads/read", "pca")])
def test_a_heads_chip_names_the_ray_whose_entry_it_is(explorer, page_of, oracle_of, kind, basis):
    """The entry is the ray's vector times the direction, over the strength; its page is that direction of that head."""
    page, oracle = page_of("gpt2", kind, "folded", basis), oracle_of("gpt2")
    _, _, Vh = np.linalg.svd(oracle.dense(kind, "folded").samples)
    for i in range(3):
        row = page.directions[i]
        assert min(compute_gaps(np.array(page.singular_values))[: i + 1]) > 1e-3
        direction = Vh[i] * np.sign(Vh[i][np.abs(Vh[i]).argmax()])
        signs = []
        for chip in (*row.left.plus, *row.left.minus):
            assert chip.kind == "head"
            head = chip.place
            U, s, V = np.linalg.svd(oracle.ov(head.layer, head.head, folded=True))
            left, right = apply_sign_rule(U[:, head.index], V[head.index])
            vector = s[head.index] * (right if kind == "heads/write" else left)
            sign = {"+": 1, "−": -1}[chip.text[-1]]
            assert (chip.text[:-1], chip.shown) == (head.label, chip.text.replace(" OV", ""))
            assert chip.score == pytest.approx(sign * vector @ direction / page.singular_values[i], abs=1e-4)
            signs.append(sign)
            one = browse.visit_direction(explorer, head, Options(weights="folded"))
            assert one.singular_value == pytest.approx(s[head.index], rel=1e-4)
        assert {1, -1} == set(signs)


def test_positions_are_a_curve(explorer, oracle_of):
    U, _, Vh = np.linalg.svd(oracle_of("gpt2").dense("pos", "folded").matrix)
    page = browse.visit_direction(explorer, parse("tiny/pos/svd/0"), Options(weights="folded"))
    left, _ = apply_sign_rule(U[:, 0], Vh[0])
    np.testing.assert_allclose(page.positions, left, atol=1e-5)
    assert browse.visit_direction(explorer, parse("tiny/embed/svd/0"), Options()).positions == ()


@pytest.mark.parametrize("place", ["L0/mlp-in/svd", "embed/pca", "heads/write/dictionary", "L0/H0/ov/neuron"])
def test_progress_rises_to_a_hundred_and_can_be_left(context_of, place):
    address = parse(f"tiny/{place}")
    parameters = {"atoms": 20, "sparsity": 2, "seed": 0} if address.basis == "dictionary" else {}
    said = []
    run_steps(decompose_matrix(context_of("gpt2", "raw"), address, parameters), said)
    shares = [done / total for done, total in said]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
    steps = decompose_matrix(context_of("gpt2", "raw"), address, parameters)
    next(steps)
    next(steps)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


def test_parts_of_the_work_are_the_whole_of_it():
    assert sum(decompositions.PERCENT_OF_PARTS.values()) == 100
    assert decompositions.PERCENT_AT_START["matrix"] == 0


@pytest.mark.parametrize(("place", "basis"), [("L0/H1/ov", "neuron"), ("L1/H3/qk", "neuron")])
def test_a_circuit_in_coordinates_of_the_stream(explorer, oracle_of, place, basis):
    page = browse.visit_matrix(explorer, parse(f"tiny/{place}/{basis}"), Options(weights="raw", whole=True))
    assert len(page.directions) == D_MODEL
    assert page.curve is not None
    if place == "L0/H1/ov":
        norms = np.linalg.norm(oracle_of("gpt2").ov(0, 1, folded=False), axis=0)
        np.testing.assert_allclose(page.singular_values, norms[[row.unit for row in page.directions]], rtol=1e-4)
        one = browse.visit_direction(explorer, parse(f"tiny/{place}/neuron/5"), Options(weights="raw"))
        assert one.singular_value == pytest.approx(norms[5], rel=1e-4)
        assert page.bias is not None


def test_the_whole_table_is_one_page(explorer):
    assert MOST_ROWS > 10_000
    page = browse.visit_matrix(explorer, parse("tiny/L0/mlp-in/neuron"), Options(page=2))
    assert (page.n_pages, len(page.directions)) == (8, 16)
    whole = browse.visit_matrix(explorer, parse("tiny/L0/mlp-in/neuron"), Options(whole=True))
    assert page.directions == whole.directions[16:32]


@pytest.mark.parametrize("kind", ["mlp-in", "mlp-out"])
def test_a_neuron_is_found_by_its_number_and_leads_to_its_other_weights(explorer, kind):
    whole = parse(f"tiny/L1/{kind}/neuron")
    for number in (0, 77, 127):
        (row,) = browse.visit_matrix(explorer, whole, Options(find=f"neuron {number}")).directions
        assert row.unit == number
        page = browse.visit_direction(explorer, row.address, Options())
        (other,) = page.same
        assert other.kind != kind
        assert browse.visit_direction(explorer, other, Options()).unit == number
    assert browse.visit_matrix(explorer, whole, Options(find="999")).directions == ()
    assert browse.visit_direction(explorer, parse("tiny/embed/neuron/0"), Options()).same == ()


def test_a_neuron_without_weights_is_named_and_skipped(explorer):
    """Its artifact has one row less, and the others keep their numbers."""
    address = parse("tiny/L1/mlp-in/neuron/77")
    opened, shown = resolve_view(explorer, address, Options())
    artifact = explorer.store.load(orders.order_matrix(opened, address, shown).recipe)
    assert artifact is not None
    kept = artifact.arrays["unit"] != 77
    ranks = np.cumsum(kept, dtype=np.int32) - 1
    others = np.where(np.arange(128) == 77, -1, ranks[artifact.arrays["units"]]).astype(np.int32)
    arrays = {name: array[kept] if len(array) == 128 else array for name, array in artifact.arrays.items()}
    pruned = replace(artifact, arrays=arrays | {"index": ranks[:-1], "units": others, "units_mlp-out": others})
    with pytest.raises(
        UnknownAddress, match=r"Neuron 77 .* L1 MLP in is zero there.* neurons 0 to 127, and 127 of them"
    ):
        make_direction_page(opened, address, shown, pruned, (None, None))
    before, after = (
        make_direction_page(opened, address.direction(number), shown, pruned, (None, None)) for number in (76, 78)
    )
    assert (before.next, after.previous) == (after.address, before.address)
    assert (before.index, after.index) == (76, 78)
    assert (before.rank, len(before.same)) == (127, 1)
    svd = artifact.arrays | {"units": others}
    tokens = directions._name_entries(svd, "neuron", address, opened.vocabulary, np.array([[77, 78]]), np.ones((1, 2)))
    assert [token.place for token in tokens[0]] == [None, address.direction(78)]
