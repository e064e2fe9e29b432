"""The visit to the vectors of a matrix or direction, for download. Knows no file format and no HTTP.

Raises what `app.explorer.visits.browse` does.
"""

from typing import Any

from app.core.address import Address
from app.core.basis import BASES
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import MOST_VECTORS, SIDES, bound_vectors
from app.explorer.pages.directions import Vectors
from app.explorer.pages.matrices import FitPage
from app.explorer.reading.directions import indices_of, row_of
from app.explorer.reading.matrices import canonical_address
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits import fits
from app.explorer.visits.orders import fulfil, order_matrix, order_vectors

MIB = 2**20


def visit_vectors(r: Resources, address: Address, options: Options) -> Vectors | FitPage:
    """Get the vectors of all terms of a matrix, or of one direction; of a fit those that were stored."""
    opened, shown = resolve_view(r, address, options)
    if address.kind is None:
        raise BadOption(
            "format=npz and format=parquet are there for matrices and directions: vectors are of one matrix."
        )
    _check_plain(shown)
    if absent := fits.missing_fit_page(r, opened, address, shown):
        return absent
    is_fitted = BASES[shown.basis].is_fitted
    if not is_fitted and (size := bound_vectors(opened.header, address)) > MOST_VECTORS:
        raise BadOption(
            f"The vectors of {address.matrix.label} may take {size // MIB} MiB; {MOST_VECTORS // MIB} MiB are sent at most. "
            "The script under Reproduce in Python takes them from the weights."
        )
    if is_fitted:
        (artifact,) = fulfil(r, order_matrix(opened, address, shown))
        stream = "right" if SIDES[address.kind][1] in {"write", "read"} else "left"
        arrays: dict[str, Any] = {stream: artifact.arrays["vectors"]}
    else:
        artifact, own = fulfil(r, order_matrix(opened, address, shown), order_vectors(opened, address, shown))
        arrays = dict(own.arrays)
    rows = slice(None)
    if address.index is not None:
        row = row_of(artifact.arrays, address.index)
        if row is None:
            raise UnknownAddress(f"{address.matrix.label} has no direction {address.index}.")
        rows = slice(row, row + 1)
    return Vectors(
        address=canonical_address(address) if address.index is None else address,
        model=opened.header,
        view=shown,
        index=tuple(indices_of(artifact.arrays)[rows].tolist()),
        strength=tuple(artifact.arrays["strength"][rows].tolist()),
        names=SIDES[address.kind],
        sides={name: array[rows] for name, array in arrays.items()},
    )


def _check_plain(shown: View) -> None:
    """Raise BadOption for options that only readouts have."""
    idle = [*shown.token_filter.parameters(), *(["rotated"] if shown.rotated else [])]
    idle += ["readout"] if shown.token_filter.readout == "cosine" else []
    if idle:
        raise BadOption(f"{', '.join(idle)}: vectors are the same whatever they are read as. Leave it out.")
