"""The gallery merges the rays of layers and ends, whichever are there, and colours the map."""

import shutil
import threading
import unicodedata
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest

from app.core.address import parse
from app.core.judging.rays import READINGS
from app.explorer.asking.agenda import list_tasks
from app.explorer.errors import BadOption, NotReady
from app.explorer.layout import NUMBERS
from app.explorer.making.judging import gallery as making
from app.explorer.pages.gallery import GALLERY_LISTS, Sought
from app.explorer.reading import gallery
from app.explorer.reading.gallery import BEYOND_SPELLING, N_APART, N_RAYS
from app.explorer.view import View
from app.explorer.visits import browse, orders
from app.explorer.visits.browse import Options
from app.models.vocabulary import TokenEntry
from app.store.artifacts import Artifact
from tests.explorer.planted import PLANTED

HERE = parse("planted")


@pytest.fixture(scope="module")
def page(planted, patiently):
    """The whole gallery."""
    while not (found := patiently(browse.visit_gallery, planted, HERE, Options())).whole:
        pass
    return found


def lists(page):
    return {"notable": page.rays, "frequency": page.frequency, "glitch": page.glitches}


def tokens_of(ray):
    (shown,) = (readout.tokens for readout in ray.readouts if readout.side == ray.side)
    return {token.id for token in shown}


def every_p(planted, patiently):
    """Of both rays of the first directions, from the pages of all matrices."""
    matrices = [f"planted/{kind}" for kind in ("embed", "unembed", "pos")]
    for layer in (0, 1):
        matrices += [f"planted/L{layer}/{kind}" for kind in ("mlp-in", "mlp-out")]
        matrices += [f"planted/L{layer}/H{head}/{circuit}" for head in range(4) for circuit in ("ov", "qk")]
    for matrix in matrices:
        for direction in patiently(browse.visit_matrix, planted, parse(matrix), Options()).directions[:8]:
            for side in (direction.left, direction.right):
                if side.rays:
                    yield from (one.p[-1] for one in (side.rays.plus, side.rays.minus) if one.p[-1] is not None)


@pytest.mark.parametrize(("layer", "kind", "head", "label", "tokens"), PLANTED)
def test_planted_rays_stand_in_their_list_and_in_no_other(page, planted, layer, kind, head, label, tokens):
    page = browse.visit_gallery(
        planted, HERE, Options(), Sought(kind=kind, layer=str(layer))
    )  # where no other stands for them
    place = f"planted/L{layer}/{kind}" if head < 0 else f"planted/L{layer}/H{head}/{kind}"
    for name, rays in lists(page).items():
        hits = [ray for ray in rays if len(tokens_of(ray) & set(tokens)) > 5 and str(ray.address.matrix) == place]
        assert bool(hits) == (name == label)
    if label == "notable":
        assert hits == []
        (ray,) = (ray for ray in page.rays if tokens_of(ray) <= set(tokens) and str(ray.address.matrix) == place)
        assert ray.q < 0.05
        assert ray.is_spelling == (kind == "mlp-in")
        assert ray.reading == ("spelling" if kind == "mlp-in" else "theme")


def test_what_is_more_than_spelling_comes_first_and_then_the_largest_z(page):
    assert page.judged
    for label, rays in lists(page).items():
        assert 0 < len(rays) <= (N_RAYS if label == "notable" else N_APART)
        merits = [
            (
                ray.reading in BEYOND_SPELLING,
                ray.energy_share if label == "glitch" else ray.beyond_z if ray.reading in BEYOND_SPELLING else ray.z,
            )
            for ray in rays
        ]
        assert merits == sorted(merits, reverse=True)


def walked(explorer, here, **wanted):
    """All that is shown of a list, page by page."""
    shown, n_pages, at = [], 1, 0
    while at < n_pages:
        at += 1
        page = browse.visit_gallery(explorer, here, Options(), Sought(page=at, **wanted))
        n_pages = page.n_pages
        of = {"themes": page.rays, "letterless": page.letterless, "frequent": page.frequency}
        shown.append((of | {"untrained": page.glitches})[wanted.get("among", "themes")])
    return shown


def names(rays):
    """Of the rays and of those that are shown in their place."""
    return [(one.address, one.ray, one.side) for ray in rays for one in (ray, *ray.also)]


