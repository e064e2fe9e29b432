"""What deploy/ has: nginx in front of a public server, a Space, a compose file."""

import http.client
import json
import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from app.config import Settings
from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.resources import close_resources, open_resources
from app.explorer.visits.browse import visit_head, visit_model
from tests.server.proxies import FILE, Echo, deployed
from tests.workers import SETTINGS

DEPLOY = Path(__file__).parents[2] / "deploy"
PINNED = "/tiny@0123456789ab/L1/H2"

OWN_NAME = rb"127\.0\.0\.1(:|%3A)\d+|localhost"
"""The server's name in its links, in queries, too."""


def get(port, path, **headers):
    """Status, fields in lower case and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def counters(port):
    text = get(port, "/-/status?format=prometheus")[2].decode()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


@pytest.fixture(scope="module")
def data(tiny_data, tmp_path_factory):
    """The tiny model's folder with a head and the map, computed beforehand."""
    folder = shutil.copytree(tiny_data, tmp_path_factory.mktemp("deploy") / "data")
    r = open_resources(data=folder, **SETTINGS)
    for visit, place in ((visit_head, "tiny/L1/H2"), (visit_model, "tiny")):
        visit(r, parse(place), Options())
    close_resources(r)
    return folder


@pytest.fixture(scope="module")
def public(run_server, data):
    """A public server over it, which is told that nginx is in front."""
    with run_server(data, "tiny", public="true", trusted_proxies="127.0.0.1") as server:
        yield server


@pytest.fixture
def front(public, tmp_path):
    """The port of nginx in front of that server."""
    with deployed(tmp_path / "nginx", public.port) as port:
        yield port


@pytest.fixture(scope="module")
def pinned(public):
    fingerprint = json.loads(public.get("/api/v1/tiny")[1])["model"]["fingerprint"]
    return f"/tiny@{fingerprint[:12]}/L1/H2"


def test_fifty_who_ask_for_a_cold_page_are_one_request_behind(public, tmp_path, pinned):
    before = counters(public.port)
    with deployed(tmp_path / "nginx", public.port, is_behind_a_proxy=True) as front, ThreadPoolExecutor(50) as pool:
        answers = [
            *pool.map(lambda n: get(front, f"{pinned}?sort=gap", X_Forwarded_For=f"198.51.100.{n}"), range(1, 51))
        ]
    after = counters(public.port)
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, _, body in answers}) == 1
    of_pages = [f"singular_lens_kept_{which}_total" for which in ("hits", "misses")]
    assert sum(after[name] - before[name] for name in of_pages) == 1
    assert after["singular_lens_line_started_total"] == 0


def test_what_is_not_pinned_is_never_kept(front, pinned):
    for path in ("/tiny/L1/H2", "/", f"{pinned}/ov/svd/999", "/robots.txt"):
        assert "hit" not in {get(front, path)[1].get("x-cache", "").lower() for _ in range(3)}, path
    assert [get(front, pinned)[1]["x-cache"] for _ in range(2)] == ["MISS", "HIT"]


def test_whoever_takes_no_gzip_gets_the_same_page(front, public, pinned):
    plain = public.get(pinned)[1]
    for _ in range(2):
        _, fields, body = get(front, pinned, Accept_Encoding="identity")
        assert "content-encoding" not in fields
        assert re.sub(OWN_NAME, b"", body) == re.sub(OWN_NAME, b"", plain)


def test_a_page_and_its_part_are_kept_apart_whatever_htmx_says(front, pinned):
    partial = {"HX_Request": "true", "HX_Request_Type": "partial", "HX_Target": "div#place"}
    for _ in range(2):
        assert b"<html" in get(front, pinned, **partial)[2]
        assert b"<html" in get(front, pinned)[2]
        assert b"<html" not in get(front, f"{pinned}?fragment=place")[2]


def ask_often(pool, port, path, burst, per_second, **headers):
    """Answers to many times what the limit lets through at once, and the most that it lets through in the time they took."""
    begun = time.monotonic()
    answers = [*pool.map(lambda _: get(port, path, **headers), range(3 * burst + 50))]
    return answers, 1 + burst + per_second * (time.monotonic() - begun)


