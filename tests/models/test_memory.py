"""Words of libraries as they were heard under a limit on memory."""

import errno

import pytest

from app.models import memory, weights
from app.models.importing.alone import explain_failure
from app.models.importing.folder import shards
from app.models.memory import give_back, is_of_memory
from app.models.refusal import ImportRefused, WeightsDamaged
from app.models.weights import open_weights

ERRORS = [
    MemoryError(),
    OSError(errno.ENOMEM, "in another language"),
    OSError("Cannot allocate memory (os error 12)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: 9 bytes"),
    RuntimeError("unable to mmap 3072 bytes from file <layer-000.safetensors>: Cannot allocate memory (12)"),
    RuntimeError("can't start new thread"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_a_lack_of_memory_is_told_in_whoevers_words(error):
    assert is_of_memory(error)
    assert isinstance(explain_failure("the model cannot be run", error), MemoryError)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("shapes differ")])
def test_other_errors_are_others(error):
    assert not is_of_memory(error)
    assert isinstance(explain_failure("the model cannot be run", error), ImportRefused)


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOMEM, MemoryError), (errno.EIO, WeightsDamaged)])
def test_a_file_that_memory_was_too_small_for_is_not_damaged(tiny_data, monkeypatch, number, kind):
    def fail(*_):
        raise OSError(number, "no")

    (folder,) = (tiny_data / "weights").iterdir()
    opened = open_weights(folder)
    monkeypatch.setattr(weights, "safe_open", fail)
    with pytest.raises(kind):
        opened.layer(0)


def test_a_checkpoint_that_memory_was_too_small_for_is_not_damaged(gpt2_folder, monkeypatch):
    def fail(*_):
        raise shards.SafetensorError("Cannot allocate memory (os error 12)")

    monkeypatch.setattr(shards, "safe_open", fail)
    with pytest.raises(MemoryError):
        list(shards.read_stored(gpt2_folder))


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_what_was_freed_is_given_back_where_the_system_can(monkeypatch, platform):
    asked = []

    class Library:
        def __init__(self, name):
            asked.append(name)

        def malloc_trim(self, left):
            asked.append(left)

    monkeypatch.setattr(memory.ctypes, "CDLL", Library)
    monkeypatch.setattr(memory.sys, "platform", platform)
    give_back()
    assert asked == ([None, 0] if platform == "linux" else [])


def test_another_c_library_keeps_it(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    give_back()
