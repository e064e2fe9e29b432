"""A GGUF file is imported as any checkpoint, leaves nothing behind, and is known again by its bytes."""

import shutil

import gguf
import pytest
import torch

from app.models import origin
from app.models.catalog import Catalog, SlugError
from app.models.importing import importer
from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.gguf import row_order
from app.models.importing.gguf import unpacked as module
from app.models.importing.importer import import_model
from app.models.importing.staging import unfinished_imports
from app.models.manifest import file_sum
from app.models.naming import Named, name_models
from app.models.refusal import ImportRefused
from app.models.weights import Weights
from tests.families import write_family
from tests.kept import copy_kept
from tests.llama_cpp import write_gguf
from tests.models.test_origin import tick

Kind = gguf.GGMLQuantizationType


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A quantised Llama as a file, and imported from it under the name `copy`."""

    def fill(folder):
        write_family("llama", folder / "original", intermediate_size=64)
        file = write_gguf(folder / "original", folder / "Tiny-Q8_0.gguf", kind=Kind.Q8_0)
        (folder / "data").mkdir()
        import_model(str(file), folder / "data", slug="copy", report=lambda step: None)

    return copy_kept("gguf", tmp_path_factory.mktemp("gguf") / "kept", fill)


def test_weights_and_manifest_are_the_files(kept):
    manifest = Catalog(kept / "data").get("copy")
    assert (manifest.name, manifest.source, manifest.architecture) == ("Tiny", "local file", "LlamaForCausalLM")
    assert (manifest.quantisation.kind, manifest.quantisation.bits, manifest.dtype) == ("Q8_0", 8, "float32")
    assert len(manifest.quantisation.steps["blocks.1.attn.W_V"]) == 2
    weights = Weights(kept / "data" / "weights" / manifest.fingerprint, manifest.fingerprint, manifest)
    head = weights.head(1, 3)
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(kept / "Tiny-Q8_0.gguf").tensors}

    def rows(name):
        return torch.from_numpy(gguf.quants.dequantize(stored[name].data, stored[name].tensor_type))

    # d_head 8, two key/value heads for four of queries; rows of queries are in pairs there.
    pairs = torch.arange(8).reshape(2, 4).T.flatten().argsort()
    torch.testing.assert_close(head.W_V, rows("blk.1.attn_v.weight")[8:16].T, rtol=0, atol=0)
    torch.testing.assert_close(head.W_O, rows("blk.1.attn_output.weight")[:, 24:].T, rtol=0, atol=0)
    torch.testing.assert_close(head.W_K, rows("blk.1.attn_k.weight")[8:16][pairs].T, rtol=0, atol=0)
    torch.testing.assert_close(head.W_Q, rows("blk.1.attn_q.weight")[24:][pairs].T, rtol=0, atol=0)


def test_what_is_not_quantised_says_nothing_of_it(kept, tmp_path):
    file = write_gguf(kept / "original", tmp_path / "tiny-f32.gguf")
    assert import_model(str(file), tmp_path / "data", report=lambda step: None).quantisation is None
    assert Catalog(tmp_path / "data").names().keys() == {"tiny-f32"}


def test_a_file_without_an_ending_is_called_what_it_calls_itself(kept, tmp_path):
    file = write_gguf(kept / "original", tmp_path / "sha256-0123", name="Tiny Llama")
    assert import_model(str(file), tmp_path / "data", slug="t", report=lambda step: None).name == "Tiny Llama"
    write_gguf(kept / "original", file, name="a\x1b[31m")
    assert import_model(str(file), tmp_path / "other", slug="t", report=lambda step: None).name == "sha256-0123"


@pytest.mark.parametrize("name", ["smollm2", "demo"])
def test_a_known_name_is_no_other_models(kept, tmp_path, name):
    with pytest.raises(ImportRefused, match=f"'{name}' is the name of one model: choose another"):
        import_model(str(kept / "Tiny-Q8_0.gguf"), tmp_path, slug=name, report=lambda step: None)
    data = shutil.copytree(kept / "data", tmp_path / "data")
    (data / "models" / "copy.json").rename(data / "models" / f"{name}.json")
    with pytest.raises(SlugError, match=f"'{name}' is the name of one model, and names other weights here"):
        name_models(data, (name,), lambda said: None)


def test_nothing_of_the_unpacking_stays(kept):
    assert [path.name for path in (kept / "data" / "weights").iterdir()] == [Catalog(kept / "data").names()["copy"]]


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("output_norm.weight", None, "lacks model.norm.weight"),
        ("blk.1.attn_v.weight", None, "lacks model.layers.1.self_attn.v_proj.weight"),
        (
            "blk.1.ffn_norm.weight",
            7,
            "another shape than the config says: model.layers.1.post_attention_layernorm.weight",
        ),
    ],
)
def test_what_is_missing_or_misshapen_is_named(kept, tmp_path, name, shape, words):
    def change(_, tensors):
        if shape is None:
            del tensors[name]
        else:
            tensors[name] = tensors[name][:shape]

    file = write_gguf(kept / "original", tmp_path / "t.gguf", change=change)
    with pytest.raises(ImportRefused, match=words):
        import_model(str(file), tmp_path / "data", report=lambda step: None)
    assert list((tmp_path / "data" / "weights").iterdir()) == []


def test_rows_in_another_order_leave_nothing_behind(kept, tmp_path, monkeypatch):
    def refuse(checkpoint):
        raise ImportRefused("in another order")

    monkeypatch.setattr(row_order, "refuse_other_rows", refuse)
    with pytest.raises(ImportRefused, match="in another order"):
        import_model(str(kept / "Tiny-Q8_0.gguf"), tmp_path, report=lambda step: None)
    assert list((tmp_path / "weights").iterdir()) == []


@pytest.mark.parametrize("error", [ImportRefused("no"), KeyboardInterrupt(), MemoryError()])
def test_nothing_stays_of_one_that_fails(kept, tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(importer, "open_checkpoint", fail)
    with pytest.raises((ImportRefused, KeyboardInterrupt)):
        import_model(str(kept / "Tiny-Q8_0.gguf"), tmp_path, report=lambda step: None)
    assert list((tmp_path / "weights").iterdir()) == []


def test_what_a_killed_one_left_is_not_believed(kept, tmp_path):
    left = tmp_path / "weights" / f".import-gguf-{file_sum(kept / 'Tiny-Q8_0.gguf')}"
    left.mkdir(parents=True)
    (left / "model-00009-of-00009.safetensors").write_bytes(b"half")
    assert list(unfinished_imports(tmp_path)) == [left]  # which `store gc` deletes
    with module.unpack_gguf(kept / "Tiny-Q8_0.gguf", left.parent, lambda *step: None) as found:
        assert (found.folder, found.sum) == (left, left.name.removeprefix(".import-gguf-"))
        assert not (left / "model-00009-of-00009.safetensors").exists()
        assert len(open_checkpoint(found.folder).tensors) == 21
    assert list(left.parent.iterdir()) == []


def test_a_file_that_changes_meanwhile_is_refused(kept, tmp_path, monkeypatch):
    file = shutil.copy(kept / "Tiny-Q8_0.gguf", tmp_path / "t.gguf")
    honest = module.file_sum

    def change(path):
        sum_ = honest(path)
        with file.open("r+b") as opened:
            opened.seek(-1, 2)
            opened.write(b"\x7f")
        return sum_

    monkeypatch.setattr(module, "file_sum", change)
    with pytest.raises(ImportRefused, match=r"t\.gguf was changed while it was read"):
        import_model(str(file), tmp_path / "data", report=lambda step: None)


def test_a_file_that_was_new_when_it_was_begun_with_is_imported(kept, tmp_path, monkeypatch):
    """Its stamps prove nothing at first, and come to rest while it is read."""
    file = shutil.copy(kept / "Tiny-Q8_0.gguf", tmp_path / "t.gguf")
    stamps = iter([{}, origin.stamps_of(file) or {"t.gguf": [1, 2, 3, 4]}])
    monkeypatch.setattr(module, "stamps_of", lambda path: next(stamps))
    with module.unpack_gguf(file, tmp_path / "weights", lambda *step: None) as found:
        assert found.sum == file_sum(file)


def test_the_same_file_elsewhere_is_the_same_model(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(origin, "REST_NS", 0)
    data = shutil.copytree(kept / "data", tmp_path / "data")
    (tmp_path / "other").mkdir()
    file = shutil.copy(kept / "Tiny-Q8_0.gguf", tmp_path / "other" / "copy.gguf")
    tick()
    said = []
    assert name_models(data, (str(file),), said.append) == (Named("copy", str(file), True),)
    assert len(said) == 1  # every byte was read
    assert name_models(data, (str(file),), said.append) == (Named("copy", str(file), True),)
    assert len(said) == 1  # and now its stamp is known
    with file.open("r+b") as opened:
        opened.seek(-1, 2)
        opened.write(b"\x7f")
    with pytest.raises(SlugError, match="'copy' already names other weights"):
        name_models(data, (str(file),), said.append)
