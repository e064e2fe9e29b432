"""nginx with the file of deploy/, at ports and in a folder of a test's own, and a server that says what reaches it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
FILE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
FIRST, SECOND = "server 127.0.0.1:8000;", "server 127.0.0.1:8001;"
REAL = "# set_real_ip_from 192.0.2.0/24; real_ip_header"


@contextmanager
def deployed(folder: Path, *behind: int, is_behind_a_proxy: bool = False, times: Path | None = None) -> Iterator[int]:
    """Run nginx with the deployed file in front of servers at these ports, and yield its own.

    `is_behind_a_proxy`: it believes this machine's X-Forwarded-For, as that of a CDN, so that a test may be many visitors.
    `times`: a file for a line of each answer: its status, the seconds it took, who asked and for what.
    """
    assert NGINX, "no nginx on this machine: make nginx"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    changes = {
        "listen 80;": f"listen 127.0.0.1:{port};",
        FIRST: "".join(f"server 127.0.0.1:{each};" for each in behind),
        SECOND: "",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/cache/nginx": str(folder),
        "/dev/stderr": f"{folder}/error.log",
    }
    if is_behind_a_proxy:
        changes[REAL] = "set_real_ip_from 127.0.0.1; real_ip_header"
    if times is not None:
        form = "'$status $request_time $remote_addr $request_uri'"
        changes["access_log off;"] = f"log_format times {form}; access_log {times} times;"
    text = FILE.read_text(encoding="utf-8")
    for said, meant in changes.items():
        assert said in text, said
        text = text.replace(said, meant)
    user = "user root;\n" if os.getuid() == 0 else ""  # else its workers may not enter the test's folder
    (folder / "nginx.conf").write_text(f"daemon off;\n{user}{text}")
    command = [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as nginx:
        try:
            _await(port, nginx)
            yield port
        finally:
            nginx.terminate()


def _await(port: int, nginx: subprocess.Popen[bytes]) -> None:
    while nginx.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise RuntimeError(nginx.stderr.read().decode())


class Echo(ThreadingHTTPServer):
    """A server that answers slowly, each time with another number, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, cache_control: str, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.cache_control, self.seconds = cache_control, seconds
        self.asked: list[dict[str, str]] = []
        self.lock = Lock()

    @classmethod
    @contextmanager
    def running(cls, cache_control: str, seconds: float = 0.0) -> Iterator["Echo"]:
        with cls(cache_control, seconds) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield server
            finally:
                server.shutdown()


class _Answer(BaseHTTPRequestHandler):
    server: Echo

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
            number = len(self.server.asked)
        time.sleep(self.server.seconds)
        body = str(number).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Cache-Control", self.server.cache_control)
        self.send_header("Vary", "Accept-Encoding")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
