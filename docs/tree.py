"""Writes the list of files in docs/house.md, from what each file says of itself first: `python docs/tree.py`.

A file says it in its docstring or its first comment. Tests are not listed: each is called after the file it tests.
"""

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = Path(__file__).with_name("house.md")
LISTED = ("app", "clients", "templates", "static", "benchmarks", "deploy", "docs")
BEGIN, END = "<!-- files: python docs/tree.py -->\n", "<!-- end of files -->\n"
COMMENTS = {
    ".html": r"(?s)\{# (.*?) ?#\}",
    ".txt": r"(?s)\{# (.*?) ?#\}",
    ".css": r"(?s)/\* (.*?) ?\*/",
    ".js": r"// (.*)",
    ".toml": r"# (.*)",
    ".conf": r"# (.*)",
    ".yaml": r"# (.*)",
    ".md": r"# (.*)",
}


def tracked() -> list[Path]:
    """Files of the checkout below the folders that are listed; CalledProcessError outside of git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *LISTED]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [Path(name) for name in sorted(names) if (ROOT / name).is_file() and "vendor" not in Path(name).parts]


def caption(path: Path) -> str:
    """The first sentence of what a file says of itself; empty where it says nothing."""
    if path.suffix == ".py":
        said = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or ""
    elif path.suffix in COMMENTS:
        found = re.match(COMMENTS[path.suffix], (ROOT / path).read_text(encoding="utf-8"))
        said = found[1] if found else ""
    else:
        return ""
    first = re.split(r"(?<=[.?!])\s+(?=[A-Z`])|\n\n", said, maxsplit=1)[0]
    return " ".join(first.split())


def listing() -> str:
    """Folders with their files, as they stand in docs/house.md."""
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in tracked():
        folders[path.parent].append(path)
    lines = []
    for folder, files in folders.items():
        own = caption(folder / "__init__.py") if folder / "__init__.py" in files else ""
        lines += [f"### {folder}/", "", *([own, ""] if own else [])]
        for path in files:
            if path.name != "__init__.py" and (said := caption(path)):
                lines.append(f"- [{path.name}](../{path}): {said}")
        lines.append("")
    return "\n".join(lines)


def write() -> None:
    """Put the listing between its two marks."""
    before, _, rest = HOUSE.read_text(encoding="utf-8").partition(BEGIN)
    HOUSE.write_text(before + BEGIN + "\n" + listing() + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    write()
