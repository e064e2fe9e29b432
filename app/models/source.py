"""Where a model comes from: the embedded demo, a folder, or the Hugging Face hub. Ends with a folder on this machine.

Knows what the word on the command line means; does not look into the folder, and knows no torch.
"""

import errno
import re
from dataclasses import dataclass
from pathlib import Path

from app.core.address import RESERVED, SLUG
from app.models import demo
from app.models.document import gguf_refusal
from app.models.refusal import ImportRefused

# Never pickles, never code: what is not fetched cannot be opened by mistake.
FETCHED = (
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
)
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG}


@dataclass(frozen=True)
class Source:
    """A checkpoint's folder, and what it may be called."""

    folder: Path
    name: str
    """As people know it."""
    origin: str
    """A hub id, `demo` or `local folder`; never a path."""
    revision: str | None
    """The commit on the hub."""


def find_source(word: str, revision: str | None = None) -> Source:
    """The folder that the word stands for, fetched from the hub if need be; ImportRefused if there is none."""
    if revision is not None and (word == "demo" or _is_folder(word)):
        raise ImportRefused("--revision belongs to models of the hub: a folder has only the files that are in it")
    if word == "demo":
        return Source(demo.FOLDER, "singular-lens demo", "demo", None)
    if _is_folder(word):
        folder = _absolute(word)
        if folder.is_file():
            if folder.suffix == ".gguf":
                raise gguf_refusal(folder.name)
            raise ImportRefused(f"{folder.name!r} is a file: give the folder that it is in")
        if not folder.is_dir():
            raise ImportRefused(f"there is no folder {Path(word).name!r} where it was said to be")
        return Source(folder, folder.name, "local folder", None)
    folder = _fetch(word, revision)
    # The hub's cache keeps each snapshot in a folder named after its commit.
    return Source(folder, word.rpartition("/")[2], word, folder.name)


def default_slug(word: str) -> str:
    """What the model is called in URLs unless told otherwise; ImportRefused if the word leaves nothing to go by.

    Example: "openai-community/GPT2 (old)" -> "gpt2-old"
    """
    last = _absolute(word).name if _is_folder(word) else word.rpartition("/")[2]
    slug = re.sub(r"[^a-z0-9._-]+", "-", last.lower()).lstrip("._-")[:64].rstrip("._-")
    if not SLUG.fullmatch(slug) or slug in RESERVED:
        raise ImportRefused(f"{word!r} makes no name for a URL: give one with --name")
    return slug


def _is_folder(word: str) -> bool:
    """Whether the word means a folder; `a/b` could be either and is one if it is there."""
    return word.startswith(("/", ".", "~")) or word.count("/") > 1 or Path(word).is_dir()


def _absolute(word: str) -> Path:
    try:
        return Path(word).expanduser().resolve()
    except RuntimeError as error:  # `~nobody`
        raise ImportRefused(f"there is no folder {Path(word).name!r} where it was said to be") from error


def _fetch(hub_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(FETCHED)))
    except Exception as error:  # its own errors, the system's, and those of whichever library carries its requests
        raise ImportRefused(f"{hub_id!r} {_fault(error, revision)}") from error


def _fault(error: Exception, revision: str | None) -> str:
    """What kept the hub's library from fetching, and what would help; no path, which its own words may hold."""
    from huggingface_hub import constants

    if (answer := _answer(error, revision)) is not None:
        return answer
    # A plain OSError is this disk's; one of its kinds, such as ConnectionError or TimeoutError, may be the network's.
    if isinstance(error, OSError) and error.errno in DISK_FAULTS:
        return f"could not be kept in the hub's cache on this machine: {error.strerror}"
    if constants.HF_HUB_OFFLINE:
        return "is not in the hub's cache on this machine, and HF_HUB_OFFLINE forbids to fetch it"
    return (
        f"could not be fetched: the hub cannot be reached ({type(error).__name__}). Running this again continues; "
        "a folder that was fetched on another machine can be imported too"
    )


def _answer(error: Exception, revision: str | None) -> str | None:
    """What the hub itself said; None if nothing was heard of it."""
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
    # The library may wrap what the hub said into a complaint about its cache.
    for each in (error, error.__cause__):
        for kinds, words in answers:
            if isinstance(each, kinds):
                return words
        if isinstance(each, errors.HfHubHTTPError):
            return f"could not be fetched: the hub answered {each.response.status_code}. Try again later"
    return None
