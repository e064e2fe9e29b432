"""An open bank beside the artifacts it is made of; what a change on the disk costs; what is left out."""

import os
import shutil
import threading

import numpy as np
import pytest

from app.core.address import parse
from app.explorer import recipes
from app.explorer.bank import parts_of
from app.explorer.errors import ComputationFailed, NotBuilt
from app.explorer.reading.finding import bank as banks
from app.explorer.reading.finding import parts, streams
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.readings import open_pairs
from app.store import located
from app.store.artifacts import ArtifactStore
from app.store.grounds import GROUNDS, Grounds
from tests.explorer.banks import build_bank, plant_rows


@pytest.fixture
def query():
    return np.random.default_rng(0).normal(size=32)


@pytest.fixture
def streamed(monkeypatch):
    """No bank is small enough to be in memory."""
    monkeypatch.setattr(banks, "HELD_BYTES", 0)


def svd_parts(model, processing="folded"):
    return [recipes.bank(model, layer, processing) for layer in (None, 0, 1)]


def test_rows_are_those_of_all_parts(reader, model, exact):
    bank = open_bank(reader, model, "folded")
    own = [*svd_parts(model), *(recipes.bank(model, layer, "folded", "neuron") for layer in (0, 1))]
    for name in ("kind", "head", "index", "side", "end", "strength", "gain", "spread", "z", "p", "ids", "unit"):
        expected = np.concatenate([exact(part)[name] for part in own])
        np.testing.assert_array_equal(getattr(bank.rows, name), expected)
    n = len(exact(own[0])["kind"])
    assert (bank.rows.layer[:n] == -1).all()
    assert set(bank.rows.layer[n:]) == {0, 1}
    assert bank.n_rows == (~bank.rows.is_neuron).sum() == sum(len(exact(part)["kind"]) for part in own[:3])
    assert bank.share == 1.0


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("halved", [False, True])
def test_vectors_and_products_are_those_of_the_files(reader, model, exact, query, monkeypatch, halved, is_held):
    monkeypatch.setattr(banks, "HELD_BYTES", 2**20 if is_held else 0)
    monkeypatch.setattr(streams, "BLOCK_BYTES", 3_000)  # several blocks a part
    if halved:
        for layer in (None, 0, 1):
            recipe = recipes.bank(model, layer, "folded")
            arrays = dict(exact(recipe))
            arrays["halves"] = arrays.pop("vectors").astype(np.float16)
            reader.store.write(recipe, arrays, {})
    bank = open_bank(reader, model, "folded")
    assert (bank.held is not None) == is_held
    own = [*svd_parts(model), *(recipes.bank(model, layer, "folded", "neuron") for layer in (0, 1))]
    arrays = [exact(part) for part in own]
    every = np.concatenate([part["vectors"] if "vectors" in part else part["halves"] for part in arrays])
    every = every.astype(np.float64)
    at = np.random.default_rng(1).integers(len(every), size=300)
    np.testing.assert_array_equal(bank.vectors(at), every[at].astype(np.float32))
    assert bank.vectors(np.zeros(0, np.intp)).shape == (0, 32)
    np.testing.assert_allclose(bank.products(query), every @ query, atol=1e-5)
    where = bank.rows.layer == 1
    some = bank.products(query, where)
    np.testing.assert_allclose(some[where], (every @ query)[where], atol=1e-5)
    assert np.isnan(some[~where]).all()


def test_rows_are_found_by_their_addresses(reader, model):
    bank = open_bank(reader, model, "folded")
    for row in range(0, len(bank.rows.layer), 5):
        address = bank.address(row)
        assert parse(str(address)) == address
        assert bank.find(address, int(bank.rows.side[row])) == row
    assert bank.find(parse("tiny/L0/mlp-in/svd/0"), 1) is None  # that side is no stream
    assert bank.find(parse("tiny/L0/H0/ov/svd/8"), 0) is None
    assert bank.find(parse("tiny/L0/mlp-in/pca/0"), 0) is None
    assert bank.find(parse("tiny/pos/svd/0"), 1) is None


