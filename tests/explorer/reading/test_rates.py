"""The false discovery rates that pages of many matrices show: those of the direction's own page."""

import shutil

import pytest

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.visits import browse

HERE = parse("planted")


@pytest.fixture(scope="module")
def fresh(open_explorer, planted, tmp_path_factory, patiently):
    """An explorer of the planted model with a gallery and its layers in little, and no matrix."""
    data = tmp_path_factory.mktemp("rates") / "data"
    shutil.copytree(planted.data, data, ignore=shutil.ignore_patterns("artifacts"))
    r = open_explorer(data, models=("planted",))
    while not patiently(browse.visit_gallery, r, HERE, Options()).whole:
        pass
    for layer in (0, 1):
        patiently(browse.visit_layer, r, HERE.at_layer(layer), Options())
    return r


def cards(r):
    page = browse.visit_gallery(r, HERE, Options())
    return [*page.rays, *page.letterless, *page.frequency]


def of_layer(r, layer):
    """(direction, side, judgement) of every ray that the layer's page has."""
    for pair in browse.visit_layer(r, HERE.at_layer(layer), Options()).heads:
        for summary in (pair.ov, pair.qk):
            for direction in summary.strongest:
                for side in (direction.left, direction.right):
                    yield direction, side.side, (side.rays.plus, side.rays.minus)


def by_hand(p):
    """By the definition, in plain loops over all ends that can be judged."""
    known = sorted(value for value in p if value is not None)
    n = len(known)
    return {value: min(known[j] * n / (j + 1) for j in range(n) if known[j] >= value) for value in known}


def test_nothing_stands_out_before_its_matrix_is_computed_and_nothing_is_computed_for_it(fresh):
    assert all(card.own_q is None and not card.stands_out for card in cards(fresh))
    for layer in (0, 1):
        page = browse.visit_layer(fresh, HERE.at_layer(layer), Options())
        assert (page.judged, page.is_whole) == ((), False)
        assert all(one.q is None for *_, both in of_layer(fresh, layer) for one in both)
    assert fresh.queue.depth() == 0


def test_a_mark_is_that_of_the_directions_page_on_every_page(fresh, patiently):
    known = {}
    for layer in (0, 1):
        place = HERE.at_layer(layer)
        matrices = [place.at_head(head).at(circuit) for head in range(4) for circuit in ("ov", "qk")]
        for matrix in [*matrices, place.at("mlp-in"), place.at("mlp-out")]:
            page = patiently(browse.visit_matrix, fresh, matrix, Options(whole=True))
            for name in ("left", "right"):
                sides = [(row.index, getattr(row, name)) for row in page.directions]
                q = by_hand([one.p[-1] for _, side in sides if side.rays for one in (side.rays.plus, side.rays.minus)])
                for index, side in sides:
                    for ray, one in zip("pn", (side.rays.plus, side.rays.minus) if side.rays else (), strict=False):
                        known[matrix.in_basis("svd").direction(index), side.side, ray] = (
                            q.get(one.p[-1]),
                            one.stands_out,
                        )
    shown = [card for card in cards(fresh) if card.address.layer is not None]
    for card in shown:
        q, stands_out = known[card.address, card.side, card.ray]
        assert card.own_q == pytest.approx(q, rel=1e-5)
        assert card.stands_out == stands_out
    assert {card.stands_out for card in shown} == {True, False}
    for layer in (0, 1):
        page = browse.visit_layer(fresh, HERE.at_layer(layer), Options())
        assert page.is_whole
        for direction, side, both in of_layer(fresh, layer):
            for ray, one in zip("pn", both, strict=True):
                q, stands_out = known[direction.address, side, ray]
                assert one.q == (None if q is None else pytest.approx(q, rel=1e-5))
                assert one.stands_out == stands_out
