"""The inventory of a model: the size of its matrices, their bases, and the end each side is read with.

Derived from a model's facts alone, for every model alike. Knows no store, and nothing of what was computed.
"""

from collections.abc import Mapping

from app.core.address import CIRCUITS, LAYER_KINDS, Address, BasisName, Kind
from app.core.basis import BASES, Samples
from app.explorer.errors import BadOption
from app.explorer.header import Model
from app.explorer.layout import ENDS
from app.explorer.library import OpenModel
from app.explorer.view import Processing, Side, StreamSide
from app.models.token_filter import TokenFilter

FEWEST_TOKENS = 20
"""The fewest tokens that a filter must leave."""
SIDES: dict[Kind, tuple[Side, Side]] = {
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
"""The left and the right side of each kind of matrix."""


MOST_VECTORS = 2**26
"""Most bytes of one matrix's vectors that a server computes and holds for a visitor."""


def stream_side_of(kind: Kind, side: int) -> StreamSide:
    """Name the left (0) or right (1) side of such a matrix, one that is the residual stream."""
    match SIDES[kind][side]:
        case "read" | "write" | "query" | "key" as name:
            return name
        case other:
            raise AssertionError(f"{kind} has no stream on its side {other}")


def samples_of(model: Model, kind: Kind) -> Samples:
    """Return the size of such a matrix, seen as points in the residual stream."""
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
    """Return how many terms the matrix at the address can have in its basis; parameters that are not given count as
    largest.
    """
    assert address.kind is not None
    basis, samples = BASES[address.basis or "svd"], samples_of(model, address.kind)
    if basis.parameters and not basis.is_of_text:
        counted = basis.parameters[0]  # components, atoms or groups
        return parameters.get(counted.name, counted.bounds(samples)[1])
    if basis.name == "neuron":
        return model.d_mlp if address.kind in LAYER_KINDS else model.d_model
    return min(samples) if address.circuit is None else model.d_head


def is_double(model: Model, address: Address, processing: Processing) -> bool:
    """Return whether the matrix has another matrix's page: the raw unembedding of a tied model is its embedding."""
    return address.kind == "unembed" and model.tied and processing == "raw"


def bases_of(kind: Kind) -> tuple[BasisName, ...]:
    """Return the bases of such a matrix, in the order of their tabs."""
    return tuple(basis.name for basis in BASES.values() if kind in basis.kinds)


def places_of(model: Model, layer: int | None, processing: Processing) -> list[Address]:
    """Return the matrices of that layer, or (None) of the model's ends, that its gallery considers."""
    whole = Address(model.slug)
    if layer is None:
        ends = [whole.at(kind) for kind in ENDS if kind in model.model_kinds]
        return [end for end in ends if not is_double(model, end, processing)]
    at = whole.at_layer(layer)
    heads = [at.at_head(head).at(circuit) for head in range(model.n_heads) for circuit in CIRCUITS]
    return heads + [at.at(kind) for kind in model.layer_kinds]


def bound_vectors(model: Model, address: Address) -> int:
    """Bound the bytes of the vectors of a matrix's terms, before anything is computed."""
    sides = model.d_model + (model.d_model if address.circuit else model.d_mlp if address.layer is not None else 0)
    rank = model.d_head if address.circuit else model.d_model
    if address.basis == "neuron":
        rank = max(model.d_mlp if address.layer is not None and not address.circuit else 0, model.d_model)
    return 4 * rank * sides


def end_of(model: OpenModel, processing: Processing, side: str) -> str:
    """Return the end of the model that the side is read with: `read` is its embedding, `write` its unembedding."""
    # A tied model's raw weights are one matrix: reading and writing share its table.
    return "write" if side == "write" and not (processing == "raw" and model.manifest.tied) else "read"


def require_tokens(model: OpenModel, token_filter: TokenFilter, n_tokens: int) -> None:
    """Raise BadOption where too few tokens pass the token filter for a table to be worth reading."""
    if n_tokens < FEWEST_TOKENS:
        unmoved = ", those that were never trained left out" if token_filter.plain else ""
        raise BadOption(
            f"The filter leaves {n_tokens} of {model.header.d_vocab} tokens{unmoved}: at least {FEWEST_TOKENS} are needed."
        )
