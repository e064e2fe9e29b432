"""What many visitors, broken files and failing work do to the pages: through the verbs, as visitors meet them."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.errors import Busy, ComputationFailed, NotReady
from app.explorer.layout import KEPT_TOKENS
from app.explorer.making import decompositions, heads
from app.explorer.making.judging import gallery
from app.explorer.recipes import MEASURE
from app.explorer.running import queue
from app.explorer.view import View
from app.explorer.visits import browse, orders
from app.explorer.visits.browse import Options

HEAD = parse("tiny/L1/H2")


@pytest.fixture
def computed(monkeypatch):
    """The matrices that were computed, in order."""
    seen = []

    def counting(context, layer, head, circuit, distance, compute=heads.read_matrix):
        seen.append((layer, head, circuit))
        return compute(context, layer, head, circuit)

    monkeypatch.setattr(decompositions, "read_matrix", counting)
    return seen


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("tiny/L1/H2/ov", "L1H2 OV of tiny is being decomposed and read out."),
        ("tiny/embed", "The embedding of tiny is being decomposed and read out."),
        ("tiny/heads/write", "The OV outputs of tiny are being decomposed and read out."),
        ("tiny/heads/read/pca", "The OV inputs of tiny are being decomposed in the basis pca and read out."),
    ],
)
def test_who_waits_is_told_what_for_in_a_sentence(explorer, place, told):
    address = parse(place)
    shown = View(weights="raw", default_weights="raw", basis=address.basis or "svd")
    assert orders.order_matrix(explorer.library.model("tiny"), address, shown).title == told


def test_200_first_visits_to_one_head_compute_it_once(open_explorer, fresh_data, patiently, computed):
    r = open_explorer(fresh_data, waiters=200)
    browse.visit_head(r, parse("tiny/L0/H0"), Options())  # what all heads are judged by
    computed.clear()
    barrier = threading.Barrier(200)

    def visit(_):
        barrier.wait(30)
        return patiently(browse.visit_head, r, HEAD, Options())

    with ThreadPoolExecutor(200) as visitors:
        pages = list(visitors.map(visit, range(200)))
    assert sorted(computed) == [(1, 2, "ov"), (1, 2, "qk")]
    assert all(page == pages[0] for page in pages)


def test_what_was_computed_is_not_computed_again(open_explorer, fresh_data, computed):
    first = browse.visit_head(open_explorer(fresh_data), HEAD, Options())
    assert len(computed) == 2
    r = open_explorer(fresh_data)
    assert browse.visit_head(r, HEAD, Options()) == first
    assert browse.visit_head(r, HEAD, Options(sort="weakest", find="e")).ov.singular_values == first.ov.singular_values
    assert len(computed) == 2


def test_a_failing_computation_is_its_own_pages_error(open_explorer, fresh_data, monkeypatch, caplog):
    def broken(context, layer, head, circuit, distance, compute=heads.read_matrix):
        if head == 1:
            raise RuntimeError("LAPACK said no in /secret/place")
        return compute(context, layer, head, circuit)

    monkeypatch.setattr(decompositions, "read_matrix", broken)
    r = open_explorer(fresh_data)
    with caplog.at_level(logging.ERROR), pytest.raises(ComputationFailed) as failure:
        browse.visit_matrix(r, parse("tiny/L0/H1/ov"), Options())
    assert "secret" not in str(failure.value)
    assert "LAPACK said no" in caplog.text
    assert browse.visit_matrix(r, parse("tiny/L0/H2/ov"), Options()).rank == 8
    with pytest.raises(ComputationFailed):
        browse.visit_head(r, parse("tiny/L0/H1"), Options())


def test_a_full_queue_is_busy(open_explorer, fresh_data, monkeypatch, patiently):
    begun, done = threading.Event(), threading.Event()

    def stuck(context, layer, head, circuit, distance):
        begun.set()
        done.wait(30)
        raise ValueError

    r = open_explorer(fresh_data, queue_size=1, wait_seconds=0.01)
    patiently(browse.visit_matrix, r, parse("tiny/L1/H0/ov"), Options())  # with what all are judged by
    monkeypatch.setattr(decompositions, "read_matrix", stuck)
    with pytest.raises(NotReady, match="L0H0 OV of tiny"):
        browse.visit_matrix(r, parse("tiny/L0/H0/ov"), Options())
    assert begun.wait(30)
    with pytest.raises(NotReady):
        browse.visit_matrix(r, parse("tiny/L0/H1/ov"), Options())
    with pytest.raises(Busy):
        browse.visit_matrix(r, parse("tiny/L0/H2/ov"), Options())
    done.set()
    with pytest.raises(ComputationFailed):  # and nothing of it is left for the next test to count
        patiently(browse.visit_matrix, r, parse("tiny/L0/H1/ov"), Options())


def test_both_matrices_of_a_head_stand_in_line_before_either_is_waited_for(open_explorer, fresh_data, computed):
    r = open_explorer(fresh_data, wait_seconds=0.0)
    with pytest.raises(NotReady):
        browse.visit_head(r, HEAD, Options())
    while len(computed) < 2:
        threading.Event().wait(0.01)
    assert computed == [(1, 2, "ov"), (1, 2, "qk")]


def test_a_damaged_artifact_is_set_aside_and_computed_again(open_explorer, fresh_data, computed):
    first = browse.visit_head(open_explorer(fresh_data), HEAD, Options())
    files = sorted((fresh_data / "artifacts").glob("*/L1/**/*.safetensors"))
    assert len(files) == 2
    data = bytearray(files[0].read_bytes())
    data[-9] ^= 255
    files[0].write_bytes(data)
    assert browse.visit_head(open_explorer(fresh_data), HEAD, Options()) == first
    assert len(computed) == 3
    assert len(list((fresh_data / "artifacts").rglob("*.damaged"))) == 1
    assert sorted((fresh_data / "artifacts").glob("*/L1/**/*.safetensors")) == files


def test_a_tiny_quota_evicts_and_every_page_still_comes(open_explorer, fresh_data):
    r = open_explorer(fresh_data, quota_bytes=100_000)
    for layer in range(2):
        for head in range(4):
            assert browse.visit_head(r, parse(f"tiny/L{layer}/H{head}"), Options()).ov.rank == 8
    kept = sum(path.stat().st_size for path in (fresh_data / "artifacts").rglob("*") if path.is_file())
    assert 0 < kept <= 100_000
    assert browse.visit_head(r, parse("tiny/L0/H0"), Options()).ov.rank == 8


def test_a_disk_that_refuses_costs_nothing_but_time(open_explorer, fresh_data, caplog):
    (fresh_data / "artifacts").write_text("a file where the folder should be")
    r = open_explorer(fresh_data)
    page = browse.visit_matrix(r, parse("tiny/L0/H0/ov"), Options())
    assert browse.visit_matrix(r, parse("tiny/L0/H0/ov"), Options()) == page
    assert "cannot keep artifact" in caplog.text


def test_a_distance_is_part_of_the_recipe_and_zero_is_not(relatives):
    model, address = relatives.library.model("llama"), parse("llama/L0/H1/qk")
    near, far = (orders.order_matrix(model, address, View("folded", "folded", distance=d)).recipe for d in (0, 5))
    assert dict(near.parameters) == {"measure": MEASURE, "tokens": KEPT_TOKENS}
    assert dict(far.parameters) == {"distance": 5, "measure": MEASURE, "tokens": KEPT_TOKENS}
    assert near.hash != far.hash


@pytest.fixture
def gallery_of(open_explorer, fresh_data, monkeypatch):
    """gallery_of(fails): an explorer whose gallery is judged in no time, and the orders for it; layers in `fails` fail."""

    def build(*fails, **settings):
        def judged(context, layer):
            yield 0, 1
            if layer in fails:
                raise RuntimeError(f"layer {layer} is broken")
            return {"label": np.zeros(0, np.int8)}, {"judged": True}

        monkeypatch.setattr(gallery, "build_gallery", judged)
        r = open_explorer(fresh_data, **settings)
        return r, orders.order_gallery(r.library.model("tiny"), "folded")

    return build


def there(artifacts):
    return [artifact is not None for artifact in artifacts]


def test_a_layer_that_fails_hides_none_of_the_others(gallery_of, monkeypatch, caplog):
    r, asked = gallery_of(0)
    assert there(orders.fulfil_so_far(r, asked).artifacts) == [False, True, True]  # those behind it, too
    assert "layer 0 is broken" in caplog.text
    assert there(orders.fulfil_so_far(r, asked).artifacts) == [False, True, True]  # while the failure is remembered
    with pytest.raises(ComputationFailed):
        orders.fulfil_in_line(r, asked)
    monkeypatch.setattr(queue, "FAILURE_SECONDS", 0.0)
    gallery_of()
    asked = orders.order_gallery(r.library.model("tiny"), "folded")
    assert there(orders.fulfil_so_far(r, asked).artifacts) == [True, True, True]  # tried again
    assert there(orders.fulfil_in_line(r, asked)) == [True, True, True]


def test_where_no_layer_is_there_the_failure_is_the_answer(gallery_of):
    r, asked = gallery_of(0, 1, None)
    for _ in range(2):
        with pytest.raises(ComputationFailed):
            orders.fulfil_so_far(r, asked)


def test_a_full_queue_hides_no_layer_that_is_there(gallery_of, monkeypatch):
    r, asked = gallery_of()
    orders.fulfil_in_line(r, asked[:1])

    def full(*_):
        raise Busy("full")

    monkeypatch.setattr(r.queue, "submit", full)
    assert there(orders.fulfil_so_far(r, asked).artifacts) == [True, False, False]
    with pytest.raises(Busy):
        orders.fulfil_so_far(r, asked[1:])
    with pytest.raises(Busy):
        orders.fulfil_in_line(r, asked)
