"""A cache of folders that take long to fill, for all workers of a run, and for later runs of the same code.

They lie below `.pytest_cache`, under a hash of all files that decide what an import writes; those of other code are
removed after a week. Each test gets a copy.
"""

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKERS = (
    "app/models",
    "app/core",
    "app/store",
    "tests/conftest.py",
    "tests/families.py",
    "tests/llama_cpp.py",
    "tests/explorer/planted.py",
)
"""Files that decide how a model is written, imported and kept, besides the versions in constraints.txt."""
DONE = ".done"
OLD_SECONDS = 7 * 86_400


def copy_kept(name: str, target: Path, fill: Callable[[Path], None]) -> Path:
    """Copy the folder of that name to the target; `fill` fills it for the first caller, and others wait."""
    root = ROOT / ".pytest_cache" / "models" / hash_of_makers()
    root.mkdir(parents=True, exist_ok=True)
    for other in root.parent.iterdir():
        if other != root and time.time() - other.stat().st_mtime > OLD_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / DONE).is_file():  # the first caller, or the former one was interrupted
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            (folder / DONE).touch()
    return Path(shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DONE)))


@cache
def hash_of_makers() -> str:
    """Hash the names and contents of all files that decide what is kept."""
    digest = hashlib.sha256()
    for maker in (*MAKERS, "constraints.txt"):
        path = ROOT / maker
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]
