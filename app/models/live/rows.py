"""A text run again in rows that differ by what is changed in each, from the first changed layer on; and continued.

Below that layer all rows are the text as it was run, whose streams, keys and values are at hand. Knows no directions.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from app.models.live.changes import Row, apply_changes, first_layer
from app.models.live.forward import TextRun, read_logits
from app.models.live.layouts import LAYOUTS

Choose = Callable[[Float[Tensor, "rows d_vocab"]], Int[Tensor, " rows"]]
"""The choice of each row's next token by its logits."""


def run_rows(model: Any, run: TextRun, rows: Sequence[Row]) -> tuple[Float[Tensor, "rows n d_model"], DynamicCache]:
    """Run a text again in these rows; return the stream that the final norm reads, and every row's keys and values.

    ValueError for a layer that the model does not have.
    """
    layers = list(model.get_submodule(LAYOUTS[type(model).__name__].modules.layers))
    if not all(0 <= change.layer < len(layers) for row in rows for change in row):
        raise ValueError(f"the model has layers 0 to {len(layers) - 1}")
    first = first_layer(rows, len(layers))
    cache = DynamicCache()
    cache.layers = [_repeat(one, len(rows)) if n < first else DynamicLayer() for n, one in enumerate(run.cache.layers)]
    stream = run.streams[first].expand(len(rows), -1, -1)
    with torch.no_grad(), apply_changes(model, rows, 0):
        for layer, call in zip(layers[first:], run.calls[first:], strict=True):
            stream = call.run(layer, stream, cache)
    return stream, cache


def continue_rows(
    model: Any, run: TextRun, rows: Sequence[Row], n_tokens: int, choose: Choose, ends: Collection[int]
) -> Generator[Int[Tensor, " rows"], None, None]:
    """Continue a text in these rows, and yield each row's next token, until there are so many or each row has ended.

    A row ends with one of the tokens `ends`; what it is given behind that means nothing. Changes of heads last at new
    positions, and changes of the stream, too, unless they name their positions.
    """
    stream, cache = run_rows(model, run, rows)
    logits = read_logits(model, stream[:, -1])
    has_ended = torch.zeros(len(rows), dtype=torch.bool)
    for position in range(len(run.ids), len(run.ids) + n_tokens):
        chosen = choose(logits)
        yield chosen
        has_ended |= torch.isin(chosen.cpu(), torch.tensor([*ends], dtype=chosen.dtype))
        if bool(has_ended.all()) or position + 1 == len(run.ids) + n_tokens:
            return
        # Hooks last for one token, since others may run the model before the next one is asked for.
        with torch.no_grad(), apply_changes(model, rows, position):
            logits = model(chosen[:, None].to(run.ids.device), past_key_values=cache, use_cache=True).logits[:, -1]


def _repeat(layer: DynamicLayer, n_rows: int) -> DynamicLayer:
    """Return the earlier keys and values of each of several rows that have the same."""
    repeated = DynamicLayer()
    repeated.lazy_initialization(layer.keys, layer.values)
    repeated.keys, repeated.values = (one.expand(n_rows, -1, -1, -1) for one in (layer.keys, layer.values))
    return repeated
