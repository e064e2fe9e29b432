import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.address import RESERVED
from app.models.catalog import Catalog, SlugError
from app.models.manifest import write_manifest

ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def catalog(tiny_data, tmp_path) -> Catalog:
    """Two sets of weights, without names."""
    catalog = Catalog(tmp_path)
    for fingerprint in (ONE, OTHER):
        folder = catalog.weights_folder(fingerprint)
        folder.mkdir(parents=True)
        write_manifest(folder, replace(Catalog(tiny_data).get("tiny"), fingerprint=fingerprint))
    return catalog


def test_an_empty_folder_has_no_models(tmp_path):
    assert Catalog(tmp_path).entries() == {}
    assert Catalog(tmp_path / "not there").get("tiny") is None


def test_names_lead_to_weights(catalog):
    catalog.add("b", ONE)
    catalog.add("a.b_c-2", OTHER)
    assert [(slug, manifest.fingerprint) for slug, manifest in catalog.entries().items()] == [
        ("a.b_c-2", OTHER),
        ("b", ONE),
    ]
    assert catalog.get("b").fingerprint == ONE
    assert catalog.get("c") is None


def test_weights_may_have_two_names_but_a_name_means_one_thing(catalog):
    for slug in ("a", "b", "a"):
        catalog.add(slug, ONE)
    with pytest.raises(SlugError, match=r"already names other weights, 1{12}:"):
        catalog.add("a", OTHER)
    assert {slug: manifest.fingerprint for slug, manifest in catalog.entries().items()} == {"a": ONE, "b": ONE}


@pytest.mark.parametrize("slug", [*sorted(RESERVED), "", "A", "../tiny", ".hidden", "a/b", "a" * 65, "a\n", "é"])
def test_names_that_no_model_can_have(catalog, slug):
    with pytest.raises(SlugError):
        catalog.add(slug, ONE)
    assert catalog.entries() == {}


@given(st.text())
def test_no_text_leads_out_of_the_folder(tiny_data, slug):
    assert (Catalog(tiny_data).get(slug) is None) == (slug != "tiny")


@pytest.mark.parametrize(
    "damage", ["", "[]", "{}", '{"fingerprint": 3}', '{"fingerprint": "../.."}', "null", "[" * 100_000]
)
def test_a_damaged_entry_leads_nowhere_and_keeps_its_name(catalog, damage):
    catalog.add("a", ONE)
    (catalog.data / "models" / "a.json").write_text(damage)
    assert catalog.entries() == {}
    for fingerprint in (ONE, OTHER):
        with pytest.raises(SlugError, match=r"models/a\.json in the data folder is damaged: delete that file"):
            catalog.add("a", fingerprint)
    (catalog.data / "models" / "a.json").unlink()
    catalog.add("a", OTHER)
    assert catalog.get("a").fingerprint == OTHER


def test_weights_that_are_gone_free_their_name(catalog):
    catalog.add("a", ONE)
    shutil.rmtree(catalog.weights_folder(ONE))
    assert catalog.get("a") is None
    assert not catalog.is_damaged("a")
    catalog.add("a", OTHER)
    assert catalog.get("a").fingerprint == OTHER


def test_damaged_weights_keep_their_name(catalog):
    """Or a flipped byte would let another model slip in under a name that people have linked to."""
    catalog.add("a", ONE)
    (catalog.weights_folder(ONE) / "manifest.json").write_text("{")
    assert catalog.get("a") is None
    assert catalog.is_damaged("a")
    with pytest.raises(SlugError, match=r"already names other weights, 1{12}:"):
        catalog.add("a", OTHER)
    catalog.add("a", ONE)


def test_weights_in_a_folder_of_another_name_are_none(catalog):
    catalog.add("a", ONE)
    catalog.weights_folder(ONE).rename(catalog.weights_folder("3" * 64))
    (catalog.data / "models" / "a.json").write_text(f'{{"fingerprint": "{"3" * 64}"}}')
    assert catalog.by_fingerprint("3" * 64) is None
    assert catalog.get("a") is None


def test_a_file_for_a_data_folder_has_no_models(tmp_path):
    (tmp_path / "file").touch()
    assert Catalog(tmp_path / "file").entries() == {}
    assert Catalog(tmp_path / "file").get("a") is None
    assert Catalog(tmp_path / "file").by_fingerprint(ONE) is None


def test_a_name_that_could_not_be_written_leaves_nothing(catalog, monkeypatch):
    def full(self, text, **_options):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        catalog.add("a", ONE)
    assert list((catalog.data / "models").iterdir()) == []
