"""A live model in a process of its own: many prompts at once, one that is killed, and a log that tells of none."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

ORIGIN = "Origin: http://localhost"
SECRET = "quarrelsome"


def post(server, text, slug="tiny"):
    body = f"text={text}".encode()
    fields = [f"POST /{slug}/prompt HTTP/1.1", "Host: localhost", "Connection: close", ORIGIN]
    fields += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}", "", ""]
    head = server.send("\r\n".join(fields).encode() + body).partition(b"\r\n\r\n")[0].decode()
    location = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("location: ")]
    return int(head.split(" ")[1]), location[0] if location else ""


def await_answer(server, path, seconds=90):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status, body = server.get(path)
        if status not in {202, 429, 503}:
            return status, body
        time.sleep(0.2)
    raise TimeoutError


def live_of(server):
    """The process ids of the server's live models."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, StopIteration):  # it has ended meanwhile
            lines = (process / "status").read_text(encoding="ascii", errors="replace").splitlines()
            parent = next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))
            if parent == server.pid and b"live" in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def test_a_killed_live_model_costs_one_answer_and_the_next_prompt_has_another(run_server, own_data):
    with run_server(own_data, "tiny", prompts="local", wait_seconds=0.1) as server:
        assert not live_of(server)
        status, place = post(server, f"in+the+{SECRET}")
        assert (status, len(place)) == (303, len("/tiny/p/") + 16)
        status, body = await_answer(server, f"/api/v1{place}")
        assert status == 200
        first = json.loads(body)
        (pid,) = live_of(server)
        os.kill(pid, signal.SIGKILL)
        status, other = post(server, "and+then+it")
        assert status == 303
        assert await_answer(server, f"/api/v1{other}")[0] == 200
        assert json.loads(server.get(f"/api/v1{place}")[1]) == first  # what was computed is kept
        assert server.get("/readyz")[0] == 200
        assert live_of(server) != [pid]
    log = server.log.read_text()
    assert SECRET not in log
    assert "/p/" not in log


def test_fifty_prompts_at_once_are_all_answered_or_told_to_come_back(run_server, own_data):
    with run_server(own_data, "tiny", prompts="local", wait_seconds=0.1) as server:
        places = [post(server, f"{word}+{'it+' * n}")[1] for word in ("so", "as", "or") for n in range(1, 9)] * 2
        statuses = {server.get(place)[0] for place in places}
        assert statuses <= {200, 202, 429}
        assert 429 in statuses
        assert server.get("/tiny/L0/H0")[0] in {200, 202}
        assert {await_answer(server, place)[0] for place in places[:24]} == {200}
        assert len(live_of(server)) == 1
    assert "Traceback" not in server.log.read_text()


def test_a_server_that_ends_leaves_no_live_model(run_server, own_data):
    with run_server(own_data, "tiny", prompts="local") as server:
        await_answer(server, post(server, "so+it+is")[1])
        (pid,) = live_of(server)
    assert not Path(f"/proc/{pid}").exists()


def stream_until(server, path, n_events):
    """Open a stream, read so many events of it, and hang up."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head.encode())
        seen = b""
        while seen.count(b"data: ") < n_events and b"event: end" not in seen:
            part = connection.recv(1 << 16)
            if not part:
                break
            seen += part
        return seen


def memory_of(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return {
        name: int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:")))
        for name in ("RssAnon", "Threads")
    }


def test_two_hundred_streams_that_are_left_leave_nothing(run_server, own_data):
    with run_server(own_data, "tiny", prompts="local", generation="local", wait_seconds=5) as server:
        _, place = post(server, f"in+the+{SECRET}")
        stream = f"{place}/edit/continuation?edit=L1H2.ov.3:2&more=16"
        status, before = await_answer(server, f"/api/v1{place}/edit?edit=L1H2.ov.3:2")
        assert status == 200
        for seed in range(20):  # whatever is loaded once is loaded by now
            stream_until(server, f"{stream}&seed={seed}", 1)
        (pid,) = live_of(server)
        first, held = memory_of(pid), server.census()
        for seed in range(200):
            seen = stream_until(server, f"{stream}&seed={1_000 + seed}", seed % 4)
            assert b"200 OK" in seen or not seen
        status, after = await_answer(server, f"/api/v1{place}/edit?edit=L1H2.ov.3:2")
        assert (status, after) == (200, before)
        # A text that nobody follows is not written to its end: the next one is begun at once.
        until = time.monotonic() + 60
        while server.census().files > held.files and time.monotonic() < until:
            time.sleep(0.1)
        assert server.census().files <= held.files
        assert server.census().threads <= held.threads + 2
        assert live_of(server) == [pid]
        last = memory_of(pid)
        assert last["Threads"] <= first["Threads"]
        assert last["RssAnon"] < first["RssAnon"] + 30 * 1024
        answer = await_answer(server, f"/api/v1{place}/edit?edit=L1H2.ov.3:2&more=8")
        assert answer[0] == 200
