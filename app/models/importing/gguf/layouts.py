"""Layouts of llama.cpp's families: the config made of their facts, their tensor names, and changes to tensors.

After llama.cpp's own convert_hf_to_gguf.py, and the model code that says what its facts mean; each family is proven by
writing one its way and comparing (tests/models/importing/gguf/test_families.py). Knows no torch and no file.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.models.importing.folder.document import quote_word
from app.models.importing.gguf.header import GgufHeader, Packed
from app.models.refusal import ImportRefused

Config = dict[str, Any]
IN_LAYER = re.compile(r"blk\.(0|[1-9][0-9]{0,3})\.(.+)\.(weight|bias)")
DEFAULT_THETA = 10_000.0
"""llama.cpp's own, where a file has none."""
LOCAL_THETA = 10_000.0
"""Theta of Gemma 3's layers with a window."""
PARTLY = ("stablelm", "phi3")
"""Families whose positions may rotate only the first numbers of a head."""
ODD = ("attention.clamp_kqv", "logit_scale", "embedding_scale", "residual_scale", "attention.scale")
"""Facts that change what the model computes in a way that none of these families does."""


@dataclass(frozen=True)
class Layout:
    """The layout of one family."""

    architecture: str
    """The name of the architecture in transformers."""
    config: Callable[["Facts"], Config]
    """Makes a config.json of its facts, without those that all families share."""
    outside: Mapping[str, str]
    """Names of tensors outside the layers: llama.cpp's and a checkpoint's, without `.weight` and `.bias`."""
    prefix: str
    """Prefix of a layer's tensors, before the layer's number."""
    inside: Mapping[str, str]
    """Names of tensors in a layer, likewise."""
    lifted: frozenset[str] = field(default_factory=frozenset)
    """Norms whose gains are stored plus one."""
    turned: frozenset[str] = field(default_factory=frozenset)
    """Matrices stored transposed, input by output."""
    paired: Mapping[str, str] = field(default_factory=dict)
    """Matrices whose rows of a head are stored in neighbouring pairs, where transformers has them in two halves; and
    the fact that counts their heads."""
    split: frozenset[str] = field(default_factory=frozenset)
    """Norms of all heads in one tensor, where a checkpoint has one a head."""


@dataclass(frozen=True)
class Facts:
    """A header's facts under the name of its family; ImportRefused, naming the fact, if one is invalid."""

    header: GgufHeader

    @property
    def family(self) -> str:
        """llama.cpp's word for the family."""
        return str(self.header.facts.get("general.architecture"))

    def count(self, name: str, default: int | None = None) -> int:
        """Return a whole number from 1; of a list that repeats one number for every layer, that number."""
        value = self._value(name, default)
        if isinstance(value, list) and value and all(each == value[0] for each in value):
            value = value[0]
        if type(value) is not int or value < 1:
            raise self._refusal(name, value, "a whole number from 1 on, the same for every layer")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number above 0."""
        value = self._value(name, default)
        if type(value) not in {int, float} or value <= 0:
            raise self._refusal(name, value, "a number above 0")
        # Files store float32: return 1e-05 and not 9.999999747378752e-06.
        return float(str(np.float32(value)))

    def has(self, name: str) -> bool:
        """Return whether the fact is true, or not empty."""
        return bool(self._value(name, False))

    def word(self, name: str) -> str | None:
        """Return a word; None if there is none."""
        value = self._value(name, "")
        if not isinstance(value, str):
            raise self._refusal(name, value, "a word")
        return value or None

    def places(self, name: str) -> list[bool] | int | None:
        """Return for which layers it is true, or that it is for all but each n-th; None if the file does not say."""
        value = self._value(name, 0)
        is_list = isinstance(value, list) and all(isinstance(each, bool) for each in value)
        if not is_list and (type(value) is not int or value < 0):
            raise self._refusal(name, value, "a whole number, or true or false for each layer")
        return value or None

    def has_tensor(self, name: str) -> bool:
        """Return whether the file has that tensor."""
        return name in self.header.tensors

    def _value(self, name: str, default: Any) -> Any:
        key = f"{self.family}.{name}"
        value = self.header.facts.get(key, default)
        if value is None:
            raise ImportRefused(f"the file does not say {key}: it is no whole model, or of an early form")
        return value

    def _refusal(self, name: str, value: Any, expected: str) -> ImportRefused:
        return ImportRefused(f"the file has {quote_word(value)} for {self.family}.{name}: expected {expected}")


def layout_of(header: GgufHeader) -> Layout:
    """Find the layout of the file's family; ImportRefused by name if it is not supported."""
    facts = Facts(header)
    family = header.facts.get("general.architecture")
    if header.facts.get("general.type", "model") != "model":
        raise ImportRefused(f"the file holds {quote_word(header.facts['general.type'])}, not a model: import its model")
    if not isinstance(family, str) or family not in LAYOUTS:
        raise ImportRefused(
            f"GGUF files of {quote_word(family)} are not read, those of {', '.join(LAYOUTS)} are: import the checkpoint that it "
            "was made from, which has a config.json, a tokenizer.json and *.safetensors"
        )
    if facts.has("expert_count"):
        raise ImportRefused(
            "GGUF files of mixtures of experts are not read: import the checkpoint that it was made from"
        )
    for name in ODD:
        if facts.has(name):
            raise ImportRefused(
                f"the file says {family}.{name}, which no {family} that is read does: it is another model"
            )
    if family == "llama" and "mistral" in str(header.facts.get("general.name", "")).lower():
        return MISTRAL
    return LAYOUTS[family]


