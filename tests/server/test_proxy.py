"""Behind a real proxy, below a path: every link of every page stays below it and leads somewhere."""

import html
import json
import re
import shutil
import socket
import subprocess
import time
from collections import deque
from contextlib import contextmanager
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /lens/ {{
      proxy_pass http://127.0.0.1:{behind}{stripped};
      proxy_redirect off;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-Host forwarded.example;
      proxy_set_header X-Forwarded-Prefix /forwarded;
    }}
    location / {{ return 418; }}
  }}
}}
"""
LINK = re.compile(r'\s(href|src|hx-get|hx-post|formaction|action)="([^"]*)"')
"""As every page writes it. What a token says cannot look like one: quotes in it are escaped."""
STARTS = [
    "",
    "tiny/L9",
    "tiny/L1/H2?page=0",
    "no/such/page",
    "api/v1/",
    "docs",
    "robots.txt",
    "tiny/jump?q=L1H2",
    "tiny/",
]


def page_links(page):
    """The links of a page, each once; the only form is the jump box."""
    found = {(name == "action", html.unescape(value)) for name, value in LINK.findall(page) if value}
    return sorted(f"{value}?q=L1H2" if is_form else value for is_form, value in found)


@contextmanager
def proxied(folder, behind, stripped):
    """The port of an nginx that passes /lens/ on, with that prefix or without."""
    assert NGINX, "no nginx on this machine: make nginx"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, behind=behind, stripped="/" if stripped else ""))
    with subprocess.Popen([NGINX, "-c", str(config), "-p", str(folder)], stderr=subprocess.PIPE) as nginx:
        try:
            yield port
        finally:
            nginx.terminate()


def fetched(port, target):
    """Status, fields and body, over a connection of its own."""
    for _ in range(200):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            break
        except ConnectionRefusedError:  # nginx has only just been started
            time.sleep(0.05)
    else:
        raise TimeoutError
    with connection, connection.makefile("rb") as answer:
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        head, _, body = answer.read().partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.title(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), fields, body.decode("utf-8", "replace")


def arrived(port, target):
    """The same, once it is there: on a busy machine a page may be on its way for long, or the queue full."""
    until = time.monotonic() + 300
    while "Retry-After" in (answer := fetched(port, target))[1] and time.monotonic() < until:
        time.sleep(0.5)
    return answer


def links_of(body, fields):
    """Every address in an answer, as it is written there."""
    found = [fields[name] for name in ("Location", "Hx-Redirect", "Hx-Location") if name in fields]
    kind = fields.get("Content-Type", "")
    if kind.startswith("text/html"):
        found += page_links(body)
    if kind.startswith("application/json") and '"openapi"' not in body:  # that one's examples are made up
        found += re.findall(r'"(?:page|json|pinned|up|previous|next)":"([^"]+)"', body)
    return found


def sent_links(body):
    """The absolute links of an answer: those to send, to cite and to run."""
    return re.findall(r"https?://[^\s\"'<>{}&]+/tiny[^\s\"'<>{}&]*", body)


def crawled(port, of_options):
    """What links below /lens/ lead to: target -> status, fields and body.

    Places that differ in numbers alone count as one; there whatever comes first (`none`), every option once (`each`), or
    every combination of options (`all`).
    """
    known, found = set(), {}
    starts = [f"/lens/{start}" for start in STARTS]
    waiting = deque(starts)
    while waiting:
        target = waiting.popleft()
        place, _, options = re.sub(r"[0-9]+|=[^&]*", "#", target).partition("?")
        asked = {"none": [""], "each": options.split("&"), "all": [options]}[of_options]
        shapes = {(place, option) for option in asked}
        if target in found or shapes <= known:
            continue
        known |= set() if target in starts else shapes  # some are errors of places that links lead to as well
        _, fields, body = found[target] = arrived(port, target)
        for link in links_of(body, fields):
            there = urlsplit(urldefrag(urljoin(f"http://127.0.0.1:{port}{target}", link)).url)
            assert there.netloc in {f"127.0.0.1:{port}", "lens.example"}, (target, link)
            assert there.path.startswith("/lens/"), (target, link)
            waiting.append(there.path + (f"?{there.query}" if there.query else ""))
    return found


UNBUILT = r"/api/v1/.*(/around|/alike|/composition|/search|/token/\d+|/-/pair|/linear|/unlikely)(\?|$)"
"""Data that rest on a bank, or on what the model does on text, which is not built here."""


@pytest.mark.parametrize(
    ("stripped", "public_url"),
    [(True, ""), (False, "https://lens.example/lens"), (True, "https://lens.example/lens"), (False, "")],
    ids=["prefix taken off", "prefix passed on, public", "prefix taken off, public", "prefix passed on"],
)
def test_below_a_path_every_link_works(run_server, own_data, tmp_path, stripped, public_url, long):
    if not long and stripped == bool(public_url):
        pytest.skip("two of the four ways are gone; the others with --long")
    of_options = "all" if long else "each" if public_url else "none"
    settings = {"root_path": "/lens", "public_url": public_url, "wait_seconds": 30}
    with run_server(own_data, "tiny", **settings) as server, proxied(tmp_path, server.port, stripped) as port:
        found = crawled(port, of_options)
        starts = {f"/lens/{start}" for start in STARTS}
        dead = {target: status for target, (status, _, _) in found.items() if status >= 400 and target not in starts}
        # Programs hear of what is not built by a 404, people by a page.
        dead = {to: status for to, status in dead.items() if not (status == 404 and re.search(UNBUILT, to))}
        # Forms are sent with a place's name, whatever they ask for.
        dead = {to: status for to, status in dead.items() if not (status == 422 and "/token?q=" in to)}
        assert dead == {}
        assert {found[f"/lens/{start}"][0] for start in STARTS} >= {200, 307, 308, 303, 404, 422}
        kinds = {fields.get("Content-Type", "").partition(";")[0] for _, fields, _ in found.values()}
        of_files = {"text/html", "application/json", "text/css", "text/javascript", "image/svg+xml"}
        assert kinds >= of_files | (set() if of_options == "none" else {"text/csv"})
        assert json.loads(found["/lens/openapi.json"][2])["servers"] == [{"url": "/lens"}]
        sent = [link for _, _, body in found.values() for link in sent_links(body)]
        assert sent
        origin = public_url or f"http://127.0.0.1:{port}/lens"
        assert [link for link in sent if not link.startswith(f"{origin}/")] == []
        for link in sorted(set(sent))[: None if long else 5]:
            assert fetched(port, urlsplit(link)._replace(scheme="", netloc="").geturl())[0] == 200, link
        assert not any("forwarded" in body + str(fields) for _, fields, body in found.values())
