import gzip
import random

from app.web.view.assets import load_assets, pack, pack_pieces


def test_files_are_read_with_folders_in_their_names(tmp_path):
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "a.js").write_text("1;" * 900)
    (tmp_path / "b.css").write_text("b{}")
    assets = load_assets(tmp_path)
    assert set(assets) == {"vendor/a.js", "b.css"}
    assert assets["vendor/a.js"].media_type.startswith("text/javascript")
    assert assets["b.css"].media_type.startswith("text/css")
    assert gzip.decompress(assets["vendor/a.js"].packed) == assets["vendor/a.js"].content


def test_the_version_is_the_content(tmp_path):
    (tmp_path / "a.css").write_text("a{}")
    (tmp_path / "b.css").write_text("a{}")
    before = load_assets(tmp_path)
    (tmp_path / "b.css").write_text("a{b:c}")
    after = load_assets(tmp_path)
    assert before["a.css"].version == before["b.css"].version == after["a.css"].version
    assert after["b.css"].version != after["a.css"].version


def test_pieces_are_packed_as_one_and_as_they_come():
    asked = []

    def pieces():
        for place in range(200):
            asked.append(place)
            yield random.Random(place).randbytes(4_000)

    found = pack_pieces(pieces(), 1)
    first = b""
    while len(first) < 100:
        first += next(found)
    assert len(asked) < 50
    rest = b"".join(found)
    asked.clear()
    whole = b"".join(pieces())
    assert gzip.decompress(first + rest) == gzip.decompress(pack(whole, 1)) == whole
