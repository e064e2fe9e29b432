import hashlib
import json
from dataclasses import asdict, replace

import pytest

from app.models.catalog import Catalog
from app.models.manifest import FORMAT, read_manifest, write_manifest


@pytest.fixture
def manifest(tiny_data):
    return Catalog(tiny_data).get("tiny")


def test_round_trip(manifest, tmp_path):
    for written in (manifest, replace(manifest, name="</script>é", revision="a" * 40, eps=1e-6)):
        write_manifest(tmp_path, written)
        assert read_manifest(tmp_path) == written


def test_what_was_imported_before_numbers_could_be_rounded_is_read(manifest, tmp_path):
    facts = asdict(manifest)
    del facts["rounded"]
    # The sum as it was made of the file before it held one.
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(facts | {"sha256": digest}))
    assert read_manifest(tmp_path) == manifest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": None}, r"manifest\.json is damaged"),
        ({"colour": "blue"}, r"manifest\.json is damaged"),
        ({"format": 0}, f"weights in format 0, and this version reads format {FORMAT}: the next import .* anew"),
        ({"format": FORMAT + 1}, f"weights in format {FORMAT + 1}, .* a newer version"),
    ],
)
def test_what_is_not_ours_is_refused(manifest, tmp_path, change, words):
    write_manifest(tmp_path, manifest)
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=words):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_damage_is_a_value_error(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 (json's own or ours)
        read_manifest(tmp_path)


def test_no_manifest(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)
