import os
import subprocess
import sys
import threading
import time

import pytest

from app.models.importing import staging
from app.models.importing.staging import JournalEntry, Staging, open_staging, unfinished_imports
from app.models.manifest import file_sum


def never() -> None:
    raise AssertionError("waited")


def put(place: Staging, name: str, content: str = "tensors") -> JournalEntry:
    (place.folder / name).write_text(content)
    entry = JournalEntry(name, file_sum(place.folder / name), {"n": len(content)})
    place.add(entry)
    return entry


def test_what_was_added_is_there_again(tmp_path):
    with open_staging(tmp_path, "f00d", never) as place:
        first, second = put(place, "a"), put(place, "b", "others")
    with open_staging(tmp_path, "f00d", never) as place:
        assert place.entries() == {"a": first, "b": second}
    assert [path.name for path in tmp_path.iterdir()] == [".import-f00d"]


@pytest.mark.parametrize("fault", ["changed", "gone", "cut", "nonsense", "format"])
def test_nothing_counts_after_the_first_fault(tmp_path, fault):
    with open_staging(tmp_path, "f00d", never) as place:
        first, _second, _third = put(place, "a"), put(place, "b"), put(place, "c")
        journal = place.folder / "journal.jsonl"
        lines = journal.read_text().splitlines()
        if fault == "changed":
            (place.folder / "b").write_text("tensorz")
        elif fault == "gone":
            (place.folder / "b").unlink()
        else:
            lines[1] = {
                "cut": lines[1][:20],
                "nonsense": "[]",
                "format": lines[1].replace('"format": 3', '"format": 2'),
            }[fault]
            journal.write_text("\n".join(lines))
        assert place.entries() == {"a": first}


def test_publishing_leaves_only_the_files(tmp_path):
    target = tmp_path / "f00d"
    target.mkdir()
    (target / "old").touch()
    with open_staging(tmp_path, "f00d", never) as place:
        put(place, "a")
        place.publish(target)
    assert [path.name for path in tmp_path.iterdir()] == ["f00d"]
    assert [path.name for path in target.iterdir()] == ["a"]


def test_discarding_leaves_nothing(tmp_path):
    with open_staging(tmp_path, "f00d", never) as place:
        put(place, "a")
        place.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_import_that_wrote_nothing_leaves_nothing(tmp_path):
    with open_staging(tmp_path, "f00d", never):
        pass
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time(tmp_path, monkeypatch):
    """Eight at once: each has the folder alone, and all of them get it."""
    monkeypatch.setattr(staging, "WAIT_SECONDS", 0.001)
    inside, most, got = 0, 0, 0
    counting = threading.Lock()

    def enter() -> None:
        nonlocal inside, most, got
        with open_staging(tmp_path, "f00d", lambda: None):
            with counting:
                inside += 1
                most, got = max(most, inside), got + 1
            time.sleep(0.002)
            with counting:
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (most, got) == (1, 8)
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from app.models.importing.staging import open_staging
with open_staging(Path(sys.argv[1]), "f00d", lambda: None) as place:
    (place.folder / "a").touch()
    print("here", flush=True)
    time.sleep(60)
"""


def test_a_killed_import_is_unfinished_a_running_one_is_not(tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(weights)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "here\n"
        assert list(unfinished_imports(tmp_path)) == []
        waits = []

        def waiting() -> None:
            waits.append(1)
            other.kill()

        with open_staging(weights, "f00d", waiting) as place:
            assert waits
            assert [path.name for path in place.folder.iterdir()] == ["a"]
    assert list(unfinished_imports(tmp_path)) == [weights / ".import-f00d"]
    (weights / ".import-old-f00d").mkdir()
    assert len(list(unfinished_imports(tmp_path))) == 2
    assert not list(weights.glob("*.lock"))


def test_a_lock_file_that_was_removed_is_not_believed(tmp_path):
    """Between opening and locking, whoever held the lock may have removed its file."""
    lock = tmp_path / "lock"
    held = staging._try_lock(lock)
    lock.unlink()
    again = staging._try_lock(lock)
    assert again is not None
    assert staging._try_lock(lock) is None
    os.close(held)
    os.close(again)
