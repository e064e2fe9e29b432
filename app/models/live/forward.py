"""One forward pass of an assembled model, with what flows between its parts. Knows no directions.

The stream is taken where each layer reads it and before the final norm: what the library gives as its last hidden state
is behind that norm.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from app.models.live.calls import LayerCall, note_call
from app.models.live.layouts import LAYOUTS, Modules

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class TextRun:
    """What one text did in a model: n tokens, from the first position on."""

    ids: Int[Tensor, " n"]
    streams: Float[Tensor, "n_layers_and_one n d_model"]
    """The stream that enters each layer; the last is the one that the final norm reads."""
    patterns: Sequence[Float[Tensor, "n_heads n n"]]
    """For each layer the share of each head's attention that goes from a position (rows) to each position (columns)."""
    mixed: Sequence[Float[Tensor, "n n_heads d_head"]]
    """For each layer what each head's values come to at each position, before its W_O."""
    attention: Float[Tensor, "n_layers n d_model"]
    """What the attention of each layer adds to the stream."""
    mlp: Float[Tensor, "n_layers n d_model"]
    """What the MLP of each layer adds to the stream."""
    neurons: Sequence[Float[Tensor, "n d_mlp"]]
    """For each layer what its MLP's neurons are at, before its W_out."""
    logits: Float[Tensor, "n d_vocab"] | None
    """None once they are let go: they are the largest part of all."""
    cache: Any
    """The library's own keys and values of every position, for running later ones again."""
    calls: Sequence[LayerCall]
    """What each layer was given besides the stream, for running it again."""


def run_model(model: Any, ids: Int[Tensor, " n"]) -> TextRun:
    """Run an assembled model once on these token ids; ValueError if there are none, or an id that it does not have."""
    d_vocab = model.get_input_embeddings().weight.shape[0]
    if not len(ids) or int(ids.min()) < 0 or int(ids.max()) >= d_vocab:
        raise ValueError(f"token ids are 0 to {d_vocab - 1}, and at least one is run")
    from transformers import DynamicCache

    modules = LAYOUTS[type(model).__name__].modules
    layers = list(model.get_submodule(modules.layers))
    seen, cache = _Seen(len(layers)), DynamicCache()
    with torch.no_grad(), _watch(model, layers, modules, seen):
        logits = model(ids[None], past_key_values=cache, use_cache=True).logits
    n_heads = model.config.num_attention_heads
    return TextRun(
        ids=ids,
        streams=_join(seen.streams),
        patterns=_all(seen.patterns),
        mixed=[one.reshape(len(ids), n_heads, -1) for one in _all(seen.mixed)],
        attention=_join(seen.attention),
        mlp=_join(seen.mlp),
        neurons=_all(seen.neurons),
        logits=logits[0],
        cache=cache,
        calls=_all(seen.calls),
    )


def read_logits(model: Any, stream: Float[Tensor, "*n d_model"]) -> Float[Tensor, "*n d_vocab"]:
    """Compute the logits of the last stream at some positions, as the model gives them: behind its cap, if it has one."""
    modules = LAYOUTS[type(model).__name__].modules
    with torch.no_grad():
        logits: Tensor = model.get_output_embeddings()(model.get_submodule(modules.final_norm)(stream))
    cap = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def write_vectors(model: Any, layer: int) -> Float[Tensor, "d_mlp d_model"]:
    """Return what each neuron of a layer's MLP writes to the stream for each unit that it is at."""
    modules = LAYOUTS[type(model).__name__].modules
    projection = model.get_submodule(f"{modules.layers}.{layer}.{modules.mlp_output}")
    weight: Tensor = projection.weight.detach()
    # GPT-2's own kind of linear map has a row for each input.
    return weight if type(projection).__name__ == "Conv1D" else weight.T


class _Seen:
    """What the hooks of one pass have seen, by layer."""

    def __init__(self, n_layers: int) -> None:
        self.streams: list[Tensor | None] = [None] * (n_layers + 1)
        self.patterns: list[Tensor | None] = [None] * n_layers
        self.mixed: list[Tensor | None] = [None] * n_layers
        self.attention: list[Tensor | None] = [None] * n_layers
        self.mlp: list[Tensor | None] = [None] * n_layers
        self.neurons: list[Tensor | None] = [None] * n_layers
        self.calls: list[LayerCall | None] = [None] * n_layers

    def keep_call(self, layer: int) -> Callable[[Tensor, LayerCall], None]:
        """Make the function that keeps the stream which enters a layer, and what it is given besides."""

        def keep(stream: Tensor, call: LayerCall) -> None:
            self.streams[layer], self.calls[layer] = stream[0], call

        return keep


@contextmanager
def _watch(model: Any, layers: list[Any], modules: Modules, seen: _Seen) -> Iterator[None]:
    """Hook the modules while the context lasts."""
    with ExitStack() as hooks:

        def before(module: Any, keep: Callable[[Tensor], None]) -> None:
            handle = module.register_forward_pre_hook(
                lambda _module, given, named: keep(given[0] if given else named["hidden_states"]), with_kwargs=True
            )
            hooks.callback(handle.remove)

        def after(module: Any, keep: Callable[[Any], None]) -> None:
            handle = module.register_forward_hook(lambda _module, _given, made: keep(made))
            hooks.callback(handle.remove)

        for n, layer in enumerate(layers):
            attention = layer.get_submodule(modules.attention)
            hooks.callback(layer.register_forward_pre_hook(note_call(seen.keep_call(n)), with_kwargs=True).remove)
            before(attention.get_submodule(modules.projection), _keep_in(seen.mixed, n))
            after(attention, _keep_pattern_in(seen.patterns, n))
            after(layer.get_submodule(modules.attention_writes), _keep_in(seen.attention, n))
            after(layer.get_submodule(modules.mlp_writes), _keep_in(seen.mlp, n))
            before(layer.get_submodule(modules.mlp_output), _keep_in(seen.neurons, n))
        before(model.get_submodule(modules.final_norm), _keep_in(seen.streams, len(layers)))
        yield


def _keep_in(kept: list[Tensor | None], at: int) -> Callable[[Any], None]:
    def keep(made: Any) -> None:
        kept[at] = (made[0] if isinstance(made, tuple) else made)[0]

    return keep


def _keep_pattern_in(kept: list[Tensor | None], at: int) -> Callable[[Any], None]:
    def keep(made: Any) -> None:
        kept[at] = made[1][0]

    return keep


def _join(kept: list[Tensor | None]) -> Tensor:
    return torch.stack(_all(kept))


def _all(kept: list[Kept | None]) -> list[Kept]:
    found = [one for one in kept if one is not None]
    if len(found) != len(kept):
        raise RuntimeError("a hook has seen nothing: the library runs other modules than the layout says")
    return found
