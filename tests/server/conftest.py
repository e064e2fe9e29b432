"""Fixtures of a server in a process of its own: its use of the machine, and raw bytes sent to it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Census:
    """The resources that a process holds."""

    threads: int
    files: int
    """Open file descriptors."""
    resident_mib: float


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    pid: int
    log: Path

    def connect(self, seconds: float = 60) -> socket.socket:
        """Open a connection; the time is a guard against waiting for ever."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def send(self, sent: bytes, quiet_seconds: float = 0) -> bytes:
        """Send bytes; return the answer until the connection ends, or nothing has come for so long."""
        answer = b""
        with self.connect() as connection:
            try:
                connection.sendall(sent)
                connection.settimeout(quiet_seconds or 60)
                while part := connection.recv(1 << 16):
                    answer += part
            except (ConnectionResetError, BrokenPipeError):
                pass  # the server refused before all was sent
            except TimeoutError:
                if not quiet_seconds:
                    raise
        return answer

    def get(self, path: str, *fields: str) -> tuple[int, bytes]:
        """Send a GET on a connection of its own; return status and body."""
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields, "", ""]
        head, _, body = self.send("\r\n".join(lines).encode()).partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body

    def state(self) -> dict[str, object]:
        """Read the answer of /readyz."""
        return json.loads(self.get("/readyz")[1])

    def census(self) -> Census:
        """Count the resources of the idle server, once the last connections are gone."""
        process = Path(f"/proc/{self.pid}")
        before = None
        for _ in range(600):
            status = (process / "status").read_text(encoding="ascii")
            threads, resident = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("Threads", "VmRSS"))
            now = Census(threads, len(os.listdir(process / "fd")), resident / 1024)
            if before is not None and (now.threads, now.files) == (before.threads, before.files):
                return now
            before = now
            time.sleep(0.2)
        raise TimeoutError


@pytest.fixture(scope="session")
def run_server():
    """Return run_server(data, "tiny", root_path="/lens", …), a context with a server that may open so many files."""

    @contextmanager
    def run(data, *models, files=None, **settings):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "app", "serve", *models, "--port", str(port), "--data", str(data)]
        if files:
            command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
        environment = os.environ | {"SINGULAR_LENS_DEVICE": "cpu"}
        environment |= {f"SINGULAR_LENS_{name.upper()}": str(value) for name, value in settings.items()}
        log = data / "server.log"
        with log.open("w") as errors, subprocess.Popen(command, env=environment, stderr=errors) as process:
            try:
                server = Server(port, process.pid, log)
                _await_reachable(server, process)
                yield server
            finally:
                process.terminate()
                process.wait(60)

    return run


def _await_reachable(server, process):
    while process.poll() is None:
        try:
            server.get("/livez")
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise RuntimeError(server.log.read_text())


@pytest.fixture
def own_data(tiny_data, tmp_path):
    """Copy the tiny model to a folder of the test's own, with nothing computed yet."""
    return shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))
