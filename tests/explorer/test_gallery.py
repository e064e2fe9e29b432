"""The gallery merges the rays of layers and ends, whichever are there, and colours the map."""

import shutil
import threading
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from app.core.address import parse
from app.explorer import browse, gallery, notable, orders
from app.explorer.agenda import agenda
from app.explorer.browse import Options
from app.explorer.errors import BadOption, NotReady
from app.explorer.gallery import N_APART, N_RAYS, OF_ONE_PLACE
from tests.explorer.planted import PLANTED

HERE = parse("planted")


@pytest.fixture(scope="module")
def page(planted, patiently):
    """The whole gallery."""
    while not (found := patiently(browse.notable, planted, HERE, Options())).is_whole:
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
        for direction in patiently(browse.matrix, planted, parse(matrix), Options()).directions[:8]:
            for side in (direction.left, direction.right):
                if side.rays:
                    yield from (one.p[-1] for one in (side.rays.plus, side.rays.minus) if one.p[-1] is not None)


@pytest.mark.parametrize(("layer", "kind", "head", "label", "tokens"), PLANTED)
def test_planted_rays_stand_in_their_list_and_in_no_other(page, layer, kind, head, label, tokens):
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


def test_largest_z_first_and_few_of_one_place(page):
    assert page.is_judged
    for label, rays in lists(page).items():
        assert 0 < len(rays) <= (N_RAYS if label == "notable" else N_APART)
        merits = [ray.energy_share if label == "glitch" else ray.z for ray in rays]
        assert merits == sorted(merits, reverse=True)
        places = [(ray.address.layer, ray.address.head, ray.address.kind * (ray.address.layer is None)) for ray in rays]
        assert max(map(places.count, places)) <= OF_ONE_PLACE


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
        whole = patiently(browse.direction, planted, ray.address, Options()).direction
        assert (ray.singular_value, ray.energy_share) == pytest.approx((whole.singular_value, whole.energy_share))
        sides = {side.side: side for side in (whole.left, whole.right) if side.rays}
        assert [readout.side for readout in ray.readouts] == list(sides)
        for readout in ray.readouts:
            tokens = sides[readout.side].plus if ray.ray == "p" else sides[readout.side].minus
            assert [token.id for token in readout.tokens] == [token.id for token in tokens[:10]]
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
    whole = orders.in_line(planted, orders.gallery(opened, "folded"))
    assert gallery.gallery(opened, HERE, page.view, whole) == page
    partly = gallery.gallery(opened, HERE, page.view, [None, whole[1], None])
    assert (partly.n_layers, partly.is_whole) == (1, False)
    assert {ray.address.layer for rays in lists(partly).values() for ray in rays} == {1}
    assert partly.n_rays == len(whole[1].arrays["every_p"]) < page.n_rays
    ends = gallery.gallery(opened, HERE, page.view, [None, None, whole[2]])
    assert (ends.n_layers, ends.is_whole) == (0, False)
    assert {ray.address.layer for rays in lists(ends).values() for ray in rays} <= {None}
    nothing = gallery.gallery(opened, HERE, page.view, [None, None, None])
    assert (nothing.n_layers, nothing.n_rays, nothing.rays, nothing.is_judged) == (0, 0, (), True)


def test_the_gallery_grows_as_layers_come(open_explorer, planted, monkeypatch, patiently):
    may_go_on = threading.Event()

    def held(bench, layer, compute=notable.notable):
        while layer == 1 and not may_go_on.is_set():
            yield 0, 1
        return (yield from compute(bench, layer))

    monkeypatch.setattr(notable, "notable", held)
    r = open_explorer(planted.data, models=("planted",), wait_seconds=0.0)
    options = Options(weights="raw")
    patiently(browse.model, r, HERE, options)  # the map itself
    with pytest.raises(NotReady, match="Every matrix of planted"):
        browse.notable(r, HERE, options)
    growing = patiently(browse.notable, r, HERE, options)
    assert (growing.n_layers, growing.is_whole) == (1, False)
    shown = browse.model(r, HERE, options)
    assert shown.gallery == growing
    # The map cannot be coloured by it yet: not offered, and who asks is told how far it is.
    assert not set(gallery.SCORES) & set(shown.map.scores)
    with pytest.raises(NotReady) as waiting:
        browse.model(r, HERE, options, "qk-readability")
    assert (waiting.value.done, waiting.value.total) == (1, 3)
    may_go_on.set()
    while not (whole := browse.notable(r, HERE, options)).is_whole:
        pass
    assert (whole.n_layers, whole.view.weights) == (2, "raw")
    assert set(gallery.SCORES) < set(browse.model(r, HERE, options).map.scores)