def test_moments_and_shadow_are_there_once_they_are_built(reader, model, exact):
    bank = open_bank(reader, model, "folded")
    for end in ("read", "write"):
        np.testing.assert_array_equal(bank.moments[end], exact(recipes.moments(model, "folded"))[end])
        np.testing.assert_array_equal(bank.shadow[end], exact(recipes.shadow(model, end, "folded"))["ids"])
    reader.store.path(recipes.shadow(model, "read", "folded")).unlink()
    reader.store.path(recipes.moments(model, "folded")).unlink()
    bank = open_bank(reader, model, "folded")
    assert (bank.moments, bank.shadow, bank.share) == (None, None, 1.0)


def test_a_bank_is_searched_before_it_is_whole(reader, model, exact):
    n = {part: len(exact(part)["kind"]) for part in svd_parts(model)}
    away = recipes.bank(model, 0, "folded")
    data = reader.store.path(away).read_bytes()
    reader.store.path(away).unlink()
    bank = open_bank(reader, model, "folded")
    here = sum(n.values()) - n[away]
    assert (~bank.rows.is_neuron).sum() == here
    assert bank.share == pytest.approx(here / bank.n_rows)
    assert 0 <= bank.n_rows - sum(n.values()) <= 2  # what is not there may have fewer rows than can be told
    reader.store.path(away).write_bytes(data)
    assert open_bank(reader, model, "folded").share == 1.0


def test_nothing_of_another_processing_is_used(reader, model):
    assert open_bank(reader, model, "folded").share == 1.0
    command = "singular-lens precompute tiny --matrices bank --weights raw builds it"
    with pytest.raises(NotBuilt, match=f"Not built on this server: {command}"):
        open_bank(reader, model, "raw")
    # Not even under its name.
    for layer in (None, 0, 1):
        shutil.copy(
            reader.store.path(recipes.bank(model, layer, "folded")),
            reader.store.path(recipes.bank(model, layer, "raw")),
        )
    with pytest.raises(NotBuilt):
        open_bank(reader, model, "raw")


def test_two_processings_have_rows_of_their_own(reader, model, exact):
    build_bank(reader, "tiny", "raw", kinds=("bank",))
    raw, folded = (open_bank(reader, model, processing) for processing in ("raw", "folded"))
    assert set(raw.rows.end) == {0}  # tied: one table for both ends
    assert set(folded.rows.end) == {0, 1}
    for bank, processing in ((raw, "raw"), (folded, "folded")):
        strength = np.concatenate([exact(part)["strength"] for part in svd_parts(model, processing)])
        np.testing.assert_array_equal(bank.rows.strength[~bank.rows.is_neuron], strength)


