import re

import pytest

LINE = re.compile(r'singular_lens_\w+(\{\w+="[^"]+"\})? -?[0-9.]+')


@pytest.fixture(scope="module")
def counted(serve, data):
    """A visitor of a server whose counters all may read."""
    return serve(data, "tiny", status="public")


def read(visitor):
    text = visitor.get("/-/status?format=prometheus").text
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def test_answers_are_counted_by_status(counted):
    before = read(counted)
    assert [counted.get(path).status_code for path in ("/tiny/L1/H2", "/tiny/L9", "/TINY")] == [200, 404, 308]
    after = read(counted)
    risen = {name: after[name] - before[name] for name in before}
    assert risen['singular_lens_answers_total{status="2xx"}'] == 2  # and the page of counters before
    assert risen['singular_lens_answers_total{status="3xx"}'] == 1
    assert risen['singular_lens_answers_total{status="4xx"}'] == 1
    assert after["singular_lens_requests_open"] == 1


def test_kept_answers_are_told_from_those_that_are_made(counted):
    assert counted.get("/tiny/L1/H2/ov/svd/5").status_code == 200
    before = read(counted)
    assert counted.get("/tiny/L1/H2/ov/svd/5").status_code == 200
    after = read(counted)
    for name in ("kept_hits_total", "kept_misses_total"):
        after[name] = after[f"singular_lens_{name}"] - before[f"singular_lens_{name}"]
    assert after["kept_hits_total"] + after["kept_misses_total"] == 1
    assert after["singular_lens_kept_bytes"] <= after["singular_lens_memory_bytes"]


def test_what_the_worker_did_is_counted(counted):
    before = read(counted)
    assert counted.get("/tiny/L0/H3/qk?weights=raw&ascii=true").status_code == 200
    after = read(counted)
    for name in ("started", "done"):
        assert after[f"singular_lens_line_{name}_total"] > before[f"singular_lens_line_{name}_total"]
    assert after["singular_lens_line_failed_total"] == 0
    assert after['singular_lens_worker_state{state="alive"}'] == 1
    assert after["singular_lens_store_quota_bytes"] > after["singular_lens_store_bytes"]


def test_prometheus_can_read_every_line(counted):
    answer = counted.get("/-/status?format=prometheus")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["Cache-Control"] == "no-store"
    lines = answer.text.splitlines()
    typed = [line.split(" ")[2] for line in lines if line.startswith("# TYPE")]
    assert len(typed) == len(set(typed))
    assert all(LINE.fullmatch(line) for line in lines if not line.startswith("#"))
    assert {line.partition("{")[0].partition(" ")[0] for line in lines if not line.startswith("#")} == set(typed)


def test_people_read_one_number_a_line_and_nothing_of_the_machine_or_its_visitors(counted, data):
    counted.get("/tiny/L1/H2?find=secret", headers={"X-Forwarded-For": "203.0.113.7"})
    text = counted.get("/-/status").text
    assert re.search(r"^Answers by status, 2xx: \d+$", text, re.MULTILINE)
    assert not re.search(rf"secret|203\.0\.113|testclient|{re.escape(str(data))}", text)


@pytest.mark.parametrize(
    ("who", "peer", "forwarded", "trusted", "status"),
    [
        ("local", "127.0.0.1", "", (), 200),
        ("local", "203.0.113.7", "", (), 403),
        ("local", "127.0.0.1", "203.0.113.7", (), 403),
        ("local", "127.0.0.1", "127.0.0.1", (), 403),
        ("local", "127.0.0.1", "203.0.113.7", ("127.0.0.1",), 403),
        ("local", "127.0.0.1", "127.0.0.1", ("127.0.0.1",), 200),
        ("public", "203.0.113.7", "", (), 200),
        ("off", "127.0.0.1", "", (), 404),
    ],
)
def test_counters_are_for_whom_the_operator_says(serve, data, who, peer, forwarded, trusted, status):
    visitor = serve(data, "tiny", status=who, trusted_proxies=trusted)
    visitor._transport.client = (peer, 50_000)
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert visitor.get("/-/status", headers=headers).status_code == status


@pytest.mark.parametrize("name", ["Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP"])
@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
def test_a_proxy_that_says_it_otherwise_speaks_for_anybody(serve, data, name, trusted):
    visitor = serve(data, "tiny", status="local", prompts="local", trusted_proxies=trusted)
    visitor._transport.client = ("127.0.0.1", 50_000)
    assert visitor.get("/-/status").status_code == visitor.get("/tiny/prompt").status_code == 200
    for path in ("/-/status", "/tiny/prompt"):
        refused = visitor.get(path, headers={name: "for=127.0.0.1"})
        assert refused.status_code == 403
        assert "through a proxy" in refused.text
