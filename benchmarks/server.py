"""A singular-lens server as a process of its own, asked over HTTP, and its use of memory and cores."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Send one GET on a fresh connection; return status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()

    def ready(self, path: str) -> bytes:
        """Ask for a page until it is computed."""
        while True:
            status, body = self.get(path)
            if status == 200:
                return body
            if status not in {202, 503}:
                raise RuntimeError(f"{path}: {status} {body[:300]!r}")
            time.sleep(0.02)

    def resident_mib(self) -> float:
        """Read the memory that the process holds now (VmRSS), in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else float("nan")

    def cpu_seconds(self) -> float:
        """Read the seconds of CPU that the process has used so far."""
        # The name may hold anything, so read behind it: fields from the third on, utime and stime the 14th and 15th.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def find_free_port() -> int:
    """Find a port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def run_server(*models: str, data: Path, **settings: str) -> Iterator[Server]:
    """Run a server over a data folder, reachable but perhaps still importing; stop it at the end."""
    port = find_free_port()
    command = [sys.executable, "-m", "app", "serve", *models, "--port", str(port), "--data", str(data)]
    environment = os.environ | {f"SINGULAR_LENS_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(port, process)
    try:
        _await_reachable(server)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await_reachable(server: Server) -> None:
    while True:
        try:
            server.get("/livez")
            return
        except OSError:
            if server.process.poll() is not None:
                raise RuntimeError("the server stopped") from None
            time.sleep(0.005)
