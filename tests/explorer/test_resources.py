import pytest

from app.explorer.visits import browse


def test_models_keep_the_operators_order_and_count_once(open_explorer, tiny_data):
    r = open_explorer(tiny_data, models=("tiny", "tiny"))
    assert r.slugs == ("tiny",)
    assert [entry.slug for entry in browse.visit_home(r).models] == ["tiny"]


def test_two_sources_of_one_name_are_refused(open_explorer, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "model").mkdir(parents=True)
    with pytest.raises(ValueError, match="both be called model"):
        open_explorer(tmp_path / "data", models=(str(tmp_path / "a/model"), str(tmp_path / "b/model")))


def test_the_demo_is_imported_first_whatever_the_order_of_the_pages(open_explorer, tmp_path):
    r = open_explorer(tmp_path, models=("org/a", "demo", "org/b"))
    assert r.imports.slugs == ("demo", "a", "b")
    assert r.slugs == ("a", "demo", "b")
