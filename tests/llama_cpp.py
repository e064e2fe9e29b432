"""A writer of GGUF files, as llama.cpp's own convert_hf_to_gguf.py writes them, through the `gguf` package.

The names are that package's own, and so are the keys: nothing here comes from the code that reads such files back.
"""

import json
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

ARCHES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3",
    "Phi3ForCausalLM": "phi3",
    "GPT2LMHeadModel": "gpt2",
    "Starcoder2ForCausalLM": "starcoder2",
    "StableLmForCausalLM": "stablelm",
}
Change = Callable[[gguf.GGUFWriter, dict[str, np.ndarray]], None]


def write_gguf(
    folder: Path,
    path: Path,
    *,
    name: str = "",
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    exact: Collection[str] = (),
    change: Change = lambda writer, tensors: None,
) -> Path:
    """Write the checkpoint in the folder as a GGUF file, its matrices in that number format but for the `exact` ones.

    `change` gets the writer and the tensors, named as in llama.cpp, before they are written.
    """
    config = json.loads((folder / "config.json").read_text())
    arch = ARCHES[config["architectures"][0]]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(name or arch)
    _add_facts(writer, arch, config)
    _add_vocabulary(writer, json.loads((folder / "tokenizer.json").read_text()), config)
    tensors = _convert_tensors(arch, config, load_file(folder / "model.safetensors"))
    change(writer, tensors)
    for tensor_name, values in tensors.items():
        of = kind if values.ndim == 2 and tensor_name not in exact else gguf.GGMLQuantizationType.F32
        raw = gguf.quants.quantize(values.astype(np.float32), of)
        writer.add_tensor(tensor_name, raw, raw_dtype=of)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_facts(writer: gguf.GGUFWriter, arch: str, config: dict[str, Any]) -> None:
    n_heads = config.get("num_attention_heads") or config["n_head"]
    d_model = config.get("hidden_size") or config["n_embd"]
    writer.add_block_count(config.get("num_hidden_layers") or config["n_layer"])
    writer.add_context_length(config.get("max_position_embeddings") or config["n_positions"])
    writer.add_embedding_length(d_model)
    writer.add_feed_forward_length(config.get("intermediate_size") or config.get("n_inner") or 4 * d_model)
    writer.add_head_count(n_heads)
    if arch == "gpt2":
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
        return
    writer.add_head_count_kv(config.get("num_key_value_heads") or n_heads)
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        writer.add_layer_norm_eps(config.get("layer_norm_eps") or config["norm_epsilon"])
    d_head = config.get("head_dim") or d_model // n_heads
    if config.get("head_dim"):
        writer.add_key_length(d_head)
        writer.add_value_length(d_head)
    if arch in {"gemma2", "gemma3"}:
        writer.add_sliding_window(config["sliding_window"])
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if arch == "stablelm":
        writer.add_parallel_residual(config["use_parallel_residual"])
    _add_rope(writer, arch, config, d_head)


def _add_rope(writer: gguf.GGUFWriter, arch: str, config: dict[str, Any], d_head: int) -> None:
    rope = config["rope_parameters"]
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    if arch in {"llama", "phi3", "stablelm"}:
        writer.add_rope_dimension_count(int(rope.get("partial_rotary_factor", 1) * d_head))
    kind = rope["rope_type"]
    if kind in {"linear", "yarn"}:
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(rope["factor"])
    if kind in {"yarn", "longrope"}:
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if kind == "longrope":
        scale = config["max_position_embeddings"] / rope["original_max_position_embeddings"]
        factor = math.sqrt(1 + math.log(scale) / math.log(rope["original_max_position_embeddings"]))
        writer.add_rope_scaling_attn_factors(factor)


