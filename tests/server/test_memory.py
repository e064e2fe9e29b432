"""Memory that ends at any stage of a computation: said in a sentence, survived, and given back."""

import gc
import shutil
import time

import pytest
import torch
from starlette.testclient import TestClient

from app.config import Settings
from app.core import folding
from app.core.bases import svd
from app.core.exact import readout
from app.core.measuring import scores
from app.explorer.making import heads
from app.explorer.making.judging import gallery
from app.models.weights import Weights
from app.server import create_app
from tests.answers import ask
from tests.workers import start_in_thread

ERRORS = {
    "GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "CPU": RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    "Python": MemoryError(),
}
STAGES = {
    "reading weights": (Weights, "head", "/tiny/L0/H0"),
    "folding": (folding, "fold_head", "/tiny/L0/H0"),
    "the SVD": (svd, "decompose_all", "/tiny/L0/H0/ov"),
    "table": (readout, "token_table", "/tiny/L0/H0/qk"),
    "readout": (readout, "read", "/tiny/L0/H0/ov/svd/0"),
    "copying": (scores, "stream_gram", "/tiny/L0/H0/ov"),
    "a layer": (heads, "read_out_heads", "/tiny/L0"),
    "the map": (heads, "head_score_arrays", "/api/v1/tiny"),
    "the gallery": (gallery, "gallery_arrays", "/tiny/notable"),
}


@pytest.fixture
def client(tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr("app.server.warm_up", lambda resources: None)
    monkeypatch.setattr("app.explorer.running.worker.logger.disabled", True)  # pytest would keep its records
    data = shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
    settings = Settings(data=data, models=("tiny",), device="cpu", wait_seconds=30.0, allowed_hosts="testserver")
    with TestClient(create_app(settings, start_worker=start_in_thread)) as client:
        yield client


def forget(client):
    """As if what failed had failed long ago."""
    client.app.state.resources.queue._failures.clear()


def tensors():
    gc.collect()
    return sum(1 for one in gc.get_objects() if type(one) is torch.Tensor)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("whose", ERRORS)
def test_memory_that_ends_is_survived(client, monkeypatch, long, stage, whose):
    if not long and list(STAGES).index(stage) % len(ERRORS) != list(ERRORS).index(whose):
        pytest.skip("each stage meets one of the errors; with --long, all of them")
    (where, name, path), error = STAGES[stage], ERRORS[whose]

    def full(*_words, **_more):
        torch.zeros(1_000)
        raise error.with_traceback(None)

    with monkeypatch.context() as patch:
        (patch.setitem if isinstance(where, dict) else patch.setattr)(where, name, full)
        first = ask(client, path)
        assert first.status_code == 503
        assert "not enough free memory" in first.text
        assert "alloc_cpu" not in first.text
        error.with_traceback(None)
        held = tensors()
        for _ in range(3):
            forget(client)
            assert ask(client, path).status_code == 503
        error.with_traceback(None)
        deadline = time.monotonic() + 60
        while tensors() > held and time.monotonic() < deadline:
            time.sleep(0.05)  # the last worker may be about to end
        assert tensors() <= held
        assert client.get("/readyz").status_code == 200  # one thing that is too large is nothing against the rest
    forget(client)
    assert ask(client, path).status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").json()["memory"]) == (200, "enough")
