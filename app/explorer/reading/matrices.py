"""The pages of a matrix and of a direction, read from an artifact: table, scores, notes.

Knows neither queue nor store, and imports no torch.
"""

from dataclasses import fields, replace
from typing import Any, Literal

import numpy as np

from app.core.address import LAYER_KINDS, Address
from app.core.basis import BASES
from app.core.using.shares import expect_nearest
from app.explorer.asking.places import neighbours_of, noun_of
from app.explorer.asking.views import largest_distance
from app.explorer.errors import UnknownAddress
from app.explorer.header import Note
from app.explorer.inventory import SIDES, bases_of, most_terms
from app.explorer.layout import SIDE_PREFIXES, THRESHOLDS
from app.explorer.library import OpenModel
from app.explorer.pages.directions import ControlSpread, DirectionPage, SideReadout
from app.explorer.pages.matrices import Curve, Lonely, MatrixPage, Need, Packing
from app.explorer.pages.using.statistics import HeadAxes
from app.explorer.reading import verdicts
from app.explorer.reading.directions import (
    Rows,
    add_words,
    count_rays,
    filter_rows,
    find_neuron,
    indices_of,
    read_axes,
    read_determinacy,
    read_directions,
    read_histogram,
    read_side,
    row_of,
    sort_rows,
    take_page,
)
from app.explorer.reading.hits import Hits, find_hits
from app.explorer.view import Tab, View
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays, Artifact

TABLE_TOKENS, DIRECTION_TOKENS = 8, 50
"""Tokens a ray."""
TABLE_WORDS = 8
"""Words a ray, among all kept tokens: on pages, not in files."""
MOST_LONELY = 24
"""Lonely atoms that are listed."""
BIAS_TERMS: dict[str, str] = {
    "ov": "ov-constant",
    "qk": "key-bias",
    "mlp-in": "neuron-bias",
    "mlp-gate": "neuron-bias",
    "mlp-out": "mlp-constant",
    "unembed": "token-bias",
}


def make_matrix_page(
    model: OpenModel, address: Address, shown: View, artifact: Artifact, size: int, k: int | None = None
) -> MatrixPage:
    """Make the page of a matrix in its basis, `size` directions at a time; `k`: tokens at either end, for a file."""
    assert address.kind is not None
    sides, arrays = SIDES[address.kind], artifact.arrays
    address = canonical_address(address)
    rays = count_rays(address)
    rows = filter_rows(arrays, sort_rows(arrays, shown.sort, rays), shown.only, rays)
    rows, search = _search_rows(arrays, rows, shown.find, rays, model.vocabulary, sides)
    on_page, n_pages = take_page(rows, shown.page, size)
    n_words = TABLE_WORDS if k is None else 0
    k = k or TABLE_TOKENS
    listed = read_directions(arrays, on_page, address, sides, k, model.vocabulary, n_words)
    if search is not None:
        listed = search.add_hits(arrays, on_page, listed, k, model.vocabulary)
    previous, following = neighbours_of(model.header, address)
    return MatrixPage(
        address=address,
        model=model.header,
        view=shown,
        rank=len(arrays["strength"]),
        singular_values=tuple(arrays["strength"].tolist()),
        indices=tuple(indices_of(arrays).tolist()),
        scores=tuple(artifact.facts["scores"].items()),
        sides=sides,
        bias=_read_bias(model, address, artifact),
        bias_term="mean" if artifact.facts.get("bias_is") == "mean" else BIAS_TERMS.get(address.kind or "", ""),
        tabs=list_tabs(address),
        verdicts=tuple(
            judged
            for side, name in zip(SIDE_PREFIXES, sides, strict=True)
            if (judged := verdicts.judge_side(arrays, side, name, rays))
        ),
        packing=_read_packing(address, artifact),
        curve=_read_curve(artifact),
        determinacy=read_determinacy(arrays),
        directions=listed,
        n_found=len(rows),
        n_pages=n_pages,
        notes=_list_notes(model, address, shown, artifact),
        largest_distance=largest_distance(model, address),
        previous=previous,
        next=following,
        axes=_read_head_axes(address, artifact),
    )