def config_of(layout: Layout, header: GgufHeader, *, tied: bool, factors: Mapping[str, Sequence[float]]) -> Config:
    """Make the config.json of the file's facts; `factors`: those of rotary frequencies, by their tensor."""
    facts = Facts(header)
    embedding = header.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ImportRefused("the file has no embedding (token_embd.weight): it holds no language model")
    config = {
        "architectures": [layout.architecture],
        "vocab_size": embedding.shape[0],
        "tie_word_embeddings": tied,
    } | layout.config(facts)
    if layout is LAYOUTS["gpt2"]:  # learned positions
        return config
    return config | _rotary(facts, config, factors)


def heads_of(config: Config) -> tuple[int, int]:
    """Return the numbers of heads of queries, and of keys and values, from a config made here."""
    n_heads = int(config["n_head"] if "n_head" in config else config["num_attention_heads"])
    return n_heads, int(config.get("num_key_value_heads", n_heads))


def checkpoint_names(layout: Layout, tensor: Packed) -> list[str]:
    """Return a checkpoint's names for a tensor, or for its rows; none if it is no weight; ImportRefused if unknown."""
    if tensor.name in FACTORS or tensor.name.endswith(".attn_rot_embd.weight"):
        return []
    inside = IN_LAYER.fullmatch(tensor.name)
    name, _, kind = tensor.name.rpartition(".")
    known = layout.outside
    if inside:
        name, known = inside[2], layout.inside
    if name not in known or kind not in {"weight", "bias"}:
        raise ImportRefused(f"the file has a tensor {tensor.name}, which no {layout.architecture} has")
    stem = f"{layout.prefix}.{inside[1]}.{known[name]}" if inside else known[name]
    return [f"{stem}.{row}.{kind}" for row in range(tensor.shape[0])] if name in layout.split else [f"{stem}.{kind}"]


FACTORS = ("rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight")
"""Tensors of rotary factors, which go into the config."""


def _rotary(facts: Facts, config: Config, factors: Mapping[str, Sequence[float]]) -> Config:
    """Make the rotary part of a config."""
    theta = facts.number("rope.freq_base", DEFAULT_THETA)
    rope = _scaled_rope(facts, theta, factors)
    if config["architectures"] == [GEMMA3.architecture]:
        local = {"rope_type": "default", "rope_theta": facts.number("rope.freq_base_swa", LOCAL_THETA)}
        return {"rope_parameters": {"full_attention": rope, "sliding_attention": local}}
    n_turned, d_head = facts.count("rope.dimension_count", config["head_dim"]), config["head_dim"]
    if n_turned % 2 or n_turned > d_head or (n_turned < d_head and facts.family not in PARTLY):
        some = (
            f", or an even number below in {' and '.join(PARTLY)}"
            if facts.family not in PARTLY
            else " or an even number below"
        )
        raise ImportRefused(
            f"the file says that positions turn {n_turned} of a head's {d_head} numbers "
            f"({facts.family}.rope.dimension_count): all of them are meant{some}"
        )
    turned = n_turned / d_head
    original = {key: value for key, value in rope.items() if key == "original_max_position_embeddings"}
    # Given twice: which of the two places is read depends on the family.
    share = {"partial_rotary_factor": turned} if turned != 1 or facts.family == "stablelm" else {}
    return {"rope_parameters": rope | share} | share | original


