"""Vectors as a Parquet file: a row for each direction, for pandas, polars and other readers of tables.

Needs pyarrow, an extra of this package: where it is not installed, there is `app.web.api.vectors`.
"""

import io

import numpy as np

from app.explorer.errors import BadOption
from app.explorer.pages.directions import Vectors

LACKING = (
    "format=parquet needs pyarrow, which this server does not have: format=npz holds the same. Whoever runs it can "
    "install singular-lens[parquet]."
)


def parquet_file(found: Vectors) -> bytes:
    """Write vectors as Parquet, their origin as the table's metadata; the same bytes for the same vectors.

    `index` int64, `strength` float32; `left` and `right`, a list of float32 each, where the side has vectors. Metadata:
    `left_is` and `right_is`, `address`, `weights`, `fingerprint`. Raises BadOption where pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise BadOption(LACKING) from None
    columns = {
        "index": pa.array(np.array(found.index, np.int64)),
        "strength": pa.array(np.array(found.strength, np.float32)),
    }
    for name, vectors in sorted(found.sides.items()):
        n, d = vectors.shape
        ends = np.arange(0, n * d + 1, d, dtype=np.int32)
        flat = np.ascontiguousarray(vectors, np.float32).reshape(-1)
        columns[name] = pa.ListArray.from_arrays(pa.array(ends), pa.array(flat))
    left_is, right_is = found.names
    origin: dict[str, str] = {"left_is": left_is, "right_is": right_is}
    origin |= {"address": str(found.address), "weights": found.view.weights, "fingerprint": found.model.fingerprint}
    out = io.BytesIO()
    # Coordinates of vectors repeat nowhere: a dictionary of them and its compression would only take time.
    pq.write_table(pa.table(columns).replace_schema_metadata(origin), out, compression="none", use_dictionary=False)
    return out.getvalue()
