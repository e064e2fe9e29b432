"""Changes of a running model: what is added to what heads write, and what becomes of the stream that enters a layer.

Made by hooks that last as long as their context; stored weights are never touched. Each row of a batch has changes of its
own, so that a text as it was and the same text changed run side by side. Knows no directions.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from app.models.live.layouts import LAYOUTS


@dataclass(frozen=True)
class HeadChange:
    """A change of what a head writes, at every position: `z delta + constant` is added, z being what its values come to."""

    layer: int
    head: int
    delta: Float[Tensor, "d_head d_model"]
    """The difference of the head's output matrix."""
    constant: Float[Tensor, " d_model"] | None = None


@dataclass(frozen=True)
class StreamChange:
    """A change of the stream that enters a layer, at the positions of a text from `first` on: it becomes `x scale + shift`.

    With as many shifts as it names positions, each has its own, and later positions keep their stream.
    """

    layer: int
    first: int
    scale: Float[Tensor, " d_model"] | None = None
    shift: Float[Tensor, " d_model"] | Float[Tensor, "k d_model"] | None = None


Change = HeadChange | StreamChange
Row = Sequence[Change]
"""The changes of one row; none: the text as it was."""


def first_layer(rows: Sequence[Row], n_layers: int) -> int:
    """Return the first layer that any row changes; `n_layers` where nothing is changed."""
    return min((change.layer for row in rows for change in row), default=n_layers)


def output_matrix(model: Any, layer: int, head: int) -> Float[Tensor, "d_head d_model"]:
    """Return a head's own part of the map from all heads back to the stream: its W_O."""
    projection = _projection_of(model, layer)
    weight: Tensor = projection.weight.detach()
    # GPT-2's own kind of linear map has a row for each input.
    rows = weight if type(projection).__name__ == "Conv1D" else weight.T
    d_head = len(rows) // int(model.config.num_attention_heads)
    return rows[head * d_head : (head + 1) * d_head]


@contextmanager
def apply_changes(model: Any, rows: Sequence[Row], start: int) -> Iterator[None]:
    """Change the rows of each batch that the model runs while the context lasts; `start`: the position of its first token."""
    modules = LAYOUTS[type(model).__name__].modules
    of_heads: dict[int, list[tuple[int, HeadChange]]] = {}
    of_streams: dict[int, list[tuple[int, StreamChange]]] = {}
    for number, row in enumerate(rows):
        for change in row:
            if isinstance(change, HeadChange):
                of_heads.setdefault(change.layer, []).append((number, change))
            else:
                of_streams.setdefault(change.layer, []).append((number, change))
    with ExitStack() as hooks:
        for layer, changes in of_heads.items():
            hook = _make_head_hook(changes, model.config.num_attention_heads)
            hooks.callback(_projection_of(model, layer).register_forward_hook(hook).remove)
        for layer, changed in of_streams.items():
            module = model.get_submodule(f"{modules.layers}.{layer}")
            hooks.callback(module.register_forward_pre_hook(_make_stream_hook(changed, start), with_kwargs=True).remove)
        yield


def _projection_of(model: Any, layer: int) -> Any:
    modules = LAYOUTS[type(model).__name__].modules
    return model.get_submodule(f"{modules.layers}.{layer}.{modules.attention}.{modules.projection}")


def _make_head_hook(changes: Sequence[tuple[int, HeadChange]], n_heads: int) -> Any:
    def add(_module: Any, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
        mixed, changed = given[0].reshape(*given[0].shape[:-1], n_heads, -1), made.clone()
        for row, change in changes:
            changed[row] += mixed[row, :, change.head] @ change.delta
            if change.constant is not None:
                changed[row] += change.constant
        return changed

    return add


def _make_stream_hook(changes: Sequence[tuple[int, StreamChange]], start: int) -> Any:
    def change_stream(_module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        stream: Tensor = (given[0] if given else named["hidden_states"]).clone()
        for row, change in changes:
            _change_row(stream[row], change, start)
        return ((stream, *given[1:]), named) if given else (given, named | {"hidden_states": stream})

    return change_stream


def _change_row(stream: Float[Tensor, "n d_model"], change: StreamChange, start: int) -> None:
    """Change a row in its place."""
    own = stream[max(0, change.first - start) :]
    if change.scale is not None:
        own *= change.scale
    if change.shift is None:
        return
    if change.shift.ndim == 1:
        own += change.shift
    elif start <= change.first:
        shift = change.shift[: len(own)]
        own[: len(shift)] += shift
