"""The client as a distribution of its own: the same files, and httpx alone."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import app.client

ROOT = Path(__file__).parents[2]
CLIENT = Path(app.client.__file__).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Unpack the built wheel."""
    folder = tmp_path_factory.mktemp("client-wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "-w", str(folder), str(ROOT / "clients" / "python")], capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed, lines):
    """Run Python where the wheel can be imported, and the whole package cannot."""
    before = f"import sys; sys.path.insert(0, {str(installed)!r}); sys.modules['app'] = None\n"
    command = [sys.executable, "-I", "-c", before + lines]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_it_has_the_same_files(installed):
    own = {path.name: path.read_bytes() for path in CLIENT.iterdir() if path.is_file()}
    assert {path.name: path.read_bytes() for path in (installed / "singular_lens_client").iterdir()} == own


def test_it_asks_a_server_with_httpx_alone(installed, base):
    said = run(
        installed,
        f"""
from singular_lens_client import Lens
with Lens({base!r}) as lens:
    print(lens["tiny/L1/H3/ov"].rank)
print(*sorted({{"numpy", "pandas", "polars", "pyarrow", "fastapi", "starlette", "torch"}} & set(sys.modules)))
try:
    Lens(data=".")
except ImportError as error:
    print(error)
""",
    )
    rank, loaded, refusal = said.splitlines()
    assert (rank, loaded) == ("8", "")
    assert "needs the package singular-lens itself" in refusal


def test_both_distributions_agree():
    own, whole = (
        tomllib.loads(path.read_text())["project"]
        for path in (ROOT / "clients" / "python" / "pyproject.toml", ROOT / "pyproject.toml")
    )
    assert own["version"] == whole["version"]
    assert set(own["dependencies"]) <= set(whole["dependencies"])
    said = {"requires-python", "license"}
    assert {name: own[name] for name in said} == {name: whole[name] for name in said}
