"""Which architectures can be read, and what of each the model libraries do not say. Knows no torch.

Everything else about a model is read off its config and its bridge; what stands here was found by comparing the
bridge's attention with these facts on random checkpoints of every family (tests/models/test_families.py).
"""

from dataclasses import dataclass
from typing import Any, Literal

from app.models.refusal import ImportRefused


@dataclass(frozen=True)
class Family:
    """How an architecture differs from the others."""

    pairing: Literal["halves", "neighbours"] = "halves"
    """Which coordinates its rotary positions turn together (core.rotary)."""
    qk_norm: Literal["RMS", "LN"] = "RMS"
    """What norms queries and keys pass through, in models that have some."""
    qk_norm_over_heads: bool = False
    """Those norms measure all heads of a token together."""
    encoder: bool = False


FAMILIES: dict[str, Family] = {
    "GPT2LMHeadModel": Family(),
    "GPTNeoForCausalLM": Family(),
    "GPTBigCodeForCausalLM": Family(),
    "GPTNeoXForCausalLM": Family(),
    "GPTJForCausalLM": Family(pairing="neighbours"),
    "PhiForCausalLM": Family(qk_norm="LN"),
    "Phi3ForCausalLM": Family(),
    "FalconForCausalLM": Family(),
    "LlamaForCausalLM": Family(),
    "MistralForCausalLM": Family(),
    "SmolLM3ForCausalLM": Family(),
    "Qwen2ForCausalLM": Family(),
    "Qwen3ForCausalLM": Family(),
    "Qwen3MoeForCausalLM": Family(),
    "GemmaForCausalLM": Family(),
    "Gemma2ForCausalLM": Family(),
    "Gemma3ForCausalLM": Family(),
    "OPTForCausalLM": Family(),
    "BloomForCausalLM": Family(),
    "StableLmForCausalLM": Family(qk_norm="LN"),
    "CohereForCausalLM": Family(pairing="neighbours", qk_norm="LN"),
    "OlmoForCausalLM": Family(),
    "Olmo2ForCausalLM": Family(qk_norm_over_heads=True),
    "Starcoder2ForCausalLM": Family(),
    "GraniteForCausalLM": Family(),
    "MixtralForCausalLM": Family(),
    "GptOssForCausalLM": Family(),
    "BertForMaskedLM": Family(encoder=True),
    "RobertaForMaskedLM": Family(encoder=True),
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
"""Architectures that people may try, and why they cannot be read."""

HEADED = ("LMHeadModel", "ForCausalLM", "ForMaskedLM")


def architecture_of(config: dict[str, Any]) -> str:
    """The architecture to open a checkpoint with; ImportRefused with the reason if it cannot be read.

    A base model (`GPT2Model`, `BertModel`) is opened as the one with a head, if its unembedding is its embedding.
    """
    names = config.get("architectures")
    named = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else "an unnamed architecture"
    architecture = named if named in FAMILIES else _headed(named, config)
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


def _headed(named: str, config: dict[str, Any]) -> str:
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
