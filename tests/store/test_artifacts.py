import errno
import json
import logging
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store import located
from app.store.artifacts import ARTIFACT_FORMAT, ArtifactStore, Recipe, is_older, read_format
from app.store.sealed import Contents, Damaged, seal_contents

RECIPE = Recipe("f" * 64, "decomposition", "L5/H3/ov", "folded", "svd", (("tokens", 50),))
ARRAYS = {"left": np.eye(3, 8, dtype=np.float32), "ids": np.arange(12, dtype=np.int32).reshape(3, 4)}
FACTS = {"rank": 3, "scores": {"stable-rank": 1.5}, "words": ["</script>", "\u202e", "\x00"]}


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path, quota_bytes=10**9)


def reopened(store, quota=10**9):
    """The same folder as the next process sees it: nothing in memory."""
    return ArtifactStore(store.root, quota)


def assert_same(artifact, arrays=ARRAYS, facts=FACTS):
    assert artifact is not None
    assert artifact.facts == facts
    assert set(artifact.arrays) == set(arrays)
    for name, array in arrays.items():
        assert artifact.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(artifact.arrays[name], array)


def test_what_is_saved_is_loaded_by_this_and_the_next_process(store):
    assert store.load(RECIPE) is None
    assert_same(store.save(RECIPE, ARRAYS, FACTS))
    assert_same(store.load(RECIPE))
    assert_same(reopened(store).load(RECIPE))


def test_the_file_is_where_the_matrix_is(store):
    store.save(RECIPE, ARRAYS, FACTS)
    assert store.path(RECIPE).relative_to(store.root).parts[:-1] == ("f" * 64, "L5", "H3", "ov")
    assert [path.name for path in store.root.rglob("*") if path.is_file()] == [".used", f"{RECIPE.hash}.safetensors"]


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "e" * 64},
        {"subject": "L5/H3/qk"},
        {"processing": "raw"},
        {"basis": "pca"},
        {"parameters": (("tokens", 51),)},
        {"format": ARTIFACT_FORMAT - 1},
        {"format": ARTIFACT_FORMAT + 1},
    ],
)
def test_another_recipe_is_another_artifact(store, change):
    store.save(RECIPE, ARRAYS, FACTS)
    other = replace(RECIPE, **change)
    assert store.load(other) is None
    assert store.path(other) != store.path(RECIPE)


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=3))
def test_a_file_with_any_changed_bytes_is_set_aside(tmp_path_factory, position, noise):
    store = ArtifactStore(tmp_path_factory.mktemp("store"), 10**9)
    store.save(RECIPE, ARRAYS, FACTS)
    path = store.path(RECIPE)
    before = path.read_bytes()
    at = position % (len(before) - len(noise))
    after = before[:at] + noise + before[at + len(noise) :]
    path.write_bytes(after)
    if after == before:
        assert_same(reopened(store).load(RECIPE))
    else:
        assert reopened(store).load(RECIPE) is None
        assert path.with_suffix(".damaged").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"\xff" * len(data),
        lambda data: data.replace(b"folded", b"raw   "),
        lambda data: data + b"\x00",
        lambda data: data[:8] + b" " + data[8:],
    ],
    ids=["empty", "half", "last bit", "noise", "other recipe", "grown", "shifted"],
)
def test_a_damaged_file_is_set_aside_and_can_be_written_again(store, damage, caplog):
    store.save(RECIPE, ARRAYS, FACTS)
    path = store.path(RECIPE)
    path.write_bytes(damage(path.read_bytes()))
    next_store = reopened(store)
    with caplog.at_level(logging.WARNING):
        assert next_store.load(RECIPE) is None
    assert "damaged" in caplog.text
    assert not path.exists()
    assert path.with_suffix(".damaged").exists()
    next_store.save(RECIPE, ARRAYS, FACTS)
    assert_same(reopened(store).load(RECIPE))


def test_a_file_under_another_recipes_name_is_not_believed(store):
    other = replace(RECIPE, subject="L5/H3/qk")
    store.save(RECIPE, ARRAYS, FACTS)
    store.path(other).parent.mkdir(parents=True)
    store.path(RECIPE).rename(store.path(other))
    assert reopened(store).load(other) is None


