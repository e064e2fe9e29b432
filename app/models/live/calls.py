"""How the library calls a layer of a model: noted in one run, so that layers can be run again on other streams."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import Cache


@dataclass(frozen=True)
class LayerCall:
    """What a layer was given besides the stream: positions, mask and the like, which hold for any rows of the same text."""

    others: tuple[Any, ...]
    named: dict[str, Any]

    def run(self, layer: Any, rows: Tensor, cache: Cache) -> Tensor:
        """Run the layer on rows of streams [rows n d_model], with these earlier keys and values."""
        others = [cache if isinstance(one, Cache) else one for one in self.others]
        named = {name: cache if isinstance(one, Cache) else one for name, one in self.named.items()}
        made = layer(rows, *others, **named)
        stream: Tensor = made[0] if isinstance(made, tuple) else made
        return stream


def note_call(keep: Callable[[Tensor, LayerCall], None]) -> Callable[..., None]:
    """Make a hook before a layer, with names, that keeps the stream which enters it and what it is given besides."""

    def note(_module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        rest = dict(named)
        stream = given[0] if given else rest.pop("hidden_states")
        keep(stream, LayerCall(given[1:], rest))

    return note
