import gzip

from app.web.assets import load_assets


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
