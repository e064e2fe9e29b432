"""Explorers of several models, for all tests that only look, and what an oracle says of them."""

import os
import shutil
from functools import cache
from pathlib import Path

import pytest

from app.explorer.making.context import Bench
from app.explorer.making.tables import Tables
from app.models.importing.importer import import_model
from tests.explorer.banks import build_bank
from tests.explorer.dense import Oracle
from tests.explorer.planted import write_planted
from tests.kept import copy_kept
from tests.quantised import say_quantised


@pytest.fixture(scope="session")
def copied(open_explorer, tiny_data, tmp_path_factory):
    """One explorer of the tiny model as a quantised copy, whose values of attention's second layer have uneven levels."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("copied") / "data")
    return open_explorer(say_quantised(data, 0.3, uneven=("1.attn.W_V",)))


@pytest.fixture(scope="session")
def planted(open_explorer, write_gpt2, tmp_path_factory):
    """One explorer of a model with planted rays, as `planted`."""

    def fill(folder):
        checkpoint = write_planted(folder / "checkpoint" / "planted", write_gpt2)
        import_model(str(checkpoint), folder / "data", slug="planted", report=lambda step: None)

    kept = copy_kept("planted", tmp_path_factory.mktemp("planted"), fill)
    return open_explorer(kept / "data", models=("planted",))


@pytest.fixture(scope="session")
def relatives(open_explorer, families_data, families, tmp_path_factory):
    """One explorer of all families, for tests that only look."""
    data = shutil.copytree(families_data, tmp_path_factory.mktemp("relatives") / "data")
    return open_explorer(data, models=families)


@pytest.fixture(scope="session")
def smollm2_bank(open_explorer, request):
    """One explorer of SmolLM2 with its bank: that of the data folder that SMOLLM2_BANK names, else built, in minutes."""
    if built := os.environ.get("SMOLLM2_BANK"):
        return open_explorer(Path(built), models=("smollm2",))
    r = open_explorer(request.getfixturevalue("smollm2_data"), models=("smollm2",))
    build_bank(r, "smollm2")
    return r


@pytest.fixture(scope="session")
def seen_of(request):
    """seen_of("gpt2") -> resources that serve a model of that family, and its name there."""

    def found(family):
        name = "explorer" if family == "gpt2" else "relatives"  # which are only opened when they are asked for
        return request.getfixturevalue(name), "tiny" if family == "gpt2" else family

    return found


@pytest.fixture(scope="session")
def oracle_of(gpt2_folder, member):
    """oracle_of("gpt2") -> what that model's checkpoint says."""
    return cache(lambda family: Oracle(family, gpt2_folder if family == "gpt2" else member(family).folder))


@pytest.fixture(scope="session")
def bench_of(seen_of):
    """bench_of("gpt2", "raw"): what a computation needs, apart from the server's own."""

    def build(family, processing):
        r, slug = seen_of(family)
        return Bench(Tables("cpu"), r.library.model(slug), processing, r.store)

    return build
