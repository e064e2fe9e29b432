"""README and docs: short enough to be read, and right where a file can be held against them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]


def test_a_newcomer_reads_it_in_minutes():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)\)", text)
    folder = (ROOT / page).parent
    assert [target for target in targets if not (folder / target).exists()] == []


def test_the_readme_leads_to_every_page_of_the_docs():
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").replace("](", "](docs/")
    listed = re.findall(r"\]\((docs/\w+\.md)\)", README + operations)
    assert {page for page in PAGES if page.startswith("docs/")} == set(listed)


def test_every_folder_of_the_tree_is_there():
    block = re.search(r"## The house\n\n```text\n(.*?)```", README, re.S)
    assert block
    above, named = "", []
    for line in block[1].splitlines():
        indent, name = re.match(r"( *)(\S+/)", line).groups()
        above = above if indent else name
        named.append(above + name if indent else name)
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).is_dir()] == []


def test_the_two_commands_are_chores_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for chore in ("serve", "test"):
        assert f"make {chore}\n" in README
        assert re.search(rf"^{chore}:", makefile, re.M)
    assert "make test\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
