"""The checks at import, and the tensors that come out against the library's own two ways of reading a model."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.core.circuits import ov, qk
from app.core.folding import fold_head, fold_unembedding
from app.models.bridge import compare_logits, open_bridge
from app.models.catalog import Catalog
from app.models.checkpoint import open_checkpoint
from app.models.refusal import ImportRefused
from app.models.weights import open_weights


@pytest.fixture(scope="module")
def weights(tiny_data):
    catalog = Catalog(tiny_data)
    return open_weights(catalog.weights_folder(catalog.get("tiny").fingerprint))


@pytest.fixture
def boot(gpt2_folder):
    """The library's own model of the checkpoint."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

    plain = GPT2LMHeadModel.from_pretrained(gpt2_folder, attn_implementation="eager")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(gpt2_folder / "tokenizer.json"), eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    return TransformerBridge.boot_transformers(str(gpt2_folder), device="cpu", hf_model=plain, tokenizer=tokenizer)


@pytest.fixture
def spoil(gpt2_folder, tmp_path):
    """The checkpoint with its tensors changed."""

    def build(change):
        folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")
        return open_checkpoint(folder)

    return build


def test_raw_matrices_are_the_librarys(weights, boot):
    with torch.no_grad():
        OV, QK = boot.OV, boot.QK
        for layer in range(2):
            for head in range(4):
                read = weights.head(layer, head)
                torch.testing.assert_close(ov(read).dense().float(), OV.AB[layer, head], rtol=1e-5, atol=1e-5)
                torch.testing.assert_close(qk(read).dense().float(), QK.AB[layer, head], rtol=1e-5, atol=1e-5)


def test_folded_matrices_are_compatibility_modes(weights, boot):
    boot.enable_compatibility_mode()
    library = {name: tensor.detach() for name, tensor in boot.tl_parameters().items()}
    for layer in range(2):
        gain, shift = weights.norm(layer)
        for head in range(4):
            folded = fold_head(weights.head(layer, head), gain, shift, center=True)
            for name in ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K"):
                expected = library[f"blocks.{layer}.attn.{name}"][head]
                torch.testing.assert_close(getattr(folded, name), expected, rtol=1e-4, atol=1e-5, msg=name)
            torch.testing.assert_close(
                ov(folded).dense().float(),
                library[f"blocks.{layer}.attn.W_V"][head] @ library[f"blocks.{layer}.attn.W_O"][head],
                rtol=1e-4,
                atol=1e-5,
            )
    ends = weights.embeddings()
    W_U = fold_unembedding(ends.W_U, ends.final_gain, center=True)
    torch.testing.assert_close(W_U, library["unembed.W_U"], rtol=1e-4, atol=1e-5)


def test_a_parameter_that_is_missing_is_refused_not_made_up(spoil):
    checkpoint = spoil(lambda tensors: tensors.pop("transformer.h.1.attn.c_attn.weight"))
    with pytest.raises(ImportRefused, match=r"lacks transformer\.h\.1\.attn\.c_attn\.weight$"):
        open_bridge(checkpoint)


def test_many_missing_parameters_are_counted(spoil):
    checkpoint = spoil(lambda tensors: [tensors.pop(name) for name in list(tensors) if ".mlp." in name])
    with pytest.raises(ImportRefused, match="and 5 more"):
        open_bridge(checkpoint)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_by_name(spoil, value):
    checkpoint = spoil(lambda tensors: tensors["transformer.h.0.mlp.c_fc.weight"][3].fill_(value))
    with pytest.raises(ImportRefused, match=r"h\.0\.mlp\.c_fc\.weight holds values that are no numbers"):
        open_bridge(checkpoint)


def test_a_shape_that_does_not_fit_is_refused(spoil):
    checkpoint = spoil(lambda tensors: tensors.update({"transformer.wpe.weight": torch.zeros(31, 32)}))
    with pytest.raises(ImportRefused, match=r"of another shape than the config says: transformer\.wpe\.weight"):
        open_bridge(checkpoint)


@pytest.mark.parametrize("facts", [{"n_head": 5}, {"n_head": 0}, {"n_embd": "wide"}, {"activation_function": "magic"}])
def test_a_config_that_makes_no_sense_is_refused(gpt2_folder, tmp_path, facts):
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))
    with pytest.raises(ImportRefused, match="transformers cannot open the model"):
        open_bridge(open_checkpoint(folder))


def test_a_bridge_that_swaps_heads_is_refused(gpt2_folder, monkeypatch):
    from app.models import bridge

    honest = bridge._boot

    def swapped(checkpoint, plain):
        booted = honest(checkpoint, plain)
        with torch.no_grad():
            W_V = booted.blocks[1].attn.W_V
            W_V[[0, 1]] = W_V[[1, 0]]
        return booted

    monkeypatch.setattr(bridge, "_boot", swapped)
    with pytest.raises(ImportRefused, match="logits differ"):
        open_bridge(open_checkpoint(gpt2_folder))


def test_logits_are_compared_relative_to_the_largest():
    expected = torch.tensor([[100.0, 1.0]])
    compare_logits(expected, expected + 0.009)
    for found in (expected + 0.02, expected * torch.nan):
        with pytest.raises(ImportRefused, match="logits differ"):
            compare_logits(expected, found)
