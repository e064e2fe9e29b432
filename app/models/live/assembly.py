"""Assembly: the model of its own library, made of imported weights alone; its checkpoint may be gone.

The config is that of the import. What was imported is proven to make the checkpoint's own parameters (`equals_stored`),
so that the assembled model computes what the original does. Imports transformers late: it takes seconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from app.models.live.families import NotAssembled, check_assembled
from app.models.live.layouts import LAYOUTS, FamilyLayout, Maker
from app.models.manifest import Manifest
from app.models.weights import Weights


def assemble_model(weights: Weights, manifest: Manifest) -> Any:
    """Assemble the model, float32, with eager attention, ready to run; NotAssembled if these weights cannot be.

    WeightsDamaged where a file is. Takes the memory of all parameters in float32.
    """
    check_assembled(manifest)
    config = weights.config()
    architecture = config["architectures"][0]
    layout = LAYOUTS[architecture]
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    build = getattr(transformers, architecture)
    whole = build.config_class.from_dict(config)
    with torch.device("meta"):
        expected = {name: tuple(value.shape) for name, value in build(whole).state_dict().items()}
    model, info = build.from_pretrained(
        None,
        config=whole,
        state_dict=dict(_make_parameters(weights, layout, expected)),
        attn_implementation="eager",
        dtype=torch.float32,
        output_loading_info=True,
    )
    if missing := sorted(info["missing_keys"]):
        raise NotAssembled(f"these weights lack {', '.join(missing[:3])}: they cannot be put together again")
    return model.eval()


def equals_stored(layout: FamilyLayout, parts: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> bool:
    """Return whether parts of one layer make every parameter that the checkpoint stores of it, number for number.

    `stored`: by the parameters' names within the layer; others, such as masks, do not count.
    """
    return all(
        tensor.shape == stored[name].shape and torch.equal(tensor, stored[name].to(tensor.dtype))
        for name, maker in layout.layer.items()
        if name in stored
        for tensor in (_make(name, maker, parts, stored[name].shape),)
    )


def _make(name: str, maker: Maker, parts: Mapping[str, Tensor], shape: Sequence[int]) -> Tensor:
    """Make a parameter; empty where a part is missing, but for biases of zero, which weights leave out."""
    tensor = maker(parts)
    if tensor is not None:
        return tensor
    return torch.zeros(tuple(shape)) if name.endswith(".bias") else torch.empty(0)


def _make_parameters(
    weights: Weights, layout: FamilyLayout, expected: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, Tensor]]:
    """Make the parameters that the library expects; biases that weights leave out since they are zero are made anew."""
    ends = weights.ends()
    for name, maker in layout.ends.items():
        if name in expected and (tensor := maker(ends)) is not None:
            yield name, tensor
    for layer in range(weights.facts.n_layers):
        prefix = f"blocks.{layer}."
        parts = {name.removeprefix(prefix): tensor for name, tensor in weights.layer(layer).items()}
        for own, maker in layout.layer.items():
            name = f"{layout.modules.layers}.{layer}.{own}"
            if name not in expected:
                continue
            tensor = _make(own, maker, parts, expected[name])
            if tensor.shape == expected[name]:
                yield name, tensor
