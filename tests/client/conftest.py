"""Fixtures of a server in a thread, on a port of its own, and of clients that are given every answer."""

import shutil
import socket
import threading

import httpx
import pytest
import uvicorn

from app.client import Lens
from app.config import Settings
from app.server import create_app, end_streams
from tests.explorer.banks import build_bank
from tests.workers import start_in_thread, start_live_in_thread


@pytest.fixture(scope="session")
def two_models(tiny_data, hostile_data, tmp_path_factory):
    """Make a data folder with the tiny model, and the one of attacks."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("client") / "data")
    return shutil.copytree(hostile_data, data, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def base(two_models):
    """Serve it with the bank of `tiny`, and return the server's address."""
    chosen = Settings(data=two_models, models=("tiny", "hostile"), device="cpu", wait_seconds=30.0)
    app = create_app(chosen, start_worker=start_in_thread, start_live=start_live_in_thread)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert httpx.get(f"{address}/readyz", timeout=60).status_code == 200
        build_bank(app.state.resources)
        yield address
        end_streams(app)
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="session")
def lens(base):
    """Open a client of that server."""
    with Lens(base) as opened:
        yield opened


@pytest.fixture
def told():
    """Return told(answer, …, tell=…), a client whose server says these things in turn; `.asked` are its requests."""

    def build(*answers, **settings):
        left = list(answers)

        def answer(request):
            request.read()
            build.asked.append(request)
            said = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(said, Exception):
                raise said
            return said

        return Lens("http://lens.example", transport=httpx.MockTransport(answer), **settings)

    build.asked = []
    return build