def test_a_model_without_a_bank_says_how_to_build_one(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    with pytest.raises(NotBuilt, match="singular-lens precompute tiny --matrices bank builds it"):
        open_bank(r, r.library.model("tiny"), "folded")


def test_a_damaged_part_is_set_aside_and_left_out(reader, model):
    path = reader.store.path(recipes.bank(model, 1, "folded"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    bank = open_bank(reader, model, "folded")
    assert not ((bank.rows.layer == 1) & ~bank.rows.is_neuron).any()
    assert bank.share < 1
    assert not path.exists()
    assert path.with_suffix(".damaged").exists()


@pytest.mark.parametrize("how", ["shortened", "deleted", "replaced"])
def test_a_file_that_changes_under_an_open_bank_costs_one_answer(reader, model, query, streamed, how):
    bank = open_bank(reader, model, "folded")
    path = reader.store.path(recipes.bank(model, 1, "folded"))
    data = path.read_bytes()
    if how == "shortened":
        os.truncate(path, path.stat().st_size - 4_000)
    else:
        path.rename(path.with_suffix(".old"))
    if how == "replaced":
        path.write_bytes(data)
    at = np.flatnonzero(bank.rows.layer == 1)
    for use in (lambda: bank.vectors(at), lambda: bank.products(query)):
        with pytest.raises(ComputationFailed, match="Ask again"):
            use()
    again = open_bank(reader, model, "folded")
    assert (again.share == 1.0) == (how == "replaced")
    assert len(again.products(query)) == len(again.rows.layer)


def test_it_is_proven_once_and_kept_between_requests(reader, model, monkeypatch):
    proven = []
    monkeypatch.setattr(located, "_check_sum", lambda *words, kept=located._check_sum: proven.append(1) or kept(*words))
    bank = open_bank(reader, model, "folded")
    n = len(proven)
    own = {"bank", "moments", "shadow"}
    assert n == sum(part.kind in own for part in parts_of(model, "folded"))
    assert open_bank(reader, model, "folded") is bank
    reader.banks.drop(("bank", model.fingerprint, "folded"))  # as others would have it dropped
    assert open_bank(reader, model, "folded") is not bank
    assert len(proven) == n


def test_a_part_that_is_built_anew_is_seen(reader, model, exact):
    before = open_bank(reader, model, "folded")
    vectors = exact(recipes.bank(model, 0, "folded"))["vectors"]
    plant_rows(reader, model, 0, vectors=-vectors)
    after = open_bank(reader, model, "folded")
    assert after is not before
    own = np.flatnonzero((after.rows.layer == 0) & ~after.rows.is_neuron)
    np.testing.assert_array_equal(after.vectors(own), -vectors)


def test_a_part_that_is_damaged_where_it_lies_is_left_out(reader, model):
    open_bank(reader, model, "folded")
    path = reader.store.path(recipes.bank(model, 1, "folded"))
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(path)
    assert open_bank(reader, model, "folded").share < 1
    assert path.with_suffix(".damaged").exists()


def test_its_own_use_costs_nothing_and_that_of_another_process_one_proof(reader, model, monkeypatch):
    proven = []
    monkeypatch.setattr(parts, "TOUCH_SECONDS", 0.0)
    bank = open_bank(reader, model, "folded")
    monkeypatch.setattr(located, "_check_sum", lambda *words, kept=located._check_sum: proven.append(1) or kept(*words))
    path = reader.store.path(recipes.bank(model, 1, "folded"))
    before = path.stat().st_mtime_ns
    assert all(open_bank(reader, model, "folded") is bank for _ in range(3))
    assert path.stat().st_mtime_ns > before
    assert not proven
    os.utime(path, (1, 1))
    again = open_bank(reader, model, "folded")
    assert all(open_bank(reader, model, "folded") is again for _ in range(3))
    assert len(proven) == 1


def test_many_threads_open_one_bank(reader, model):
    found, barrier = [], threading.Barrier(4)

    def ask():
        barrier.wait(10)
        found.append(open_bank(reader, model, "folded"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(map(id, found))) == 1


def test_its_files_are_in_use(reader, model):
    built = [part for part in parts_of(model, "folded") if reader.store.exists(part)]
    for part in built:
        os.utime(reader.store.path(part), (1, 1))
    open_bank(reader, model, "folded")
    times = {part.kind: reader.store.path(part).stat().st_mtime for part in built}
    assert {times.pop(kind) for kind in ("words", "tokens", "readings")} == {1}  # which nobody has opened
    assert min(times.values()) > 10**9


def test_an_answer_rests_on_its_parts(reader, model):
    token = GROUNDS.set(Grounds())
    try:
        open_bank(reader, model, "folded")
        grounds = GROUNDS.get()
        assert {reader.store.path(part) for part in svd_parts(model)} <= grounds.artifacts
        assert not grounds.is_of_now
        reader.store.path(recipes.bank(model, 0, "folded")).unlink()
        open_bank(reader, model, "folded")
        assert grounds.is_of_now  # a part may come at any time
    finally:
        GROUNDS.reset(token)


@pytest.mark.parametrize("kind", ["bank", "readings"])
def test_an_answer_without_a_damaged_part_is_not_kept(reader, model, kind):
    (part, *_) = [part for part in parts_of(model, "folded") if part.kind == kind]
    path = reader.store.path(part)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    token = GROUNDS.set(Grounds())
    try:
        if kind == "bank":
            open_bank(reader, model, "folded")
        else:
            with pytest.raises(NotBuilt):
                open_pairs(reader, model, "folded")
        assert GROUNDS.get().is_of_now
    finally:
        GROUNDS.reset(token)


def test_what_is_no_number_or_no_token_costs_one_answer(reader, model, exact, streamed):
    recipe = recipes.bank(model, 1, "folded")
    path, ids, shape = reader.store.path(recipe), exact(recipe)["ids"].copy(), exact(recipe)["vectors"].shape
    bank = open_bank(reader, model, "folded")
    start = reader.store.locate(recipe).stretches["vectors"].start
    times, data = path.stat(), path.read_bytes()
    with path.open("r+b") as file:
        file.seek(start)
        file.write(np.full(shape, np.nan, np.float32).tobytes())
    os.utime(path, ns=(times.st_mtime_ns, times.st_mtime_ns))  # as if it had not been written into
    assert open_bank(reader, model, "folded") is bank
    query = np.ones(model.header.d_model, np.float32)
    at = np.flatnonzero((bank.rows.layer == 1) & ~bank.rows.is_neuron)
    for use in (lambda: bank.vectors(at), lambda: bank.products(query)):
        with pytest.raises(ComputationFailed, match="Ask again"):
            use()
    assert np.isfinite(bank.products(query, bank.rows.layer == 0)[bank.rows.layer == 0]).all()
    path.write_bytes(data)
    ids[0, 0, 0] = model.header.d_vocab
    plant_rows(reader, model, 1, ids=ids)
    with pytest.raises(ComputationFailed, match="Ask again"):
        open_bank(reader, model, "folded")


def test_another_format_is_not_used(reader, model):
    older = ArtifactStore(reader.store.root, 10**9)
    recipe = recipes.bank(model, 0, "folded")
    path = older.path(recipe)
    data = path.read_bytes().replace(b'\\"format\\": 5', b'\\"format\\": 4')
    assert data != path.read_bytes()
    path.rename(path.with_suffix(".old"))
    path.write_bytes(data)
    assert open_bank(reader, model, "folded").share < 1


def test_a_large_part_is_proven_after_the_first_answer(reader, model, monkeypatch):
    waiting = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: waiting.extend([thread]))
    monkeypatch.setattr(parts, "MOST_PROVEN_BYTES", 1_000)
    path = reader.store.path(recipes.bank(model, 1, "folded"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert open_bank(reader, model, "folded").share == 1.0
    for begun in waiting:
        begun.run()
    assert path.with_suffix(".damaged").exists()
    assert open_bank(reader, model, "folded").share < 1
    assert all(reader.store.is_proven(recipes.bank(model, layer, "folded")) for layer in (None, 0))


def test_what_is_proven_before_the_first_answer_is_bounded_together(reader, model, monkeypatch):
    begun = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: begun.extend([thread]))
    own = [part for part in svd_parts(model) if reader.store.exists(part)]
    sizes = [reader.store.path(part).stat().st_size for part in own]
    monkeypatch.setattr(parts, "MOST_PROVEN_BYTES", max(sizes) + min(sizes))  # each is within it, all are not
    open_bank(reader, model, "folded")
    first = sum(size for size, part in zip(sizes, own, strict=True) if reader.store.is_proven(part))
    assert 0 < first <= parts.MOST_PROVEN_BYTES < sum(sizes)
    for each in begun:
        each.run()
    assert all(map(reader.store.is_proven, own))


def test_what_an_error_kept_from_being_proven_is_begun_again(reader, model, monkeypatch):
    begun = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: begun.extend([thread]))
    monkeypatch.setattr(parts, "MOST_PROVEN_BYTES", 0)
    open_bank(reader, model, "folded")

    def refuse(*_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(reader.store, "locate", refuse)
        with pytest.raises(MemoryError):
            begun.pop(0).run()
    for each in begun:
        each.run()
    begun.clear()
    reader.banks.drop(("bank", model.fingerprint, "folded"))
    open_bank(reader, model, "folded")
    for each in begun:
        each.run()
    assert all(map(reader.store.is_proven, svd_parts(model)))
