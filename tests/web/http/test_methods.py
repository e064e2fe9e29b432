import pytest


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/api/v1/tiny/L1", "/tiny/L1", "/-/glossary"])
def test_head_is_get_without_the_body(client, path):
    asked, told = client.get(path), client.head(path)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["Content-Length"] == asked.headers["Content-Length"]
