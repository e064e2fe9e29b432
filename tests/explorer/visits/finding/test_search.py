"""A search of a small model's bank, beside what float64 makes of the same vectors and tokens."""

import math
import shutil

import numpy as np
import pytest

from app.core.address import KINDS, Address, Ray, format_short, parse
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import SIDES
from app.explorer.pages.search import Inquiry
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.order import HARDLY_USED
from app.explorer.reading.finding.words import open_words
from app.explorer.visits.finding.search import N_FOUND, N_JUDGED, N_ON_PAGE, search, search_every
from app.store.grounds import GROUNDS, Grounds
from tests.explorer.banks import build_bank, plant_rows

TINY = Address("tiny")
ENDS = ("read", "write")


@pytest.fixture(scope="module")
def banked(open_explorer, tiny_data, tmp_path_factory):
    """One explorer of the tiny model with its bank, for tests that only look."""
    r = open_explorer(shutil.copytree(tiny_data, tmp_path_factory.mktemp("banked") / "data"))
    build_bank(r)
    return r


@pytest.fixture
def own(banked, open_explorer, tmp_path):
    """A copy of it, for tests that change something."""
    return open_explorer(shutil.copytree(banked.data, tmp_path / "data"))


def ask(r, q="", most=N_FOUND, **how):
    return search(r, TINY, Options(), Inquiry(q, **how), most)


def named(found):
    return [(str(one.address), one.ray, one.side) for one in found]


