import pytest

from app.web.guard.gate import LARGEST_BODY, LARGEST_HEADERS, LONGEST_TARGET

HEAD = "/tiny/L1/H2"


def refused(client, status, path="/tiny", method="GET", **request):
    """The page and the JSON of the refusal, both said in the usual way."""
    page = client.request(method, path, **request)
    json = client.request(method, f"/api/v1{path}", **request)
    assert page.status_code == json.status_code == status
    assert page.headers["Content-Type"].startswith("text/html")
    assert json.json()["status"] == status
    for answer in (page, json):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Security-Policy"]
    return json.json()["detail"]


@pytest.mark.parametrize("path", ["/tiny?find=" + "x" * LONGEST_TARGET, "/tiny/" + "x" * LONGEST_TARGET])
def test_a_long_address_is_told_how_long_it_may_be(client, path):
    assert "2,000 bytes" in refused(client, 414, path)


def test_an_address_as_long_as_it_may_be_is_looked_at(client):
    path = f"{HEAD}?q="
    assert client.get(path + "x" * (LONGEST_TARGET - len(path))).status_code == 200
    assert client.get(path + "x" * (LONGEST_TARGET - len(path) + 1)).status_code == 414


@pytest.mark.parametrize("headers", [{"X": "x" * LARGEST_HEADERS}, {f"X-{i}": "x" * 1000 for i in range(17)}])
def test_large_headers_are_told_how_large_they_may_be(client, headers):
    assert "16,384 bytes" in refused(client, 431, headers=headers)
    assert client.get("/tiny", headers={"X": "x" * (LARGEST_HEADERS // 2)}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_is_refused_and_the_connection_with_it(client, method):
    refused(client, 413, method=method, content=b"x" * (LARGEST_BODY + 1))
    refused(client, 413, method=method, content=iter([b"x"]))  # sent in chunks, so nobody knows how large
    answer = client.request(method, "/tiny", content=iter([b"x"]))
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("length", ["-1", "x", "9" * 30, "²", str(LARGEST_BODY + 1)])
def test_no_length_is_too_odd_to_refuse(client, length):
    refused(client, 413, headers={"Content-Length": length.encode("utf-8")})


def test_a_small_body_of_a_get_is_ignored(client):
    assert client.request("GET", "/tiny", content=b"x" * 100).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "testserver.evil.example", "0x7f.1", "tester"]
)
def test_another_name_is_told_who_can_allow_it(client, host):
    detail = refused(client, 421, headers={"Host": host})
    assert "SINGULAR_LENS_ALLOWED_HOSTS" in detail
    assert host not in client.get("/tiny", headers={"Host": host}).text


@pytest.mark.parametrize("host", ["a b", "evil.example/x", 'a"><script>', "[", "testserver:port"])
def test_a_host_that_is_none_is_refused(client, host):
    assert "Host header" in refused(client, 400, headers={"Host": host})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]", "192.0.2.7:80", "testserver."])
def test_own_names_and_numeric_addresses_pass(client, host):
    assert client.get("/tiny", headers={"Host": host}).status_code == 200


def test_who_listens_everywhere_and_names_nothing_answers_to_all(serve, data):
    anywhere = serve(data, "tiny", host="0.0.0.0", allowed_hosts="")
    assert anywhere.get("/tiny", headers={"Host": "lens.example"}).status_code == 200
    named = serve(data, "tiny", host="0.0.0.0", allowed_hosts="lens.example")
    assert named.get("/tiny", headers={"Host": "lens.example"}).status_code == 200
    assert named.get("/tiny", headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://testserver.evil.example", "http://[", "ä"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_no_other_origin_may_send_what_could_change_something(client, method, origin):
    headers = {"Origin": origin.encode("utf-8")}
    assert client.request(method, "/tiny", headers=headers).status_code == 403
    assert client.request(method, "/no/such/route/of/this/server", headers=headers).status_code == 403
    assert client.get("/tiny", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://testserver"},
        {"Origin": "https://TESTSERVER"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_own_pages_and_programs_that_say_so_may_send(client, headers):
    """There is nothing to send to at a model: the router says so, and not the gate."""
    assert client.post("/tiny", headers=headers).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "same-origin, cross-site"},
        [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        [("Origin", "http://testserver"), ("Origin", "http://evil.example")],
        {"Referer": "http://testserver/tiny"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_request_without_its_origin_could_be_anybodys(client, method, headers):
    assert client.request(method, "/tiny", headers=headers).status_code == 403
    assert client.request(method, "/-/jobs?model=tiny", headers=headers).status_code == 403


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "BREW"])
@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}])
def test_a_method_that_nothing_here_takes_hears_which_ones_are(client, method, headers):
    assert "GET and HEAD" in refused(client, 405, method=method, headers=headers)
    assert client.request(method, "/tiny", headers=headers).headers["Allow"] == "GET, HEAD"
    assert client.request(method, "/-/jobs", headers=headers).headers["Allow"] == "GET, HEAD, POST"


def test_below_a_path_a_method_hears_the_same(serve, data):
    client = serve(data, "tiny", root_path="/lens")
    for path in ("/lens/-/jobs", "/-/jobs"):
        assert client.request("TRACE", path).headers["Allow"] == "GET, HEAD, POST"


def test_behind_a_proxy_the_public_origin_is_own(serve, data):
    client = serve(data, "tiny", public_url="https://lens.example/x")
    assert client.post("/tiny", headers={"Origin": "https://lens.example"}).status_code == 405
    assert client.post("/tiny", headers={"Origin": "https://other.example"}).status_code == 403
