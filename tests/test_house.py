"""The list of files in docs/house.md says what the files say, and each of them says something."""

import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = spec_from_file_location("tree", Path(__file__).parents[1] / "docs" / "tree.py")
tree = module_from_spec(SCRIPT)
SCRIPT.loader.exec_module(tree)


@pytest.fixture(scope="module")
def files():
    try:
        return tree.tracked()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")


def test_the_list_says_what_files_say(files):
    text = tree.HOUSE.read_text(encoding="utf-8")
    assert text.partition(tree.BEGIN)[2].partition(tree.END)[0] == "\n" + tree.listing(), "python docs/tree.py"


def test_every_file_says_what_it_is(files):
    told = {".py", *tree.COMMENTS} - {".md"}
    assert [str(path) for path in files if path.suffix in told and not tree.caption(path)] == []


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ('"""One thing.\n\nKnows no other."""', "One thing."),
        ('"""A thing, e.g. this: two\nlines of it. Knows no other."""', "A thing, e.g. this: two lines of it."),
        ("X = 1", ""),
    ],
)
def test_the_first_sentence_is_the_caption(tmp_path, monkeypatch, said, first):
    monkeypatch.setattr(tree, "ROOT", tmp_path)
    (tmp_path / "thing.py").write_text(said)
    assert tree.caption(Path("thing.py")) == first
