"""The bank of a layer's matrices, or of the model's ends: their vectors, with the tokens of their rays, as searches use
them.

A row for every direction and side that is the residual stream, sorted by end (read first), kind, head, index and side:

    kind head index side [n]        which direction and side: of KINDS, -1 for no head, 0 for left and 1 for right
    unit [n]                        the neuron of the MLP that it is; -1 for a singular direction
    end [n]                         whose tokens it is read as: of BANK_ENDS
    strength gain [n]               its singular value, or a neuron's norm; the same in root mean squares of its matrix's
    spread [n]                      standard deviation of its scores over all tokens of that end
    ids [n 2 k]                     the tokens of + and of -
    z p reading letterless [n 2]    of both rays at the headline length; nan and 0 where nothing was judged
    vectors [n d_model]             unit rows; `halves` of a model whose vectors are too many for float32

Singular directions have the signs, tokens and judgements of their matrix's artifact; those of a matrix without one are
read out here. Neurons are read out exactly as well, but not judged. Runs in the worker's process or a job's. Knows no
pages.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, Address
from app.core.basis import BASES
from app.core.judging.rays import HEADLINE
from app.core.steps import Steps, rescale_steps
from app.explorer import recipes
from app.explorer.bank import BankBasis, bank_sides_of, is_halved, places_of
from app.explorer.layout import BANK_ENDS, BANK_TOKENS, SIDE_PREFIXES
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.heads import decompose_heads, list_matrices
from app.explorer.making.sides import join_rows, read_into
from app.explorer.making.subjects import Subject, read_mlp_subjects, read_subject
from app.explorer.view import End

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.decomposition import Decomposition


def build_bank_part(context: Context, layer: int | None) -> Steps[ArraysAndFacts]:
    """Decompose that layer's matrices, or (None) the model's ends, and build their part of the bank."""
    places = places_of(context.model, layer, context.processing)
    wholes = [place for place in places if place.circuit is None]
    rows: list[Arrays] = []
    total = 100 * (len(wholes) + 2)
    yield 0, total
    if layer is not None:
        found = decompose_heads(context, layer, list_matrices(context.model), device=context.tables.device())
        for each in found:
            place = places[0].at_layer(layer).at_head(each.head).at(each.circuit)
            rows += bank_rows(context, place, each.terms, _load_matrix_arrays(context, place, each.terms))
    for done, place in enumerate(wholes, 1):
        whole: Subject = yield from rescale_steps(100 * done, 20, total, read_subject(context, place))
        terms: Decomposition = yield from rescale_steps(
            100 * done + 20, 80, total, BASES["svd"].decompose(whole.product, {})
        )
        rows += bank_rows(context, place, terms, _load_matrix_arrays(context, place, terms))
    yield 100 * (len(wholes) + 1), total
    _add_readouts(context, [own for own in rows if "ids" not in own])
    return sort_rows(context, rows), {}


def load_bank_part(context: Context, layer: int | None) -> Steps[Arrays]:
    """Load that part of the bank with all vectors in float32 at its precision; build it where it is not stored."""
    kept = context.store.read(recipes.bank(context.model, layer, context.processing))
    arrays: Arrays = dict(kept.arrays) if kept else (yield from build_bank_part(context, layer))[0]
    if "halves" in arrays:
        arrays["vectors"] = arrays.pop("halves").astype(np.float32)
    return arrays


def bank_rows(
    context: Context, address: Address, terms: "Decomposition", arrays: Mapping[str, NDArray[Any]] | None
) -> list[Arrays]:
    """Return the rows of one matrix's directions, one table for each side, with the tokens and judgements of its
    artifact's arrays.

    Without such arrays, the rows have no tokens and no judgements.
    """
    assert address.kind is not None
    rows: list[Arrays] = []
    strength = terms.strength.cpu().numpy()
    for side, end in bank_sides_of(context.model, address.kind, context.processing):
        own = _side_columns(context, address, strength, (terms.left, terms.right)[side].cpu(), side, end)
        if arrays is not None:
            own |= _readout_columns(arrays, SIDE_PREFIXES[side])
            own["vectors"] = _match_signs(context, end, own["vectors"], own["ids"])
        elif len(strength) == 0:  # a matrix of zeros
            k = min(BANK_TOKENS, int(context.model.vocabulary.known.sum()))
            own |= {"ids": np.zeros((0, 2, k), np.int32)} | _unjudged_columns(0)
        rows.append(own)
    return rows


def sort_rows(context: Context, rows: Iterable[Arrays], basis: BankBasis = "svd") -> Arrays:
    """Sort all rows of a layer, or of the model's ends: the arrays of the artifact."""
    found = join_rows(list(rows))
    order = np.lexsort(tuple(found[name] for name in ("side", "index", "head", "kind", "end")))
    arrays = {name: array[order] for name, array in found.items()}
    if is_halved(context.model, context.processing, basis):
        arrays["halves"] = arrays.pop("vectors").astype(np.float16)
    return arrays


