import pytest

from app.web.view.crawling import mark_queries


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ('<a href="/gpt2?page=2">2</a>', '<a rel="nofollow" href="/gpt2?page=2">2</a>'),
        ('<a id="x" href="/gpt2?a=1#b" title="why?">', '<a rel="nofollow" id="x" href="/gpt2?a=1#b" title="why?">'),
        ('<a rel="next" href="/gpt2?page=2">', '<a rel="nofollow next" href="/gpt2?page=2">'),
        ('<a href="/gpt2?page=2" rel="nofollow">', '<a href="/gpt2?page=2" rel="nofollow">'),
        ('<a href="/gpt2" title="what?">', '<a href="/gpt2" title="what?">'),
        ('<a href="#why?">', '<a href="#why?">'),
        ('<abbr title="?"><a href="/x">?</a>', '<abbr title="?"><a href="/x">?</a>'),
    ],
)
def test_links_with_a_query_are_marked_once(written, sent):
    assert mark_queries(written) == sent
