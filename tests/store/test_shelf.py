import errno
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.store import shelf as module
from app.store.account import UsedBytes, open_account
from app.store.shelf import Shelf, remove_abandoned, walk_files, write_unfinished

SIZE = 1000
MARGIN = 41
"""For the account."""


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf", 10**9)


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def files(root):
    """Names of everything but the account."""
    return sorted(path.name for path in walk_files(root) if path.name != ".used")


def size_of(root):
    return sum(path.stat().st_size for path in walk_files(root) if path.exists())


def used_of(root):
    with open_account(root) as account:
        return account.read()


def put(shelf, name, used=None):
    path = shelf.root / "a" / f"{name}.safetensors"
    shelf.write(path, bytes(SIZE))
    if used is not None:
        os.utime(path, (used, used))
    return path


def test_what_is_written_is_read(shelf):
    assert shelf.read(shelf.root / "a/x.safetensors") is None
    path = put(shelf, "x")
    assert shelf.read(path).data == bytes(SIZE)
    assert files(shelf.root) == ["x.safetensors"]


def test_looking_is_no_use_until_it_is_noted(shelf):
    path = put(shelf, "x", used=1)
    shelf.read(path)
    assert path.stat().st_mtime == 1
    shelf.touch(path)
    assert path.stat().st_mtime > 1


