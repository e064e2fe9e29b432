import pytest

from app.web.caching import asked
from app.web.caching.asked import PageTargets

HEAD = "/tiny/L1/H2"


@pytest.fixture
def read(client):
    """read(path, query, root) -> what is asked for, of a server that remembers nothing yet."""
    assert client.get("/tiny/L1").status_code == 200

    def read(path, query="", root=""):
        return PageTargets(root).read({"path": path, "query_string": query.encode(), "app": client.app})

    return read


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", "page=1"),
        ("", "weights=folded&x=1"),
        ("sort=gap&ascii=1", "ascii=true&sort=order&sort=gap"),
        ("find=a+b", "find=a%20b&page=1"),
    ],
)
def test_one_thing_has_one_spelling(read, one, other):
    assert read(HEAD, one) == read(HEAD, other) is not None


@pytest.mark.parametrize(
    "other", ["weights=raw", "page=2", "find=%20", "ascii=1", "frequent=1", "format=csv", "k=5&format=csv"]
)
def test_another_thing_has_another(read, other):
    assert read(HEAD, other) != read(HEAD) is not None


def test_a_root_is_no_part_of_it(read):
    assert read(f"/lens{HEAD}", root="/lens") == read(HEAD) == read(HEAD, root="/lens")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (HEAD, "page=x"),
        (HEAD, "k=5"),
        (HEAD, "nonzeros=3&ascii=7"),
        ("/tiny/notable", "format=csv"),
        ("/livez", ""),
        ("/static/site.css", "v=1"),
        ("/elsewhere/L1", ""),
        ("//", ""),
        ("/api/v1", ""),
        ("/api/v1tiny", ""),
        ("*", ""),
    ],
)
def test_what_no_page_answers_is_nothing(read, path, query):
    assert read(path, query) is None


def test_no_more_is_remembered_than_there_is_room_for(client, monkeypatch):
    monkeypatch.setattr(asked, "MOST_REMEMBERED", 5)
    targets = PageTargets("")
    for n in range(50):
        for query in (f"x={n}", f"x={'y' * 300}{n}"):
            found = targets.read({"path": HEAD, "query_string": query.encode(), "app": client.app})
            assert found.options == ()
        assert len(targets._known) <= 5
    assert not any(len(query) > asked.LONGEST_REMEMBERED for _, query in targets._known)
