import shutil

import pytest

from app.store.artifacts import ArtifactStore
from tests.explorer.banks import build_bank


@pytest.fixture(scope="session")
def banked(open_explorer, tiny_data, tmp_path_factory):
    """Build the bank of the tiny model, folded, in a data folder that tests copy."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("banked") / "data")
    build_bank(open_explorer(data))
    return data


@pytest.fixture
def reader(banked, open_explorer, tmp_path):
    """Open an explorer over a copy of that folder, whose files a test may change."""
    return open_explorer(shutil.copytree(banked, tmp_path / "data"))


@pytest.fixture
def model(reader):
    return reader.library.model("tiny")


@pytest.fixture
def exact(reader):
    """Return exact(recipe), which reads the arrays of that part of the bank from disk."""
    store = ArtifactStore(reader.store.root, 10**9)
    return lambda recipe: store.read(recipe).arrays
