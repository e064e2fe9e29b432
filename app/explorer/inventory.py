"""What there is to be read of a model: the size of its matrices, their bases, and which tokens they are read with.

Of every model alike, from its facts alone. Knows no store, and nothing of what was computed.
"""

from collections.abc import Mapping

from app.core.address import CIRCUITS, LAYER_KINDS, Address, BasisName, Kind
from app.core.basis import BASES, Samples
from app.explorer.errors import BadOption
from app.explorer.header import Model
from app.explorer.layout import ENDS
from app.explorer.library import OpenModel
from app.explorer.view import Processing
from app.models.selection import Selection

FEWEST_TOKENS = 20
"""That a filter must leave."""
SIDES: dict[Kind, tuple[str, str]] = {
    "ov": ("read", "write"),
    "qk": ("query", "key"),
    "mlp-in": ("read", "neuron"),
    "mlp-gate": ("read", "neuron"),
    "mlp-out": ("neuron", "write"),
    "embed": ("token", "write"),
    "unembed": ("read", "token"),
    "pos": ("position", "write"),
    "heads/write": ("head", "write"),
    "heads/read": ("head", "read"),
}
"""What the left and the right side of each kind of matrix are."""


def samples_of(model: Model, kind: Kind) -> Samples:
    """The size of such a matrix, seen as points in the residual stream."""
    counts: dict[Kind, int] = {
        "embed": model.d_vocab,
        "unembed": model.d_vocab,
        "pos": model.n_ctx,
        "heads/write": 2 * model.n_layers * model.n_heads * model.d_head,
        "heads/read": 2 * model.n_layers * model.n_heads * model.d_head,
    }
    counts |= dict.fromkeys(LAYER_KINDS, model.d_mlp)
    return Samples(counts.get(kind, model.d_model), model.d_model)


def most_terms(model: Model, address: Address, parameters: Mapping[str, int]) -> int:
    """How many terms the matrix at the address can have in its basis; parameters that are not given are the largest."""
    assert address.kind is not None
    basis, samples = BASES[address.basis or "svd"], samples_of(model, address.kind)
    if basis.parameters:
        counted = basis.parameters[0]  # components, atoms or groups
        return parameters.get(counted.name, counted.bounds(samples)[1])
    if basis.name == "neuron":
        return model.d_mlp if address.kind in LAYER_KINDS else model.d_model
    return min(samples) if address.circuit is None else model.d_head


def is_double(model: Model, address: Address, processing: Processing) -> bool:
    """Whether that matrix is another one's page: as stored, the unembedding of a tied model is its embedding."""
    return address.kind == "unembed" and model.tied and processing == "raw"


def bases_of(kind: Kind) -> tuple[BasisName, ...]:
    """The bases that such a matrix has, in the order of their tabs."""
    return tuple(basis.name for basis in BASES.values() if kind in basis.kinds)


def places_of(model: Model, layer: int | None, processing: Processing) -> list[Address]:
    """The matrices of that layer, or (None) of the model's own ends, that its gallery looks at."""
    whole = Address(model.slug)
    if layer is None:
        ends = [whole.at(kind) for kind in ENDS if kind in model.model_kinds]
        return [end for end in ends if not is_double(model, end, processing)]
    at = whole.at_layer(layer)
    heads = [at.at_head(head).at(circuit) for head in range(model.n_heads) for circuit in CIRCUITS]
    return heads + [at.at(kind) for kind in model.layer_kinds]


def end_of(model: OpenModel, processing: Processing, side: str) -> str:
    """Which end of the model the side is read with: `read` its embedding, `write` its unembedding."""
    # Unprocessed tied weights are one matrix: reading and writing share its table.
    return "write" if side == "write" and not (processing == "raw" and model.manifest.tied) else "read"


def check_tokens(model: OpenModel, selection: Selection, n_tokens: int) -> None:
    """BadOption where so few tokens pass the selection that tables of them would say nothing."""
    if n_tokens < FEWEST_TOKENS:
        unmoved = ", those that were never trained left out" if selection.plain else ""
        raise BadOption(
            f"The filter leaves {n_tokens} of {model.header.d_vocab} tokens{unmoved}: at least {FEWEST_TOKENS} are needed."
        )
