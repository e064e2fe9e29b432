"""A matrix's artifact as a page: the table of its directions in the view's order, its scores, its notes.

Knows neither queue nor store, and imports no torch.
"""

from app.core.address import Address, Circuit
from app.explorer.directions import directions, found, histogram, ordered, paged, readouts
from app.explorer.errors import UnknownAddress
from app.explorer.library import OpenModel
from app.explorer.pages import DirectionPage, MatrixPage, Note, SideReadout, View
from app.explorer.places import neighbours
from app.explorer.views import farthest
from app.store.artifacts import Artifact

TABLE_TOKENS, DIRECTION_TOKENS = 8, 50
"""Tokens a ray."""
SIDES: dict[Circuit, tuple[str, str]] = {"ov": ("read", "write"), "qk": ("query", "key")}


def matrix_page(model: OpenModel, address: Address, shown: View, artifact: Artifact, size: int) -> MatrixPage:
    """The page of the matrix at the address, `size` directions at a time."""
    address, arrays, circuit = address.matrix, artifact.arrays, address.circuit
    assert circuit is not None
    rows = found(arrays, ordered(arrays, shown.sort), shown.find, TABLE_TOKENS, model.vocabulary)
    on_page, n_pages = paged(rows, shown.page, size)
    previous, following = neighbours(model.header, address)
    return MatrixPage(
        address=address,
        model=model.header,
        view=shown,
        rank=len(arrays["strength"]),
        singular_values=tuple(arrays["strength"].tolist()),
        scores=tuple(artifact.facts["scores"].items()),
        bias=_bias(model, circuit, artifact),
        directions=directions(arrays, on_page, address, SIDES[circuit], TABLE_TOKENS, model.vocabulary),
        n_found=len(rows),
        n_pages=n_pages,
        notes=_notes(model, address, shown, artifact),
        farthest=farthest(model, address),
        previous=previous,
        next=following,
    )


def direction_page(model: OpenModel, address: Address, shown: View, artifact: Artifact) -> DirectionPage:
    """The page of the direction at the address; UnknownAddress if the matrix has fewer."""
    assert address.circuit is not None
    assert address.index is not None
    arrays, row, rank = artifact.arrays, address.index, len(artifact.arrays["strength"])
    if row >= rank:
        has = f"it has directions 0 to {rank - 1}" if rank else "it is zero and has none"
        raise UnknownAddress(f"Direction {row} is not here: {address.matrix.label} has rank {rank}, {has}.")
    (direction,) = directions(
        arrays, slice(row, row + 1), address.matrix, SIDES[address.circuit], DIRECTION_TOKENS, model.vocabulary
    )
    return DirectionPage(
        address=address,
        model=model.header,
        view=shown,
        direction=direction,
        rank=rank,
        singular_values=tuple(arrays["strength"].tolist()),
        left_histogram=histogram(arrays, "left", row),
        right_histogram=histogram(arrays, "right", row),
        notes=_notes(model, address, shown, artifact),
        farthest=farthest(model, address),
        previous=address.direction(row - 1) if row > 0 else None,
        next=address.direction(row + 1) if row + 1 < rank else None,
    )


def _bias(model: OpenModel, circuit: Circuit, artifact: Artifact) -> SideReadout | None:
    """What belongs to no direction: it is written, or read at the key."""
    if not artifact.facts["has_bias"]:
        return None
    name = SIDES[circuit][1]
    return readouts(artifact.arrays, "bias", slice(None), name, TABLE_TOKENS, model.vocabulary)[0]


def _notes(model: OpenModel, address: Address, shown: View, artifact: Artifact) -> tuple[Note, ...]:
    notes = _of_processing(model, shown)
    notes += _of_qk(model, address, shown) if address.circuit == "qk" else _of_ov(model, shown, artifact)
    if len(artifact.arrays["strength"]) == 0:
        notes.append("zero-matrix")
    return tuple(notes)


def _of_processing(model: OpenModel, shown: View) -> list[Note]:
    facts = model.manifest
    if facts.encoder:
        return ["raw-encoder"]
    if facts.reads_normed:
        return ["folded" if shown.weights == "folded" else "raw-read"]
    return [shown.weights, "stream-read"]


def _of_ov(model: OpenModel, shown: View, artifact: Artifact) -> list[Note]:
    facts, notes = model.manifest, list[Note]()
    if facts.post_norm:
        notes.append("post-norm" if shown.weights == "folded" else "raw-post-norm")
    if facts.encoder:
        notes.append("no-unembedding")
    elif not facts.tied:
        notes.append("untied")
    elif shown.weights == "raw":
        notes.append("tied")  # folded, the two ends of a tied model differ: each has its own norm
    if facts.sinks and artifact.facts["has_bias"]:
        notes.append("sinks")
    return notes


def _of_qk(model: OpenModel, address: Address, shown: View) -> list[Note]:
    facts, notes = model.manifest, list[Note](["qk-no-write"])
    if facts.qk_norm != "none":
        notes.append("qk-norm" if shown.weights == "folded" else "raw-qk-norm")
    if facts.positions == "rotary":
        turned: Note = "rotation" if shown.distance else "no-rotation"
        notes.append("still-layer" if farthest(model, address) is None else turned)
    return notes