def _search_rows(
    arrays: Arrays, rows: Rows, text: str, n_rays: int, vocabulary: Vocabulary, sides: tuple[str, str]
) -> tuple[Rows, Hits | None]:
    """Keep the rows that have the text, with the hits; all rows and None for an empty text."""
    if not text:
        return rows, None
    of_number = find_neuron(arrays, rows, text, sides)
    if of_number is not None:
        return of_number, None
    search = find_hits(arrays, text, n_rays, vocabulary, sides)
    return search.rows(arrays, rows), search


def make_direction_page(
    model: OpenModel,
    address: Address,
    shown: View,
    artifact: Artifact,
    controls: tuple[ControlSpread | None, ControlSpread | None],
    rotations: tuple[ControlSpread | None, ControlSpread | None] = (None, None),
) -> DirectionPage:
    """Make the page of the direction at the address; UnknownAddress if the matrix has none of that index."""
    assert address.kind is not None
    assert address.index is not None
    arrays, rank = artifact.arrays, len(artifact.arrays["strength"])
    whole = address.in_basis(address.basis)
    row = row_of(arrays, address.index)
    if row is None:
        raise _missing_error(model, address, rank)
    previous, following = _adjacent_directions(arrays, address)
    (direction,) = read_directions(
        arrays, slice(row, row + 1), whole, SIDES[address.kind], DIRECTION_TOKENS, model.vocabulary
    )
    return DirectionPage(
        **{field.name: getattr(direction, field.name) for field in fields(direction)},
        model=model.header,
        view=shown,
        rank=rank,
        singular_values=tuple(arrays["strength"].tolist()),
        indices=tuple(indices_of(arrays).tolist()),
        left_histogram=read_histogram(arrays, "left", row),
        right_histogram=read_histogram(arrays, "right", row),
        controls=controls,
        rotations=rotations,
        positions=tuple(arrays["left_curve"][row].tolist()) if "left_curve" in arrays else (),
        same=_list_same_neuron(model, address, artifact),
        tabs=list_tabs(address),
        notes=_list_notes(model, address, shown, artifact),
        largest_distance=largest_distance(model, address),
        previous=previous,
        next=following,
    )


def _missing_error(model: OpenModel, address: Address, rank: int) -> UnknownAddress:
    """Explain why the matrix has no such direction, and name the valid range."""
    noun, whole = noun_of(address), address.in_basis(address.basis)
    if noun == "direction" or not rank:
        has = f"it has directions 0 to {rank - 1}" if rank else "it is zero and has none"
        return UnknownAddress(f"{noun.capitalize()} {address.index} is not here: {whole.label} has rank {rank}, {has}.")
    most = most_terms(model.header, address, {})
    return UnknownAddress(
        f"{noun.capitalize()} {address.index} is not here: {address.matrix.label} is zero there. It has {noun}s 0 to "
        f"{most - 1}, and {rank} of them are not zero."
    )


def _adjacent_directions(arrays: Arrays, address: Address) -> tuple[Address | None, Address | None]:
    """Return the directions with the next smaller and the next larger index."""
    assert address.index is not None
    numbers, index = indices_of(arrays), address.index
    below, above = numbers[numbers < index], numbers[numbers > index]
    return (
        address.direction(int(below.max())) if len(below) else None,
        address.direction(int(above.min())) if len(above) else None,
    )


def _list_same_neuron(model: OpenModel, address: Address, artifact: Artifact) -> tuple[Address, ...]:
    """List the same neuron in the other matrices of its MLP, where it has weights."""
    arrays = artifact.arrays
    if "unit" not in arrays:
        return ()
    others = [(kind, arrays[f"units_{kind}"]) for kind in model.header.layer_kinds if f"units_{kind}" in arrays]
    return tuple(replace(address, kind=kind) for kind, ranks in others if ranks[address.index] >= 0)


