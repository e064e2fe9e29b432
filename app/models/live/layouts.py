"""Layouts: how each family's own parameters are made of weights under TransformerLens names, the inverse of an import.

Knows no file and no model library. Families that are missing here can be browsed, and are not run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Parts = Mapping[str, Tensor]
"""Tensors of one layer, or of both ends, by TransformerLens names without `blocks.N.`."""
Maker = Callable[[Parts], Tensor | None]
"""Makes a parameter of its parts; None where a part is missing that only some models have."""


@dataclass(frozen=True)
class Modules:
    """The modules of a family's network that a run is read off, by the names that its own library has for them."""

    layers: str = "model.layers"
    """The list of layers; the next names but one are within a layer."""
    final_norm: str = "model.norm"
    """The norm before the unembedding."""
    attention: str = "self_attn"
    """The attention; its second output is its pattern."""
    projection: str = "o_proj"
    """The map from all heads back to the stream, within the attention."""
    attention_writes: str = "self_attn"
    """What gives what attention adds to the stream: itself, or the norm behind it."""
    mlp_writes: str = "mlp"
    """What gives what the MLP adds to the stream."""
    mlp_output: str = "mlp.down_proj"
    """The map from neurons back to the stream; what it is given is what they are at."""


@dataclass(frozen=True)
class FamilyLayout:
    """The parameters of a family, by the names that its own library has for them."""

    modules: Modules
    layer: Mapping[str, Maker]
    """Parameters of a layer, by their names within it."""
    ends: Mapping[str, Maker]
    """Parameters outside of the layers, by their whole names."""


def _take(name: str) -> Maker:
    return lambda parts: parts.get(name)


def _flip(name: str) -> Maker:
    """Make a linear map's weight, which has a row for each output."""
    return lambda parts: None if name not in parts else parts[name].T


def _join_heads(letter: str) -> Maker:
    """Make the projection of all heads to queries, keys or values: [heads * d_head, d_model]."""
    return lambda parts: parts[f"attn.W_{letter}"].transpose(1, 2).flatten(0, 1)


def _join_biases(*letters: str) -> Maker:
    return lambda parts: torch.cat([parts[f"attn.b_{letter}"].flatten() for letter in letters])


def _join_outputs(parts: Parts) -> Tensor:
    """Make the projection from all heads back to the stream: [d_model, heads * d_head]."""
    return parts["attn.W_O"].flatten(0, 1).T


def _stack(*makers: Maker) -> Maker:
    """Make a fused projection: the rows of several, one after the other."""

    def make(parts: Parts) -> Tensor | None:
        made = [one for maker in makers if (one := maker(parts)) is not None]
        return torch.cat(made) if len(made) == len(makers) else None

    return make


def _turn(maker: Maker) -> Maker:
    """Make a weight of GPT-2's kind, which has a row for each input."""

    def make(parts: Parts) -> Tensor | None:
        made = maker(parts)
        return None if made is None else made.T

    return make


def _interleave_heads(parts: Parts) -> Tensor:
    """Make NeoX's fused projection: query, key and value of a head stand together."""
    own = [parts[f"attn.W_{letter}"].transpose(1, 2) for letter in "QKV"]
    return torch.stack(own, 1).flatten(0, 2)


def _interleave_biases(parts: Parts) -> Tensor:
    return torch.stack([parts[f"attn.b_{letter}"] for letter in "QKV"], 1).flatten()


def _first_gain(name: str) -> Maker:
    """Make the gain that queries' or keys' norm has once for all heads."""
    return lambda parts: None if name not in parts else parts[name][0]


def _all_gains(name: str) -> Maker:
    """Make the gain of a norm that takes all heads together."""
    return lambda parts: None if name not in parts else parts[name].flatten()


SPLIT = {f"self_attn.{letter.lower()}_proj.weight": _join_heads(letter) for letter in "QKV"} | {
    "self_attn.o_proj.weight": _join_outputs
}
BIASES = {f"self_attn.{letter.lower()}_proj.bias": _join_biases(letter) for letter in "QKV"}
GATED = {
    "mlp.gate_proj.weight": _flip("mlp.W_gate"),
    "mlp.up_proj.weight": _flip("mlp.W_in"),
    "mlp.down_proj.weight": _flip("mlp.W_out"),
}
NORMS = {"input_layernorm.weight": _take("ln1.w"), "post_attention_layernorm.weight": _take("ln2.w")}
ENDS: dict[str, Maker] = {
    "model.embed_tokens.weight": _take("embed.W_E"),
    "model.norm.weight": _take("ln_final.w"),
    "lm_head.weight": _flip("unembed.W_U"),
}
GAINS = {f"self_attn.{letter}_norm.weight": f"attn.{letter}_norm" for letter in "qk"}

