"""Fixtures of the app over a copy of a tiny model, with clients in process."""

import shutil
from contextlib import ExitStack
from functools import partial
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from app.config import Settings
from app.explorer.running.visitor import VisitorRequest
from app.server import create_app
from app.store.jobs import JobStore
from app.web.caching import kept
from app.web.caching.kept import AnswerKey
from app.web.guard import clients
from tests.explorer.banks import build_bank
from tests.workers import start_in_thread, start_live_in_thread

PATIENT = {"wait_seconds": 30.0, "device": "cpu", "allowed_hosts": "testserver", "prompts": "public"}


class Tags(HTMLParser):
    """A parser that lists every element of a page as (name, attributes), and the text of those asked for."""

    def __init__(self, html, text_of=()):
        super().__init__()
        self.found, self.texts, self._text_of, self._open = [], [], set(text_of), False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag in self._text_of:
            self._open = True
            self.texts.append("")

    def handle_endtag(self, tag):
        if tag in self._text_of:
            self._open = False

    def handle_data(self, data):
        if self._open:
            self.texts[-1] += data


@pytest.fixture(scope="session")
def tags():
    """Return tags(html, text_of=("bdi",)): `.found` is [("a", {"href": …}), …], `.texts` the text of each bdi."""
    return Tags


@pytest.fixture(autouse=True)
def bounty(monkeypatch):
    """Grant each request all the time that it needs, unless a test says less: a busy machine takes longer."""
    monkeypatch.setattr(clients, "VisitorRequest", partial(VisitorRequest, left=60.0))


@pytest.fixture(scope="session")
def serve():
    """Return serve(data, "tiny", root_path="/lens", …), which makes a client; stop all at the end of the session."""
    with ExitStack() as stack:

        def start(data, *models, raise_errors=True, **settings):
            chosen = Settings(data=data, models=models, **(PATIENT | settings))
            app = create_app(chosen, start_worker=start_in_thread, start_live=start_live_in_thread)
            start.apps.append(app)
            return stack.enter_context(TestClient(app, raise_server_exceptions=raise_errors, follow_redirects=False))

        start.apps = []
        yield start


@pytest.fixture(autouse=True)
def nothing_kept(request):
    """Keep no answers for a test that replaces pages."""
    if "monkeypatch" not in request.fixturenames:
        yield
        return
    start = request.getfixturevalue("serve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "LARGEST_KEPT", -1)
        for app in start.apps:
            memory = app.state.resources.store.memory
            for key in [key for key in memory._entries if isinstance(key, AnswerKey)]:
                memory.drop(key)
        yield


@pytest.fixture(scope="session")
def data(tiny_data, tmp_path_factory):
    """Copy the tiny model's folder, for servers that compute."""
    return shutil.copytree(tiny_data, tmp_path_factory.mktemp("web") / "data")


@pytest.fixture(scope="session")
def client(serve, data):
    """Make a client of a server with the tiny model."""
    return serve(data, "tiny")


@pytest.fixture(scope="session")
def banked(serve, tiny_data, tmp_path_factory):
    """Make a client of a server with the tiny model and its bank."""
    client = serve(shutil.copytree(tiny_data, tmp_path_factory.mktemp("banked") / "data"), "tiny")
    kinds = ("bank", "words", "tokens", "moments", "shadow", "readings", "composition", "alike")
    build_bank(serve.apps[-1].state.resources, kinds=kinds)
    return client


@pytest.fixture
def job(data):
    """Write a job on the tiny model that was begun and left."""
    store = JobStore(data / "jobs")
    job = store.new("tiny")
    store.write(job)
    yield job
    shutil.rmtree(data / "jobs")


@pytest.fixture(scope="session")
def relatives(serve, families_data, families, tmp_path_factory):
    """Make a client of a server with the families."""
    return serve(shutil.copytree(families_data, tmp_path_factory.mktemp("web") / "families"), *families)


@pytest.fixture(scope="session")
def hostile(serve, hostile_data, tmp_path_factory):
    """Make a client of a server with the model whose vocabulary is mostly attacks."""
    return serve(shutil.copytree(hostile_data, tmp_path_factory.mktemp("web") / "hostile"), "hostile")


@pytest.fixture(scope="session")
def pin(client):
    """Read the tiny model's pin, the first digits of its fingerprint."""
    return client.get("/api/v1/tiny").json()["model"]["fingerprint"][:12]