def test_every_readable_ray_can_be_walked_to_once(page, planted, monkeypatch):
    monkeypatch.setattr(gallery, "N_RAYS", 3)
    found = {among: walked(planted, HERE, among=among) for among in GALLERY_LISTS}
    for pages in found.values():
        assert all(len(shown) == 3 for shown in pages[:-1])
    readable = [name for among in GALLERY_LISTS[:-1] for name in names(chain(*found[among]))]
    assert len(readable) == len(set(readable)) == page.n_readable
    with pytest.raises(BadOption, match="There is no page 99"):
        browse.visit_gallery(planted, HERE, Options(), Sought(page=99))


@pytest.mark.parametrize("wanted", [{"kind": "ov"}, {"side": "read"}, {"layer": "1"}, {"kind": "mlp-in", "layer": "0"}])
def test_what_is_sought_is_all_that_there_is_of_it(planted, page, wanted):
    every = names(chain(*walked(planted, HERE)))
    passing = {
        (address, ray, side)
        for address, ray, side in every
        if wanted.get("kind") in {None, address.kind}
        and wanted.get("side") in {None, side}
        and wanted.get("layer") in {None, str(address.layer)}
    }
    assert set(names(chain(*walked(planted, HERE, **wanted)))) == passing
    assert 0 < len(passing) < len(every)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"kind": "heads/write"}, "kind must be one of ov, qk"),
        ({"side": "x"}, "side must be one of read, write, query, key"),
        ({"layer": "2"}, "layer goes from 0 to 1, or ends"),
        ({"kind": "ov", "side": "query"}, "side must be read or write with kind=ov"),
        ({"kind": "mlp-out", "side": "read"}, "side must be write with kind=mlp-out"),
        ({"page": 0}, "There is no page 0"),
    ],
)
def test_what_cannot_be_sought_is_said(planted, wanted, said):
    with pytest.raises(BadOption, match=said):
        browse.visit_gallery(planted, HERE, Options(), Sought(**wanted))


TEXTS = [
    " red",
    "Red",
    " RED",
    " blue",
    "blue",
    " green",
    "white",
    "grey",
    " pink",
    "”",
    " “",
    "(",
    "\u00a0",
    "12",
    "12 ",
]


class Words:
    """A vocabulary of these texts."""

    def entry(self, id_):
        return TokenEntry(id_, TEXTS[id_], TEXTS[id_], "text")


class Made:
    """As much of a model as a gallery needs."""

    def __init__(self, header):
        self.header, self.vocabulary = header, Words()