@pytest.mark.parametrize(("path", "burst", "per_second"), [("/tiny/L1/H2", 60, 10), ("/tiny/search?q=that", 20, 2)])
def test_one_address_that_asks_too_much_is_told_to_come_back(public, tmp_path, path, burst, per_second):
    with (
        Echo.running("no-cache") as behind,
        deployed(tmp_path / "nginx", behind.server_port, is_behind_a_proxy=True) as front,
        ThreadPoolExecutor(8) as pool,
    ):
        answers, most = ask_often(pool, front, path, burst, per_second, X_Forwarded_For="203.0.113.7")
        other = get(front, path, X_Forwarded_For="203.0.113.8")
    refused = [answer for answer in answers if answer[0] == 429]
    let_through = len(answers) - len(refused)
    assert refused
    assert burst < let_through <= most
    assert len(behind.asked) == let_through + 1
    _, fields, body = refused[0]
    assert (fields["retry-after"], fields["cache-control"]) == ("5", "no-store")
    assert b"come back in a few seconds" in body
    assert other[0] == 200


def test_the_server_hears_who_asks_and_nothing_that_he_makes_up(tmp_path):
    with Echo.running("no-cache") as behind:
        with deployed(tmp_path / "nginx", behind.server_port) as front:
            get(front, "/tiny", X_Forwarded_For="203.0.113.7, 10.0.0.1")
        with deployed(tmp_path / "behind", behind.server_port, is_behind_a_proxy=True) as front:
            get(front, "/tiny", X_Forwarded_For="6.6.6.6, 203.0.113.7")
    assert [asked["x-forwarded-for"] for asked in behind.asked] == ["127.0.0.1", "203.0.113.7"]
    assert all(asked["host"].startswith("127.0.0.1:") for asked in behind.asked)


def test_an_old_page_is_sent_while_the_new_one_is_fetched(tmp_path):
    with (
        Echo.running("public, max-age=1, stale-while-revalidate=60", seconds=0.5) as behind,
        deployed(tmp_path / "nginx", behind.server_port) as front,
    ):
        assert get(front, PINNED)[2] == b"1"
        time.sleep(2.1)  # nginx counts whole seconds
        _, fields, body = get(front, PINNED)
        assert (body, fields["x-cache"]) == (b"1", "STALE")
        for _ in range(100):
            if get(front, PINNED)[2] == b"2":
                break
            time.sleep(0.05)
        assert get(front, PINNED)[2] == b"2"


def test_an_old_page_is_better_than_none(tmp_path):
    with Echo.running("public, max-age=1") as behind, deployed(tmp_path / "nginx", behind.server_port) as front:
        assert get(front, PINNED)[0] == 200
        behind.shutdown()
        behind.server_close()
        time.sleep(2.1)
        assert get(front, PINNED)[2] == b"1"
        status, fields, body = get(front, "/tiny")
        assert (status, fields["retry-after"], fields["cache-control"]) == (503, "10", "no-store")
        assert b"come back in a few seconds" in body


def test_servers_share_the_work_and_one_that_is_gone_is_not_missed(tmp_path):
    with (
        Echo.running("no-cache", seconds=0.1) as one,
        Echo.running("no-cache", seconds=0.1) as other,
        deployed(tmp_path / "nginx", one.server_port, other.server_port) as front,
        ThreadPoolExecutor(8) as pool,
    ):
        assert {status for status, _, _ in pool.map(lambda _: get(front, "/tiny"), range(16))} == {200}
        assert min(len(one.asked), len(other.asked)) >= 6
        other.shutdown()
        other.server_close()
        assert {status for status, _, _ in pool.map(lambda _: get(front, "/tiny"), range(16))} == {200}


def test_counters_are_asked_for_at_the_servers_own_port(public, tmp_path):
    with deployed(tmp_path / "nginx", public.port) as front:
        assert get(front, "/-/status")[0] == 403  # whoever is in front of nginx may stand for all the world
    assert get(public.port, "/-/status")[0] == 200
    assert get(public.port, "/-/status", X_Forwarded_For="203.0.113.7")[0] == 403


@pytest.mark.parametrize(
    ("path", "burst", "per_second"),
    [
        ("/tiny/%73earch?q=that", 20, 2),
        ("/tiny/token/7", 20, 2),
        ("/-/list?of=tiny/L1", 20, 2),
        ("/tiny/L1/H2/card.png", 20, 2),
        ("/tiny/L1/H2?%66ormat=csv", 20, 2),
        ("/tiny/L1/H2/ov/svd/1/around?fragment=around", 20, 2),
        ("/tiny/census?format=csv", 3, 4 / 60),
        ("/tiny@0123456789ab/cens%75s?%66ormat=csv", 3, 4 / 60),
        ("/static/nothing.css", 100, 30),
        ("/static/site.css?v=0123456789ab&n=1", 100, 30),
    ],
)
def test_what_is_work_has_a_stricter_limit_however_it_is_spelt(tmp_path, path, burst, per_second):
    with (
        Echo.running("no-cache") as behind,
        deployed(tmp_path / "nginx", behind.server_port) as front,
        ThreadPoolExecutor(4) as pool,
    ):
        answers, most = ask_often(pool, front, path, burst, per_second)
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 429}
    assert 1 <= statuses.count(200) <= most


