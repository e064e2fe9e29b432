"""Every example of the client's docs runs, in order, and so does the notebook."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
SERVER, FOLDER = "http://127.0.0.1:8000", "~/.local/share/singular-lens"


@pytest.fixture(scope="module")
def run_all(base, two_models, tmp_path_factory):
    """Return run_all(pieces), which runs them one after the other against the tests' server, and gives their names."""
    folder = tmp_path_factory.mktemp("docs") / "data"

    def spell_here(piece):
        return re.sub(r"\bdemo\b", "tiny", piece).replace(SERVER, base).replace(FOLDER, str(folder))

    def run(pieces):
        scope = {}
        for piece in pieces:
            if FOLDER in piece and not folder.exists():
                shutil.copytree(two_models, folder)
            exec(compile(spell_here(piece), "docs", "exec"), scope)
        scope["lens"].close()
        return scope

    return run


def test_every_example_of_the_page_runs(run_all):
    pieces = re.findall(r"```python\n(.*?)```", (DOCS / "client.md").read_text(encoding="utf-8"), re.S)
    assert len(pieces) >= 10
    names = run_all(pieces)
    assert len(names["table"]) == 16
    assert set(names["mean_z"]) == {f"tiny/L1/H{head}/ov" for head in range(4)}
    assert names["frame"]["left"].tolist()[0].tolist() == pytest.approx(names["vectors"]["left"][0].tolist())
    assert names["same"].equals(names["table"])
    assert names["trials"]["text"].tolist() == ["And God said", "In the beginning"]


def test_the_notebook_runs_and_is_kept_without_outputs(run_all):
    notebook = json.loads((DOCS / "example.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    names = run_all(["".join(cell["source"]) for cell in code])
    assert names["head"]._repr_html_().startswith("<p><a href=")
    assert np.linalg.norm(names["matrix"], 2) == pytest.approx(names["head"].singular_values[0], rel=1e-4)
