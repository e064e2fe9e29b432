import subprocess
import sys

from starlette.testclient import TestClient

from app.config import Settings
from app.server import create_app


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
        assert app.state.resources.queue.alive()
    assert not app.state.resources.queue.alive()


def test_an_app_needs_no_torch_before_something_is_computed():
    script = "import sys; from app.server import create_app; create_app(); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "False"
