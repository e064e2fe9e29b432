"""Tiny random checkpoints of every architecture that can be read, with a tokenizer of its family's kind.

Two layers, four heads, d_model 32, 97 tokens and 3 rows of padding; gains that are not 1 and biases that are not 0.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

D_VOCAB, PADDING = 100, 3
WORDS = ["".join(letters) for letters in itertools.product("bdfg", "aeo", "klmn")]
"""Words of the tokenizers, 48 of them."""

OLD = {"vocab_size": D_VOCAB, "n_layer": 2, "n_head": 4, "n_embd": 32, "n_positions": 64}
NEW = {
    "vocab_size": D_VOCAB,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 32,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
GROUPED = NEW | {"num_key_value_heads": 2}
WIDE = GROUPED | {"head_dim": 16}
LOCAL = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 16}
RUNS = [[["global", "local"], 1]]

FAMILIES: dict[str, tuple[str, dict[str, object]]] = {
    "gpt2": ("GPT2LMHeadModel", OLD),
    "gpt-neo": (
        "GPTNeoForCausalLM",
        {"vocab_size": D_VOCAB, "num_layers": 2, "num_heads": 4, "hidden_size": 32, "max_position_embeddings": 64}
        | {"attention_types": RUNS, "window_size": 16},
    ),
    "bigcode": ("GPTBigCodeForCausalLM", OLD | {"multi_query": True}),
    "neox": ("GPTNeoXForCausalLM", NEW | {"rotary_pct": 0.5, "use_parallel_residual": True}),
    "neox-serial": ("GPTNeoXForCausalLM", NEW | {"use_parallel_residual": False}),
    "gptj": ("GPTJForCausalLM", OLD | {"rotary_dim": 4}),
    "phi": ("PhiForCausalLM", NEW | {"partial_rotary_factor": 0.5}),
    "phi3": ("Phi3ForCausalLM", GROUPED),
    "falcon": ("FalconForCausalLM", NEW | {"multi_query": True, "parallel_attn": True, "bias": False}),
    "falcon-rw": (
        "FalconForCausalLM",
        NEW | {"multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
    ),
    "llama": ("LlamaForCausalLM", GROUPED),
    "llama-3.1": ("LlamaForCausalLM", GROUPED | {"rope_parameters": LLAMA3}),
    "llama-yarn": ("LlamaForCausalLM", GROUPED | {"rope_parameters": YARN}),
    "mistral": ("MistralForCausalLM", GROUPED),
    "smollm3": ("SmolLM3ForCausalLM", GROUPED | {"no_rope_layers": [1, 0]}),
    "qwen2": ("Qwen2ForCausalLM", GROUPED),
    "qwen3": ("Qwen3ForCausalLM", WIDE),
    "qwen3-moe": (
        "Qwen3MoeForCausalLM",
        WIDE | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
    ),
    "gemma": ("GemmaForCausalLM", WIDE),
    "gemma2": ("Gemma2ForCausalLM", WIDE | {"query_pre_attn_scalar": 24} | LOCAL),
    "gemma3": ("Gemma3ForCausalLM", WIDE | {"query_pre_attn_scalar": 24} | LOCAL),
    "opt": (
        "OPTForCausalLM",
        {name: NEW[name] for name in NEW if name != "intermediate_size"} | {"ffn_dim": 48, "word_embed_proj_dim": 32},
    ),
    "bloom": ("BloomForCausalLM", {"vocab_size": D_VOCAB, "n_layer": 2, "n_head": 4, "hidden_size": 32}),
    "stablelm": ("StableLmForCausalLM", GROUPED),
    "stablelm-qk": ("StableLmForCausalLM", GROUPED | {"qk_layernorm": True, "use_parallel_residual": True}),
    "cohere": ("CohereForCausalLM", GROUPED | {"logit_scale": 0.25}),
    "cohere-qk": ("CohereForCausalLM", GROUPED | {"use_qk_norm": True}),
    "olmo": ("OlmoForCausalLM", GROUPED),
    "olmo2": ("Olmo2ForCausalLM", GROUPED),
    "starcoder2": ("Starcoder2ForCausalLM", GROUPED),
    "granite": (
        "GraniteForCausalLM",
        GROUPED
        | {"embedding_multiplier": 6.0, "residual_multiplier": 0.5, "logits_scaling": 4.0}
        | {"attention_multiplier": 0.3},
    ),
    "mixtral": ("MixtralForCausalLM", GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt-oss": ("GptOssForCausalLM", WIDE | {"num_local_experts": 4, "num_experts_per_tok": 2} | LOCAL),
    "bert": ("BertForMaskedLM", NEW),
    "roberta": ("RobertaForMaskedLM", NEW | {"max_position_embeddings": 66, "pad_token_id": 1}),
}
"""Name -> architecture, config."""

PIECES = {"llama", "llama-3.1", "llama-yarn", "mistral", "phi3", "gemma", "gemma2", "gemma3", "mixtral"}
"""Families whose tokenizers are SentencePiece's."""


def write_family(name: str, folder: Path, dtype: torch.dtype = torch.float32, seed: int = 0, **config: object) -> Path:
    """Write a checkpoint of that family."""
    # Imported late: tests without a model should not wait for the library.
    import transformers

    transformers.utils.logging.disable_progress_bar()
    architecture, facts = FAMILIES[name]
    build = getattr(transformers, architecture)
    torch.manual_seed(seed)
    special = {"bos_token_id": 0, "eos_token_id": 0}
    network = build(build.config_class(**(special | facts | config)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    network.to(dtype).save_pretrained(folder)
    tokenizer_of(name).save(str(folder / "tokenizer.json"))
    return folder


def tokenizer_of(name: str) -> Tokenizer:
    """Make a tokenizer of the family's kind, with fewer tokens than the embedding has rows."""
    kind: Callable[[], Tokenizer] = (
        _make_word_piece if name == "bert" else _make_pieces if name in PIECES else _make_byte_level
    )
    return kind()


def _make_byte_level() -> Tokenizer:
    pieces = ["<|endoftext|>", *(f"Ġ{word}" for word in WORDS), *WORDS]
    tokenizer = Tokenizer(models.BPE({piece: id_ for id_, piece in enumerate(pieces)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def _make_pieces() -> Tokenizer:
    pieces = ["<s>", "<0x0A>", "<0xE2>", *(f"▁{word}" for word in WORDS), *WORDS[2:]]
    tokenizer = Tokenizer(models.BPE({piece: id_ for id_, piece in enumerate(pieces)}, [], byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(["<s>"])
    return tokenizer


def _make_word_piece() -> Tokenizer:
    pieces = ["[PAD]", "[UNK]", *WORDS, *(f"##{word}" for word in WORDS[:47])]
    tokenizer = Tokenizer(models.WordPiece({piece: id_ for id_, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]"])
    return tokenizer