def test_a_file_has_one_place_in_the_cache_whatever_else_its_link_says(tmp_path):
    with Echo.running("public, max-age=60") as behind, deployed(tmp_path / "nginx", behind.server_port) as front:
        answers = [get(front, f"/static/site.css?v=0123456789ab&n={n}")[2] for n in range(5)]
    assert answers == [b"1"] * 5


def settings_of(environment):
    return Settings(
        **{
            name.removeprefix("SINGULAR_LENS_").lower(): value
            for name, value in environment.items()
            if name.startswith("SINGULAR_LENS_")
        }
    )


def fill_in(environment):
    """Variables of the environment as compose fills them in, where only what must be given is."""
    needed = {name: re.sub(r"\$\{\w+:\?.*?\}", "https://lens.example.org", said) for name, said in environment.items()}
    return {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", said) for name, said in needed.items()}


def test_compose_runs_public_servers_that_only_nginx_reaches(monkeypatch):
    monkeypatch.delenv("SINGULAR_LENS_PRECOMPUTE", raising=False)  # which tests have
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    network, lens, second, nginx = (compose["services"][name] for name in ("network", "lens", "second", "nginx"))
    settings = [settings_of(fill_in(each["environment"])) for each in (lens, second)]
    for each in settings:
        assert (each.public, each.host, each.trusted_proxies) == (True, "127.0.0.1", ("127.0.0.1/32",))
        assert f"server 127.0.0.1:{each.port};" in FILE.read_text(encoding="utf-8")
    assert settings[0].models == settings[1].models
    assert [each.precompute_of for each in settings] == ["all", "nothing"]  # once is enough
    # What holds the network does nothing else, so that none of the others takes it along when it ends.
    assert {each["network_mode"] for each in (lens, second, nginx)} == {"service:network"}
    assert network["command"] == ["sleep", "infinity"]
    assert second["volumes"] == lens["volumes"]
    assert [port.rpartition(":")[2] for port in network["ports"]] == ["80"]
    assert not any("ports" in each for each in (lens, second, nginx))
    mounts = {mount.split(":")[1]: mount.split(":")[0] for mount in nginx["volumes"]}
    assert (DEPLOY / mounts["/etc/nginx/nginx.conf"]).is_file()
    assert "/var/cache/nginx" in mounts
    assert {mount.split(":")[0] for each in (lens, nginx) for mount in each["volumes"]} - {"./nginx.conf"} == set(
        compose["volumes"]
    )
    assert (DEPLOY / lens["build"] / "Dockerfile").is_file()


def test_the_space_is_one_and_serves_the_public():
    front = (DEPLOY / "space" / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    said = yaml.safe_load(front)
    dockerfile = (DEPLOY / "space" / "Dockerfile").read_text(encoding="utf-8")
    (environment,) = re.findall(r"^ENV (.*?[^\\])$", dockerfile, re.MULTILINE | re.DOTALL)
    settings = settings_of(
        dict(word.split("=", 1) for word in environment.replace("${MODELS}", "demo").split() if word != "\\")
    )
    assert (said["sdk"], said["app_port"]) == ("docker", settings.port)
    assert len(said["short_description"]) <= 60
    assert settings.public
    assert settings.trusted_proxies
    assert f"EXPOSE {settings.port}" in dockerfile
    main = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8")
    assert f"VOLUME {settings.data}" not in main
    assert not any(str(settings.data).startswith(f"{volume}/") for volume in re.findall(r"^VOLUME (\S+)", main, re.M))
    assert str(settings.data).startswith("/home/lens/")
    assert "--create-home" in main
    assert "lens" in main


@pytest.mark.parametrize(
    ("line", "environment", "said"),
    [
        ("RUN", {"MODELS": "smollm2,demo"}, ["precompute smollm2", "precompute demo"]),
        ("CMD", {"SPACE_HOST": "you-lens.hf.space"}, ["serve --public-url https://you-lens.hf.space"]),
        ("CMD", {}, ["serve"]),
    ],
)
def test_the_space_computes_its_models_and_names_itself(tmp_path, line, environment, said):
    dockerfile = (DEPLOY / "space" / "Dockerfile").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^{line} (.*)$", dockerfile, re.MULTILINE)
    command = json.loads(found) if found.startswith("[") else ["sh", "-c", found]
    stub = tmp_path / "singular-lens"
    stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    stub.chmod(0o755)
    subprocess.run(command, env={"PATH": f"{tmp_path}:{os.defpath}"} | environment, check=True)
    assert (tmp_path / "said").read_text().splitlines() == said
