"""What a running server has loaded, and what became of its worker."""

import os
import signal
import time
from pathlib import Path

from app.explorer.resources import close_resources, open_resources
from tests.explorer.banks import build_bank
from tests.workers import SETTINGS

OF_THE_BANK = ("bank", "words", "tokens", "moments", "shadow", "readings")
NOTED = """
import sys, threading, time
from pathlib import Path

def note():
    asked = Path(__file__).with_name("asked")
    while not asked.exists():
        time.sleep(0.02)
    whole = Path(__file__).with_name("whole")
    whole.write_text(" ".join(sys.modules))
    whole.rename(whole.with_name("modules"))

if "serve" in sys.orig_argv:
    threading.Thread(target=note, daemon=True).start()
"""
SLOW = {"torch", "transformers", "transformer_lens", "sklearn", "scipy"}
PAGES = (
    "/",
    "/tiny",
    "/tiny/L1",
    "/tiny/L1/H2",
    "/tiny/L1/H2?frequent=100",
    "/tiny/L1/H2/ov",
    "/tiny/L1/H2/qk/svd/3",
    "/tiny/L1/H2/full?token=that",
    "/tiny/L1/mlp-in",
    "/tiny/L1/mlp-in/compare",
    "/tiny/embed",
    "/tiny/notable",
    "/tiny/census",
    "/tiny/search?q=that,with",
    "/api/v1/tiny/search?q=that&order=alignment",
    "/tiny/token/70?all=1",
    "/tiny/L1/H2/ov/svd/3/around",
    "/-/pair?a=tiny/L0/H1&b=tiny/L1/H2",
    "/tiny/composition",
    "/tiny/L1/H2/alike",
    "/api/v1/-/search?q=that",
    "/tiny/blind",
    "/tiny/suggest?q=L1",
    "/-/compare?a=tiny/L1/H2&b=L0H1",
    "/tiny/L1/H2/ov?format=csv",
    "/api/v1/tiny/L1/H2",
    "/api/v1/tiny/L1/H2/ov/svd/3",
    "/-/jobs",
    "/-/glossary",
    "/openapi.json",
    "/readyz",
)


def build_all(data):
    """All that searches and pages of tokens and heads rest on."""
    r = open_resources(data=data, **SETTINGS)
    try:
        build_bank(r, kinds=(*OF_THE_BANK, "composition", "alike"))
    finally:
        close_resources(r)


def get(server, path):
    """Status and body, asked for until it is there."""
    until = time.monotonic() + 60
    while True:
        status, body = server.get(path)
        if status not in (202, 503) or time.monotonic() > until:
            return status, body
        time.sleep(0.1)


def test_a_server_never_loads_what_computes(run_server, own_data, tmp_path, monkeypatch):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "sitecustomize.py").write_text(NOTED)
    monkeypatch.setenv("PYTHONPATH", str(notes))
    build_all(own_data)
    with run_server(own_data, "tiny") as server:
        for _ in range(2):  # cold, then warm
            assert {path: get(server, path)[0] for path in PAGES} == {
                path: 200 if path != "/" else 307 for path in PAGES
            }
        (notes / "asked").touch()
        until = time.monotonic() + 30
        while not (notes / "modules").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        loaded = (notes / "modules").read_text().split()
        assert "app.explorer.running.queue" in loaded
        assert {name.partition(".")[0] for name in loaded} & SLOW == set()
        assert [name for name in loaded if name.startswith("app.explorer.making")] == []


def workers_of(pid):
    """The children of that process, whichever of its threads has started them, that are workers."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = {child for task in tasks for child in (task / "children").read_text().split()}
    return [int(child) for child in children if b"\0worker\0" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_killed_worker_is_followed_by_another(run_server, own_data):
    with run_server(own_data, "tiny", wait_seconds=30) as server:
        assert get(server, "/tiny/L0/H0")[0] == 200
        (worker,) = workers_of(server.pid)
        os.kill(worker, signal.SIGKILL)
        assert get(server, "/tiny/L1/H2")[0] == 200
        (another,) = workers_of(server.pid)
        assert another != worker
        assert server.state()["worker"] == "alive"
    for pid in (worker, another):
        assert not os.path.exists(f"/proc/{pid}")
