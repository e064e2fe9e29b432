"""Bridge to transformer_lens: one layer's tensors under TransformerLens names, and its activations.

With `alone`, the only file that imports the model libraries on the way in, and late: they take seconds. The bridge must
compute the plain model's logits, which shows a fused projection that was split wrongly.
"""

import gc
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor

from app.core.rotary import Rotary
from app.models.importing.alone import LayerAlone, explain_failure, n_ctx_of, open_alone
from app.models.importing.folder.checkpoint import Checkpoint
from app.models.importing.folder.families import FAMILIES, Family
from app.models.manifest import MlpReads, Shape
from app.models.refusal import ImportRefused
from app.models.weights import PAIRINGS

TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest logit: far above float32's rounding, far below an error's."""
POSITIONS: dict[str, Literal["learned", "rotary", "alibi"]] = {
    "standard": "learned",
    "rotary": "rotary",
    "alibi": "alibi",
}
SPECIAL = "0"


@dataclass(frozen=True)
class BridgedLayer:
    """One layer, checked, and its activations between the ends of its model."""

    parameters: dict[str, Tensor]
    """The layer's tensors under TransformerLens names, float32; keys and values once for queries that share them."""
    ends: dict[str, Tensor]
    """Positions and final norm, float32."""
    W_E: str
    W_U: str | None
    """The checkpoint's names of the embedding and of the unembedding; None where that is the embedding."""
    b_U: str | None
    """The checkpoint's name of the unembedding's bias; None where there is none."""
    activations: dict[str, Tensor]
    """Activations by TransformerLens hook name, this layer being `blocks.0.`: [1 pos …]."""
    ids: Int[Tensor, " pos"]
    """The tokens that were run, by the whole model's ids."""
    scale: float | None
    """Scale of the attention scores if they are capped; else it can be measured."""
    cap: float | None
    """Cap of the attention scores."""
    n_params: int
    """Parameters of this layer."""
    n_params_ends: int
    shape: Shape


def open_layer(checkpoint: Checkpoint, layer: int) -> BridgedLayer:
    """Open and check that layer's parameters; ImportRefused if a check fails."""
    opened = open_alone(checkpoint, layer)
    try:
        return _bridge_layer(checkpoint, opened, layer)
    except ImportRefused:
        raise
    except Exception as error:  # whatever the libraries raise at a config that makes no sense
        raise explain_failure("the model cannot be run", error) from error
    finally:
        gc.collect()  # the libraries' models are full of cycles
        gc.freeze()  # the libraries' own objects remain: do not search them again for the next layer


def _bridge_layer(checkpoint: Checkpoint, opened: LayerAlone, layer: int) -> BridgedLayer:
    family = FAMILIES[opened.architecture]
    probe = opened.probe[None]
    expected = _logits(opened.plain, probe)
    attention = _attention(opened.plain)
    rotary = _rotary(opened.plain, attention, opened.plain.config, family)
    has_b_U = getattr(opened.plain.get_output_embeddings(), "bias", None) is not None
    bridge = _boot(checkpoint, opened)
    with torch.no_grad():
        answer, cache = bridge.run_with_cache(probe)
    compare_logits(expected, getattr(answer, "logits", answer)[0].float())
    raw = {name: tensor.detach() for name, tensor in bridge.tl_parameters().items()}
    if not {f"blocks.0.attn.W_{letter}" for letter in "QKVO"} <= raw.keys():
        raise ImportRefused(f"layer {layer} has no attention heads of its own: such models cannot be taken apart")
    activations = {name: tensor.float() for name, tensor in cache.items() if isinstance(tensor, Tensor)}
    reads = _mlp_reads(activations, family)
    shape = _shape(opened, bridge, raw, attention, family, reads)
    return BridgedLayer(
        parameters=_parameters(bridge, raw, rotary, shape, layer),
        ends=_ends(bridge, raw, shape),
        W_E=_name_of(raw["embed.W_E"], opened.rows, "embedding"),
        W_U=None if shape.tied else _name_of(raw["unembed.W_U"].T, opened.rows, "unembedding"),
        b_U=_name_of(raw["unembed.b_U"], opened.rows, "bias") if has_b_U and not shape.encoder else None,
        activations=activations,
        ids=opened.ids,
        scale=getattr(attention, "scaling", None),
        cap=getattr(opened.config, "attn_logit_softcapping", None),
        n_params=opened.n_params,
        n_params_ends=opened.n_params_ends,
        shape=shape,
    )


def compare_logits(expected: Float[Tensor, "pos d_vocab"], found: Float[Tensor, "pos d_vocab"]) -> None:
    """Raise ImportRefused if the bridge's logits differ from the plain model's."""
    off = (expected - found).abs().max() / expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    if not off <= TOLERANCE:  # also when it is NaN
        raise ImportRefused(
            f"the bridge's logits differ from the model's by {off:.1g} of the largest (at most {TOLERANCE:g} is allowed): "
            "its tensors would be read wrongly"
        )


