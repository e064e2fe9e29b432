import pytest

from app.config import Settings
from app.web.http.hosts import host_of, is_numeric, own_names


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"localhost", "127.0.0.1"}),
        ({"host": "Lens.Local"}, {"localhost", "lens.local"}),
        ({"public_url": "https://Lens.example:8443/x"}, {"localhost", "127.0.0.1", "lens.example"}),
        ({"allowed_hosts": "One.example, two"}, {"localhost", "127.0.0.1", "one.example", "two"}),
        ({"host": "0.0.0.0", "public_url": "http://a.example"}, {"localhost", "0.0.0.0", "a.example"}),
        ({"host": "::", "allowed_hosts": "a.example"}, {"localhost", "::", "a.example"}),
        ({"host": "0.0.0.0"}, None),
        ({"host": "::"}, None),
    ],
)
def test_the_names_are_those_that_the_operator_means(settings, names):
    assert own_names(Settings(**settings)) == (None if names is None else frozenset(names))


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("Lens.Example:8000", "lens.example"),
        ("lens.example.", "lens.example"),
        ("[::1]:80", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("a b", None),
        ("a/b", None),
        ("a@b", None),
        ("a:b", None),
        ("::1", None),
        ("a:999999", None),
        ("ä.example", None),
        ("", None),
    ],
)
def test_a_host_is_read_out_of_its_header(header, host):
    assert host_of(header) == host


def test_addresses_are_no_names():
    assert is_numeric("127.0.0.1")
    assert is_numeric("::1")
    assert not any(map(is_numeric, ("localhost", "127.0.0.1.evil.example", "1", "0x7f.1", "")))
