"""One name, one thing: who reads a name once knows it everywhere."""

import ast
from collections import Counter
from pathlib import Path

import app


def test_no_two_classes_have_one_name():
    names = Counter(
        node.name
        for path in Path(app.__file__).parent.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, n in names.items() if n > 1} == set()
