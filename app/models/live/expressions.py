"""Where a family's own library holds what a head's OV is made of, as Python that a plain script can hold.

Each expression is of `block`, a layer of the model, `head`, and three numbers: `n` heads, `k` of keys and values, `h` the size
of one. Knows no torch.
"""

from dataclasses import dataclass

OF_GROUP = "[head * k // n]"
BIAS = "block.self_attn.v_proj.bias"


@dataclass(frozen=True, slots=True)
class FamilyExpressions:
    """The expressions of a family."""

    blocks: str = "model.model.layers"
    """The list of layers."""
    values: str = f"block.self_attn.v_proj.weight.reshape(k, h, -1){OF_GROUP}.T"
    """W_V: [d_model, d_head]."""
    value_bias: str = f"torch.zeros(h) if {BIAS} is None else {BIAS}.reshape(k, h){OF_GROUP}"
    """b_V: [d_head]; empty where there is none."""
    projection: str = "block.self_attn.o_proj"
    """The module that maps all heads back to the stream; what it is given is what their values come to, side by side."""
    output: str = "block.self_attn.o_proj.weight.T.reshape(n, h, -1)[head]"
    """W_O: [d_head, d_model]."""
    gain: str = "block.input_layernorm.weight"
    """The gain of the norm before attention: [d_model]; empty where there is none."""
    shift: str = ""
    """Its shift."""
    post_gain: str = ""
    """The gain of the norm behind attention."""


EXPRESSIONS = {
    "GPT2LMHeadModel": FamilyExpressions(
        blocks="model.transformer.h",
        values="block.attn.c_attn.weight[:, 2 * n * h :].reshape(-1, n, h)[:, head]",
        value_bias="block.attn.c_attn.bias[2 * n * h :].reshape(n, h)[head]",
        projection="block.attn.c_proj",
        output="block.attn.c_proj.weight.reshape(n, h, -1)[head]",
        gain="block.ln_1.weight",
        shift="block.ln_1.bias",
    ),
    "GPTNeoXForCausalLM": FamilyExpressions(
        blocks="model.gpt_neox.layers",
        values="block.attention.query_key_value.weight.reshape(n, 3, h, -1)[head, 2].T",
        value_bias="block.attention.query_key_value.bias.reshape(n, 3, h)[head, 2]",
        projection="block.attention.dense",
        output="block.attention.dense.weight.T.reshape(n, h, -1)[head]",
        shift="block.input_layernorm.bias",
    ),
    "LlamaForCausalLM": FamilyExpressions(),
    "Qwen2ForCausalLM": FamilyExpressions(),
    "Qwen3ForCausalLM": FamilyExpressions(),
    "Gemma2ForCausalLM": FamilyExpressions(
        gain="1 + block.input_layernorm.weight", post_gain="1 + block.post_attention_layernorm.weight"
    ),
    "Phi3ForCausalLM": FamilyExpressions(
        values=f"block.self_attn.qkv_proj.weight[(n + k) * h :].reshape(k, h, -1){OF_GROUP}.T", value_bias=""
    ),
    "Olmo2ForCausalLM": FamilyExpressions(gain="", post_gain="block.post_attention_layernorm.weight"),
}
"""By the checkpoint's own word for its architecture, of those that are run."""
