import errno
import resource

import pytest
import torch
from safetensors.torch import save_file

from app.models.importing import conversion
from app.models.importing.allowance import ENDS, LAYERS, bytes_allowed, limit_memory
from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.folder.header import read_header
from app.models.importing.importer import ImportRefused, import_model
from tests.models.test_memory import ERRORS

MIB = 1 << 20


def test_it_grows_with_what_is_read_at_once(gpt2_folder):
    tensors = open_checkpoint(gpt2_folder).tensors
    layer = [tensor for tensor in tensors if ".h.1." in tensor.name]
    ends = [tensor for tensor in tensors if ".h." not in tensor.name]
    numbers = [sum(tensor.size for tensor in part) for part in (layer, ends)]
    assert bytes_allowed(tensors) - bytes_allowed([]) == 4 * (LAYERS * numbers[0] + ENDS * numbers[1])


def test_more_layers_in_one_file_take_no_more(tmp_path):
    """Of a file, what one layer needs is read at a time."""

    def allowed(n_layers):
        file = tmp_path / "model.safetensors"
        save_file({f"h.{layer}.w": torch.zeros(64, 64) for layer in range(n_layers)}, file)
        return bytes_allowed(read_header(file))

    assert allowed(40) == allowed(1) == bytes_allowed([]) + LAYERS * 4 * 64 * 64


@pytest.mark.parametrize("ask", [lambda: bytearray(3 << 30), lambda: torch.empty(3 << 30, dtype=torch.uint8)])
def test_what_asks_for_more_gets_an_error_and_others_go_on(ask):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limit_memory(64 * MIB):
        bytearray(8 * MIB)
    with pytest.raises(MemoryError), limit_memory(64 * MIB):
        ask()
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    bytearray(128 * MIB)


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_whatever_says_that_memory_was_too_small_is_one_error(error):
    with pytest.raises(MemoryError), limit_memory(64 * MIB):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ImportRefused("a tensor named out of memory")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error), match=str(error)), limit_memory(64 * MIB):
        raise error


def test_a_narrower_limit_of_the_system_is_left(monkeypatch):
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (7 * MIB, 9 * MIB))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, pair: limits.append(pair))
    with limit_memory(1 << 40):
        pass
    assert limits == [(7 * MIB, 9 * MIB)] * 2


@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, "no"), RuntimeError("can't start new thread")])
def test_what_is_done_is_kept_where_memory_was_too_small(gpt2_folder, tmp_path, monkeypatch, error):
    def convert(checkpoint, fingerprint, staging, report):
        (staging.folder / "layer-000.safetensors").touch()
        raise error

    monkeypatch.setattr(conversion, "convert", convert)
    with pytest.raises(ImportRefused, match="takes more memory than there is"):
        import_model(str(gpt2_folder), tmp_path, report=lambda progress: None)
    assert len(list((tmp_path / "weights").glob(".import-*/layer-000.safetensors"))) == 1


def test_an_import_that_takes_more_says_so_and_keeps_what_is_done(gpt2_folder, tmp_path, monkeypatch):
    really = conversion.open_layer

    def open_layer(checkpoint, layer):
        if layer == 1:
            torch.empty(64 << 30, dtype=torch.uint8)
        return really(checkpoint, layer)

    monkeypatch.setattr(conversion, "open_layer", open_layer)
    with pytest.raises(ImportRefused, match="takes more memory than there is, or than an import of its size may"):
        import_model(str(gpt2_folder), tmp_path, report=lambda progress: None)
    (staging,) = (tmp_path / "weights").glob(".import-*")
    assert (staging / "layer-000.safetensors").exists()
