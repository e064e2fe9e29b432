"""The families of models that are run, and why another one is not. Knows no torch."""

from app.models.manifest import Manifest

ARCHITECTURES = (
    "GPT2LMHeadModel",
    "GPTNeoXForCausalLM",
    "LlamaForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "Gemma2ForCausalLM",
    "Phi3ForCausalLM",
    "Olmo2ForCausalLM",
)
"""Those whose parameters are made of imported weights, by the checkpoint's own word."""


class NotAssembled(ValueError):
    """The weights cannot be put together again; the message says why, for people."""


def check_assembled(manifest: Manifest) -> None:
    """Raise NotAssembled, with the reason, unless these weights are proven to make their model's own parameters."""
    if manifest.assembled is None:
        raise NotAssembled(
            "an older version imported these weights, without what running them needs: import them again"
        )
    if not manifest.assembled:
        raise NotAssembled(
            f"{manifest.architecture} is not run here: its weights are not proven to make its own parameters, as those of "
            f"{', '.join(ARCHITECTURES)} are"
        )