def build_neuron_part(context: Context, layer: int) -> Steps[ArraysAndFacts]:
    """Build the bank's part of that layer's MLP neurons, by what they read and what they write."""
    from app.core.bases.neuron import rank_by_norm

    kinds = context.model.header.layer_kinds
    wholes = read_mlp_subjects(context, layer, kinds)
    rows: list[Arrays] = []
    for done, (kind, whole) in enumerate(zip(kinds, wholes, strict=True)):
        yield done, len(kinds)
        samples = whole.product.samples()
        order, strength = rank_by_norm(samples)
        vectors = samples[order].div_(strength[:, None]).contiguous()
        ((side, end),) = bank_sides_of(context.model, kind, context.processing)
        place = Address(context.model.header.slug, None, layer, None, kind)
        own = _side_columns(context, place, strength.float().numpy(), vectors, side, end)
        own["unit"] = order.int().numpy()
        own["ids"] = context.tables.first_tokens(context.model, context.processing, end, vectors, BANK_TOKENS)
        rows.append(own | _unjudged_columns(len(vectors)))
    return sort_rows(context, rows, "neuron"), {}


def _side_columns(
    context: Context, address: Address, strength: NDArray[np.float32], vectors: "Tensor", side: int, end: End
) -> Arrays:
    """Return the columns of one side's rows that need no readout."""
    n = len(strength)
    squares = np.square(strength, dtype=np.float64)
    return {
        "kind": np.full(n, KINDS.index(address.kind or "ov"), np.int8),
        "head": np.full(n, -1 if address.head is None else address.head, np.int16),
        "index": np.arange(n, dtype=np.int32),
        "unit": np.full(n, -1, np.int32),
        "side": np.full(n, side, np.int8),
        "end": np.full(n, BANK_ENDS.index(end), np.int8),
        "strength": strength,
        "gain": np.sqrt(squares / squares.mean()).astype(np.float32) if n else strength,
        "spread": _score_spread(context, end, vectors),
        "vectors": vectors.numpy(),
    }


def _load_matrix_arrays(
    context: Context, address: Address, terms: "Decomposition"
) -> Mapping[str, NDArray[Any]] | None:
    """Load the arrays of the matrix's artifact; None where it is not there, or has another number of directions."""
    artifact = context.store.read(recipes.decomposition(context.model, address.in_basis("svd"), context.processing, {}))
    is_it = artifact is not None and len(artifact.arrays["strength"]) == len(terms.strength)
    return artifact.arrays if artifact is not None and is_it else None


def _add_readouts(context: Context, rows: Sequence[Arrays]) -> None:
    """Add the readouts to the rows, all rows of one end together."""
    import torch

    for code, end in enumerate(BANK_ENDS):
        own = [each for each in rows if (each["end"] == code).any()]
        if own:
            read: list[Arrays] = [{} for _ in own]
            shares = [
                (arrays, "read", torch.from_numpy(each["vectors"])) for arrays, each in zip(read, own, strict=True)
            ]
            read_into(context, end, shares, BANK_TOKENS)
            for arrays, each in zip(read, own, strict=True):
                each.update(_readout_columns(arrays, "read"))


def _score_spread(context: Context, end: End, vectors: "Tensor") -> NDArray[np.float32]:
    covariance = context.tables.covariance(context.model, context.processing, end)
    squares = ((vectors @ covariance) * vectors).sum(dim=1)
    spread: NDArray[np.float32] = squares.clamp(min=0).sqrt().numpy()
    return spread


def _readout_columns(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    """Return the bank's columns of both rays from readouts under that prefix; nan where nothing was judged."""
    ids = np.stack([arrays[f"{prefix}_top_ids"], arrays[f"{prefix}_bottom_ids"]], axis=1)[:, :, :BANK_TOKENS]
    if f"{prefix}_z" not in arrays:
        return {"ids": ids} | _unjudged_columns(len(ids))
    judged = {name: arrays[f"{prefix}_{name}"][..., HEADLINE] for name in ("z", "p")}
    return {"ids": ids} | judged | {name: arrays[f"{prefix}_{name}"] for name in ("reading", "letterless")}


def _unjudged_columns(n: int) -> Arrays:
    return {
        **dict.fromkeys(("z", "p"), np.full((n, 2), np.nan, np.float32)),
        "reading": np.zeros((n, 2), np.int8),
        "letterless": np.zeros((n, 2), np.bool_),
    }


def _match_signs(
    context: Context, end: End, vectors: NDArray[np.float32], ids: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return the vectors with the signs that they were read with: where + scores less than -, rounding has flipped
    them.
    """
    import torch

    table = context.tables.table(context.model, context.processing, end)
    ends = table.rows(torch.from_numpy(np.ascontiguousarray(ids[:, :, 0])).long().to(table.ids.device)).cpu().numpy()
    scores = np.einsum("nd,ned->ne", vectors, ends)
    return np.where((scores[:, 0] < scores[:, 1])[:, None], -vectors, vectors)
