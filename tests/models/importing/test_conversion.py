"""What a checkpoint becomes, layer by layer."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.models.catalog import Catalog
from app.models.importing import conversion
from app.models.importing.conversion import convert
from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.importer import import_model
from app.models.importing.staging import open_staging
from app.models.refusal import ImportRefused
from tests.families import write_family


def unreported(done: int, total: int) -> None:
    """For conversions whose progress is not looked at."""


@pytest.mark.parametrize("name", ["llama", "neox", "gemma2", "bert"])
def test_bfloat16_stays_bfloat16_on_disk(tmp_path, name):
    folder = write_family(name, tmp_path / "checkpoint", dtype=torch.bfloat16)
    manifest = import_model(str(folder), tmp_path / "data", slug=name, report=lambda progress: None)
    assert manifest.dtype == "bfloat16"
    stored = load_file(folder / "model.safetensors")
    for file in Catalog(tmp_path / "data").weights_folder(manifest.fingerprint).glob("*.safetensors"):
        tensors = load_file(file)
        assert {tensor.dtype for key, tensor in tensors.items() if not key.endswith("rotary")} == {torch.bfloat16}
        for key in ("embed.W_E", "unembed.W_U"):
            if key in tensors:
                wanted = tensors[key] if key == "embed.W_E" else tensors[key].T
                assert any(torch.equal(wanted, each) for each in stored.values())


def test_a_row_that_is_not_run_and_that_float32_cannot_hold_is_refused_by_name(gpt2_folder, tmp_path):
    folder = shutil.copytree(gpt2_folder, tmp_path / "double")
    stored = {name: tensor.double() for name, tensor in load_file(folder / "model.safetensors").items()}
    stored["transformer.wte.weight"][5, 3] = 1e39
    save_file(stored, folder / "model.safetensors")
    with (
        open_staging(tmp_path, "f00d", lambda: None) as staging,
        pytest.raises(ImportRefused, match=r"wte\.weight holds .*1e\+39"),
    ):
        convert(open_checkpoint(folder), "f00d", staging, unreported)


def test_progress_is_told_layer_by_layer(member, tmp_path):
    steps = []
    with open_staging(tmp_path, "f00d", lambda: None) as staging:
        convert(
            open_checkpoint(member("llama").folder), "f00d", staging, lambda done, total: steps.append((done, total))
        )
        assert {path.name for path in staging.folder.iterdir()} == {
            "config.json",
            "embeddings.safetensors",
            "journal.jsonl",
            "layer-000.safetensors",
            "layer-001.safetensors",
            "tokenizer.json",
        }
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_layers_that_differ_in_shape_are_refused(member, tmp_path, monkeypatch):
    honest = conversion.open_layer

    def other(checkpoint, layer):
        bridged = honest(checkpoint, layer)
        return replace(bridged, shape=replace(bridged.shape, sinks=layer == 1))

    monkeypatch.setattr(conversion, "open_layer", other)
    with open_staging(tmp_path, "f00d", lambda: None) as staging, pytest.raises(ImportRefused, match="differ in shape"):
        convert(open_checkpoint(member("llama").folder), "f00d", staging, unreported)