def folder(path):
    path.mkdir()
    (path / "something").touch()


@pytest.mark.parametrize(
    "put", [folder, os.mkfifo, lambda path: path.symlink_to(path.parent)], ids=["folder", "pipe", "link"]
)
def test_what_is_no_file_is_set_aside_and_its_place_written_again(store, put):
    store.save(RECIPE, ARRAYS, FACTS)
    store.path(RECIPE).unlink()
    put(store.path(RECIPE))
    assert reopened(store).load(RECIPE) is None
    reopened(store).save(RECIPE, ARRAYS, FACTS)
    assert_same(reopened(store).load(RECIPE))


def test_a_link_that_leads_to_itself_is_a_miss(store):
    store.path(RECIPE).parent.mkdir(parents=True)
    store.path(RECIPE).symlink_to(store.path(RECIPE))
    assert store.load(RECIPE) is None
    store.save(RECIPE, ARRAYS, FACTS)
    assert_same(reopened(store).load(RECIPE))


def test_a_file_where_a_folder_should_be_is_a_miss(store):
    (store.root / RECIPE.fingerprint).touch()
    assert store.load(RECIPE) is None
    assert_same(store.save(RECIPE, ARRAYS, FACTS))


def test_a_file_that_may_not_be_read_is_a_miss(store, monkeypatch, caplog):
    store.save(RECIPE, ARRAYS, FACTS)

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert reopened(store).load(RECIPE) is None
    assert "Permission denied" in caplog.text


def test_a_file_of_another_user_can_be_read(store, monkeypatch):
    """Its time of use cannot be set, nor on a read-only disk."""
    store.save(RECIPE, ARRAYS, FACTS)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert_same(reopened(store).load(RECIPE))


def test_an_older_format_is_ignored(store):
    old = replace(RECIPE, format=ARTIFACT_FORMAT - 1)
    store.save(old, ARRAYS, FACTS)
    assert store.load(RECIPE) is None
    assert is_older(store.path(old))
    store.save(RECIPE, ARRAYS, FACTS)
    assert not is_older(store.path(RECIPE))
    assert not is_older(store.root / "nothing")


def test_a_recipe_belongs_to_one_file(store):
    path = store.path(RECIPE)
    assert read_format(path, RECIPE.to_json()) == ARTIFACT_FORMAT
    for wrong in (path.with_stem("0" * 32), path.parent.parent / path.name):
        with pytest.raises(Damaged, match="another recipe"):
            read_format(wrong, RECIPE.to_json())
    for words in ("", "[]", "{}", "[" * 100_000, '{"fingerprint": 1, "subject": 2, "format": 3}'):
        with pytest.raises(Damaged):
            read_format(path, words)


def test_the_recipes_of_a_subject_are_told_without_reading_what_they_gave(store):
    fits = [replace(RECIPE, basis="nmf", parameters=(("components", n), ("seed", 0))) for n in (4, 8)]
    for recipe in fits:
        store.write(recipe, ARRAYS, FACTS)
    store.write(replace(fits[0], subject="L5/H3/qk"), ARRAYS, FACTS)
    store.write(replace(fits[0], fingerprint="f" * 64), ARRAYS, FACTS)
    store.write(replace(fits[0], format=1), ARRAYS, FACTS)
    folder = store.path(RECIPE).parent
    for name, content in (("cut", b"\x10"), ("empty", b""), ("lies", b"\x02" + bytes(7) + b"{}")):
        (folder / f"{name}.safetensors").write_bytes(content)
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "folder.safetensors").mkdir()
    found = list(store.recipes(RECIPE.fingerprint, RECIPE.subject))
    assert sorted(found, key=lambda recipe: recipe.parameters) == fits
    assert list(store.recipes(RECIPE.fingerprint, "nothing/here")) == []


def test_what_is_held_in_memory_is_in_use_on_the_disk(store, monkeypatch):
    store.save(RECIPE, ARRAYS, FACTS)
    os.utime(store.path(RECIPE), (1, 1))
    store.load(RECIPE)
    assert store.path(RECIPE).stat().st_mtime == 1
    monkeypatch.setattr("app.store.artifacts.TOUCH_SECONDS", 0)
    store.load(RECIPE)
    assert store.path(RECIPE).stat().st_mtime > 1


