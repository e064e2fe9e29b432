import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.store import shelf
from app.store.artifacts import ARTIFACT_FORMAT, ArtifactStore, Recipe
from app.store.proof import list_artifacts, prove_artifacts

RECIPE = Recipe("f" * 64, "decomposition", "L0/H0/ov", "folded", "svd")


@pytest.fixture
def store(tmp_path):
    store = ArtifactStore(tmp_path, 10**9)
    for head in range(4):
        store.save(at(head), {"left": np.full((2, 3), head)}, {"head": head})
    return store


def at(head):
    return replace(RECIPE, subject=f"L0/H{head}/ov")


def faults(store):
    """What is wrong with each artifact that is there, in their order."""
    return [proof.fault for proof in prove_artifacts(store.root, list_artifacts(store.root))]


def test_whole_artifacts_are_proven_and_do_not_count_as_used(store):
    for head in range(4):
        os.utime(store.path(at(head)), (1, 1))
    proofs = list(prove_artifacts(store.root, list_artifacts(store.root)))
    assert [proof.fault for proof in proofs] == [None] * 4
    assert [proof.path for proof in proofs] == [store.path(at(head)) for head in range(4)]
    assert [proof.size for proof in proofs] == [proof.path.stat().st_size for proof in proofs]
    assert {proof.path.stat().st_mtime for proof in proofs} == {1}


def test_a_damaged_artifact_is_named_set_aside_and_not_found_again(store):
    path = store.path(at(2))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (fault,) = filter(None, faults(store))
    assert "checksum" in fault
    assert "set aside" in fault
    assert not path.exists()
    assert faults(store) == [None] * 3
    assert ArtifactStore(store.root, 10**9).load(at(2)) is None


def test_a_whole_artifact_in_another_place_is_damaged(store):
    store.path(at(1)).replace(store.path(at(3)).with_stem("0" * 32))
    (fault,) = filter(None, faults(store))
    assert "another recipe" in fault


def test_an_older_format_is_not_damaged(store):
    """Nor can it be proven: its bytes may be sealed in another way."""
    old = replace(RECIPE, format=ARTIFACT_FORMAT - 1)
    store.save(old, {"left": np.eye(2)}, {})
    path = store.path(old)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert faults(store) == [None] * 5
    assert path.exists()


def test_what_is_evicted_meanwhile_is_no_fault(store):
    files = list_artifacts(store.root)
    store.path(at(0)).unlink()
    assert [proof.fault for proof in prove_artifacts(store.root, files)] == [None] * 4


def test_what_cannot_be_read_is_a_fault_and_stays(store, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shelf.os, "open", refuse)
    assert faults(store) == ["it cannot be read (Permission denied)"] * 4
    assert store.path(at(0)).exists()


def test_a_damaged_artifact_on_a_read_only_disk_is_named_all_the_same(store, monkeypatch):
    store.path(at(0)).write_bytes(b"damaged")

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    (fault,) = filter(None, faults(store))
    assert "cannot be set aside (Read-only file system)" in fault


def test_no_folder_has_nothing_to_prove(tmp_path):
    assert list_artifacts(tmp_path / "nowhere") == []