def _scaled_rope(facts: Facts, theta: float, factors: Mapping[str, Sequence[float]]) -> Config:
    kind = facts.word("rope.scaling.type")
    n_ctx = facts.count("context_length")
    if factors:
        # Of Llama 3's own rule the file has only the resulting factors: the same for all lengths.
        short = factors.get("rope_factors_short.weight") or factors.get("rope_freqs.weight")
        long = factors.get("rope_factors_long.weight") or short
        if short is None:
            raise ImportRefused("the file has factors of its positions for long texts, and none for short ones")
        return {
            "rope_type": "longrope",
            "rope_theta": theta,
            "short_factor": list(short),
            "long_factor": list(long or short),
            "original_max_position_embeddings": facts.count("rope.scaling.original_context_length", n_ctx),
            "attention_factor": facts.number("rope.scaling.attn_factor", 1.0),
        }
    if kind in {None, "none"}:
        return {"rope_type": "default", "rope_theta": theta}
    if kind == "linear":
        return {"rope_type": "linear", "rope_theta": theta, "factor": facts.number("rope.scaling.factor")}
    if kind == "yarn":
        return {
            "rope_type": "yarn",
            "rope_theta": theta,
            "factor": facts.number("rope.scaling.factor"),
            "original_max_position_embeddings": facts.count("rope.scaling.original_context_length", n_ctx),
        }
    raise ImportRefused(
        f"the file scales its positions by {quote_word(kind)}: none, linear, yarn and longrope are read"
    )


