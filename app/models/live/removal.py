"""One position run again without something that attention wrote there: what everything behind makes of its absence.

The position alone is run, from the layer of the removal on, with the keys and values that the text's earlier positions
had. Several removals are rows of one batch, each row beginning at its own layer. Knows no directions.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from app.models.live.calls import LayerCall, note_call
from app.models.live.forward import TextRun
from app.models.live.layouts import LAYOUTS


@dataclass(frozen=True)
class Removal:
    """Something that the heads of a layer write at the position, and that is taken away there."""

    layer: int
    written: Float[Tensor, " d_model"]


def run_without(
    model: Any, run: TextRun, at: int, removals: Sequence[Removal]
) -> tuple[Float[Tensor, " d_vocab"], Float[Tensor, "n_removals d_vocab"]]:
    """Run a position of the text again, as it was, and without each of these; return its logits, before any cap.

    ValueError for a position that the text does not have. Where a norm stands behind attention, what is removed is
    removed before it.
    """
    if not 0 <= at < len(run.ids):
        raise ValueError(f"the text has positions 0 to {len(run.ids) - 1}")
    modules = LAYOUTS[type(model).__name__].modules
    layers = list(model.get_submodule(modules.layers))
    final_norm, unembedding = model.get_submodule(modules.final_norm), model.get_output_embeddings()
    past = _Past(run.cache, at)
    with torch.no_grad():
        given = _watch_calls(model, layers, run, at, past)
        order = sorted(range(len(removals)), key=lambda row: removals[row].layer)
        rows = given.last.new_empty(0, 1, given.last.shape[-1])
        for number, layer in enumerate(layers):
            own = [removals[row].written for row in order if removals[row].layer == number]
            rows = torch.cat([rows, given.streams[number].expand(len(own), 1, -1)])
            if len(rows):
                projection = layer.get_submodule(modules.attention).get_submodule(modules.projection)
                with _take_away(projection, own):
                    rows = given.calls[number].run(layer, rows, past)
        clean, *answers = unembedding(final_norm(torch.cat([given.last, rows])))[:, 0]
    places = sorted(range(len(order)), key=lambda place: order[place])
    return clean, torch.stack([answers[place] for place in places]) if places else clean.new_empty(0, len(clean))


@dataclass
class _Calls:
    """What each layer was called with for the position, and the last stream."""

    streams: list[Tensor]
    calls: list[LayerCall]
    last: Tensor


def _watch_calls(model: Any, layers: list[Any], run: TextRun, at: int, past: "_Past") -> _Calls:
    """Run the position once as it was, and note how the library calls each layer."""
    seen = _Calls([], [], run.streams[-1])

    def note(stream: Tensor, call: LayerCall) -> None:
        seen.streams.append(stream)
        seen.calls.append(call)

    def note_last(_module: Any, _given: Any, made: Any) -> None:
        seen.last = made[0] if isinstance(made, tuple) else made

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(note_call(note), with_kwargs=True).remove)
        hooks.callback(layers[-1].register_forward_hook(note_last).remove)
        model.base_model(run.ids[None, at : at + 1], past_key_values=past, use_cache=True)  # without the unembedding
    return seen


@contextmanager
def _take_away(projection: Any, written: list[Tensor]) -> Iterator[None]:
    """Take away what these say from the last rows of what a layer's heads write."""

    def subtract(_module: Any, _given: Any, made: Tensor) -> Tensor:
        if not written:
            return made
        n_kept = len(made) - len(written)
        return torch.cat([made[:n_kept], made[n_kept:] - torch.stack(written)[:, None]])

    handle = projection.register_forward_hook(subtract)
    try:
        yield
    finally:
        handle.remove()


class _PastLayer(DynamicLayer):  # type: ignore[misc]
    """The keys and values of a layer before a position, which no run adds to."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Return the earlier keys and values, for each row of a batch, with the new ones behind them."""
        rows = len(key_states)
        return (
            torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2),
            torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2),
        )


class _Past(Cache):  # type: ignore[misc]
    """What a text's run left before a position."""

    def __init__(self, cache: Any, at: int) -> None:
        super().__init__(layers=[_PastLayer(one.keys[..., :at, :], one.values[..., :at, :]) for one in cache.layers])