def test_what_a_job_is_at_is_not_begun_a_second_time(open_explorer, planted, tmp_path):
    data = shutil.copytree(planted.data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    r = open_explorer(data, models=("planted",), wait_seconds=0.0)
    opened = r.library.model("planted")
    job = replace(r.jobs.new("planted", opened.fingerprint, agenda(opened, "folded")[0]), state="running")
    with r.jobs.held(job.id):
        r.jobs.write(job)
        with pytest.raises(NotReady, match="A job reads every matrix, the last layers first"):
            browse.notable(r, HERE, Options())
        assert r.queue.depth() == 0
        last = orders.gallery(opened, "folded")[1]
        kept = planted.store.load(last.recipe)
        r.store.write(last.recipe, dict(kept.arrays), kept.facts)
        assert browse.notable(r, HERE, Options()).n_layers == 1
        with pytest.raises(NotReady, match="Every matrix of planted"):  # of the other weights nobody is at it
            browse.notable(r, HERE, Options(weights="raw"))


def test_one_place_in_the_queue_does_for_all_layers(open_explorer, planted, monkeypatch, patiently):
    asked = []
    monkeypatch.setattr(notable, "notable", lambda bench, layer: asked.append(layer) or iter_of_nothing())
    r = open_explorer(planted.data, models=("planted",), queue_size=1)
    model = r.library.model("planted")
    some = [order for order in orders.gallery(model, "folded") if not r.store.exists(order.recipe)]
    assert some == []  # the other tests have them
    for order in orders.gallery(model, "folded"):
        r.store.path(order.recipe).unlink()
    r = open_explorer(planted.data, models=("planted",), queue_size=1)
    orders.in_line(r, orders.gallery(model, "folded"))
    assert asked == [0, 1, None]


def iter_of_nothing():
    yield 0, 1
    return {"label": np.zeros(0, np.int8)}, {"judged": True}


def test_the_map_shows_each_heads_share_of_readable_rays(open_explorer, planted, patiently):
    r = open_explorer(planted.data, models=("planted",))
    highest = 0.0
    for circuit in ("ov", "qk"):
        heads = patiently(browse.model, r, HERE, Options(weights="raw"), f"{circuit}-readability").map
        assert heads.score == f"{circuit}-readability"
        for cell in chain(*heads.rows):
            table = patiently(browse.matrix, r, cell.address.at(circuit), Options(weights="raw"))
            rays = [side.rays for row in table.directions[:8] for side in (row.left, row.right)]
            p = [one.p[-1] for both in rays for one in (both.plus, both.minus) if one.p[-1] is not None]
            assert cell.value == pytest.approx(sum(value < 0.01 for value in p) / len(p))
        values = [cell.value for cell in chain(*heads.rows)]
        assert (heads.low, heads.high) == (min(values), max(values))
        highest = max(highest, heads.high)
    assert highest > 0


def test_a_small_vocabulary_has_an_empty_gallery_that_says_why(relatives, patiently):
    page = patiently(browse.notable, relatives, parse("llama"), Options())
    assert (page.is_whole, page.is_judged, page.n_rays) == (True, False, 0)
    assert page.rays == page.frequency == page.glitches == ()
    with pytest.raises(BadOption, match="ov-stable-rank"):
        browse.model(relatives, parse("llama"), Options(), "ov-readability")
