"""Vectors to take away: an address and options in, the vectors of its terms out. Knows no file and no HTTP.

Raises what `app.explorer.visits.browse` does.
"""

from typing import Any

from app.core.address import Address
from app.core.basis import BASES
from app.explorer.asking.views import Options, visited
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.header import Model
from app.explorer.inventory import SIDES
from app.explorer.pages.directions import Vectors
from app.explorer.pages.matrices import FitPage
from app.explorer.reading.directions import indices, row_of
from app.explorer.reading.matrices import canonical
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits import fits
from app.explorer.visits.orders import fulfilled, matrix, vectors_of

MIB = 2**20
MOST_BYTES = 2**26
"""Of all vectors of one matrix: what a server makes and holds for one visitor."""


def vectors(r: Resources, address: Address, options: Options) -> Vectors | FitPage:
    """The vectors of all terms of the matrix at the address, or of the one direction; of a fit those that were kept."""
    opened, shown = visited(r, address, options)
    if address.kind is None:
        raise BadOption("format=npz is there for matrices and directions: vectors are of one matrix.")
    _check_plain(shown)
    if absent := fits.absent(r, opened, address, shown):
        return absent
    is_fitted = BASES[shown.basis].is_fitted
    if not is_fitted and (size := measure_bytes(opened.header, address)) > MOST_BYTES:
        raise BadOption(
            f"The vectors of {address.matrix.label} may take {size // MIB} MiB; {MOST_BYTES // MIB} MiB are sent at most. "
            "The script under Reproduce in Python takes them from the weights."
        )
    if is_fitted:
        (artifact,) = fulfilled(r, matrix(opened, address, shown))
        stream = "right" if SIDES[address.kind][1] in {"write", "read"} else "left"
        arrays: dict[str, Any] = {stream: artifact.arrays["vectors"]}
    else:
        artifact, own = fulfilled(r, matrix(opened, address, shown), vectors_of(opened, address, shown))
        arrays = dict(own.arrays)
    rows = slice(None)
    if address.index is not None:
        row = row_of(artifact.arrays, address.index)
        if row is None:
            raise UnknownAddress(f"{address.matrix.label} has no direction {address.index}.")
        rows = slice(row, row + 1)
    return Vectors(
        address=canonical(address) if address.index is None else address,
        model=opened.header,
        view=shown,
        index=tuple(indices(artifact.arrays)[rows].tolist()),
        strength=tuple(artifact.arrays["strength"][rows].tolist()),
        names=SIDES[address.kind],
        sides={name: array[rows] for name, array in arrays.items()},
    )


def measure_bytes(model: Model, address: Address) -> int:
    """How large the vectors of the matrix at the address are at most: known before anything is computed."""
    sides = model.d_model + (model.d_model if address.circuit else model.d_mlp if address.layer is not None else 0)
    rank = model.d_head if address.circuit else model.d_model
    if address.basis == "neuron":
        rank = max(model.d_mlp if address.layer is not None and not address.circuit else 0, model.d_model)
    return 4 * rank * sides


def _check_plain(shown: View) -> None:
    """BadOption for what means nothing to vectors, which no token has been read from."""
    idle = [*shown.selection.parameters(), *(["rotated"] if shown.rotated else [])]
    idle += ["readout"] if shown.selection.readout == "cosine" else []
    if idle:
        raise BadOption(f"{', '.join(idle)}: vectors are the same whatever they are read as. Leave it out.")