@pytest.fixture(params=range(6))
def made(request, planted):
    """A gallery of made-up rays of one layer, and their artifact."""
    noise = np.random.default_rng(request.param)
    n, k = 60, 20
    ids = np.array([noise.choice(9 if row % 3 else len(TEXTS), k) for row in range(n)], np.int32)
    signs = noise.choice(np.arange(9, len(TEXTS)), (n, k))
    ids = np.where(np.arange(n)[:, None] % 4 == 0, signs, ids).astype(np.int32)
    arrays = {name: np.zeros(n, np.int8) for name in ("kind", "side", "label", "ray_class")}
    arrays |= {"ray": noise.integers(0, 2, n).astype(np.int8), "head": noise.integers(0, 4, n).astype(np.int32)}
    arrays |= {"index": np.arange(n, dtype=np.int32) // 2}
    arrays |= {name: noise.random(n).astype(np.float32) for name in ("strength", "share", *NUMBERS)}
    arrays |= {"z": (3 + 9 * noise.random(n)).astype(np.float32), "p": np.full(n, 0.001, np.float32)}
    arrays |= {"reading": noise.integers(0, len(READINGS), n).astype(np.int8), "every_p": np.full(n, 0.001, np.float32)}
    arrays |= {"letterless": np.array([plain_words(row.tolist())[1] for row in ids])}
    for side in ("left", "right"):
        arrays |= {f"{side}_ids": ids, f"{side}_scores": np.ones((n, k), np.float32)}
    header = planted.library.model("planted").header
    artifact = Artifact(arrays, {"judged": True})
    view = View("folded", "folded")
    return gallery.make_gallery(Made(header), HERE, view, [artifact, None, None]), artifact


def plain_words(ids):
    """The ten first words of a ray, or signs where most of its first ten tokens are signs."""
    texts = [TEXTS[id_] for id_ in ids]
    n_signs = sum(not any(letter.isalpha() for letter in text) for text in texts[:10])
    words = []
    for text in texts:
        word = (text.strip() or text) if n_signs > 5 else text.strip().lower()
        if (n_signs > 5 or any(letter.isalpha() for letter in word)) and word not in words:
            words.append(word)
    return set(words[:10]), n_signs > 5


def test_rays_that_say_the_same_are_shown_once_where_the_first_of_them_stands(made):
    page, artifact = made
    arrays = artifact.arrays
    beyond = [READINGS[reading] in BEYOND_SPELLING for reading in arrays["reading"]]
    order = sorted(range(60), key=lambda at: (not beyond[at], -arrays["beyond_z" if beyond[at] else "z"][at]))
    for is_sign, shown in ((False, page.rays), (True, page.letterless)):
        leaders, followers = [], {}
        for at in order:
            words, has_no_letters = plain_words(arrays["left_ids"][at].tolist())
            if has_no_letters != is_sign:
                continue
            own = tuple(int(arrays[name][at]) for name in ("head", "index", "ray"))
            like = [one for one in leaders if one[2] == own or own in followers[one[0]]]
            like = like or [one for one in leaders if len(one[1] & words) >= 3]
            if like:
                followers[like[0][0]].append(own)
            else:
                leaders.append((at, words, own))
                followers[at] = []
        got = [(ray.address.head, ray.address.index, int(ray.ray == "n")) for ray in shown]
        assert got == [own for *_, own in leaders][: N_APART if is_sign else N_RAYS]
        for ray, (at, *_) in zip(shown, leaders, strict=False):
            also = [(one.address.head, one.address.index, int(one.ray == "n")) for one in ray.also]
            assert also == followers[at]


@pytest.mark.parametrize("wanted", [{}, {"side": "write"}])
def test_an_end_stands_once_in_a_list_as_a_card_or_as_a_link(planted, wanted):
    for among in GALLERY_LISTS[:-1]:
        cards = list(chain(*walked(planted, HERE, among=among, **wanted)))
        shown = []
        for card in cards:
            shown.append((card.address, card.ray))
            shown += [(one.address, one.ray) for one in card.others]
        assert len(shown) == len(set(shown))
        assert set(shown) == {name[:2] for name in names(cards)}


def test_a_list_is_counted_by_cards_by_ends_and_by_their_sides(page, planted):
    for count in page.lists:
        cards = list(chain(*walked(planted, HERE, among=count.among)))
        assert (count.n_shown, count.n_rays) == (len(cards), len(names(cards)))


def test_ends_of_a_list_are_counted_once(made):
    page, artifact = made
    ends = {False: [], True: []}
    for row in zip(*(artifact.arrays[name].tolist() for name in ("letterless", "head", "index", "ray")), strict=True):
        if row[1:] not in ends[row[0]]:
            ends[row[0]].append(row[1:])
    counted = {count.among: count.n_ends for count in page.lists}
    assert (counted["themes"], counted["letterless"]) == (len(ends[False]), len(ends[True]))


def test_an_end_of_a_made_up_gallery_stands_once(made):
    shown = [one for card in made[0].rays for one in ((card.address, card.ray), *(one.end for one in card.others))]
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize(
    ("places", "whole", "partly"),
    [
        ("L0/H0/ov L1/H1/ov L1/H2/ov L2/H0/ov", "L0/H0/ov L1/H1/ov L2/H0/ov", "L0/H0/ov L1/H1/ov L2/H0/ov"),
        ("L0/H0/qk L1/H1/ov L1/H2/ov L2/H0/ov", "L1/H1/ov L2/H0/ov L1/H2/ov", "L1/H1/ov L2/H0/ov"),
        ("L0/H0/qk L1/mlp-out L1/H2/ov", "L1/H2/ov L0/H0/qk L1/mlp-out", "L1/H2/ov"),
        ("L0/mlp-out L0/mlp-out L0/mlp-out", "L0/mlp-out L0/mlp-out L0/mlp-out", ""),
        ("L0/H0/ov L0/mlp-in", "L0/H0/ov L0/mlp-in", "L0/H0/ov"),
        ("", "", ""),
    ],
)
def test_three_examples_are_shown_where_there_are_three_ends(page, places, whole, partly):
    (one, *_) = page.rays
    rays = tuple(
        replace(one, address=parse(f"planted/{place}/svd/{at}"), side="write", reading="theme", z=20.0 - at)
        for at, place in enumerate(places.split())
    )
    for is_whole, expected in ((True, whole), (False, partly)):
        shown = replace(page, rays=rays, whole=is_whole).examples
        assert [str(each.address.matrix.in_basis(None)) for each in shown] == [f"planted/{e}" for e in expected.split()]


def test_false_discoveries_are_counted_over_every_ray_that_was_looked_at(page, planted, patiently):
    p = np.sort(list(every_p(planted, patiently)))
    n = len(p)
    assert (page.n_rays, page.n_readable) == (n, (p < 0.01).sum())
    # By the definition, one list after the other.
    q = [min(p[j] * n / (j + 1) for j in range(i, n)) for i in range(n)]
    assert page.n_found == sum(value < 0.1 for value in q) > 0
    for ray in chain(page.rays, page.frequency):
        assert ray.q == pytest.approx(q[np.abs(p - ray.p).argmin()], rel=1e-5)
    assert all(ray.p is ray.q is ray.z is None for ray in page.glitches)


def test_rays_are_shown_as_on_the_pages_of_their_directions(page, planted, patiently):
    for ray in (*page.rays, *page.frequency, *page.glitches):
        whole = patiently(browse.visit_direction, planted, ray.address, Options())
        assert (ray.singular_value, ray.energy_share) == pytest.approx((whole.singular_value, whole.energy_share))
        sides = {side.side: side for side in (whole.left, whole.right) if side.rays}
        assert [readout.side for readout in ray.readouts] == list(sides)
        for readout in ray.readouts:
            tokens = sides[readout.side].plus if ray.ray == "p" else sides[readout.side].minus
            assert [token.id for token in readout.tokens] == [token.id for token in tokens[:20]]
        rays = sides[ray.side].rays
        judged = rays.plus if ray.ray == "p" else rays.minus
        assert ray.kind == rays.kind
        if ray.z is not None:
            assert (ray.z, ray.p, ray.spelling_p) == pytest.approx(
                (judged.z[-1], judged.p[-1], judged.spelling_p), rel=1e-4
            )
            assert ray.coherence == pytest.approx(judged.coherence[-1], rel=1e-4)
            numbers = ("forms_z", "forms_p", "beyond_z", "beyond_p", "spelling_z")
            for name in numbers:
                known = getattr(judged, name)
                assert getattr(ray, name) == (None if known is None else pytest.approx(known, rel=1e-4))
        assert (ray.reading, ray.letterless) == (judged.reading, judged.letterless)


def test_what_is_there_is_shown_while_layers_are_missing(planted, page, patiently):
    opened = planted.library.model("planted")
    whole = orders.fulfil_in_line(planted, orders.order_gallery(opened, "folded"))
    assert gallery.make_gallery(opened, HERE, page.view, whole) == page
    partly = gallery.make_gallery(opened, HERE, page.view, [None, whole[1], None])
    assert (partly.layers, partly.whole) == (1, False)
    assert {ray.address.layer for rays in lists(partly).values() for ray in rays} == {1}
    assert partly.n_rays == len(whole[1].arrays["every_p"]) < page.n_rays
    ends = gallery.make_gallery(opened, HERE, page.view, [None, None, whole[2]])
    assert (ends.layers, ends.whole) == (0, False)
    assert {ray.address.layer for rays in lists(ends).values() for ray in rays} <= {None}
    nothing = gallery.make_gallery(opened, HERE, page.view, [None, None, None])
    assert (nothing.layers, nothing.n_rays, nothing.rays, nothing.judged) == (0, 0, (), True)


def test_the_gallery_grows_as_layers_come(open_explorer, planted, monkeypatch, patiently):
    may_go_on = threading.Event()

    def held(context, layer, compute=making.build_gallery):
        while layer == 1 and not may_go_on.is_set():
            yield 0, 1
        return (yield from compute(context, layer))

    monkeypatch.setattr(making, "build_gallery", held)
    r = open_explorer(planted.data, models=("planted",), wait_seconds=0.0)
    options = Options(weights="raw")
    patiently(browse.visit_model, r, HERE, options)  # the map itself
    with pytest.raises(NotReady, match="Every matrix of planted"):
        browse.visit_gallery(r, HERE, options)
    growing = patiently(browse.visit_gallery, r, HERE, options)
    assert (growing.layers, growing.whole) == (1, False)
    shown = browse.visit_model(r, HERE, options)
    assert shown.gallery == growing
    # The map cannot be coloured by it yet: not offered, and who asks is told how far it is.
    assert not set(gallery.SCORES) & set(shown.map.scores)
    with pytest.raises(NotReady) as waiting:
        browse.visit_model(r, HERE, options, "qk-readability")
    assert 0 < waiting.value.done < waiting.value.total == 100
    may_go_on.set()
    while not (whole := browse.visit_gallery(r, HERE, options)).whole:
        pass
    assert (whole.layers, whole.view.weights) == (2, "raw")
    assert set(gallery.SCORES) < set(browse.visit_model(r, HERE, options).map.scores)


def test_what_a_job_is_at_is_not_begun_a_second_time(open_explorer, planted, tmp_path):
    data = shutil.copytree(planted.data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    r = open_explorer(data, models=("planted",), wait_seconds=0.0)
    opened = r.library.model("planted")
    job = replace(r.jobs.new("planted", opened.fingerprint, list_tasks(opened, "folded")[0]), state="running")
    with r.jobs.hold_job(job.id):
        r.jobs.write(job)
        with pytest.raises(NotReady, match="A job reads every matrix, the last layers first"):
            browse.visit_gallery(r, HERE, Options())
        assert r.queue.depth() == 0
        last = orders.order_gallery(opened, "folded")[1]
        kept = planted.store.load(last.recipe)
        r.store.write(last.recipe, dict(kept.arrays), kept.facts)
        assert browse.visit_gallery(r, HERE, Options()).layers == 1
        with pytest.raises(NotReady, match="Every matrix of planted"):  # of the other weights nobody is at it
            browse.visit_gallery(r, HERE, Options(weights="raw"))


def test_one_place_in_the_queue_does_for_all_layers(open_explorer, planted, monkeypatch, patiently):
    asked = []
    monkeypatch.setattr(making, "build_gallery", lambda context, layer: asked.append(layer) or iter_of_nothing())
    r = open_explorer(planted.data, models=("planted",), queue_size=1)
    model = r.library.model("planted")
    some = [order for order in orders.order_gallery(model, "folded") if not r.store.exists(order.recipe)]
    assert some == []  # the other tests have them
    for order in orders.order_gallery(model, "folded"):
        r.store.path(order.recipe).unlink()
    r = open_explorer(planted.data, models=("planted",), queue_size=1)
    orders.fulfil_in_line(r, orders.order_gallery(model, "folded"))
    assert asked == [0, 1, None]


def iter_of_nothing():
    yield 0, 1
    return {"label": np.zeros(0, np.int8)}, {"judged": True}


def test_the_map_shows_each_heads_share_of_readable_rays(open_explorer, planted, patiently):
    r = open_explorer(planted.data, models=("planted",))
    highest = 0.0
    for circuit in ("ov", "qk"):
        heads = patiently(browse.visit_model, r, HERE, Options(weights="raw"), f"{circuit}-readability").map
        assert heads.score == f"{circuit}-readability"
        for cell in chain(*heads.rows):
            table = patiently(browse.visit_matrix, r, cell.address.at(circuit), Options(weights="raw"))
            rays = [side.rays for row in table.directions[:8] for side in (row.left, row.right)]
            p = [one.p[-1] for both in rays for one in (both.plus, both.minus) if one.p[-1] is not None]
            assert cell.value == pytest.approx(sum(value < 0.01 for value in p) / len(p))
        values = [cell.value for cell in chain(*heads.rows)]
        assert (heads.low, heads.high) == (min(values), max(values))
        highest = max(highest, heads.high)
    assert highest > 0


def test_a_small_vocabulary_has_an_empty_gallery_that_says_why(relatives, patiently):
    page = patiently(browse.visit_gallery, relatives, parse("llama"), Options())
    assert (page.whole, page.judged, page.n_rays) == (True, False, 0)
    assert page.rays == page.frequency == page.glitches == ()
    with pytest.raises(BadOption, match="ov-stable-rank"):
        browse.visit_model(relatives, parse("llama"), Options(), "ov-readability")


def forms(tokens):
    """Ten first words, whatever their case and the space around them."""
    folded = (unicodedata.normalize("NFKC", token.text).casefold().strip() for token in tokens)
    return list(dict.fromkeys(form for form in folded if any(map(str.isalpha, form))))[:10]


@pytest.mark.smollm2
def test_a_real_models_first_rays_all_say_something_else_in_words(open_explorer, smollm2_data, patiently):
    r, here = open_explorer(smollm2_data, models=("smollm2",)), parse("smollm2")
    while not (page := patiently(browse.visit_gallery, r, here, Options(), seconds=900)).whole:
        pass
    first = []
    for ray in page.first:
        whole = patiently(browse.visit_direction, r, ray.address, Options())
        side = next(side for side in (whole.left, whole.right) if side.side == ray.side)
        tokens = side.plus if ray.ray == "p" else side.minus
        assert sum(any(map(str.isalpha, token.text)) for token in tokens[:10]) >= 5, ray.address
        first.append(set(forms(tokens)))
    assert len(first) == 16
    assert max(len(one & other) for one, other in combinations(first, 2)) < 3
    assert sum(ray.reading == "spelling" for ray in page.first) <= 6
    assert page.n_readable == sum(one.n_rays for one in page.lists if one.among != "untrained") > 1_500