def _boot(checkpoint: Checkpoint, opened: LayerAlone) -> Any:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

    # The model is run on ids, but the library requires a tokenizer. A BOS token would make it look for another.
    words = Tokenizer(WordLevel({f"{id_}": id_ for id_ in range(opened.plain.config.vocab_size)}, unk_token=SPECIAL))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token=SPECIAL, pad_token=SPECIAL)
    opened.plain.config.architectures = [opened.architecture]
    logging.getLogger("transformer_lens").setLevel(logging.ERROR)  # it says of each layer that experts are left out
    # The folder must be absolute: the library takes short names for aliases of other models.
    folder = str(checkpoint.folder.resolve())
    try:
        return TransformerBridge.boot_transformers(folder, device="cpu", hf_model=opened.plain, tokenizer=tokenizer)
    except Exception as error:
        raise explain_failure("transformer_lens cannot open the model", error) from error


def _attention(plain: Any) -> Any:
    """Find the plain model's attention module: the innermost one that has a projection of its own."""
    from torch import nn

    named = [(name, module) for name, module in plain.named_modules() if "attn" in name or "attention" in name]
    for _name, module in reversed(named):
        if sum(isinstance(child, nn.Module) and hasattr(child, "weight") for child in module.children()) >= 2:
            return module
    raise ImportRefused("the model has no attention that can be found: such models cannot be taken apart")


def _rotary(plain: Any, attention: Any, config: Any, family: Family) -> Rotary | None:
    """Read how the layer rotates queries and keys, from the tables that its own forward pass uses."""
    if not getattr(attention, "use_rope", True):
        return None
    if config.model_type == "gptj":  # keeps sines and cosines, no frequencies
        n = config.rotary_dim
        return Rotary(10_000.0 ** (-torch.arange(0, n, 2) / n), family.pairing)
    kind = (getattr(config, "layer_types", None) or [""])[0]
    for module in plain.modules():
        for prefix in (f"{kind}_", ""):
            if getattr(module, f"{prefix}inv_freq", None) is not None:
                return _rotary_of_module(module, prefix, family)
    return None


def _rotary_of_module(module: Any, prefix: str, family: Family) -> Rotary:
    """Read a module's rotary frequencies, for short and for long texts; `prefix`: the kind of layers, empty for all."""
    scale = float(getattr(module, f"{prefix}attention_scaling", 1.0))
    parameters: Any = getattr(module.config, "rope_parameters", None) or {}
    if prefix:
        parameters = parameters[prefix[:-1]]
    if parameters.get("rope_type") != "longrope":
        return Rotary(getattr(module, f"{prefix}inv_freq").detach().float(), family.pairing, scale)
    # Its forward pass chooses the frequencies by the last position asked for, and stores them in the module.
    original = int(parameters["original_max_position_embeddings"])
    short, long = (_frequencies_at(module, prefix, last) for last in (0, original))
    return Rotary(short, family.pairing, scale, long, original)


def _frequencies_at(module: Any, prefix: str, last: int) -> Float[Tensor, " n"]:
    """Compute the frequencies in a text whose last position is `last`."""
    of_kind = {"layer_type": prefix[:-1]} if prefix else {}
    module(torch.zeros(1), torch.tensor([[last]]), **of_kind)
    frequencies: Tensor = getattr(module, f"{prefix}inv_freq").detach().float().clone()
    return frequencies


def _mlp_reads(activations: Mapping[str, Tensor], family: Family) -> MlpReads:
    """Find the norm whose output the MLP reads, by its values; the self-test proves it."""
    read = activations["blocks.0.mlp.hook_in"]
    # Its own norm first: in parallel blocks both may give the same. In an encoder norms come after the stream.
    norms: tuple[MlpReads, ...] = () if family.encoder else ("ln2", "ln1")
    shown = {norm: activations[name] for norm in norms if (name := f"blocks.0.{norm}.hook_out") in activations}
    for norm, output in shown.items():
        if torch.equal(output, read):
            return norm
    if shown:
        raise ImportRefused("what its MLP reads is not what a norm before it gives: such models cannot be read")
    return "stream"


