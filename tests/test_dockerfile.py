import json
import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

DOCKERFILE = (Path(__file__).parents[1] / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("root", [None, "", "/lens"])
@pytest.mark.parametrize("ready", [True, False])
def test_the_health_check_asks_where_the_server_listens(monkeypatch, root, ready):
    asked = []

    class Stub(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if ready else 503)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Stub) as server:
        Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("SINGULAR_LENS_PORT", str(server.server_port))
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        if root is not None:
            monkeypatch.setenv("SINGULAR_LENS_ROOT_PATH", root)
        command = json.loads(re.search(r"HEALTHCHECK.*?CMD (\[.*?\])$", DOCKERFILE, re.DOTALL | re.MULTILINE)[1])
        assert command[:2] == ["python", "-c"]
        with pytest.raises(SystemExit) as ended:
            exec(command[2], {})
    assert bool(ended.value.code) is not ready
    assert asked == [f"{root or ''}/readyz"]
