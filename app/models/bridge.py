"""A checkpoint through transformers and transformer_lens: its tensors under TransformerLens names, checked.

The only file that imports those libraries on the way in, and late: they take seconds. Three checks: no parameter may
be missing from the checkpoint (the library would fill the gap with random values), none may hold NaN or infinity, and
the bridge must compute the plain model's logits, which is what shows a fused projection that was split wrongly.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from app.models.checkpoint import Checkpoint
from app.models.manifest import Shape
from app.models.refusal import ImportRefused

TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest logit: far above float32's rounding, far below an error's."""


@dataclass(frozen=True)
class Bridged:
    """A checked model: its parameters and what must be known to use them."""

    parameters: dict[str, Tensor]
    """TransformerLens names and shapes, float32; no unembedding where it is the embedding."""
    shape: Shape


def open_bridge(checkpoint: Checkpoint) -> Bridged:
    """The checkpoint's parameters, float32, once they have passed the checks; ImportRefused otherwise."""
    plain = _load(checkpoint)
    _refuse_unfinite(plain)
    ids = _probe(plain.config.vocab_size, plain.config.n_positions)
    expected = _logits(plain, ids)
    n_params = sum(parameter.numel() for parameter in plain.parameters())
    has_bias = plain.get_output_embeddings().bias is not None
    bridge = _boot(checkpoint, plain)
    compare_logits(expected, _logits(bridge, ids))
    parameters = {name: tensor.detach() for name, tensor in bridge.tl_parameters().items()}
    tied = parameters["embed.W_E"].data_ptr() == parameters["unembed.W_U"].data_ptr()
    if tied:
        del parameters["unembed.W_U"]
    if not has_bias:  # the bridge makes zeros of it
        parameters.pop("unembed.b_U", None)
    facts = bridge.cfg
    shape = Shape(
        n_layers=facts.n_layers,
        n_heads=facts.n_heads,
        n_kv_heads=facts.n_key_value_heads or facts.n_heads,
        d_model=facts.d_model,
        d_head=facts.d_head,
        d_vocab=facts.d_vocab,
        n_ctx=facts.n_ctx,
        n_params=n_params,
        tied=tied,
        normalization=facts.normalization_type,
        eps=facts.eps,
        has_positions=facts.positional_embedding_type == "standard",
    )
    return Bridged(parameters, shape)


def compare_logits(expected: Float[Tensor, "pos d_vocab"], found: Float[Tensor, "pos d_vocab"]) -> None:
    """ImportRefused if the bridge computes something else than the plain model."""
    off = (expected - found).abs().max() / expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    if not off <= TOLERANCE:  # also when it is NaN
        raise ImportRefused(
            f"the bridge's logits differ from the model's by {off:.1g} of the largest (at most {TOLERANCE:g} is allowed): "
            "its tensors would be read wrongly"
        )


def _load(checkpoint: Checkpoint) -> Any:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        model, info = getattr(transformers, checkpoint.architecture).from_pretrained(
            checkpoint.folder,
            use_safetensors=True,
            attn_implementation="eager",
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # reported below, by name
            output_loading_info=True,
        )
    except Exception as error:  # whatever the library raises at a config that makes no sense
        raise ImportRefused(f"transformers cannot open the model: {error}") from error
    _refuse_names("the checkpoint lacks", info["missing_keys"])
    _refuse_names("of another shape than the config says:", {name for name, *_shapes in info["mismatched_keys"]})
    return model.eval()


def _refuse_names(fault: str, names: set[str]) -> None:
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise ImportRefused(f"{fault} {', '.join(sorted(names)[:3])}{more}")


def _boot(checkpoint: Checkpoint, plain: Any) -> Any:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(checkpoint.folder / "tokenizer.json"))
    # An absolute folder: the library takes short names for aliases of other models.
    folder = str(checkpoint.folder.resolve())
    return TransformerBridge.boot_transformers(folder, device="cpu", hf_model=plain, tokenizer=tokenizer)


def _refuse_unfinite(plain: Any) -> None:
    for name, parameter in plain.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ImportRefused(f"{name} holds values that are no numbers (NaN or infinity)")


def _probe(d_vocab: int, n_ctx: int) -> Int[Tensor, "batch pos"]:
    """A short row of ids from all over the vocabulary, always the same."""
    return (torch.arange(min(n_ctx, 16)) * 7919 % d_vocab)[None]


def _logits(model: Any, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "pos d_vocab"]:
    with torch.no_grad():
        answer = model(ids)
    logits: Tensor = getattr(answer, "logits", answer)
    return logits[0].float()