def _sizes(facts: Facts) -> Config:
    """Make the part of a config that decoders with rotary positions share."""
    n_heads, d_model = facts.count("attention.head_count"), facts.count("embedding_length")
    d_head = facts.count("attention.key_length", d_model // n_heads or 1)
    if facts.count("attention.value_length", d_head) != d_head:
        raise ImportRefused("the file's values have another length than its keys, which no model that is read has")
    return {
        "num_hidden_layers": facts.count("block_count"),
        "hidden_size": d_model,
        "intermediate_size": facts.count("feed_forward_length"),
        "max_position_embeddings": facts.count("context_length"),
        "num_attention_heads": n_heads,
        "num_key_value_heads": facts.count("attention.head_count_kv", n_heads),
        "head_dim": d_head,
    }


def _rms(facts: Facts) -> Config:
    return _sizes(facts) | {"rms_norm_eps": facts.number("attention.layer_norm_rms_epsilon")}


def _sliding_window(facts: Facts) -> Config:
    window = facts.count("attention.sliding_window", 0) if facts.has("attention.sliding_window") else None
    return {"sliding_window": window}


def _llama(facts: Facts) -> Config:
    has = facts.has_tensor
    return _rms(facts) | {"attention_bias": has("blk.0.attn_q.bias"), "mlp_bias": has("blk.0.ffn_up.bias")}


def _mistral(facts: Facts) -> Config:
    return _rms(facts) | _sliding_window(facts)


def _phi3(facts: Facts) -> Config:
    return _rms(facts) | _sliding_window(facts) | {"pad_token_id": None}


def _gemma2(facts: Facts) -> Config:
    return _gemma(facts, layers_of_27b=46, every=2) | {
        "attn_logit_softcapping": facts.number("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": facts.number("final_logit_softcapping", 30.0),
    }


def _gemma3(facts: Facts) -> Config:
    cap = "final_logit_softcapping"
    return _gemma(facts, layers_of_27b=62, every=6) | ({cap: facts.number(cap)} if facts.has(cap) else {})


def _gemma(facts: Facts, *, layers_of_27b: int, every: int) -> Config:
    """Make a Gemma's config; `every`: each so-many-th layer sees all positions, the others a window."""
    config = _rms(facts)
    n_layers = config["num_hidden_layers"]
    # The file does not hold the scores' divisor; llama.cpp chooses it by the number of layers.
    share = config["hidden_size"] // config["num_attention_heads"]
    scale = share if n_layers == layers_of_27b else config["head_dim"]
    said = facts.places("attention.sliding_window_pattern")
    local = said if isinstance(said, list) else [(i + 1) % (said or every) != 0 for i in range(n_layers)]
    kinds = ["sliding_attention" if is_local else "full_attention" for is_local in local]
    return config | _sliding_window(facts) | {"query_pre_attn_scalar": scale, "layer_types": kinds}


def _starcoder2(facts: Facts) -> Config:
    epsilon = {"norm_epsilon": facts.number("attention.layer_norm_epsilon")}
    return _sizes(facts) | epsilon | {"use_bias": facts.has_tensor("blk.0.attn_q.bias")}


def _stablelm(facts: Facts) -> Config:
    return _sizes(facts) | {
        "layer_norm_eps": facts.number("attention.layer_norm_epsilon"),
        "use_qkv_bias": facts.has_tensor("blk.0.attn_q.bias"),
        "qk_layernorm": facts.has_tensor("blk.0.attn_q_norm.weight"),
        "use_parallel_residual": not facts.has_tensor("blk.0.ffn_norm.weight"),
    }


def _gpt2(facts: Facts) -> Config:
    return {
        "n_layer": facts.count("block_count"),
        "n_head": facts.count("attention.head_count"),
        "n_embd": facts.count("embedding_length"),
        "n_positions": facts.count("context_length"),
        "n_inner": facts.count("feed_forward_length"),
        "layer_norm_epsilon": facts.number("attention.layer_norm_epsilon"),
    }


ENDS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
ATTENTION = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
GATED = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
PLAIN = ATTENTION | {"ffn_norm": "post_attention_layernorm"} | GATED
QK_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
AROUND = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
"""Names in Gemma 2 and 3, which have norms before and after."""
NORMS = frozenset({"output_norm", "attn_norm", *AROUND, *QK_NORMS})
PAIRS = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}


def _decoder(
    architecture: str, config: Callable[[Facts], Config], inside: Mapping[str, str] = PLAIN, **more: Any
) -> Layout:
    return Layout(architecture, config, ENDS, "model.layers", inside, **more)


MISTRAL = _decoder("MistralForCausalLM", _mistral, paired=PAIRS)
"""llama.cpp's word for it is Llama's."""
GEMMA3 = _decoder("Gemma3ForCausalLM", _gemma3, ATTENTION | AROUND | GATED | QK_NORMS, lifted=NORMS)
LAYOUTS = {
    "llama": _decoder("LlamaForCausalLM", _llama, paired=PAIRS),
    "qwen2": _decoder("Qwen2ForCausalLM", _rms),
    "qwen3": _decoder("Qwen3ForCausalLM", _rms, PLAIN | QK_NORMS),
    "gemma2": _decoder("Gemma2ForCausalLM", _gemma2, ATTENTION | AROUND | GATED, lifted=NORMS),
    "gemma3": GEMMA3,
    "phi3": _decoder(
        "Phi3ForCausalLM",
        _phi3,
        {"attn_norm": "input_layernorm", "attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj"}
        | {"ffn_norm": "post_attention_layernorm", "ffn_up": "mlp.gate_up_proj", "ffn_down": "mlp.down_proj"},
    ),
    "gpt2": Layout(
        "GPT2LMHeadModel",
        _gpt2,
        {"token_embd": "transformer.wte", "position_embd": "transformer.wpe"}
        | {"output_norm": "transformer.ln_f", "output": "lm_head"},
        "transformer.h",
        {"attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj"}
        | {"ffn_norm": "ln_2", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
        turned=frozenset({"attn_qkv", "attn_output", "ffn_up", "ffn_down"}),
    ),
    "starcoder2": _decoder(
        "Starcoder2ForCausalLM",
        _starcoder2,
        ATTENTION | {"ffn_norm": "post_attention_layernorm", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
    ),
    "stablelm": _decoder(
        "StableLmForCausalLM",
        _stablelm,
        PLAIN | {"attn_q_norm": "self_attn.q_layernorm.norms", "attn_k_norm": "self_attn.k_layernorm.norms"},
        split=frozenset(QK_NORMS),
    ),
}
"""Layouts by llama.cpp's word for the family."""
