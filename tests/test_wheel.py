"""The built wheel, installed away from the checkout, serves all the same."""

import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with nothing but the unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, capture_output=True, check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_carries_pages_style_the_demo_and_the_api(installed):
    demo, api = "models/demo/model/model.safetensors", "web/api/openapi.json"
    for name in ("_templates/base.html", "_static/site.css", demo, api):
        assert (installed / "app" / name).is_file(), name


def test_the_wheel_serves_the_demo(installed, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = re.search(r"http://\S+/", server.stderr.readline())[0]
            page = fetch_when_ready(address + "demo/L0/H0")
            style = re.search(r'href="(/static/site\.css[^"]*)"', page)[1]
            with urllib.request.urlopen(address.rstrip("/") + style, timeout=10) as answer:
                assert answer.headers["Content-Type"].startswith("text/css")
        finally:
            server.terminate()
    assert "L0H0" in page


def fetch_when_ready(address: str) -> str:
    """The page, once its model is imported and its head computed."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with urllib.request.urlopen(address, timeout=30) as answer:
            if answer.status == 200:
                return answer.read().decode()
        time.sleep(0.2)
    raise TimeoutError(address)
