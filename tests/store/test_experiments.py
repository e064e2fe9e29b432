"""Experiments on disk: kept under a key that their content decides, for as long as prompts are."""

import json
import os
import time

import pytest

from app.store import experiments as module
from app.store.experiments import Experiment, ExperimentStore
from app.store.prompts import KEPT_SECONDS

PRINT = "f" * 64
MADE = Experiment({"edit": "L1H2.ov.3:-1"}, "folded", 1, ("0" * 16, "1" * 16))


@pytest.fixture
def store(tmp_path):
    return ExperimentStore(tmp_path)


def path_of(tmp_path, key):
    return tmp_path / "experiments" / PRINT / f"{key}.json"


def test_what_is_put_is_found_by_whoever_makes_the_same(store, tmp_path):
    key = store.put(PRINT, MADE)
    found = ExperimentStore(tmp_path).get(PRINT, key)
    assert (found.change, found.weights, found.draws, found.prompts) == (
        MADE.change,
        MADE.weights,
        MADE.draws,
        MADE.prompts,
    )
    assert store.put(PRINT, MADE) == key == MADE.key(PRINT)
    assert oct(path_of(tmp_path, key).stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize(
    "other",
    [
        Experiment({"edit": "L1H2.ov.3:-1"}, "raw", 1, MADE.prompts),
        Experiment({"edit": "L1H2.ov.3:-1"}, "folded", 8, MADE.prompts),
        Experiment({"edit": "L1H2.ov.4:-1"}, "folded", 1, MADE.prompts),
        Experiment({"edit": "L1H2.ov.3:-1"}, "folded", 1, MADE.prompts[::-1]),
    ],
)
def test_another_has_another_key(other):
    assert other.key(PRINT) != MADE.key(PRINT)
    assert MADE.key("e" * 64) != MADE.key(PRINT)


def test_what_is_too_old_damaged_or_another_is_not_there(store, tmp_path):
    key = store.put(PRINT, MADE)
    path = path_of(tmp_path, key)
    said = json.loads(path.read_text())
    for broken in ('{"change": 3}', "[]", "{", json.dumps(said | {"draws": 8})):
        path.write_text(broken)
        assert store.get(PRINT, key) is None
    path.write_text(json.dumps(said | {"made": time.time() - KEPT_SECONDS - 1}))
    assert store.get(PRINT, key) is None
    for odd in ("../../x", "", "0" * 15, "g" * 16):
        assert store.get(PRINT, odd) is None


def test_the_oldest_make_room(store, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_EXPERIMENTS", 3)
    keys = []
    for n in range(5):
        keys.append(store.put(PRINT, Experiment({"edit": f"L1H2.ov.{n}:-1"}, "folded", 1, MADE.prompts)))
        os.utime(path_of(tmp_path, keys[-1]), (time.time() - 100 + n,) * 2)
    assert [store.get(PRINT, key) is not None for key in keys] == [False, False, True, True, True]
