"""A page in a frame of another site: a second local origin shows what may be framed, and nothing else."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

FRAMES = (
    '<!doctype html><html lang="en"><title>A blog</title><body><h1>A post</h1>'
    '<iframe id="own" title="own" width="700" height="500" src="{base}/demo/L3/H5/ov/svd/1?embed=1"></iframe>'
    '<iframe id="whole" title="whole" width="700" height="300" src="{base}/demo/L3/H5/ov/svd/1"></iframe>'
    '<iframe id="form" title="form" width="700" height="300" src="{base}/demo/prompt?embed=1"></iframe>'
)


@pytest.fixture
def blog(slow: str, tmp_path: Path) -> Iterator[str]:
    """Serve a page of another origin that frames three pages of a server that nobody has asked yet."""
    (tmp_path / "index.html").write_text(FRAMES.format(base=slow), encoding="utf-8")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: object, **named: object) -> None:
            super().__init__(*given, directory=str(tmp_path), **named)  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/index.html"
    server.shutdown()
    server.server_close()


def test_a_blog_shows_a_direction_and_nothing_that_asks_for_something(browser: Browser, blog: str, slow: str):
    # The browser itself logs to the console what it refuses to show.
    context = browser.new_context(viewport={"width": 900, "height": 1200})
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    page.goto(blog)
    own = page.frame_locator("#own")
    expect(own.get_by_role("heading", level=1)).to_contain_text("computing…")
    expect(own.get_by_role("heading", level=1)).to_contain_text("L3H5 OV 1")
    expect(own.locator("header")).to_have_count(0)
    expect(own.locator(".brand")).to_be_visible()
    for hidden in ("#whole", "#form"):
        expect(page.frame_locator(hidden).locator("#main, .brand")).to_have_count(0)
    assert len([text for text in refused if "frame-ancestors" in text]) == 2
    with context.expect_page() as opened:
        own.locator(".brand").click()
    expect(opened.value.locator("header.top")).to_be_visible()
    assert opened.value.url.startswith(slow)
    context.close()


def test_a_framed_page_reads_at_every_size(visit: Callable[..., Page], look: Callable[[Page], None]):
    page = visit()
    page.goto("/demo/L3/H5/ov/svd/1?embed=1")
    look(page)
