"""Model families that can be read, and the facts of each that the model libraries do not state. Knows no torch.

Everything else about a model is read off its config and its bridge; these facts were found by comparing the bridge's
attention with them on random checkpoints of every family (tests/models/importing/folder/test_families.py).
"""

from dataclasses import dataclass
from typing import Any, Literal

from app.models.importing.folder.document import quote_word
from app.models.refusal import ImportRefused


@dataclass(frozen=True)
class Family:
    """One architecture's differences from the others."""

    model_type: str
    """The family's name in a config.json, by which transformers knows it."""
    pairing: Literal["halves", "neighbours"] = "halves"
    """Which coordinates its rotary positions rotate together (core.rotary)."""
    qk_norm: Literal["RMS", "LN"] = "RMS"
    """Kind of the norms of queries and keys, in models that have some."""
    qk_norm_over_heads: bool = False
    """The norms of queries and keys take all heads of a token together."""
    encoder: bool = False


FAMILIES: dict[str, Family] = {
    "GPT2LMHeadModel": Family("gpt2"),
    "GPTNeoForCausalLM": Family("gpt_neo"),
    "GPTBigCodeForCausalLM": Family("gpt_bigcode"),
    "GPTNeoXForCausalLM": Family("gpt_neox"),
    "GPTJForCausalLM": Family("gptj", pairing="neighbours"),
    "PhiForCausalLM": Family("phi", qk_norm="LN"),
    "Phi3ForCausalLM": Family("phi3"),
    "FalconForCausalLM": Family("falcon"),
    "LlamaForCausalLM": Family("llama"),
    "MistralForCausalLM": Family("mistral"),
    "SmolLM3ForCausalLM": Family("smollm3"),
    "Qwen2ForCausalLM": Family("qwen2"),
    "Qwen3ForCausalLM": Family("qwen3"),
    "Qwen3MoeForCausalLM": Family("qwen3_moe"),
    "GemmaForCausalLM": Family("gemma"),
    "Gemma2ForCausalLM": Family("gemma2"),
    "Gemma3ForCausalLM": Family("gemma3_text"),
    "OPTForCausalLM": Family("opt"),
    "BloomForCausalLM": Family("bloom"),
    "StableLmForCausalLM": Family("stablelm", qk_norm="LN"),
    "CohereForCausalLM": Family("cohere", pairing="neighbours", qk_norm="LN"),
    "OlmoForCausalLM": Family("olmo"),
    "Olmo2ForCausalLM": Family("olmo2", qk_norm_over_heads=True),
    "Starcoder2ForCausalLM": Family("starcoder2"),
    "GraniteForCausalLM": Family("granite"),
    "MixtralForCausalLM": Family("mixtral"),
    "GptOssForCausalLM": Family("gpt_oss"),
    "BertForMaskedLM": Family("bert", encoder=True),
    "RobertaForMaskedLM": Family("roberta", encoder=True),
}

WITHOUT: dict[str, str] = {
    "MambaForCausalLM": "its layers have no attention heads",
    "Mamba2ForCausalLM": "its layers have no attention heads",
    "Qwen3NextForCausalLM": "most of its layers have no attention heads",
    "DeepseekV2ForCausalLM": "its heads share a latent space and have no key and value matrices of their own",
    "DeepseekV3ForCausalLM": "its heads share a latent space and have no key and value matrices of their own",
    "T5ForConditionalGeneration": "it is an encoder and a decoder in one",
    "ViTForImageClassification": "it has no vocabulary to read directions with",
    "DistilBertForMaskedLM": "the library that reads models cannot open it; BERT itself can be imported",
    "ModernBertForMaskedLM": "the library that reads models cannot open it",
}
"""Architectures that people may try, and the reason why they cannot be read."""

HEADED = ("LMHeadModel", "ForCausalLM", "ForMaskedLM")


def architecture_of(config: dict[str, Any]) -> str:
    """Return the architecture to open a checkpoint with; ImportRefused with the reason if it cannot be read.

    A base model (`GPT2Model`, `BertModel`) is opened as the one with a head, if its unembedding is its embedding.
    """
    names = config.get("architectures")
    named = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else "an unnamed architecture"
    architecture = named if named in FAMILIES else _find_headed(named, config)
    model_type = config.get("model_type")
    if model_type is not None and model_type != FAMILIES[architecture].model_type:
        raise ImportRefused(
            f"config.json has {quote_word(model_type)} for its model_type, but {named} is {FAMILIES[architecture].model_type!r}: "
            "it is another architecture, or one of the two words is wrong"
        )
    if architecture == "FalconForCausalLM" and config.get("new_decoder_architecture"):
        raise ImportRefused("Falcon 40B and 180B cannot be read: the library splits their fused projections wrongly")
    if architecture == "OPTForCausalLM" and (
        not config.get("do_layer_norm_before", True)
        or config.get("word_embed_proj_dim", config.get("hidden_size")) != config.get("hidden_size")
    ):
        raise ImportRefused(
            "this OPT (as OPT-350m) norms after its layers and projects its embedding: it cannot be read"
        )
    if config.get("mlp_only_layers") or config.get("decoder_sparse_step", 1) != 1:
        raise ImportRefused("only some of its layers are mixtures of experts: the library cannot open these one by one")
    return architecture


def _find_headed(named: str, config: dict[str, Any]) -> str:
    if named in WITHOUT:
        raise ImportRefused(f"{named} cannot be read: {WITHOUT[named]}")
    with_heads = [named.removesuffix("Model") + ending for ending in HEADED] if named.endswith("Model") else []
    for architecture in with_heads:
        if architecture not in FAMILIES:
            continue
        # transformers ties embeddings unless the config says otherwise, as Llama's does by default.
        if (
            not FAMILIES[architecture].encoder
            and config.get("tie_word_embeddings") is not True
            and named != "GPT2Model"
        ):
            raise ImportRefused(f"{named} has no unembedding: import the {architecture} that it belongs to")
        return architecture
    known = sorted(
        {architecture.removesuffix(ending) for architecture in FAMILIES for ending in HEADED} - FAMILIES.keys()
    )
    raise ImportRefused(f"{named} is not among the architectures that can be read: {', '.join(known)}")
