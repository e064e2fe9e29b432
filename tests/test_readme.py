import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CAPTIONED = ("app", "templates", "static", "tests", "benchmarks", "docs")


def tree() -> dict[str, str]:
    """Path -> caption, from the README's tree."""
    block = re.search(r"```text\n(.*?)```", README, re.S)
    assert block
    folders, found = [], {}
    for line in block[1].splitlines():
        indent, name, caption = re.fullmatch(r"( *)(\S+) *(.*)", line).groups()
        folders = folders[: len(indent) // 2]
        if name.endswith("/"):
            folders.append(name)
        found["".join(folders) if name.endswith("/") else "".join(folders) + name] = caption
    return found


def files() -> set[str]:
    """The files of the checkout that the tree has to name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return {path for path in listed.stdout.splitlines() if (ROOT / path).is_file()}


def test_the_tree_names_every_file_and_no_other():
    named = {path for path in tree() if not path.endswith("/")}
    expected = {
        path
        for path in files()
        if path.split("/")[0] in CAPTIONED and not path.endswith("__init__.py") and "/vendor/" not in path
    } | {path for path in files() if "/" not in path and not path.startswith(".")}
    assert named - expected == set(), "in the tree but not there"
    assert expected - named == set(), "there but not in the tree"


def test_every_line_of_the_tree_has_a_caption():
    assert [path for path, caption in tree().items() if not caption] == []


def test_links_to_files_lead_somewhere():
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_two_commands_are_chores_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for chore in ("serve", "test"):
        assert f"make {chore}\n" in README
        assert re.search(rf"^{chore}:", makefile, re.M)
    assert "make test\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
