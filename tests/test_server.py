import subprocess
import sys

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from app.config import Settings
from app.server import create_app
from app.web.routes import ROUTERS
from tests.workers import start_in_thread


def test_settings_reach_the_explorer(tiny_data):
    app = create_app(Settings(models=("tiny",), data=tiny_data, weights="raw", queue_size=3))
    with TestClient(app):
        assert app.state.resources.data == tiny_data
        assert app.state.resources.default_weights == "raw"


def test_the_environment_is_read_where_nothing_is_given(monkeypatch, tmp_path):
    monkeypatch.setenv("SINGULAR_LENS_ROOT_PATH", "/lens")
    monkeypatch.setenv("SINGULAR_LENS_DATA", str(tmp_path))
    assert create_app().state.site.settings.root_path == "/lens"


def test_what_was_opened_is_closed(tiny_data):
    app = create_app(Settings(models=("tiny",), data=tiny_data))
    with TestClient(app):
        assert app.state.resources.queue.state() == "idle"
    assert app.state.resources.queue.state() == "stopped"


@pytest.mark.parametrize(("seconds", "begun"), [(0.0, 1), (60.0, 0)])
def test_the_slow_imports_begin_a_moment_after_the_start(tiny_data, monkeypatch, until, seconds, begun):
    calls = []
    monkeypatch.setattr("app.server.warm_up", lambda r: calls.append(r) or True)
    monkeypatch.setattr("app.server.WARM_UP_SECONDS", seconds)
    with TestClient(create_app(Settings(models=("tiny",), data=tiny_data, allowed_hosts="testserver"))) as client:
        assert client.get("/livez").status_code == 200
        until(lambda: len(calls) == begun)
    assert len(calls) == begun


def test_a_model_that_is_only_served_is_soon_searched(fresh_data, until):
    settings = Settings(models=("tiny",), data=fresh_data, device="cpu", allowed_hosts="testserver", precompute=None)

    def hits():
        answer = client.get("/api/v1/tiny/search?q=the")
        return answer.status_code == 200 and answer.json()["hits"]

    with TestClient(create_app(settings, start_worker=start_in_thread)) as client:
        assert client.get("/api/v1/tiny/search?q=the").json()["error"] == "not_built"
        until(hits, seconds=60)


FIRST_PAGES = """
import asyncio, inspect, sys
from pathlib import Path

classes, find = [], inspect.findsource
inspect.findsource = lambda thing: (classes.append(thing) if isinstance(thing, type) else None) or find(thing)
import app.__main__, app.server

app.server.WARM_UP_SECONDS = 3600
built = app.server.create_app(app.server.Settings(models=("tiny",), data=Path(sys.argv[1])))

async def ask(path):
    answers = []
    async def send(message):
        answers.append(message)
    scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "scheme": "http", "headers": [(b"host", b"localhost")], "server": ("localhost", 80)}
    await built(scope, asyncio.Event().wait, send)
    assert answers[0]["status"] == 200, (path, answers)

async def ask_all():
    async with built.router.lifespan_context(built):
        for path in sys.argv[2:]:
            await ask(path)

asyncio.run(ask_all())
print("sources read:", classes)
print(*sys.modules)
"""


def test_a_start_and_pages_that_are_there_load_only_what_they_need(fresh_data):
    pages = ("/tiny", "/tiny/L0/H0", "/openapi.json")
    settings = {"models": ("tiny",), "data": fresh_data, "device": "cpu", "allowed_hosts": "testserver"}
    with TestClient(create_app(Settings(wait_seconds=60, **settings), start_worker=start_in_thread)) as client:
        for page in pages:
            assert client.get(page).status_code == 200
    command = [sys.executable, "-c", FIRST_PAGES, str(fresh_data), *pages]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    sources, modules = told.splitlines()
    assert sources == "sources read: []"  # as pydantic does for each form whose fields' sentences it is to find
    slow = {"torch", "transformers", "transformer_lens", "sklearn", "scipy", "tokenizers", "rich"}
    gathering = {"app.web.api.description"}  # of what is in a file
    loaded = set(modules.split())
    assert ({name.partition(".")[0] for name in loaded} & slow, loaded & gathering) == (set(), set())


def test_routes_leave_the_forms_of_their_answers_alone():
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 50
    assert [route.path for route in routes if route.response_model or route.response_fields] == []
