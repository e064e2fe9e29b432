import pytest
from fastapi import Request

from app.web.http.negotiation import coding_for, coding_of, is_known


def request(name, *values):
    return Request({"type": "http", "headers": [(name, value.encode("latin-1")) for value in values]})


@pytest.mark.parametrize(
    ("fields", "packed"),
    [
        ([], False),
        ([""], False),
        (["gzip"], True),
        (["br, GZIP;Q=0.001"], True),
        (["x-gzip"], True),
        (["deflate", "gzip ; q=1.000"], True),
        (["*"], True),
        (["br;q=1, *;q=0.1"], True),
        (["gzip;q=0"], False),
        (["gzip;q=0.0"], False),
        (["gzip; q=0.000"], False),
        (["gzip;q=0, *"], False),
        (["*;q=0"], False),
        (["*;q=0, gzip"], True),
        (["identity"], False),
        (["gzip;q=0.5, identity"], False),
        (["gzip, identity;q=0.5"], True),
        (["gzip;q=0.5, identity;q=0.5"], True),
        (["br"], False),
        (["gzip;q=nan"], False),
        (["gzip;q=-1"], False),
        (["gzip;q=1.5"], False),
        (["gzip;level=9"], False),
        (["notgzip"], False),
    ],
)
def test_gzip_is_sent_to_who_takes_it_and_likes_it_no_less(fields, packed):
    assert (coding_of(request(b"accept-encoding", *fields)) != "plain") is packed


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, identity;q=0", "only gzip"),
        ("gzip, *;q=0.0", "only gzip"),
        ("*;q=0, gzip, identity;q=0.1", "gzip"),
        ("gzip", "gzip"),
        ("identity;q=0", "plain"),  # which is all there is
        ("", "plain"),
    ],
)
def test_plain_bytes_are_refused_by_name_or_with_all_others(accepted, coding):
    assert coding_for(accepted) == coding


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        (['W/"12ab"'], True),
        (['"12ab"'], True),
        (['"x", "12ab"'], True),
        (['W/"x",W/"12ab"'], True),
        (['"x"', '"12ab"'], True),
        (['"a,b" , "12ab"'], True),
        (["*"], True),
        ([" * "], True),
        ([], False),
        (['"12AB"'], False),
        (["12ab"], False),
        (['"*"'], False),
        (['"12ab', "x"], False),
        (['", 12ab, "'], False),
        (['*, "x"'], False),
    ],
)
def test_a_version_is_known_by_its_tag_weak_or_strong_and_among_others(fields, known):
    assert is_known(request(b"if-none-match", *fields), 'W/"12ab"') is known
