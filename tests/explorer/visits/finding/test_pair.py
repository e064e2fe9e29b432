import math
import shutil

import numpy as np
import pytest

from app.core.address import Ray, parse
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.making.heads import read_head_tensors
from app.explorer.reading.finding.bank import open_bank
from app.explorer.visits.finding.pair import visit_pair
from tests.explorer.banks import build_bank


@pytest.fixture(scope="module")
def whole(open_explorer, tiny_data, tmp_path_factory):
    r = open_explorer(shutil.copytree(tiny_data, tmp_path_factory.mktemp("whole") / "data"))
    build_bank(r, kinds=("bank", "moments"))
    return r


def dense(context, layer, head, part):
    """W_OV, or W_QK from the side that reads."""
    one = read_head_tensors(context, layer, head)
    W_Q, W_K, W_V, W_O = (each.double().numpy() for each in (one.W_Q, one.W_K, one.W_V, one.W_O))
    return {"value": W_V @ W_O, "query": W_Q @ W_K.T, "key": W_K @ W_Q.T}[part]


@pytest.mark.parametrize("part", ["value", "query", "key"])
def test_the_whole_is_the_composition_of_the_dense_matrices_and_the_mean_of_its_rows(whole, context_of, part):
    context = context_of("gpt2", "folded")
    page = visit_pair(whole, "tiny/L0/H1", "tiny/L1/H2", Options(), part)
    A, B = dense(context, 0, 1, "value"), dense(context, 1, 2, part)
    composed = math.sqrt(32) * np.linalg.norm(A @ B) / (np.linalg.norm(A) * np.linalg.norm(B))
    assert page.whole == pytest.approx(composed, abs=1e-5)
    V, S = np.linalg.svd(A)[2], np.linalg.svd(A)[1]
    for n, own in enumerate(page.specificities):
        assert own == pytest.approx(math.sqrt(32) * np.linalg.norm(V[n] @ B) / np.linalg.norm(B), rel=1e-4)
    squares = np.square(S[: len(page.rows)])
    assert page.whole == pytest.approx(math.sqrt(squares @ np.square(page.specificities) / squares.sum()), rel=1e-4)


def test_cells_are_cosines_of_the_directions_that_they_name(whole, context_of):
    context = context_of("gpt2", "folded")
    page = visit_pair(whole, "tiny/L0/H1", "tiny/L1/H2", Options(), "query")
    V, U = np.linalg.svd(dense(context, 0, 1, "value"))[2], np.linalg.svd(dense(context, 1, 2, "query"))[0]
    assert [place.index for place in page.rows] == [place.index for place in page.columns] == list(range(8))
    assert np.abs(page.cosines) == pytest.approx(np.abs(V[:8] @ U[:, :8]), abs=1e-4)
    first = page.strongest[0]
    assert abs(first.cosine) == pytest.approx(np.abs(page.cosines).max())
    assert (first.writer.kind, first.reader.kind) == ("ov", "qk")
    assert page.cosines[first.writer.index][first.reader.index] == pytest.approx(first.cosine)
    assert first.reader_ray == ("p" if first.cosine >= 0 else "n")


@pytest.mark.parametrize("part", ["value", "query"])
def test_what_chance_makes_is_by_each_vectors_own_spread(whole, part):
    """As around the direction itself: not as if what reads lay evenly in the stream."""
    page = visit_pair(whole, "tiny/L0/H1", "tiny/L1/H2", Options(), part)
    bank = open_bank(whole, whole.library.model("tiny"), "folded")
    v = bank.vectors(np.array([bank.find(page.rows[n], 1) for n in range(8)])).astype(np.float64)
    reads = np.flatnonzero(~bank.rows.is_neuron & (bank.rows.end == 0))
    spreads = np.sqrt(np.square(v @ bank.vectors(reads).T.astype(np.float64)).mean(axis=1))
    for cell in page.strongest:
        z = cell.cosine / spreads[cell.writer.index]
        assert cell.expected == pytest.approx(64 * math.erfc(abs(z) / math.sqrt(2)), rel=1e-3)
    assert page.chance == pytest.approx(math.sqrt(np.square(spreads).mean()), rel=1e-4)


