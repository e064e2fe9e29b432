import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from app.explorer.errors import Busy
from app.explorer.making import maker
from app.explorer.making.maker import SIDES
from app.explorer.running.errand import Preparation
from app.explorer.running.imports import Import
from app.explorer.visits import warmup as module
from app.explorer.visits.warmup import search_once, warm_up
from app.models.token_filter import EVERY
from tests.explorer.banks import build_bank


@pytest.fixture
def opened(monkeypatch):
    """The tables of workers that were started, in order."""
    seen = []

    def open_tables(device, whole=maker.Tables):
        seen.append(whole(device))
        return seen[-1]

    monkeypatch.setattr(maker, "Tables", open_tables)
    return seen


def prepared(r, slug="tiny", processing="folded"):
    """Wait for the same computation."""
    r.queue.results(r.queue.submit(slug, [Preparation(slug, processing)], "the same, waited for", "batch"))


def test_the_tables_are_there_before_anyone_asks(open_explorer, fresh_data, opened):
    r = open_explorer(fresh_data)
    warm_up(r)
    prepared(r)
    model = r.library.model(r.slugs[0])
    (tables,) = opened
    assert set(tables._tables) == {(model.fingerprint, r.default_weights, side, EVERY) for side in SIDES}
    assert set(tables._tables) <= set(tables._controls)


def test_a_model_that_is_still_to_be_imported_is_left_alone(open_explorer, tmp_path):
    r = open_explorer(tmp_path, models=("./nothing-here",))
    warm_up(r)
    assert r.queue.depth() == 0


def test_the_first_model_that_is_here_is_prepared_whatever_is_still_to_come(open_explorer, fresh_data, opened):
    r = open_explorer(fresh_data, models=("./nothing-here", "tiny"))
    assert warm_up(r)
    prepared(r)
    assert {fingerprint for fingerprint, *_ in opened[0]._tables} == {r.library.model("tiny").fingerprint}


def test_it_is_asked_for_again_until_a_model_is_here(open_explorer, tmp_path, monkeypatch):
    r = open_explorer(tmp_path, models=("./nothing-here",))
    state = [Import("nothing-here", "./nothing-here")]
    monkeypatch.setattr(r.imports, "of", lambda slug: state[0])
    assert not warm_up(r)
    state[0] = replace(state[0], state="failed")
    assert warm_up(r)
    assert r.queue.depth() == 0


def test_an_encoder_is_prepared_in_the_weights_that_it_has(open_explorer, member, tmp_path, opened):
    r = open_explorer(shutil.copytree(member("bert").data, tmp_path / "data"), models=("bert",))
    warm_up(r)
    prepared(r, "bert", "raw")
    assert {processing for _, processing, _, _ in opened[0]._tables} == {"raw"}


def test_visitors_who_fill_the_line_are_let_go_first(open_explorer, fresh_data, monkeypatch):
    asked = []

    def refuse(slug, *_words):
        asked.append(slug)
        raise Busy("The queue of computations is full.")

    r = open_explorer(fresh_data)
    monkeypatch.setattr(r.queue, "submit", refuse)
    warm_up(r)
    assert asked == ["tiny"]


def test_what_the_first_search_needs_is_read_before_anyone_asks(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    search_once(r)  # without a bank there is nothing to read, and nothing fails
    assert len(r.banks) == 0
    model = build_bank(r, kinds=("bank", "words", "shadow"))
    search_once(r)
    for name in ("bank", "words-read", "words-write"):
        assert r.banks.get((name, model.fingerprint, "folded")) is not None, name


@pytest.mark.parametrize(("computes", "n_asked"), [(True, 1), (False, 2)])
def test_the_public_finds_the_bank_of_each_model_read(monkeypatch, computes, n_asked):
    asked = []
    monkeypatch.setattr(module, "find_model", lambda r, slug: slug != "absent")
    monkeypatch.setattr(module, "search", lambda r, address, options, inquiry: asked.append(address.model))
    search_once(SimpleNamespace(slugs=("absent", "one", "other"), computes_for_visits=computes))
    assert asked == ["one", "other"][:n_asked]


def test_no_search_is_made_of_a_model_that_is_not_here(open_explorer, tmp_path):
    r = open_explorer(tmp_path, models=("./nothing-here",))
    search_once(r)
    assert len(r.banks) == 0
