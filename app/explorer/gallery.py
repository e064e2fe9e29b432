"""The notable rays of a model, merged from the artifacts of its layers and ends (`app.explorer.notable` makes them).

Imports no torch.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, KINDS, Address
from app.core.discovery import FDR, q_values
from app.core.rays import ALPHA, RAY_CLASSES, READINGS
from app.explorer.bench import PREFIXES
from app.explorer.library import OpenModel
from app.explorer.matrices import SIDES
from app.explorer.notable import LABELS, NUMBERS, Label
from app.explorer.pages import Notable, NotablePage, Readout, Token, Turn, View
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays, Artifact

N_RAYS = 16
N_APART = 4
"""Rays of each kind that is set apart."""
OF_ONE_PLACE = 2
"""Rays of one head, MLP or end, at most."""
SCORES = tuple(f"{circuit}-readability" for circuit in CIRCUITS)
"""What the artifacts of all layers add to the map's scores."""


class Row(NamedTuple):
    """A ray: a row of the arrays of one artifact."""

    layer: int | None
    artifact: Artifact
    at: int
    merit: float
    q: float


def gallery(
    model: OpenModel, address: Address, shown: View, artifacts: Sequence[Artifact | None], failure: str = ""
) -> NotablePage:
    """From the artifacts of all layers, first to last, and of the model's ends: of those that are there."""
    held = [(at, artifact) for at, artifact in enumerate(artifacts) if artifact is not None]
    n_layers = model.header.n_layers
    p = [artifact.arrays["every_p"] for _, artifact in held]
    every_p = np.sort(np.concatenate([*p, np.zeros(0, np.float32)])).astype(np.float64)
    q = q_values(every_p)
    rows: dict[Label, list[Row]] = {label: [] for label in LABELS}
    for at, artifact in held:
        for label, row in _rows(None if at == n_layers else at, artifact, every_p, q):
            rows[label].append(row)
    most = {"notable": N_RAYS, "frequency": N_APART, "glitch": N_APART}
    rays, frequency, glitches = (
        tuple(_notable(address, row, model.vocabulary) for row in _first(rows[label], most[label])) for label in LABELS
    )
    return NotablePage(
        model=model.header,
        view=shown,
        rays=rays,
        frequency=frequency,
        glitches=glitches,
        n_layers=sum(at < n_layers for at, _ in held),
        is_whole=len(held) == len(artifacts),
        is_judged=not held or any(artifact.facts["judged"] for _, artifact in held),
        n_rays=len(every_p),
        n_readable=int((every_p < ALPHA).sum()),
        n_found=int((q < FDR).sum()),
        failure=failure,
    )


def shares(layers: Sequence[Artifact | None]) -> dict[str, NDArray[np.float32]]:
    """Of each head [layers heads] the share of readable rays, by score; nothing until all layers are there and judged."""
    held = [artifact for artifact in layers if artifact is not None and artifact.facts["judged"]]
    if len(held) < len(layers):
        return {}
    stacked = np.stack([artifact.arrays["readable"] for artifact in held])
    return {name: stacked[:, :, at] for at, name in enumerate(SCORES)}


def _rows(
    layer: int | None, artifact: Artifact, every_p: NDArray[np.float64], q: NDArray[np.float64]
) -> Iterator[tuple[Label, Row]]:
    """Each ray with its label; `every_p` rises, `q` goes with it."""
    arrays = artifact.arrays
    # Nothing is known of a glitch but its direction's size.
    merits = np.where(np.isnan(arrays["z"]), arrays["share"], arrays["z"])
    # A ray's own p is among all of them, unless it has none: then it is past the end.
    rates = np.append(q, np.nan)[np.searchsorted(every_p, arrays["p"].astype(np.float64))]
    for at, (label, merit, rate) in enumerate(
        zip(arrays["label"].tolist(), merits.tolist(), rates.tolist(), strict=True)
    ):
        yield LABELS[label], Row(layer, artifact, at, merit, rate)


def _first(rows: Sequence[Row], most: int) -> list[Row]:
    """Those with the largest merit, few of any one place."""
    chosen: list[Row] = []
    counts: Counter[object] = Counter()
    for row in sorted(rows, key=lambda row: -row.merit):
        arrays = row.artifact.arrays
        kind, head = KINDS[arrays["kind"][row.at]], int(arrays["head"][row.at])
        # A head, the MLP of a layer, or an end, of which there is one of each kind.
        place = (row.layer, head, kind if row.layer is None else "")
        if counts[place] < OF_ONE_PLACE:
            counts[place] += 1
            chosen.append(row)
        if len(chosen) == most:
            break
    return chosen


def _notable(address: Address, row: Row, vocabulary: Vocabulary) -> Notable:
    arrays, at = row.artifact.arrays, row.at
    kind, head = KINDS[arrays["kind"][at]], int(arrays["head"][at])
    place = address if row.layer is None else address.at_layer(row.layer)
    matrix = (place if head < 0 else place.at_head(head)).at(kind)
    numbers = {name: float(arrays[name][at]) for name in NUMBERS}
    return Notable(
        address=matrix.direction(int(arrays["index"][at])),
        ray="n" if arrays["ray"][at] else "p",
        side=SIDES[kind][arrays["side"][at]],
        readouts=tuple(_readouts(row, SIDES[kind], vocabulary)),
        singular_value=float(arrays["strength"][at]),
        energy_share=float(arrays["share"][at]),
        q=None if np.isnan(row.q) else row.q,
        **{name: None if np.isnan(value) else value for name, value in numbers.items()},
        kind=RAY_CLASSES[arrays["ray_class"][at]],
        turn=_turn(arrays, at),
        letterless=bool(arrays["letterless"][at]),
        reading=READINGS[arrays["reading"][at]],
    )


def _turn(arrays: Arrays, at: int) -> Turn | None:
    if "turn" not in arrays or np.isnan(arrays["turn"][at]).any():
        return None
    return Turn(*arrays["turn"][at].tolist())


def _readouts(row: Row, sides: tuple[str, str], vocabulary: Vocabulary) -> Iterator[Readout]:
    for side, name in zip(PREFIXES, sides, strict=True):
        ids, scores = (row.artifact.arrays[f"{side}_{what}"][row.at].tolist() for what in ("ids", "scores"))
        tokens = tuple(Token(*vocabulary.entry(id_), score) for id_, score in zip(ids, scores, strict=True) if id_ >= 0)
        if tokens:
            yield Readout(name, tokens)