def canonical_address(address: Address) -> Address:
    """Return the canonical address of a matrix in its basis: singular directions are on the matrix's own page."""
    return address.matrix if address.basis in {None, "svd"} else address.in_basis(address.basis)


def list_tabs(address: Address) -> tuple[Tab, ...]:
    """List the bases that the matrix at the address has."""
    assert address.kind is not None
    return tuple(
        Tab(name, canonical_address(address.in_basis(name)), BASES[name].is_fitted) for name in bases_of(address.kind)
    )


def _read_curve(artifact: Artifact) -> Curve | None:
    if "explained" not in artifact.arrays:
        return None
    columns: list[Any] = [artifact.arrays[name].tolist() for name in ("explained_at", "explained", "explained_svd")]
    return Curve(*map(tuple, columns))


def _read_head_axes(address: Address, artifact: Artifact) -> HeadAxes | None:
    arrays, facts = artifact.arrays, artifact.facts
    if "mixture" not in arrays:
        return None
    rank = len(arrays["merit"])
    if not rank:
        return HeadAxes(facts["n_tokens"], facts["text"], None, 0.0, 0.0, 0.0)
    (first,) = read_axes(arrays, slice(0, 1), address)
    share = float(arrays["merit"][0])
    return HeadAxes(facts["n_tokens"], facts["text"], first, share, 1 / rank, expect_nearest(rank))


def _read_packing(address: Address, artifact: Artifact) -> Packing | None:
    arrays = artifact.arrays
    if "cosine_spreads" not in arrays:
        return None
    spread, spread_with_mean = arrays["cosine_spreads"].tolist()
    far = float(arrays["lonely_control"][0])
    coherent = float(arrays["coherence_control"][0]) if "coherence" in arrays else None
    is_far = arrays["lonely_cosines"] < far
    is_coherent = arrays["coherence"] > coherent if coherent is not None else np.zeros(len(is_far), bool)
    lonely = np.flatnonzero(is_far & is_coherent)
    return Packing(
        counts=tuple(arrays["cosine_counts"].tolist()),
        expected=tuple(arrays["cosine_expected"].tolist()),
        spread=spread,
        spread_with_mean=spread_with_mean,
        mean_share=float(arrays["mean_share"][0]),
        random_spread=float(arrays["vectors"].shape[1] ** -0.5),
        thresholds=THRESHOLDS,
        needs=tuple(_read_need(arrays, who) for who in ("atoms", "random", "pca")),
        n_far=int(is_far.sum()),
        n_coherent=None if coherent is None else int(is_coherent.sum()),
        n_lonely=len(lonely),
        lonely=tuple(
            Lonely(address.direction(int(row)), float(arrays["lonely_cosines"][row]), float(arrays["coherence"][row]))
            for row in lonely[:MOST_LONELY]
        ),
        far=far,
        coherent=coherent,
    )


def _read_need(arrays: Arrays, who: Literal["atoms", "random", "pca"]) -> Need:
    quartiles: list[list[int]] = arrays[f"needs_quartiles_{who}"].tolist()
    return Need(
        who, tuple(arrays[f"needs_errors_{who}"].tolist()), tuple((low, mid, high) for low, mid, high in quartiles)
    )


def _read_bias(model: OpenModel, address: Address, artifact: Artifact) -> SideReadout | None:
    """Read the bias, which belongs to no direction: a bias on the right side, or the mean of samples."""
    if not artifact.facts["has_bias"]:
        return None
    assert address.kind is not None
    name = SIDES[address.kind][0 if artifact.facts.get("bias_side") == "left" else 1]
    arrays, vocabulary = artifact.arrays, model.vocabulary
    found = read_side(arrays, "bias", slice(None), name, TABLE_TOKENS, vocabulary, address)
    return add_words(found, arrays, "bias", slice(None), TABLE_WORDS, vocabulary)[0]


