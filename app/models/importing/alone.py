"""One layer of a checkpoint as a model of its own, in transformers: between the checkpoint's own ends, few tokens.

Embedding and unembedding keep the rows of a few tokens, so that memory does not grow with the model. No parameter may
be missing from the checkpoint (the library would fill the gap with random values) or be of another shape than its
config says, and none may hold NaN or infinity. Imports transformers late: it takes seconds. Knows no bridge.
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from app.models.importing.folder.checkpoint import Checkpoint, Stored
from app.models.importing.folder.families import FAMILIES, architecture_of
from app.models.importing.folder.keys import keep_heeded
from app.models.importing.folder.stored_values import DTYPES, read_rows, read_tensor, refuse_unfinite
from app.models.importing.folder.tensor_names import is_same_tensor, layer_of, rename_layer
from app.models.memory import is_of_memory
from app.models.refusal import ImportRefused

PROBE_TOKENS = 16
SLACK = 1 << 26
"""Numbers that a config may describe beyond the checkpoint's, so that missing ones can be named: 256 MiB."""
MOST = 1 << 31
"""Largest size in a config that is accepted."""
MOST_BUFFER_BYTES = 1 << 30
"""Bytes of buffers, such as a mask over all pairs of positions: that of 32,768."""
SIZES = ("vocab_size", "num_hidden_layers", "hidden_size", "num_attention_heads")
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclass(frozen=True)
class LayerAlone:
    """A one-layer model of transformers, float32."""

    plain: Any
    architecture: str
    config: Any
    """The whole model's config."""
    rows: dict[str, Tensor]
    """The rows read of the checkpoint's tensors that have one row a token, by their names."""
    ids: Int[Tensor, " pos"]
    """The tokens whose rows it has, by the whole model's ids."""
    probe: Int[Tensor, " pos"]
    """The same tokens by the one-layer model's ids."""
    n_params: int
    """Parameters of the layer."""
    n_params_ends: int
    """Parameters of everything else at the whole model's size; tied ones counted once."""


def open_alone(checkpoint: Checkpoint, layer: int) -> LayerAlone:
    """Open that layer as a model; ImportRefused by name if a tensor is missing, misshapen or not finite."""
    architecture = architecture_of(checkpoint.config)
    whole = whole_config(checkpoint, architecture)
    d_vocab = whole.vocab_size
    # RoBERTa takes one more row for padding. Fewer rows than the vocabulary, since the number of rows tells ends apart.
    n_tokens = max(1, min(PROBE_TOKENS, d_vocab - 2, n_ctx_of(whole)))
    # Spread over the vocabulary, always the same.
    ids = torch.arange(n_tokens) * 7919 % d_vocab
    never, kept = _padding_of(whole), ids.tolist()
    kept.insert(never, 0)
    probe = torch.tensor([row for row in range(n_tokens + 1) if row != never])
    alone = _config_of(whole, layer, n_tokens + 1)
    empty = _empty_model(architecture, alone)
    shapes = _shapes(_empty_model(architecture, _config_of(whole, layer, d_vocab)))
    fixed = {name for name, shape in _shapes(empty).items() if shape == shapes.get(name)}
    by_token = _tensors_by_token(checkpoint, d_vocab, fixed)
    state, rows = {}, {}
    for tensor, value in _read_layer(checkpoint, layer, by_token, kept):
        refuse_unfinite(tensor.name, value)
        state[rename_layer(tensor.name, layer, 0)] = value
        if tensor.name in by_token:
            rows[tensor.name] = value
    _refuse_larger(empty, state)
    plain = _load_layer(architecture, alone, state, layer)
    return LayerAlone(plain, architecture, whole, rows, ids, probe, *_count_params(plain, shapes))


def n_layers_of(checkpoint: Checkpoint) -> int:
    """Return the model's number of layers; ImportRefused if its config and its tensors do not agree on it."""
    layers: int = whole_config(checkpoint, architecture_of(checkpoint.config)).num_hidden_layers
    found = {layer for tensor in checkpoint.tensors if (layer := layer_of(tensor.name)) is not None}
    if not found or max(found) + 1 != layers:
        last = f"its tensors go to layer {max(found)}" if found else "it has tensors of none"
        raise ImportRefused(f"the config speaks of {layers} layers, counted from 0, and {last}")
    return layers


def n_ctx_of(config: Any) -> int:
    """Return the number of positions that the model was made for."""
    n = getattr(config, "max_position_embeddings", None) or getattr(config, "seq_length", None) or 2048
    # RoBERTa counts from after its padding id.
    return int(n) - _padding_of(config) - 1 if config.model_type == "roberta" else int(n)


def _padding_of(config: Any) -> int:
    """Return the id that RoBERTa takes for padding and counts positions from; 0 in others, where it changes nothing."""
    return (config.pad_token_id or 0) if config.model_type == "roberta" else 0


