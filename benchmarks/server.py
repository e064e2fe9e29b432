"""A singular-lens server as a process of its own, asked over HTTP, and what it uses of the machine."""

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
        """Status and body of one GET on a fresh connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()

    def ready(self, path: str) -> bytes:
        """The page, asked for until it is no longer being computed."""
        while True:
            status, body = self.get(path)
            if status == 200:
                return body
            if status not in {202, 503}:
                raise RuntimeError(f"{path}: {status} {body[:300]!r}")
            time.sleep(0.02)

    def resident_mib(self) -> float:
        """Memory that the process holds now (VmRSS), in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else float("nan")

    def cpu_seconds(self) -> float:
        """What the process has had of the cores so far."""
        # After the name, which may hold anything: the fields from the third on, utime and stime the 14th and 15th.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(*models: str, data: Path, **settings: str) -> Iterator[Server]:
    """A server for the models, reachable but perhaps still importing; stopped at the end."""
    port = free_port()
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