def test_the_least_recently_used_are_evicted(store):
    recipes = [replace(RECIPE, subject=f"L{i}/H0/ov") for i in range(6)]
    for i, recipe in enumerate(recipes[:5]):
        store.save(recipe, ARRAYS, FACTS)
        os.utime(store.path(recipe), (i, i))
    size = store.path(recipes[0]).stat().st_size
    tight = reopened(store, quota=int(4.6 * size))
    assert tight.load(recipes[0]) is not None  # the oldest is now the most recently used
    tight.save(recipes[5], ARRAYS, FACTS)
    kept = [recipe for recipe in recipes if store.path(recipe).exists()]
    assert kept == [recipes[0], recipes[3], recipes[4], recipes[5]]


def test_a_fit_of_the_operators_is_there_after_any_number_of_visits(store):
    fit, seen = replace(RECIPE, basis="nmf"), replace(RECIPE, subject="L1/H0/ov")
    size = len(seal_contents(Contents(RECIPE.to_json(), json.dumps(FACTS), ARRAYS)))
    visits = reopened(store, quota=5 * size)
    visits.save(seen, ARRAYS, FACTS)
    operators = ArtifactStore(store.root, 5 * size, asked_by="operator")
    operators.write(fit, ARRAYS, FACTS)
    assert operators.exists(seen)
    assert visits.takes_room(seen), "whoever asks whether it is there changes nothing"
    assert not visits.takes_room(fit)
    assert operators.takes_room(fit)
    assert_same(operators.read(seen))
    for i in range(20):
        visits.save(replace(RECIPE, subject=f"L0/H{i}/ov"), ARRAYS, FACTS)
    assert_same(reopened(store).load(fit))
    assert_same(reopened(store).load(seen))
    assert_same(reopened(store).load(replace(RECIPE, subject="L0/H19/ov")))
    assert reopened(store).load(replace(RECIPE, subject="L0/H0/ov")) is None


def test_one_artifact_larger_than_the_quota_is_kept(tmp_path):
    store = ArtifactStore(tmp_path, quota_bytes=1)
    store.save(RECIPE, ARRAYS, FACTS)
    assert_same(reopened(store).load(RECIPE))


def test_what_is_written_is_there_and_takes_no_memory(store):
    assert not store.exists(RECIPE)
    store.write(RECIPE, ARRAYS, FACTS)
    assert store.exists(RECIPE)
    assert len(store.memory) == 0
    assert_same(store.load(RECIPE))


def test_a_refused_write_is_told(tmp_path):
    (tmp_path / "artifacts").write_text("no folder")
    with pytest.raises(OSError, match="artifacts"):
        ArtifactStore(tmp_path / "artifacts", 10**9).write(RECIPE, ARRAYS, FACTS)


def test_memory_is_bounded(store):
    store.save(RECIPE, ARRAYS, FACTS)
    one = store.memory.used
    small = ArtifactStore(store.root, 10**9, memory_bytes=3 * one)
    for i in range(10):
        small.save(replace(RECIPE, subject=f"L{i}/H0/ov"), ARRAYS, FACTS)
    assert len(small.memory) == 3
    assert small.memory.used <= 3 * one
    assert_same(small.load(replace(RECIPE, subject="L0/H0/ov")))


def test_a_hot_artifact_is_not_read_again(store):
    store.save(RECIPE, ARRAYS, FACTS)
    store.path(RECIPE).unlink()
    assert_same(store.load(RECIPE))