def _list_notes(model: OpenModel, address: Address, shown: View, artifact: Artifact) -> tuple[Note, ...]:
    if address.circuit is not None:
        notes = list_processing_notes(model, shown) + list_circuit_notes(model, address, shown, artifact)
    elif address.layer is not None:
        notes = _list_mlp_notes(model, address, shown)
    else:
        notes = _list_model_notes(model, address, shown)
    if len(artifact.arrays["strength"]) == 0:
        notes.append("zero-matrix")
    return tuple(notes)


def list_circuit_notes(model: OpenModel, address: Address, shown: View, artifact: Artifact) -> list[Note]:
    """List the notes on readouts of the head's matrix at the address."""
    return _list_qk_notes(model, address, shown) if address.circuit == "qk" else _list_ov_notes(model, shown, artifact)


def _list_mlp_notes(model: OpenModel, address: Address, shown: View) -> list[Note]:
    facts, folded = model.header, shown.weights == "folded"
    if facts.encoder:
        processing: Note = "raw-encoder"
    elif facts.mlp_reads == "stream":
        processing = "folded" if folded else "raw"
    else:
        processing = "folded" if folded else "raw-read-mlp"
    notes: list[Note] = [processing]
    notes += [kind for kind in LAYER_KINDS if kind == address.kind]
    if address.kind == "mlp-out":
        if facts.mlp_post_norm:
            notes.append("mlp-post-norm" if folded else "mlp-raw-post-norm")
        notes += _list_end_notes(model, shown)
    return notes


def _list_model_notes(model: OpenModel, address: Address, shown: View) -> list[Note]:
    facts, folded = model.header, shown.weights == "folded"
    notes: list[Note] = ["raw-encoder" if facts.encoder else shown.weights]
    if address.kind == "embed":
        notes.append("embed")
    elif address.kind == "unembed":
        notes.append("unembed-folded" if folded else "unembed")
    elif address.kind == "pos":
        notes.append("pos")
    else:
        notes.append("stack")
    if address.kind in {"embed", "unembed"} and facts.tied and not facts.encoder:
        notes.append("tied-folded" if folded else "tied-page")
    elif address.kind != "heads/read":
        notes += _list_end_notes(model, shown)
    return notes


def list_processing_notes(model: OpenModel, shown: View) -> list[Note]:
    """List the notes on the weight processing of the sides that attention reads."""
    facts = model.manifest
    if facts.encoder:
        return ["raw-encoder"]
    if facts.reads_normed:
        return ["folded" if shown.weights == "folded" else "raw-read"]
    return [shown.weights, "stream-read"]


def _list_ov_notes(model: OpenModel, shown: View, artifact: Artifact) -> list[Note]:
    facts, notes = model.manifest, list[Note]()
    if facts.post_norm:
        notes.append("post-norm" if shown.weights == "folded" else "raw-post-norm")
    notes += _list_end_notes(model, shown)
    if facts.sinks and artifact.facts["has_bias"]:
        notes.append("sinks")
    return notes


def _list_end_notes(model: OpenModel, shown: View) -> list[Note]:
    """List the notes on the vectors that the sides are read with."""
    facts = model.manifest
    if facts.encoder:
        return ["no-unembedding"]
    if not facts.tied:
        return ["untied"]
    # Folding makes the two ends of a tied model differ: each has its own norm.
    return ["tied"] if shown.weights == "raw" else []


def _list_qk_notes(model: OpenModel, address: Address, shown: View) -> list[Note]:
    facts, notes = model.manifest, list[Note](["qk-no-write"])
    if facts.qk_norm != "none":
        notes.append("qk-norm" if shown.weights == "folded" else "raw-qk-norm")
    if facts.positions == "rotary":
        turned: Note = "rotation" if shown.distance else "no-rotation"
        notes.append("still-layer" if largest_distance(model, address) is None else turned)
    return notes
