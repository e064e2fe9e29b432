"""The pages of streams: looked at with numbers and without."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from app.explorer import recipes
from app.explorer.library import Library
from app.models.catalog import Catalog
from app.store.artifacts import ArtifactStore
from tests.browser.conftest import serve
from tests.explorer.streams import keep_text, linear_arrays, unlikely_arrays


@pytest.fixture(scope="module")
def computed(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server of a tiny model with a linear map and unlikely tokens, where visitors may start jobs."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("streams") / "data")
    model, store = Library(Catalog(data)).model("tiny"), ArtifactStore(data / "artifacts", 10**9)
    keep_text(SimpleNamespace(store=store), model)
    store.write(recipes.linear(model, "folded", 0, 2, 0, None), linear_arrays(["pca", "svd", "random"]), {})
    store.write(recipes.unlikely(model, "folded", 0), unlikely_arrays(2), {})
    with serve("tiny", data=data, wait_seconds="30", allow_jobs="true") as address:
        yield address


def test_maps_and_unlikely_tokens_are_looked_at(visit_at, computed: str, look: Callable[[Page], None]):
    page = visit_at(computed)
    page.goto("/tiny/linear")
    look(page)
    page.get_by_role("link", name="the embedding's SVD").click()
    expect(page.locator("tr.shown")).to_contain_text("SVD")
    page.get_by_label("from").select_option("1")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#compute")).to_be_visible()
    look(page)
    page.get_by_role("link", name="0 → 2").click()
    expect(page.locator("h1")).to_contain_text("between layers 0 and 2")
    page.get_by_role("link", name="unlikely tokens").click()
    expect(page.locator(".lede")).to_contain_text("Not specifically where they are unlikely.")
    look(page)