def _add_vocabulary(writer: gguf.GGUFWriter, tokenizer: dict[str, Any], config: dict[str, Any]) -> None:
    model = tokenizer["model"]
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    is_bytes = any(piece.startswith("Ġ") for piece in pieces)
    types = [3 if piece in special else 6 if piece.startswith("<0x") else 1 for piece in pieces]
    if is_bytes:  # the package writes no empty list of merges
        pieces += ["b", "a", "ba"]
        types += [1, 1, 1]
    while len(pieces) < config["vocab_size"]:  # rows of the embedding that no token has
        pieces.append(f"[PAD{len(pieces)}]")
        types.append(5)
    writer.add_tokenizer_model("gpt2" if is_bytes else "llama")
    writer.add_token_list(pieces)
    writer.add_token_types(types)
    if is_bytes:
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_merges(["b a"])
    else:
        writer.add_token_scores([-float(i) for i in range(len(pieces))])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


def _convert_tensors(arch: str, config: dict[str, Any], stored: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Convert a checkpoint's tensors to llama.cpp's names and layout."""
    n_layers = config.get("num_hidden_layers") or config["n_layer"]
    (id_,) = (key for key, word in gguf.MODEL_ARCH_NAMES.items() if word == arch)
    names = gguf.get_tensor_name_map(id_, n_layers)
    n_heads = config.get("num_attention_heads") or config["n_head"]
    kept: dict[str, np.ndarray] = {}
    for name, tensor in _stack_norms(stored).items():
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert new, name
        values = tensor.double()
        if arch == "llama" and "q_proj" in name:
            values = permute_rows(values, n_heads, n_heads)
        if arch == "llama" and "k_proj" in name:
            values = permute_rows(values, n_heads, config["num_key_value_heads"])
        if arch in {"gemma2", "gemma3"} and name.endswith("norm.weight"):
            values = values + 1
        if arch == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
            values = values.T
        kept[new] = values.float().contiguous().numpy()
    return kept | _compute_frequencies(config)


def permute_rows(weights: Tensor, n_head: int, n_head_kv: int | None) -> Tensor:
    """Reorder rows of queries and keys for llama.cpp, as its LlamaModel.permute does."""
    if n_head_kv is not None and n_head != n_head_kv:
        n_head = n_head_kv
    return (
        weights.reshape(n_head, 2, weights.shape[0] // n_head // 2, *weights.shape[1:])
        .swapaxes(1, 2)
        .reshape(weights.shape)
    )


def _stack_norms(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stack StableLM's norms of single heads into one tensor each."""
    kept = {name: tensor for name, tensor in stored.items() if ".norms." not in name}
    single = [name for name in stored if name.endswith(".norms.0.weight")]
    for first in single:
        stem = first.removesuffix(".norms.0.weight")
        rows = [stored[f"{stem}.norms.{i}.weight"] for i in range(sum(n.startswith(f"{stem}.norms.") for n in stored))]
        kept[f"{stem}.weight"] = torch.stack(rows)
    return kept


def _compute_frequencies(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Compute the rotary factors that Llama 3's and Phi-3's converters write instead of the rule."""
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type") == "longrope":
        kinds = ("long", "short")
        return {f"rope_factors_{kind}.weight": np.array(rope[f"{kind}_factor"], np.float32) for kind in kinds}
    if rope.get("rope_type") != "llama3":
        return {}
    d_head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    freqs = 1.0 / (rope["rope_theta"] ** (torch.arange(0, d_head, 2, dtype=torch.float32) / d_head))
    low_wavelen = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high_wavelen = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    factors = []
    for freq in freqs:
        wavelen = 2 * math.pi / freq
        if wavelen < high_wavelen:
            factors.append(1.0)
        elif wavelen > low_wavelen:
            factors.append(rope["factor"])
        else:
            smooth = (rope["original_max_position_embeddings"] / wavelen - rope["low_freq_factor"]) / (
                rope["high_freq_factor"] - rope["low_freq_factor"]
            )
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return {"rope_freqs.weight": np.array(factors, np.float32)}
