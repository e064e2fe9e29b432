"""The keys of a config.json that are used, each within bounds: nothing else is passed on to the model libraries.

Those make room for a number wherever they find one (a label, a mask, a list of layers), and load code that a word names
(an attention kernel). Keys that change no weight and no score are left out: dropout, labels, special tokens,
generation. Knows no torch.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from app.models.importing.folder.document import quote_word
from app.models.refusal import ImportRefused

MOST_LAYERS = 1000
MOST_NUMBER = 1e15
"""Largest measured number; bases of rotary positions reach 1e11."""
MOST_FACTORS = 4096
"""Most factors of rotary frequencies: one for every pair of a head's coordinates."""
LONGEST_WORD = 64

COUNTS = {
    MOST_LAYERS: ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_sparse_step"),
    2**14: (
        *("num_attention_heads", "n_head", "num_heads", "num_key_value_heads", "num_kv_heads", "head_dim"),
        *("rotary_dim", "num_experts", "num_local_experts", "num_experts_per_tok", "type_vocab_size"),
        "num_ln_in_parallel_attn",
    ),
    2**20: ("hidden_size", "n_embd", "n_embed", "d_model", "word_embed_proj_dim"),
    2**24: (
        *("vocab_size", "intermediate_size", "moe_intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
        *("max_position_embeddings", "original_max_position_embeddings", "n_positions", "n_ctx", "seq_length"),
    ),
}
"""Keys that count from 1 on, by the largest accepted count."""
PLACES = ("window_size", "sliding_window", "sliding_window_pattern", "max_window_layers", "no_rope_layer_interval")
"""Keys that count from 0 on."""
MOST_PLACES = 2**30
SHARES = ("rotary_pct", "partial_rotary_factor")
EPSILONS = ("layer_norm_epsilon", "layer_norm_eps", "rms_norm_eps", "norm_epsilon")
THETAS = ("rope_theta", "rotary_emb_base", "rope_local_base_freq")
"""Bases of rotary positions: none of them is 0."""
NUMBERS = (
    *("query_pre_attn_scalar", "clip_qkv", "swiglu_alpha"),
    *("swiglu_limit", "attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "logits_scaling"),
    *("embedding_multiplier", "residual_multiplier", "attention_multiplier", "router_jitter_noise"),
)
SWITCHES = (
    *("tie_word_embeddings", "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"),
    *("attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "multi_query", "add_cross_attention"),
    *("is_decoder", "use_parallel_residual", "attention_bias", "mlp_bias", "qk_layernorm", "use_qkv_bias", "use_bias"),
    *("use_qk_norm", "alibi", "new_decoder_architecture", "parallel_attn", "bias", "enable_bias"),
    *("do_layer_norm_before", "_remove_final_layer_norm", "layer_norm_elementwise_affine", "norm_topk_prob"),
    *("apply_residual_connection_post_layernorm", "use_sliding_window", "use_bidirectional_attention"),
)
WORDS = ("activation_function", "hidden_act", "hidden_activation", "activation", "position_embedding_type")
ROPES = ("rope_parameters", "rope_scaling")
LISTS = ("layer_types", "no_rope_layers", "mlp_only_layers")
"""Keys with one entry a layer, or layers' numbers."""


def keep_heeded(config: dict[str, Any]) -> dict[str, Any]:
    """Keep the keys that weights and scores depend on; ImportRefused, naming the range, if one is out of bounds.

    Example: keep_heeded({"n_layer": 12, "num_labels": 10**9, "_attn_implementation": "x/y"}) -> {"n_layer": 12}
    """
    kept = {key: value for key, value in config.items() if key in BOUNDS}
    for key, value in kept.items():
        is_sound, expected = BOUNDS[key]
        if value is not None and not is_sound(value):
            raise ImportRefused(f"config.json has {quote_word(value)} for {key}: expected {expected}")
    return kept


def _is_count(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MOST_NUMBER


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_WORD and value.isprintable()


def _is_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_LAYERS
        and all(_is_word(each) or _is_count(each, 0, MOST_LAYERS) for each in value)
    )


def _is_runs(value: Any) -> bool:
    """Return whether it describes runs of layers, as GPT-Neo does: `[[["global", "local"], 12]]`."""
    return (
        isinstance(value, list)
        and all(isinstance(run, list) and len(run) == 2 and _is_list(run[0]) for run in value)
        and all(_is_count(times, 0, MOST_LAYERS) for _kinds, times in value)
        and sum(len(kinds) * times for kinds, times in value) <= MOST_LAYERS
    )


def _is_rope(value: Any, nested: bool = True) -> bool:
    """Return whether it describes rotary positions, for all layers or by their kind."""
    return (
        isinstance(value, dict)
        and len(value) <= LONGEST_WORD
        and all(_is_rope_entry(key, each) or (nested and _is_rope(each, nested=False)) for key, each in value.items())
    )


def _is_rope_entry(key: str, value: Any) -> bool:
    if key in SHARES:
        return value is None or _is_share(value)
    if key in THETAS:
        return value is None or _is_positive(value)
    if isinstance(value, list):
        return len(value) <= MOST_FACTORS and all(map(_is_number, value))
    return value is None or isinstance(value, bool) or _is_number(value) or _is_word(value)


Bound = tuple[Callable[[Any], bool], str]
"""A test whether a value is sound, and the expected values in words."""


def _bounds() -> dict[str, Bound]:
    bounds: dict[str, Bound] = {}
    for most, keys in COUNTS.items():
        bounds |= dict.fromkeys(keys, _count_bound(1, most))
    bounds |= dict.fromkeys(PLACES, _count_bound(0, MOST_PLACES))
    bounds |= dict.fromkeys(SHARES, (_is_share, "a number from 0 to 1"))
    bounds |= dict.fromkeys(NUMBERS, (_is_number, f"a number of at most {MOST_NUMBER:g}"))
    bounds |= dict.fromkeys(EPSILONS, (lambda x: _is_number(x) and x >= 0, f"a number from 0 to {MOST_NUMBER:g}"))
    bounds |= dict.fromkeys(THETAS, (_is_positive, f"a number above 0, of at most {MOST_NUMBER:g}"))
    bounds |= dict.fromkeys(SWITCHES, (lambda v: isinstance(v, bool), "true or false"))
    bounds |= dict.fromkeys(WORDS, (_is_word, f"a word of at most {LONGEST_WORD} letters"))
    bounds |= dict.fromkeys(LISTS, (_is_list, f"a list of at most {MOST_LAYERS:,} words or layers"))
    bounds |= dict.fromkeys(
        ROPES, (_is_rope, "words and numbers by name, thetas above 0, shares of a head from 0 to 1")
    )
    bounds["attention_types"] = (_is_runs, f"runs of at most {MOST_LAYERS:,} layers in all")
    # The only special token that matters is RoBERTa's padding: it counts positions from that id on.
    bounds["pad_token_id"] = _count_bound(-1, 2**24)
    return bounds


def _count_bound(least: int, most: int) -> Bound:
    return partial(_is_count, least=least, most=most), f"a whole number from {least} to {most:,}"


BOUNDS = _bounds()