def test_a_full_disk_costs_the_file_and_not_the_answer(store, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    assert_same(store.save(RECIPE, ARRAYS, FACTS))
    assert "No space left" in caplog.text
    assert store.refusal().errno == errno.ENOSPC
    assert_same(store.load(RECIPE))
    assert reopened(store).load(RECIPE) is None
    monkeypatch.undo()
    store.save(RECIPE, ARRAYS, FACTS)
    assert store.refusal() is None


SERVE = """
import random, sys
from pathlib import Path
import numpy as np
from app.store.artifacts import ArtifactStore, Recipe
chance, computed = random.Random(int(sys.argv[2])), 0
for i in range(int(sys.argv[3])):
    store = ArtifactStore(Path(sys.argv[1]), 10_000)  # nothing in memory
    head = chance.randrange(12)
    recipe = Recipe("f" * 64, "decomposition", f"L0/H{head}/ov", "folded", "svd")
    found = store.load(recipe)
    if found is None:
        computed += 1
        found = store.save(recipe, {"left": np.full((10, 10), head)}, {"head": head})
    if found.facts != {"head": head} or (found.arrays["left"] != head).any():
        sys.exit(f"{head} is wrong")
    if chance.random() < 0.2:  # a bad disk
        path = store.path(recipe)
        try:
            data = bytearray(path.read_bytes())
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            path.with_suffix(".bad" + sys.argv[2]).write_bytes(data)
            path.with_suffix(".bad" + sys.argv[2]).replace(path)
        except FileNotFoundError:
            pass
print(computed)
"""


def test_two_servers_on_one_bad_disk_show_nothing_wrong(start, tmp_path, long):
    """Both write, damage, set aside and evict the same files, and each finds the other's."""
    rounds = 5000 if long else 300
    servers = [start(SERVE, tmp_path, seed, rounds) for seed in (1, 2)]
    for server in servers:
        out, _ = server.communicate(timeout=120)
        assert server.returncode == 0
        assert 0 < int(out) < rounds
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 10_000


def test_an_artifact_is_located_once_it_is_proven(tmp_path, monkeypatch):
    store, recipe = ArtifactStore(tmp_path, 10**9), Recipe("00", "bank", "L0/bank", "folded", "svd")
    assert store.locate(recipe) is None
    store.write(recipe, {"vectors": np.ones((2, 3), np.float32)}, {"n": 2})
    found = store.locate(recipe)
    assert (found.facts, found.read("vectors").tolist()) == ({"n": 2}, [[1.0] * 3] * 2)
    monkeypatch.setattr(located, "_check_sum", None)  # not once more
    assert store.locate(recipe).stamp == found.stamp


def test_a_damaged_artifact_is_not_located_but_set_aside(tmp_path):
    store, recipe = ArtifactStore(tmp_path, 10**9), Recipe("00", "bank", "L0/bank", "folded", "svd")
    store.write(recipe, {"vectors": np.ones((2, 3), np.float32)}, {})
    path = store.path(recipe)
    data = path.read_bytes()
    assert store.locate(recipe) is not None
    path.rename(path.with_suffix(".old"))  # whose inode stays taken
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert store.locate(recipe) is None
    assert {each.suffix for each in path.parent.iterdir()} == {".old", ".damaged"}


def test_what_is_written_into_a_proven_file_is_noticed_and_its_own_use_is_not(tmp_path, monkeypatch):
    store, recipe = ArtifactStore(tmp_path, 10**9), Recipe("00", "bank", "L0/bank", "folded", "svd")
    store.write(recipe, {"vectors": np.ones((2, 3), np.float32)}, {})
    assert store.locate(recipe) is not None
    path, stamp = store.path(recipe), store.stamp(recipe)
    for use in (store.touch, lambda _: store.read(recipe)):
        os.utime(path, ns=(stamp.time, stamp.time))
        use(path)
        assert path.stat().st_mtime_ns != stamp.time
        assert store.stamp(recipe) == stamp
        assert store.is_proven(recipe)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns + 1))  # however coarse the disk's clock is
    assert not store.is_proven(recipe)
    store.touch(path)
    assert not store.is_proven(recipe)
    assert store.locate(recipe) is None


def test_another_recipes_file_is_not_located(tmp_path):
    store, recipe = ArtifactStore(tmp_path, 10**9), Recipe("00", "bank", "L0/bank", "folded", "svd")
    other = Recipe("00", "bank", "L0/bank", "raw", "svd")
    store.write(other, {"vectors": np.ones((2, 3), np.float32)}, {})
    store.path(other).rename(store.path(recipe))
    assert store.locate(recipe) is None