def _count_params(plain: Any, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    in_layer = ends = 0
    for name, parameter in plain.named_parameters():
        if layer_of(name) is not None:
            in_layer += parameter.numel()
        else:
            ends += math.prod(shapes.get(name, tuple(parameter.shape)))
    return in_layer, ends


def whole_config(checkpoint: Checkpoint, architecture: str) -> Any:
    """Open the whole model's config with the library; ImportRefused if the library cannot."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    heeded = keep_heeded(checkpoint.config)
    try:
        config = getattr(transformers, architecture).config_class.from_dict(copy.deepcopy(heeded))
        # Eager attention shows the scores, and is the only kind that takes no kernel from the hub.
        config._attn_implementation = "eager"
        sizes = {name: getattr(config, name) for name in SIZES} | {"positions": n_ctx_of(config)}
    except Exception as error:  # whatever the library raises at a config that makes no sense
        raise explain_failure("transformers cannot open the model", error) from error
    for name, size in sizes.items():
        if not (isinstance(size, int) and 0 < size < MOST):
            raise ImportRefused(f"the config's {name} is {size!r:.40}: a number from 1 to {MOST - 1} is meant")
    if _padding_of(config) < 0:
        raise ImportRefused(f"the config's pad_token_id is {config.pad_token_id}: a number from 0 is meant")
    return config


def _config_of(whole: Any, layer: int, d_vocab: int) -> Any:
    """Build the config of a model that is this layer alone, over a small vocabulary."""
    alone, n_layers = copy.deepcopy(whole), whole.num_hidden_layers
    try:
        for name, value in whole.to_dict().items():
            if isinstance(value, list) and len(value) == n_layers and name != "architectures":
                setattr(alone, name, [value[layer]])
        if hasattr(whole, "attention_types"):  # GPT-Neo says it in runs, and keeps it layer by layer elsewhere
            alone.attention_layers = [whole.attention_layers[layer]]
            alone.attention_types = [[alone.attention_layers, 1]]
        alone.num_hidden_layers, alone.vocab_size = 1, d_vocab
        for name in SPECIAL_IDS:
            setattr(alone, name, None)
        if whole.model_type == "roberta":  # it counts positions from its padding on
            alone.pad_token_id = _padding_of(whole)
    except Exception as error:
        raise explain_failure("transformers cannot open the model", error) from error
    return alone


def _tensors_by_token(checkpoint: Checkpoint, d_vocab: int, fixed: set[str]) -> set[str]:
    """Name the checkpoint's tensors outside the layers that have one row a token, except those `fixed` by size."""
    return {
        tensor.name
        for tensor in checkpoint.tensors
        if layer_of(tensor.name) is None
        and tensor.shape[:1] == (d_vocab,)
        and not any(is_same_tensor(tensor.name, name) for name in fixed)
    }


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters outside the layers, by name."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if layer_of(name) is None}


def _empty_model(architecture: str, config: Any) -> Any:
    """Build a model that is never filled and takes no memory."""
    import transformers

    try:
        with torch.device("meta"):
            return getattr(transformers, architecture)(copy.deepcopy(config))
    except Exception as error:  # whatever the library raises at a config that makes no sense
        raise explain_failure("transformers cannot open the model", error) from error


def _refuse_larger(empty: Any, state: Mapping[str, Tensor]) -> None:
    """Refuse a config that describes far more than the checkpoint has, before memory is taken for it."""
    tables = sum(buffer.numel() * buffer.element_size() for buffer in empty.buffers())
    if tables > MOST_BUFFER_BYTES:
        raise ImportRefused(
            f"the config speaks of tables of {tables:,} bytes beside the weights, such as a mask over its positions: "
            f"at most {MOST_BUFFER_BYTES:,} are made"
        )
    promised = sum(parameter.numel() for parameter in empty.parameters())
    held = sum(tensor.numel() for tensor in state.values())
    if promised > 2 * held + SLACK:
        raise ImportRefused(f"the config speaks of {promised:,} numbers in this layer, the checkpoint holds {held:,}")


def _read_layer(
    checkpoint: Checkpoint, layer: int, by_token: set[str], rows: list[int]
) -> Iterable[tuple[Stored, Tensor]]:
    """Read the layer's tensors and those outside all layers; of those by token these rows only."""
    for tensor in checkpoint.tensors:
        if layer_of(tensor.name) in {None, layer} and tensor.dtype in DTYPES:
            yield tensor, read_rows(tensor, rows) if tensor.name in by_token else read_tensor(checkpoint, tensor)


def _load_layer(architecture: str, config: Any, state: dict[str, Tensor], layer: int) -> Any:
    """Load the one-layer model; ImportRefused by name if a parameter is missing or of another shape."""
    import transformers

    try:
        model, info = getattr(transformers, architecture).from_pretrained(
            None,
            config=config,
            state_dict=state,
            attn_implementation="eager",
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # reported below, by name
            output_loading_info=True,
        )
    except Exception as error:  # whatever the library raises at a config that makes no sense
        raise explain_failure("transformers cannot open the model", error) from error
    missing = set(info["missing_keys"])
    if FAMILIES[architecture].encoder:  # a base model's checkpoint has no head, and none is used
        missing = {name for name in missing if not name.startswith(("cls.", "lm_head."))}
    _refuse_names("the checkpoint lacks", {rename_layer(name, 0, layer) for name in missing})
    odd = {rename_layer(name, 0, layer) for name, *_shapes in info["mismatched_keys"]}
    _refuse_names("of another shape than the config says:", odd)
    return model.eval()


def _refuse_names(fault: str, names: set[str]) -> None:
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise ImportRefused(f"{fault} {', '.join(sorted(names)[:3])}{more}")


def explain_failure(what: str, error: Exception) -> ImportRefused | MemoryError:
    """Build the error for a library's failure: a refusal with its words, cut to a sentence, or MemoryError."""
    if is_of_memory(error):
        return MemoryError()
    words = " ".join(str(error).split())[:300]
    said = f"it does not know {words}" if isinstance(error, KeyError) else words or type(error).__name__
    return ImportRefused(f"{what}: {said}")
