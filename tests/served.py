"""Fixtures of explorers of several models, shared by all tests that only read, and of their oracles."""

import os
import shutil
from functools import cache
from pathlib import Path

import pytest

from app.explorer.making.context import Context
from app.explorer.making.tables import Tables
from app.models.importing.importer import import_model
from tests.explorer.banks import build_bank
from tests.explorer.dense import Oracle
from tests.explorer.planted import write_planted
from tests.kept import copy_kept
from tests.quantised import mark_quantised


@pytest.fixture(scope="session")
def copied(open_explorer, tiny_data, tmp_path_factory):
    """Open an explorer of the tiny model as a quantised copy; the second layer's W_V has uneven levels."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("copied") / "data")
    return open_explorer(mark_quantised(data, 0.3, uneven=("1.attn.W_V",)))


@pytest.fixture(scope="session")
def planted(open_explorer, write_gpt2, tmp_path_factory):
    """Open an explorer of a model with planted rays, called `planted`."""

    def fill(folder):
        checkpoint = write_planted(folder / "checkpoint" / "planted", write_gpt2)
        import_model(str(checkpoint), folder / "data", slug="planted", report=lambda step: None)

    kept = copy_kept("planted", tmp_path_factory.mktemp("planted"), fill)
    return open_explorer(kept / "data", models=("planted",))


@pytest.fixture(scope="session")
def relatives(open_explorer, families_data, families, tmp_path_factory):
    """Open an explorer of all families, for tests that only read."""
    data = shutil.copytree(families_data, tmp_path_factory.mktemp("relatives") / "data")
    return open_explorer(data, models=families)


@pytest.fixture(scope="session")
def smollm2_bank(open_explorer, request):
    """Open an explorer of SmolLM2 with its bank: from the data folder SMOLLM2_BANK, or else built, in minutes."""
    if built := os.environ.get("SMOLLM2_BANK"):
        return open_explorer(Path(built), models=("smollm2",))
    r = open_explorer(request.getfixturevalue("smollm2_data"), models=("smollm2",))
    build_bank(r, "smollm2")
    return r


@pytest.fixture(scope="session")
def seen_of(request):
    """Return seen_of("gpt2"), which gives resources that serve a model of that family, and its name there."""

    def found(family):
        name = "explorer" if family == "gpt2" else "relatives"  # opened only when they are asked for
        return request.getfixturevalue(name), "tiny" if family == "gpt2" else family

    return found


@pytest.fixture(scope="session")
def oracle_of(gpt2_folder, member):
    """Return oracle_of("gpt2"), which gives the oracle over that model's checkpoint."""
    return cache(lambda family: Oracle(family, gpt2_folder if family == "gpt2" else member(family).folder))


@pytest.fixture(scope="session")
def context_of(seen_of):
    """Return context_of("gpt2", "raw"), which gives a computation's context, apart from the server's own."""

    def build(family, processing):
        r, slug = seen_of(family)
        return Context(Tables("cpu"), r.library.model(slug), processing, r.store)

    return build