class FullDisk:
    """A file on a disk that has room for half of what is written."""

    def __init__(self, handle, *_):
        self._file = os.fdopen(handle, "wb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, data):
        self._file.write(data[: len(data) // 2])
        full_disk()


@pytest.mark.parametrize(
    ("owner", "name", "refuse"),
    [(module, "open", FullDisk), (os, "fsync", full_disk), (Path, "replace", full_disk), (Path, "mkdir", full_disk)],
    ids=["write", "fsync", "rename", "mkdir"],
)
def test_a_disk_that_is_full_at_any_step_leaves_what_was_there(shelf, monkeypatch, owner, name, refuse):
    path = put(shelf, "x")
    monkeypatch.setattr(module, "PROBE_SECONDS", 0)
    monkeypatch.setattr(owner, name, refuse, raising=False)
    with pytest.raises(OSError, match="No space left"):
        shelf.write(path, bytes(SIZE + 1))
    assert shelf.refusal().errno == errno.ENOSPC
    monkeypatch.undo()
    assert files(shelf.root) == ["x.safetensors"]
    assert shelf.read(path).data == bytes(SIZE)
    put(shelf, "y")
    assert shelf.refusal() is None


def test_a_disk_with_room_again_is_found_out_without_writing_a_file(shelf, monkeypatch):
    put(shelf, "x")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        put(shelf, "y")
    monkeypatch.undo()
    assert shelf.refusal().errno == errno.ENOSPC  # asked too soon to be tried again
    monkeypatch.setattr(module, "PROBE_SECONDS", 0)
    assert shelf.refusal() is None
    assert files(shelf.root) == ["x.safetensors"]


def test_the_least_recently_used_make_room_with_some_to_spare(shelf):
    for i in range(10):
        put(shelf, f"f{i}", used=i)
    tight = Shelf(shelf.root, 10 * SIZE + MARGIN)
    put(tight, "new")
    assert files(shelf.root) == [*(f"f{i}.safetensors" for i in range(2, 10)), "new.safetensors"]


def test_what_is_in_use_makes_room_last_and_no_more_than_must_be(shelf):
    now = time.time()
    for i in range(3):
        put(shelf, f"idle{i}", used=i)
    for i in range(6):
        put(shelf, f"used{i}", used=now - module.IN_USE_SECONDS / 2 + i)
    tight = Shelf(shelf.root, 7 * SIZE + MARGIN)
    put(tight, "a")
    assert files(shelf.root) == ["a.safetensors", *(f"used{i}.safetensors" for i in range(6))]
    put(tight, "b")
    assert files(shelf.root) == ["a.safetensors", "b.safetensors", *(f"used{i}.safetensors" for i in range(1, 6))]


def test_no_visit_deletes_what_the_operator_asked_for(shelf, tmp_path):
    operators, visits = (Shelf(shelf.root, 10 * SIZE + 100, keeps=keeps) for keeps in (True, False))
    for i in range(4):
        put(operators, f"kept{i}", used=i)
    for i in range(30):
        put(visits, f"visit{i}", used=100 + i)
    kept = [f"kept{i}.safetensors" for i in range(4)]
    assert files(shelf.root)[:4] == kept
    assert 4 < len(files(shelf.root)) <= 10
    # Whoever opens the folder next sees it on the files, and so does a copy.
    copy = shutil.copytree(shelf.root, tmp_path / "copy")
    (copy / ".used").unlink()
    put(Shelf(copy, 5 * SIZE + 100), "next")
    assert files(copy) == [*kept, "next.safetensors"]
    assert [entry.path.name for entry in Shelf(copy, 4 * SIZE + 600).make_room()] == ["next.safetensors"]
    assert used_of(copy) == UsedBytes(kept=4 * SIZE)


def test_the_operators_files_make_room_for_each_other_and_leave_a_share_to_visits(shelf):
    quota = 10 * SIZE + 100
    operators, visits = (Shelf(shelf.root, quota, keeps=keeps) for keeps in (True, False))
    for i in range(5):
        put(visits, f"visit{i}", used=100 + i)
    for i in range(9):
        put(operators, f"kept{i}", used=i)
    assert [name for name in files(shelf.root) if name.startswith("visit")] == ["visit4.safetensors"]
    put(operators, "kept9")
    assert "kept0.safetensors" not in files(shelf.root)
    assert "visit4.safetensors" in files(shelf.root)
    assert size_of(shelf.root) <= quota


def test_what_the_operator_asks_for_and_finds_is_the_operators(shelf):
    found, other = put(shelf, "found", used=1), put(shelf, "other", used=2)
    shelf.keep(found)
    assert used_of(shelf.root) == UsedBytes(visits=2 * SIZE)
    operators = Shelf(shelf.root, 10**9, keeps=True)
    for _ in range(2):
        operators.keep(found)
    operators.keep(shelf.root / "nothing here")
    assert used_of(shelf.root) == UsedBytes(visits=SIZE, kept=SIZE)
    assert [entry.path for entry in Shelf(shelf.root, SIZE + 500).make_room()] == [other]


@pytest.mark.parametrize("account", [None, b"%020d" % (2 * SIZE)])
def test_the_operator_keeps_what_is_there_whatever_became_of_the_account(shelf, account):
    found, _ = put(shelf, "found"), put(shelf, "other")
    (shelf.root / ".used").unlink()
    if account is not None:
        (shelf.root / ".used").write_bytes(account)
    Shelf(shelf.root, 10**9, keeps=True).keep(found)
    assert shelf.is_kept(found)
    assert used_of(shelf.root) == UsedBytes(visits=SIZE, kept=SIZE)


def test_visits_have_the_room_that_the_operator_leaves(shelf):
    quota = 10 * SIZE + MARGIN
    operators, visits = (Shelf(shelf.root, quota, keeps=keeps) for keeps in (True, False))
    assert (operators.measure_room(), visits.measure_room()) == (9 * SIZE, 10 * SIZE)
    put(operators, "kept")
    put(visits, "visit")
    assert (operators.measure_room(), visits.measure_room()) == (9 * SIZE, 9 * SIZE)


def test_a_file_larger_than_what_is_left_is_kept_alone(shelf):
    quota = 10 * SIZE + MARGIN
    put(Shelf(shelf.root, quota, keeps=True), "kept")
    visits = Shelf(shelf.root, quota)
    for name in ("large", "larger"):
        put(visits, "small")
        visits.write(shelf.root / f"{name}.safetensors", bytes(10 * SIZE))
    assert files(shelf.root) == ["kept.safetensors", "larger.safetensors"]
    put(visits, "next")
    assert size_of(shelf.root) <= quota


def test_what_a_visit_writes_anew_stays_the_operators(shelf):
    put(Shelf(shelf.root, 10**9, keeps=True), "x")
    put(shelf, "x")
    assert used_of(shelf.root) == UsedBytes(kept=SIZE)
    assert [entry.is_kept for entry in shelf.entries()] == [True]


def test_what_is_damaged_is_nobodys(shelf):
    path = put(Shelf(shelf.root, 10**9, keeps=True), "x")
    shelf.set_aside(shelf.read(path))
    put(Shelf(shelf.root, SIZE + 100), "new")
    assert files(shelf.root) == ["new.safetensors"]


def test_damaged_files_make_room_first(shelf):
    old, damaged = put(shelf, "old", used=1), put(shelf, "damaged")
    assert shelf.set_aside(shelf.read(damaged))
    put(Shelf(shelf.root, 2 * SIZE + 500), "new")
    assert files(shelf.root) == ["new.safetensors", old.name]


def test_a_file_that_replaces_another_is_counted_once(shelf):
    tight = Shelf(shelf.root, 3 * SIZE)
    for _ in range(10):
        put(tight, "x")
    put(tight, "y")
    assert files(shelf.root) == ["x.safetensors", "y.safetensors"]


@pytest.mark.parametrize("account", [b"", b"0" * 20])
def test_what_was_put_there_or_deleted_by_hand_is_measured(shelf, account):
    for i in range(5):
        put(shelf, f"f{i}", used=i)
    (shelf.root / ".used").write_bytes(account)
    put(Shelf(shelf.root, 3 * SIZE + MARGIN), "new")
    assert size_of(shelf.root) <= 3 * SIZE + MARGIN
    tight = Shelf(shelf.root, 3 * SIZE + MARGIN)
    put(tight, "first")
    for path in (shelf.root / "a").glob("*.safetensors"):
        path.unlink()
    put(tight, "second")
    put(tight, "third")
    assert files(shelf.root) == ["second.safetensors", "third.safetensors"]


def test_what_is_written_anew_meanwhile_is_not_set_aside(shelf):
    path = put(shelf, "x")
    seen = shelf.read(path)
    put(shelf, "x")
    assert not shelf.set_aside(seen)
    path.unlink()
    assert not shelf.set_aside(seen)
    assert files(shelf.root) == []


WRITE = """
import sys
from pathlib import Path
from app.store.shelf import write_unfinished
with write_unfinished(Path(sys.argv[1])) as (temporary, file):
    print(temporary, flush=True)
    sys.stdin.read()
"""


def test_an_unfinished_file_is_its_writers_until_he_is_dead(start, tmp_path):
    other = start(WRITE, tmp_path / "x.safetensors")
    temporary = Path(other.stdout.readline().strip())
    assert not remove_abandoned(temporary)
    assert temporary.exists()
    other.kill()
    other.wait()
    assert remove_abandoned(temporary)
    assert not temporary.exists()
    assert not remove_abandoned(temporary)


def test_a_folder_that_goes_while_it_is_looked_at_is_made_again(shelf, monkeypatch):
    """As when it is tidied up between the making, which finds it there, and the look whether it is a folder."""
    really, gone = Path.mkdir, []

    def mkdir(path, *args, **options):
        if not gone:
            gone.append(path)
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        return really(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert shelf.read(put(shelf, "x")).data == bytes(SIZE)
    assert gone == [shelf.root / "a"]


def test_a_file_in_the_place_of_a_folder_is_an_error(shelf):
    shelf.root.mkdir()
    (shelf.root / "a").touch()
    with pytest.raises(FileExistsError):
        put(shelf, "x")


def test_a_file_that_is_taken_for_abandoned_as_it_begins_is_begun_again(tmp_path, monkeypatch):
    honest, lost = module.try_lock, []

    def after_somebody_was_quicker(handle):
        if not lost:
            lost.extend(tmp_path.iterdir())
            lost[0].unlink()
        return honest(handle)

    monkeypatch.setattr(module, "try_lock", after_somebody_was_quicker)
    with write_unfinished(tmp_path / "x.safetensors") as (temporary, _):
        assert temporary.exists()
        assert temporary not in lost


LOAD = """
import random, sys, threading, traceback
from pathlib import Path
from app.store.shelf import Shelf
root, quota, seed, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
shelf, faults = Shelf(root, quota), []

def work(seed):
    chance = random.Random(seed)
    try:
        for _ in range(rounds):
            path = root / f"{chance.randrange(4)}" / f"{chance.randrange(60)}.safetensors"
            found = shelf.read(path)
            if found is None:
                shelf.write(path, path.stem.encode() * 500)
            elif found.data != path.stem.encode() * 500:
                raise ValueError(path)
            elif chance.random() < 0.1:
                shelf.set_aside(found)
    except BaseException:
        faults.append(traceback.format_exc())

threads = [threading.Thread(target=work, args=(seed * 10 + i,)) for i in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*faults)
sys.exit(bool(faults))
"""


def test_the_quota_holds_at_every_moment_however_many_write(start, tmp_path, long):
    """Three threads in each of two processes write, read, evict and set aside the same files."""
    quota, largest, writers = 60_000, 1000, 6
    processes = [start(LOAD, tmp_path, quota, seed, 4000 if long else 150) for seed in (1, 2)]
    most = 0
    while any(process.poll() is None for process in processes):
        with open_account(tmp_path):  # or a file might be counted, and also the one that it makes room for
            most = max(most, sum(entry.size for entry in Shelf(tmp_path, 0).entries()))
            unfinished_too = size_of(tmp_path)
        assert unfinished_too <= quota + writers * largest
        time.sleep(0.01)
    for process in processes:
        assert process.wait() == 0, process.stdout.read()
    assert quota / 2 < most <= quota
    assert quota / 2 < size_of(tmp_path) <= quota
    assert [name for name in files(tmp_path) if name.endswith(".tmp")] == []


def test_the_account_of_many_writers_is_right(tmp_path):
    shelves = [Shelf(tmp_path, 10**9) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: put(shelves[i % 2], f"f{i % 50}"), range(200)))
    assert used_of(tmp_path) == UsedBytes(visits=50 * SIZE)


def test_making_room_measures_anew(shelf):
    for i in range(5):
        put(shelf, f"f{i}", used=i)
    assert list(Shelf(shelf.root / "nowhere", 1).make_room()) == []
    assert list(shelf.make_room()) == []
    gone = list(Shelf(shelf.root, 3 * SIZE + MARGIN).make_room())
    assert [entry.path.stem for entry in gone] == ["f0", "f1", "f2"]
    assert used_of(shelf.root) == UsedBytes(visits=2 * SIZE)


def test_what_is_on_it_is_counted_anew_after_a_while_and_not_before(shelf, monkeypatch):
    for name in ("a", "b"):
        shelf.write(shelf.root / f"{name}.safetensors", bytes(SIZE))
    assert shelf.measure_occupancy() == (2, 2 * SIZE, 10**9 - MARGIN)
    shelf.write(shelf.root / "c.safetensors", bytes(SIZE))
    assert shelf.measure_occupancy().files == 2
    monkeypatch.setattr(module, "MEASURED_SECONDS", 0.0)
    assert shelf.measure_occupancy()[:2] == (3, 3 * SIZE)