def _shape(
    opened: LayerAlone, bridge: Any, raw: Mapping[str, Tensor], attention: Any, family: Family, mlp_reads: MlpReads
) -> Shape:
    facts, modules = bridge.cfg, bridge.blocks[0]._modules
    positions = POSITIONS.get(facts.positional_embedding_type)
    if positions is None:
        raise ImportRefused(f"its positions ({facts.positional_embedding_type}) are of a kind that cannot be read")
    dense = "blocks.0.mlp.W_in" in raw
    experts = getattr(opened.config, "num_local_experts", None) or getattr(opened.config, "num_experts", None) or 1
    return Shape(
        n_layers=opened.config.num_hidden_layers,
        n_heads=facts.n_heads,
        n_kv_heads=facts.n_key_value_heads or facts.n_heads,
        d_model=facts.d_model,
        d_head=facts.d_head,
        d_vocab=opened.config.vocab_size,
        n_ctx=n_ctx_of(opened.config),
        n_params=0,
        tied=family.encoder or raw["embed.W_E"].data_ptr() == raw["unembed.W_U"].data_ptr(),
        normalization=facts.normalization_type.removesuffix("Pre"),
        eps=facts.eps,
        gain_offset=1.0 if facts.rmsnorm_uses_offset else 0.0,
        positions=positions,
        encoder=family.encoder,
        reads_normed="ln1" in modules and not family.encoder,
        post_norm="ln1_post" in modules,
        qk_norm=family.qk_norm if "q_norm" in bridge.blocks[0].attn._modules else "none",
        qk_norm_over_heads=family.qk_norm_over_heads,
        sinks=hasattr(attention, "sinks"),
        n_experts=0 if dense else experts,
        d_mlp=raw["blocks.0.mlp.W_in"].shape[1] if dense else 0,
        gated="blocks.0.mlp.W_gate" in raw,
        mlp_reads=mlp_reads,
        mlp_post_norm="ln2_post" in modules,
    )


def _parameters(
    bridge: Any, raw: Mapping[str, Tensor], rotary: Rotary | None, shape: Shape, layer: int
) -> dict[str, Tensor]:
    group = shape.n_heads // shape.n_kv_heads
    kept = {}
    for name, tensor in raw.items():
        room, _, rest = name.partition("blocks.0.")
        if room:
            continue
        if rest in {"mlp.b_in", "mlp.b_out"} and not tensor.any():
            continue  # absent, and made up by the bridge in a length of its own
        if rest in {"attn.W_K", "attn.W_V", "attn.b_K", "attn.b_V"}:
            tensor = tensor[::group]  # noqa: PLW2901 (expanded by the bridge to the queries that share them)
        kept[f"blocks.{layer}.{rest}"] = tensor
    block = bridge.blocks[0]
    for name in ("ln1_post", "ln2_post"):
        if name in block._modules:
            kept[f"blocks.{layer}.{name}.w"] = block._modules[name].weight.detach()
    for name, n_heads in (("q_norm", shape.n_heads), ("k_norm", shape.n_kv_heads)):
        if name in block.attn._modules:
            kept[f"blocks.{layer}.attn.{name}"] = _gains_by_head(block.attn._modules[name], n_heads, shape.d_head)
    if rotary is not None and shape.positions == "rotary":
        kept |= {f"blocks.{layer}.attn.{name}": tensor for name, tensor in _rotary_rows(rotary).items()}
    return kept


def _rotary_rows(rotary: Rotary) -> dict[str, Tensor]:
    """Pack the rotation of queries and keys as weights store it."""
    how = torch.tensor([PAIRINGS.index(rotary.pairing), rotary.scale])
    rows = {"rotary": torch.cat([how, rotary.frequencies])}
    if rotary.long is not None:
        rows["rotary_long"] = torch.cat([torch.tensor([rotary.original]), rotary.long])
    return rows


def _gains_by_head(norm: Any, n_heads: int, d_head: int) -> Float[Tensor, "n_heads d_head"]:
    """Return the gains of queries' or keys' norm by head: stored once for all heads, or for each, or in one row."""
    parts = [parameter.detach() for _name, parameter in norm.original_component.named_parameters()]
    gains = torch.cat([part.reshape(-1) for part in parts])
    return gains.expand(n_heads, d_head) if gains.numel() == d_head else gains.reshape(n_heads, d_head)


def _ends(bridge: Any, raw: Mapping[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """Collect the tensors of both ends besides the two matrices."""
    names = ["ln_final.w", "ln_final.b"] if not shape.encoder else []  # a BERT's belongs to its head
    kept = {name: raw[name] for name in names if name in raw}
    if "embed_ln" in bridge._modules and not shape.encoder:
        kept |= {"embed_ln.w": bridge.embed_ln.weight.detach(), "embed_ln.b": bridge.embed_ln.bias.detach()}
    if shape.positions == "learned":  # OPT and RoBERTa have rows in front that are never used
        kept["pos_embed.W_pos"] = raw["pos_embed.W_pos"][-shape.n_ctx :]
    return kept


def _name_of(rows: Tensor, stored: Mapping[str, Tensor], what: str) -> str:
    """Find the checkpoint's tensor that the bridge uses here, by its values."""
    for name, value in stored.items():
        if value.shape == rows.shape and torch.equal(value.float(), rows):
            return name
    raise ImportRefused(f"the bridge's {what} is no tensor of the checkpoint: its tokens would be read wrongly")


def _logits(model: Any, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "pos d_vocab"]:
    with torch.no_grad():
        answer = model(ids)
    logits: Tensor = getattr(answer, "logits", answer)
    return logits[0].float()