POST_NORMED = Modules(attention_writes="post_attention_layernorm", mlp_writes="post_feedforward_layernorm")
"""Modules where what is added to the stream passes a norm first."""

LLAMA: dict[str, Maker] = NORMS | SPLIT | GATED | BIASES | {"self_attn.o_proj.bias": _take("attn.b_O")}

LAYOUTS: dict[str, FamilyLayout] = {
    "GPT2LMHeadModel": FamilyLayout(
        Modules("transformer.h", "transformer.ln_f", "attn", "c_proj", "attn", mlp_output="mlp.c_proj"),
        {
            **{f"ln_{n}.{kind}": _take(f"ln{n}.{kind[0]}") for n in (1, 2) for kind in ("weight", "bias")},
            "attn.c_attn.weight": _turn(_stack(*map(_join_heads, "QKV"))),
            "attn.c_attn.bias": _join_biases(*"QKV"),
            "attn.c_proj.weight": _turn(_join_outputs),
            "attn.c_proj.bias": _take("attn.b_O"),
            "mlp.c_fc.weight": _take("mlp.W_in"),
            "mlp.c_fc.bias": _take("mlp.b_in"),
            "mlp.c_proj.weight": _take("mlp.W_out"),
            "mlp.c_proj.bias": _take("mlp.b_out"),
        },
        {
            "transformer.wte.weight": _take("embed.W_E"),
            "transformer.wpe.weight": _take("pos_embed.W_pos"),
            "transformer.ln_f.weight": _take("ln_final.w"),
            "transformer.ln_f.bias": _take("ln_final.b"),
            "lm_head.weight": _flip("unembed.W_U"),
        },
    ),
    "GPTNeoXForCausalLM": FamilyLayout(
        Modules(
            "gpt_neox.layers",
            "gpt_neox.final_layer_norm",
            "attention",
            "dense",
            "attention",
            mlp_output="mlp.dense_4h_to_h",
        ),
        {
            "input_layernorm.weight": _take("ln1.w"),
            "input_layernorm.bias": _take("ln1.b"),
            "post_attention_layernorm.weight": _take("ln2.w"),
            "post_attention_layernorm.bias": _take("ln2.b"),
            "attention.query_key_value.weight": _interleave_heads,
            "attention.query_key_value.bias": _interleave_biases,
            "attention.dense.weight": _join_outputs,
            "attention.dense.bias": _take("attn.b_O"),
            "mlp.dense_h_to_4h.weight": _flip("mlp.W_in"),
            "mlp.dense_h_to_4h.bias": _take("mlp.b_in"),
            "mlp.dense_4h_to_h.weight": _flip("mlp.W_out"),
            "mlp.dense_4h_to_h.bias": _take("mlp.b_out"),
        },
        {
            "gpt_neox.embed_in.weight": _take("embed.W_E"),
            "gpt_neox.final_layer_norm.weight": _take("ln_final.w"),
            "gpt_neox.final_layer_norm.bias": _take("ln_final.b"),
            "lm_head.weight": _flip("unembed.W_U"),
        },
    ),
    "LlamaForCausalLM": FamilyLayout(Modules(), LLAMA, ENDS),
    "Qwen2ForCausalLM": FamilyLayout(Modules(), LLAMA, ENDS),
    "Qwen3ForCausalLM": FamilyLayout(
        Modules(), LLAMA | {name: _first_gain(part) for name, part in GAINS.items()}, ENDS
    ),
    "Gemma2ForCausalLM": FamilyLayout(
        POST_NORMED,
        {
            **SPLIT,
            **GATED,
            "input_layernorm.weight": _take("ln1.w"),
            "post_attention_layernorm.weight": _take("ln1_post.w"),
            "pre_feedforward_layernorm.weight": _take("ln2.w"),
            "post_feedforward_layernorm.weight": _take("ln2_post.w"),
        },
        ENDS,
    ),
    "Phi3ForCausalLM": FamilyLayout(
        Modules(),
        {
            **NORMS,
            "self_attn.qkv_proj.weight": _stack(*map(_join_heads, "QKV")),
            "self_attn.o_proj.weight": _join_outputs,
            "mlp.gate_up_proj.weight": _stack(_flip("mlp.W_gate"), _flip("mlp.W_in")),
            "mlp.down_proj.weight": _flip("mlp.W_out"),
        },
        ENDS,
    ),
    "Olmo2ForCausalLM": FamilyLayout(
        POST_NORMED,
        {
            **SPLIT,
            **GATED,
            **{name: _all_gains(part) for name, part in GAINS.items()},
            "post_attention_layernorm.weight": _take("ln1_post.w"),
            "post_feedforward_layernorm.weight": _take("ln2_post.w"),
        },
        ENDS,
    ),
}
"""By the checkpoint's own word for its architecture."""