class Oracle:
    """Every ray of the bank beside some tokens, each with its weight, in float64."""

    def __init__(self, r, weights):
        model = r.library.model("tiny")
        self.bank = open_bank(r, model, "folded")
        self.rows = self.bank.rows
        vectors = self.bank.vectors(np.arange(len(self.rows.end))).astype(np.float64)
        self.themes, self.aligned, self.expected = [], [], []
        for at, vector in enumerate(vectors):
            end = ENDS[self.rows.end[at]]
            units = open_words(r, model, "folded", end).rows(np.arange(304)).astype(np.float64)
            query = sum(weight * units[id_] for id_, weight in weights.items())
            query = query / np.linalg.norm(query)
            alignment = float(vector @ query)
            spread = math.sqrt(query @ self.bank.moments[end].astype(np.float64) @ query)
            for ray, sign in enumerate((1, -1)):
                self.themes.append((units[self.rows.ids[at, ray]] @ query).mean())
                self.aligned.append(sign * alignment)
                self.expected.append(self.bank.n_rows * math.erfc(abs(alignment) / spread / math.sqrt(2)))

    def order(self, scores, keep=lambda rows, at, ray: True, neurons=False):
        """The rays that pass, best first, as `named` has them."""
        rows = self.rows
        passing = [
            place
            for place in range(len(scores))
            if rows.is_neuron[place // 2] == neurons
            and rows.gain[place // 2] >= HARDLY_USED
            and keep(rows, place // 2, place % 2)
        ]
        return sorted(passing, key=lambda place: -scores[place])[:N_FOUND]

    def name(self, place):
        at = place // 2
        return str(self.bank.address(at)), "pn"[place % 2], SIDES[KINDS[self.rows.kind[at]]][self.rows.side[at]]


@pytest.fixture(scope="module")
def oracle(banked):
    return Oracle(banked, {271: 1.0, 275: 1.0})


@pytest.fixture(scope="module")
def words(banked):
    entry = banked.library.model("tiny").vocabulary.entry
    return f"{entry(271).text.strip()}, #275"


def check(page, oracle, scores, places):
    """The same rays in the same order, but for those whose scores differ by less than float32 tells, with their numbers."""
    of = {oracle.name(place): place for place in range(len(scores))}
    found = [of[name] for name in named(page.hits)]
    np.testing.assert_allclose([scores[at] for at in found], [scores[at] for at in places], atol=2e-6)
    for one, at in zip(page.hits, found, strict=True):
        assert one.theme == pytest.approx(oracle.themes[at], abs=2e-6)
        assert one.alignment == pytest.approx(oracle.aligned[at], abs=2e-6)
        assert one.expected == pytest.approx(oracle.expected[at], rel=1e-3)


def test_rays_come_by_theme_with_their_alignments_as_float64_has_them(banked, oracle, words):
    page = ask(banked, words)
    check(page, oracle, oracle.themes, oracle.order(oracle.themes))
    assert page.n_hits == N_FOUND
    assert page.searched.share_of_model == 1
    assert page.is_whole


def test_rays_come_by_alignment(banked, oracle, words):
    check(ask(banked, words, order="alignment"), oracle, oracle.aligned, oracle.order(oracle.aligned))


@pytest.mark.parametrize(
    ("how", "keep"),
    [
        ({"side": "write"}, lambda rows, at, ray: rows.end[at] == 1),
        ({"side": "query"}, lambda rows, at, ray: rows.kind[at] == KINDS.index("qk") and rows.side[at] == 0),
        ({"kind": "ov"}, lambda rows, at, ray: rows.kind[at] == KINDS.index("ov")),
        ({"layers": "1"}, lambda rows, at, ray: rows.layer[at] == 1),
        ({"layers": "0-1"}, lambda rows, at, ray: rows.layer[at] >= 0),
        ({"layers": "ends"}, lambda rows, at, ray: rows.layer[at] < 0),
        ({"readable": True}, lambda rows, at, ray: rows.p[at, ray] < 0.01),
        ({"used": True}, lambda rows, at, ray: rows.gain[at] >= 0.5),
        (
            {"kind": "mlp-out", "layers": "0", "side": "write"},
            lambda rows, at, ray: rows.kind[at] == 4 and rows.layer[at] == 0,
        ),
    ],
)
@pytest.mark.parametrize("order", ["theme", "alignment"])
def test_filters_leave_the_others_as_they_are(banked, oracle, words, how, keep, order):
    scores = oracle.themes if order == "theme" else oracle.aligned
    check(ask(banked, words, order=order, **how), oracle, scores, oracle.order(scores, keep))


def test_neurons_are_searched_apart(banked, oracle, words):
    page = ask(banked, words, basis="neuron")
    places = oracle.order(oracle.themes, neurons=True)
    np.testing.assert_allclose([one.theme for one in page.hits], [oracle.themes[at] for at in places], atol=2e-6)
    assert {one.address.basis for one in page.hits} == {"neuron"}
    assert {one.side for one in page.hits} <= {"read", "write"}


def test_pages_are_the_list_cut_up(banked, words):
    whole = named(ask(banked, words).hits)
    pages = [ask(banked, words, most=N_ON_PAGE, page=page) for page in (1, 2, 8)]
    assert [page.n_pages for page in pages] == [8, 8, 8]
    assert [named(page.hits) for page in pages] == [whole[:25], whole[25:50], whole[175:]]
    with pytest.raises(BadOption, match="there are 8"):
        ask(banked, words, most=N_ON_PAGE, page=9)


def test_what_is_subtracted_has_the_opposite_sign(banked):
    opposite = Oracle(banked, {271: 1.0, 275: -1.0})
    page = ask(banked, "#271 -#275")
    check(page, opposite, opposite.themes, opposite.order(opposite.themes))
    assert [term.is_minus for term in page.terms] == [False, True]


def test_words_that_are_asked_for_are_marked_in_any_spelling(banked):
    vocabulary = banked.library.model("tiny").vocabulary
    one = next(one for one in ask(banked, "that").hits if one.asked)
    assert all(vocabulary.words[hit.token.id] == "that" for hit in one.asked)
    assert [one.tokens[hit.place - 1] for hit in one.asked] == [hit.token for hit in one.asked]


def test_the_other_side_of_a_direction_stands_beside_it(banked, words):
    found = ask(banked, words).hits
    for one in found:
        has_two = one.address.kind in {"ov", "qk"}
        assert (one.other is not None) == has_two
        if one.other:
            assert {one.side, one.other.side} == set(SIDES[one.address.kind])


def test_the_strip_counts_all_that_was_found(banked, words):
    page = ask(banked, words, most=5)
    assert sum(sum(row.counts) for row in page.strip) == page.n_hits
    of = [one for one in ask(banked, words).hits if (one.address.kind, one.address.layer) == ("ov", 1)]
    assert next(row for row in page.strip if row.kind == "ov").counts[1] == len(of)


def test_controls_are_asked_the_same(banked, oracle, words):
    page, model = ask(banked, words), banked.library.model("tiny")
    controls = []
    for end in ENDS:
        units = open_words(banked, model, "folded", end).rows(np.arange(304)).astype(np.float64)
        query = units[271] + units[275]
        controls += ((units @ (query / np.linalg.norm(query)))[oracle.bank.shadow[end]].mean(-1)).ravel().tolist()
    rays = [oracle.themes[at] for at in oracle.order(oracle.themes)]
    passing = sum(
        2 for at in range(len(oracle.rows.end)) if not oracle.rows.is_neuron[at] and oracle.rows.gain[at] >= HARDLY_USED
    )
    assert page.searched.rays == passing
    assert page.searched.controls == len(controls)
    share = passing / len(controls) * sum(one >= rays[N_JUDGED - 1] for one in controls) / N_JUDGED
    assert page.fdr_at.fdr == pytest.approx(min(1, share))
    assert page.searched.beyond_controls == sum(one > max(controls) for one in rays)


def test_readable_ones_alone_are_held_against_as_much_chance(banked, words):
    every, readable = ask(banked, words), ask(banked, words, readable=True)
    assert 0 < readable.searched.rays < every.searched.rays
    assert readable.searched.beyond_controls_by_chance == every.searched.beyond_controls_by_chance
    assert readable.fdr_at.fdr >= every.fdr_at.fdr  # whose nearest are as near, or nearer


def test_neurons_are_not_judged(banked, words):
    page = ask(banked, words, basis="neuron", readable=True)
    assert "not judged for readability" in page.problem
    assert page.hits == ()


def test_random_weights_stand_out_for_no_words(banked, words):
    assert ask(banked, words).is_beyond_chance is False


def test_a_ray_is_asked_for_by_its_vector_and_its_tokens(banked):
    ray = Ray(parse("tiny/L1/H2/ov/svd/3"), "n")
    page = ask(banked, format_short(ray), order="alignment", side="write")
    bank = open_bank(banked, banked.library.model("tiny"), "folded")
    row = bank.find(ray.address, 1)
    (vector,) = bank.vectors(np.array([row]))
    best = page.hits[0]
    (other,) = bank.vectors(np.array([bank.find(best.address, 1)]))
    assert best.alignment == pytest.approx((-vector @ other) * (1 if best.ray == "p" else -1), abs=1e-6)
    assert ray.address not in {one.address for one in page.hits}  # not itself
    assert {token.id for token in page.terms[0].tokens} >= {id_ for id_ in bank.rows.ids[row, 1].tolist() if id_ >= 0}
    assert ask(banked, "L1H2.ov.3-").hits == ask(banked, "l1h2.OV.3N").hits


def test_a_ray_of_one_end_has_no_alignment_at_the_other(banked):
    found = ask(banked, "L1.mlp-in.0p", side="write").hits
    assert found
    assert all(one.alignment is None and one.expected is None and one.evidence is None for one in found)
    assert ask(banked, "L1.mlp-in.0p", side="write", order="alignment").hits == ()


@pytest.mark.parametrize(
    ("q", "said"),
    [
        ("-that", "Only words to subtract"),
        ("-that -#271", "Only words to subtract"),
        ("that -#271", "Nothing is left"),
        ("#99999", "from #0 to #"),
        ("L9H0.ov.0p", "layers L0 to L1"),
        ("L1H9.ov.0p", "heads H0 to H3"),
        ("L1H2.ov.99p", "directions 0 to"),
        ("L1.mlp-in.pca.0p", "not among what is searched"),
        ("L1.ov.0p", "no ray"),
        ("L1H2.ov.0p~raw", "weights=raw"),
        ("x" * 1_001, "at most 1,000"),
    ],
)
def test_what_cannot_be_searched_for_is_said_beside_the_box(banked, q, said):
    page = ask(banked, q)
    assert said in page.problem
    assert page.hits == ()


@pytest.mark.parametrize("q", ["", " ", ",,"])
def test_without_words_there_are_some_to_begin_with(banked, q):
    page = ask(banked, q)
    assert (page.hits, page.terms, page.problem) == ((), (), "")
    assert page.suggested


@pytest.mark.parametrize(
    "q",
    [
        "\x00\ud800 \u202e",
        "<script>alert(1)</script>",
        '"' * 900,
        "- -- #",
        "日本 🎉",
        "a," * 500,
        "a b c d e f g h " * 60,
    ],
)
def test_any_text_is_a_search(banked, q):
    page = ask(banked, q)
    assert page.problem or page.hits
    assert sum(len(term.tokens) for term in page.terms) <= 32
    assert page.is_cut == (q == '"' * 900)


@pytest.mark.parametrize(
    "how", [{"kind": "pos"}, {"side": "neuron"}, {"layers": "2"}, {"layers": "1-0"}, {"layers": "0-9999"}, {"page": 0}]
)
def test_filters_that_mean_nothing_here_are_refused(banked, how):
    with pytest.raises(BadOption):
        ask(banked, "that", **how)


def test_a_place_is_named_beside_what_is_found(banked):
    assert ask(banked, "L1H2").place == parse("tiny/L1/H2")
    assert ask(banked, "that").place is None
    with pytest.raises(UnknownAddress):
        search(banked, Address("nobody"), Options(), Inquiry("that"))


def test_a_model_without_a_bank_says_what_builds_it(open_explorer, fresh_data):
    page = ask(open_explorer(fresh_data), "L1H2")
    assert "precompute tiny --matrices bank" in page.unbuilt.why
    assert page.place == parse("tiny/L1/H2")
    assert page.hits == ()


def test_weights_are_never_mixed(banked):
    page = search(banked, TINY, Options(weights="raw"), Inquiry("that"))
    assert "Not built" in page.unbuilt.why


def test_a_bank_in_part_says_how_much_of_the_model_it_is(own):
    model = own.library.model("tiny")
    own.store.path(recipes.bank(model, 1, "folded")).unlink()
    page = ask(own, "that")
    assert 0.3 < page.searched.share_of_model < 0.7
    assert not page.is_whole
    assert {one.address.layer for one in page.hits} <= {0, None}


def test_where_all_vectors_are_too_much_to_be_read_those_nearest_by_theme_are_ordered(banked, monkeypatch):
    whole = ask(banked, "that", order="alignment", most=200)
    assert not whole.searched.is_of_nearest
    monkeypatch.setattr("app.explorer.visits.finding.search.MOST_READ_BYTES", 1_000)
    assert named(ask(banked, "that", order="alignment", most=200).hits) == named(whole.hits)  # all are among so many
    monkeypatch.setattr("app.explorer.visits.finding.search.N_ORDERED", 10)
    monkeypatch.setattr("app.explorer.visits.finding.search.compute_alignments", None)
    page = ask(banked, "that", order="alignment", most=200)
    assert page.searched.is_of_nearest
    nearest = {(one.address, one.side) for one in ask(banked, "that", most=10).hits}
    assert {(one.address, one.side) for one in page.hits} == nearest
    found = [one.alignment for one in page.hits]
    assert found == sorted(found, reverse=True)


def test_no_answer_is_kept(banked):
    token = GROUNDS.set(grounds := Grounds())
    try:
        ask(banked, "that")
    finally:
        GROUNDS.reset(token)
    assert not grounds.hold()


def test_a_planted_ray_is_first_by_theme_and_by_alignment(own):
    model = own.library.model("tiny")
    units = open_words(own, model, "folded", "write").rows(np.arange(304))
    bank = open_bank(own, model, "folded")
    address = parse("tiny/L0/H1/ov/svd/2")
    first = int(np.flatnonzero((bank.rows.layer == 0) & ~bank.rows.is_neuron)[0])
    row = bank.find(address, 1) - first
    kept = own.store.read(recipes.bank(model, 0, "folded")).arrays
    vectors, ids, gain = kept["vectors"].copy(), kept["ids"].copy(), kept["gain"].copy()
    vectors[row] = -units[271]
    gain[row] = 1.0
    ids[row, 1] = np.argsort(-(units @ units[271]))[: ids.shape[2]]
    plant_rows(own, model, 0, vectors=vectors, ids=ids, gain=gain)
    for order in ("theme", "alignment"):
        best = ask(own, "#271", order=order).hits[0]
        assert (best.address, best.ray, best.side) == (address, "n", "write")
        assert best.alignment == pytest.approx(1.0, abs=1e-5)
        assert best.evidence == "clear"


def test_every_model_is_searched_apart(banked):
    page = search_every(banked, "that")
    (of_tiny,) = page.pages
    assert named(of_tiny.hits) == named(ask(banked, "that").hits[:5])
    assert of_tiny.view.weights == "folded"


def test_neurons_that_are_not_there_are_said_to_be_missing(own, relatives):
    model = own.library.model("tiny")
    own.store.path(recipes.bank(model, 1, "folded", "neuron")).unlink()
    assert ask(own, "that", basis="neuron").searched.share_of_model == 0.5
    assert ask(own, "that").searched.share_of_model == 1
    own.store.path(recipes.bank(model, 0, "folded", "neuron")).unlink()
    page = ask(own, "that", basis="neuron")
    assert (page.hits, page.searched.share_of_model, page.fdr_at.fdr) == ((), 0, None)
    with pytest.raises(BadOption, match="Single neurons of mixtral"):
        search(relatives, Address("mixtral"), Options(), Inquiry("that", basis="neuron"))


def test_a_damaged_part_is_left_out(own):
    model = own.library.model("tiny")
    path = own.store.path(recipes.bank(model, 1, "folded"))
    path.chmod(0o644)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    page = ask(own, "that")
    assert page.searched.share_of_model < 1
    assert {one.address.layer for one in page.hits} <= {0, None}


def test_each_processing_has_its_own_rays(own, banked):
    build_bank(own, processing="raw")
    raw = search(own, TINY, Options(weights="raw"), Inquiry("that"), N_FOUND)
    assert (raw.view.weights, raw.searched.share_of_model) == ("raw", 1)
    assert ask(own, "that").hits == ask(banked, "that").hits != raw.hits


def test_a_word_that_was_never_trained_is_said_to_be_none(own):
    model = own.library.model("tiny")
    for end in ENDS:
        recipe = recipes.words(model, end, 0, "folded")
        kept = own.store.read(recipe)
        unit = kept.arrays["unit"].copy()
        unit[271] = 0
        own.store.write(recipe, {**kept.arrays, "unit": unit}, kept.facts)
    page = ask(own, "that")
    assert [token.id for token in page.terms[0].untrained] == [271]
    assert "Nothing is left" in page.problem
    both = ask(own, "that #275")
    assert [len(term.untrained) for term in both.terms] == [1, 0]
    assert named(both.hits) == named(ask(own, "#275").hits)


def test_what_all_tokens_share_is_aligned_with_no_words(own):
    """A ray along the first component of the tokens, which is taken out of what is searched for."""
    model = own.library.model("tiny")
    units = open_words(own, model, "folded", "write").rows(np.arange(304)).astype(np.float64)
    _, sizes, components = np.linalg.svd(units)
    assert sizes[-1] < 1e-3 < sizes[-3]  # the component, and the mean that a layer norm takes out
    bank = open_bank(own, model, "folded")
    address = parse("tiny/L0/H1/ov/svd/2")
    first = int(np.flatnonzero((bank.rows.layer == 0) & ~bank.rows.is_neuron)[0])
    vectors = own.store.read(recipes.bank(model, 0, "folded")).arrays["vectors"].copy()
    vectors[bank.find(address, 1) - first] = components[-1]
    plant_rows(own, model, 0, vectors=vectors)
    for id_ in range(260, 300):
        found = ask(own, f"#{id_}", order="alignment", side="write").hits[:10]
        assert address not in {one.address for one in found}
