"""Prompts on disk: kept under a key that their tokens decide, for a time, and gone with all that was computed of them."""

import json
import stat

import numpy as np
import pytest

from app.store import prompts
from app.store.artifacts import Recipe
from app.store.prompts import KEPT_SECONDS, PromptStore, key_of

MODEL, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path):
    return PromptStore(tmp_path)


def test_a_prompt_comes_back_as_it_was(store):
    key = store.put(MODEL, [3, 1, 4], "so")
    found = store.get(MODEL, key)
    assert (found.key, found.ids, found.text) == (key, (3, 1, 4), "so")
    assert store.get(MODEL, store.put(MODEL, np.array([7, 8]), None)).text is None


def test_the_key_is_of_the_weights_and_the_tokens_alone(store):
    key = store.put(MODEL, [3, 1, 4], "so")
    assert key == store.put(MODEL, [3, 1, 4], "another spelling") == key_of(MODEL, [3, 1, 4])
    assert len({key, key_of(OTHER, [3, 1, 4]), key_of(MODEL, [3, 1]), key_of(MODEL, [31, 4])}) == 4
    assert store.get(OTHER, key) is None


@pytest.mark.parametrize("key", ["", "0" * 15, "0" * 17, "g" * 16, "../../../etc/passwd", "A" * 16, "0" * 16])
def test_what_is_no_key_names_no_prompt(store, key):
    store.put(MODEL, [1], None)
    assert store.get(MODEL, key) is None
    store.delete(MODEL, key)


def test_nobody_else_may_read_the_files(store, tmp_path):
    store.put(MODEL, [1], "mine")
    (path,) = tmp_path.rglob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_deleted_prompt_is_gone_with_its_results(store):
    key, other = store.put(MODEL, [1], "one"), store.put(MODEL, [2], "two")
    recipes = [Recipe(MODEL, "course", f"p/{each}/course", "folded", "svd") for each in (key, other)]
    for recipe in recipes:
        store.results.write(recipe, {"read": np.zeros(1, np.float32)}, {})
    assert all(store.results.load(recipe) for recipe in recipes)
    store.delete(MODEL, key)
    assert store.get(MODEL, key) is None
    assert [store.results.load(recipe) is not None for recipe in recipes] == [False, True]  # nor from memory
    store.delete(MODEL, key)


def test_too_old_a_prompt_is_not_shown_and_is_swept(store, tmp_path, monkeypatch):
    old = store.put(MODEL, [1], "old")
    store.results.write(
        Recipe(MODEL, "course", f"p/{old}/course", "folded", "svd"), {"read": np.zeros(1, np.float32)}, {}
    )
    now = prompts.time.time() + KEPT_SECONDS + 1
    monkeypatch.setattr(prompts.time, "time", lambda: now)
    assert store.get(MODEL, old) is None
    young = store.put(MODEL, [2], "young")
    assert [path.stem for path, size in store.sweep() if size] == [old]
    assert [path.stem for path in tmp_path.rglob("*.json")] == [young]
    assert not [*tmp_path.rglob("*.safetensors")]


def test_beyond_so_many_the_oldest_go(store, monkeypatch):
    monkeypatch.setattr(prompts, "MOST_PROMPTS", 3)
    keys = [store.put(MODEL, [n], None) for n in range(5)]
    assert {path.stem for path, _ in store.sweep()} == set(keys[:2])
    assert [store.get(MODEL, key) is not None for key in keys] == [False, False, True, True, True]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"ids": "x"}', b'{"ids": [1], "text": "t", "made": "never"}'])
def test_a_damaged_file_is_no_prompt_and_its_words_are_in_no_log(store, tmp_path, caplog, content):
    key = store.put(MODEL, [1], "secret")
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(content.replace(b"t", b"secret"))
    assert store.get(MODEL, key) is None
    assert "secret" not in caplog.text
    assert [swept for swept, _ in store.sweep()] == [path]


def test_tokens_that_are_not_the_keys_are_not_shown(store, tmp_path):
    key = store.put(MODEL, [1], None)
    (path,) = tmp_path.rglob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ids": [2]}))
    assert store.get(MODEL, key) is None
