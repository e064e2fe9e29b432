"""What may be clicked in a framed page is a plain link; what loads by itself stays."""

import pytest

from app.web.view.framing import unhook_links


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ('<a href="/a" hx-get="/a" hx-push-url="true" class="b">it</a>', '<a href="/a" class="b">it</a>'),
        ('<a href="/a" hx-swap:inherited="x" hx-boost>it</a>', '<a href="/a">it</a>'),
        ('<section hx-get="/a" hx-trigger="load">', '<section hx-get="/a" hx-trigger="load">'),
        (
            '<form action="/a" hx-get="/a"><input hx-get="/b" name="q"></form>',
            '<form action="/a"><input name="q"></form>',
        ),
        ("<p>an hx-get word</p>", "<p>an hx-get word</p>"),
        ('<abbr hx-get="/a">', '<abbr hx-get="/a">'),
    ],
)
def test_what_is_clicked_loses_its_hooks(html, plain):
    assert unhook_links(html) == plain