def test_without_moments_chance_is_even(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    build_bank(r, kinds=("bank",))
    assert visit_pair(r, "tiny/L0/H1", "tiny/L1/H2", Options(), "value").chance == pytest.approx(1 / math.sqrt(32))


def test_whether_one_can_read_the_other_is_said(whole):
    assert visit_pair(whole, "tiny/L0/H1", "tiny/L1/H2", Options(), "value").later
    assert not visit_pair(whole, "tiny/L1/H1", "tiny/L1/H2", Options(), "value").later
    assert not visit_pair(whole, "tiny/L1/H1", "tiny/L0/H2", Options(), "value").later


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ("tiny/L0/H1", "gpt2/L1/H2", "one model"),
        ("tiny/L0", "tiny/L1/H2", "a is a head"),
        ("tiny/L0/H1", "tiny/L1/H2/ov", "b is a head"),
        ("", "tiny/L1/H2", "a is a head"),
        ("<script>", "tiny/L1/H2", "a is a head"),
    ],
)
def test_what_cannot_be_compared_is_refused(whole, a, b, why):
    with pytest.raises(BadOption, match=why):
        visit_pair(whole, a, b, Options(), "value")


def test_a_head_or_a_bank_that_is_not_there(whole, open_explorer, fresh_data):
    with pytest.raises(UnknownAddress, match="H0 to H3"):
        visit_pair(whole, "tiny/L0/H1", "tiny/L1/H9", Options(), "value")
    page = visit_pair(open_explorer(fresh_data), "tiny/L0/H1", "tiny/L1/H2", Options(), "value")
    assert "precompute tiny --matrices bank" in page.unbuilt.why
    assert parse("tiny/L0/H1") == visit_pair(whole, "tiny/L0/H1", "tiny/L1/H2", Options(), "key").address


@pytest.mark.parametrize("sign", ["p", "n"])
def test_of_a_direction_that_one_came_from_is_told_what_reads_that_end_of_it(whole, sign):
    page = visit_pair(whole, "tiny/L0/H1", "tiny/L1/H2", Options(), "value", f"L1H2.ov.0n_w-L0H1.ov.2{sign}")
    one, start = page.passage, Ray(parse("tiny/L0/H1/ov/svd/2"), sign)
    assert (one.end, page.path[-1].ray) == (start, start)
    assert one.through == page.specificities[2]
    assert one.taken_in is None  # nobody held the model's directions against its heads
    assert abs(one.cells[0].cosine) == pytest.approx(np.abs(page.cosines[2]).max())
    for cell in (*one.cells, *page.strongest):
        at = cell.writer.index, cell.reader.index
        assert cell.writer_ray == (sign if at[0] == 2 else "p")
        assert cell.cosine == pytest.approx(page.cosines[at[0]][at[1]])
        lies = cell.cosine * (-1 if cell.writer_ray == "n" else 1)
        assert cell.reader_ray == ("p" if lies >= 0 else "n")
        assert len(page.hops(cell.writer_end)) == (2 if at[0] == 2 else 1)


def test_a_path_to_another_head_is_left_and_one_that_is_none_refused(whole):
    page = visit_pair(whole, "tiny/L0/H1", "tiny/L1/H2", Options(), "value", "L0H2.ov.2p")
    assert (page.path, page.passage) == ((), None)
    with pytest.raises(BadOption, match="path"):
        visit_pair(whole, "tiny/L0/H1", "tiny/L1/H2", Options(), "value", "nonsense")


def test_a_head_may_be_named_as_the_jump_box_takes_it(whole):
    page = visit_pair(whole, "L0H1", "head 2 of layer 1", Options(), "value")
    assert (page.a, page.b) == (parse("tiny/L0/H1"), parse("tiny/L1/H2"))
