"""The gallery of a model: its notable rays, merged from the artifacts of its layers and ends.

`app.explorer.making.judging.gallery` makes them. Rays that say the same are shown once, in the place of the first: both
sides of one end of a direction, and rays that share three of their first ten words on the judged side. Imports no
torch.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, KINDS, Address, Kind
from app.core.judging.discovery import FDR, q_values
from app.core.judging.forms import form_of
from app.core.judging.rays import ALPHA, RAY_CLASSES, READINGS, Reading
from app.explorer.errors import BadOption
from app.explorer.header import Model
from app.explorer.inventory import SIDES, stream_side_of
from app.explorer.layout import ENDS, LABELS, NUMBERS, SIDE_PREFIXES, Label
from app.explorer.library import OpenModel
from app.explorer.pages.directions import RayReadout, Turn
from app.explorer.pages.gallery import (
    GALLERY_LISTS,
    UNSOUGHT,
    Also,
    GalleryList,
    ListCount,
    Notable,
    NotablePage,
    Sought,
)
from app.explorer.pages.rays import Token
from app.explorer.reading.rates import Rates
from app.explorer.view import StreamSide, View
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays, Artifact

N_RAYS = 32
"""Rays on a page."""
N_APART = 4
"""Rays shown of each list but the one that is asked for."""
N_SHARED, N_WORDS = 3, 10
"""Two rays say the same if they share N_SHARED of their first N_WORDS words."""
LIST_OF_LABEL: dict[Label, GalleryList] = {"notable": "themes", "frequency": "frequent", "glitch": "untrained"}
"""The list of a ray with each label; letterless rays have one of their own."""
OWN_LAYER = "ends"
"""Names the model's own matrices in the place of a layer."""
BEYOND_SPELLING: tuple[Reading, ...] = ("theme", "partly spelling")
"""Readings of the rays that come first, sorted by the z of their forms beyond spelling."""
SCORES = tuple(f"{circuit}-readability" for circuit in CIRCUITS)
"""Scores of the map that come from the gallery's artifacts."""


class Row(NamedTuple):
    """A ray: a row of the arrays of one artifact."""

    layer: int | None
    artifact: Artifact
    at: int
    among: GalleryList
    reading: Reading
    merit: float
    q: float
    words: tuple[str, ...]
    """Its first words on its judged side, each once."""

    @property
    def kind(self) -> Kind:
        """The kind of its matrix."""
        kind: Kind = KINDS[self.artifact.arrays["kind"][self.at]]
        return kind

    @property
    def side(self) -> StreamSide:
        """The side on which it was judged."""
        return stream_side_of(self.kind, self.artifact.arrays["side"][self.at])

    @property
    def end(self) -> tuple[int | str | None, ...]:
        """A key of the direction's end: layer, kind, head, index and ray."""
        arrays = self.artifact.arrays
        return (self.layer, self.kind, *(int(arrays[name][self.at]) for name in ("head", "index", "ray")))


RatesOf = Callable[[Address], Rates]
"""The false discovery rates of the rays of a matrix."""
Lists = dict[GalleryList, list[list[Row]]]


@dataclass(frozen=True)
class Merged:
    """The merged rays of some artifacts."""

    artifacts: tuple[Artifact | None, ...]
    rows: tuple[Row, ...]
    """All rays, in the order of the page's lists."""
    lists: Lists
    """The lists of all rays, those that say the same grouped."""
    n_rays: int
    n_readable: int
    n_found: int


def make_gallery(
    model: OpenModel,
    address: Address,
    shown: View,
    artifacts: Sequence[Artifact | None],
    rates_of: RatesOf = lambda _: {},
    failure: str = "",
    sought: Sought = UNSOUGHT,
) -> NotablePage:
    """Make the gallery from the artifacts of all layers, first to last, and of the ends; None for a missing one.

    BadOption for a choice or a page that does not exist.
    """
    _check_sought(model.header, sought)
    merged = _get_merged(model, shown, tuple(artifacts))
    lists = merged.lists
    if sought.kind or sought.side or sought.layer:
        lists = _split_by_list(row for row in merged.rows if _is_sought(row, sought))
    n_pages = max(1, -(-len(lists[sought.among]) // N_RAYS))
    if not 1 <= sought.page <= n_pages:
        raise BadOption(f"There is no page {sought.page}: there are {n_pages}, counted from 1.")
    first = (sought.page - 1) * N_RAYS
    parts = {
        among: slice(first, first + N_RAYS) if among == sought.among else slice(N_APART) for among in GALLERY_LISTS
    }
    themes, letterless, frequency, glitches = (
        tuple(_make_notable(address, group, model.vocabulary, rates_of) for group in lists[among][parts[among]])
        for among in GALLERY_LISTS
    )
    held = [artifact for artifact in artifacts if artifact is not None]
    return NotablePage(
        address=address,
        model=model.header,
        view=shown,
        rays=themes,
        letterless=letterless,
        frequency=frequency,
        glitches=glitches,
        layers=sum(artifact is not None for artifact in artifacts[: model.header.n_layers]),
        whole=len(held) == len(artifacts),
        judged=not held or any(artifact.facts["judged"] for artifact in held),
        n_rays=merged.n_rays,
        n_readable=merged.n_readable,
        n_found=merged.n_found,
        failure=failure,
        sought=sought,
        n_pages=n_pages,
        choices=tuple(_list_choices(model.header).items()),
        lists=tuple(_count_list(among, groups) for among, groups in lists.items()),
    )


def readable_shares(layers: Sequence[Artifact | None]) -> dict[str, NDArray[np.float32]]:
    """Collect each head's share of readable rays [layers heads], by score; empty until all layers are judged."""
    held = [artifact for artifact in layers if artifact is not None and artifact.facts["judged"]]
    if len(held) < len(layers):
        return {}
    stacked = np.stack([artifact.arrays["readable"] for artifact in held])
    return {name: stacked[:, :, at] for at, name in enumerate(SCORES)}


def _list_choices(model: Model) -> dict[str, tuple[str, ...]]:
    """List the filters' values for the gallery of a model."""
    own = tuple(kind for kind in ENDS if kind in model.model_kinds)
    layers = (*map(str, range(model.n_layers)), OWN_LAYER)
    return {"kind": (*CIRCUITS, *model.layer_kinds, *own), "side": ("read", "write", "query", "key"), "layer": layers}


def _check_sought(model: Model, sought: Sought) -> None:
    choices = _list_choices(model)
    for name in ("kind", "side"):
        if getattr(sought, name) not in {"", *choices[name]}:
            raise BadOption(f"{name} must be one of {', '.join(choices[name])}.")
    if sought.layer not in {"", *choices["layer"]}:
        raise BadOption(f"layer goes from 0 to {model.n_layers - 1}, or {OWN_LAYER} for the model's own matrices.")
    judged = [side for side in choices["side"] if sought.kind in SIDES and side in SIDES[sought.kind]]
    if sought.kind and sought.side not in {"", *judged}:
        raise BadOption(f"side must be {' or '.join(judged)} with kind={sought.kind}: it has no other.")


def _is_sought(row: Row, sought: Sought) -> bool:
    layer = OWN_LAYER if row.layer is None else str(row.layer)
    return sought.kind in {"", row.kind} and sought.side in {"", row.side} and sought.layer in {"", layer}


_known_merged: WeakKeyDictionary[OpenModel, dict[str, Merged]] = WeakKeyDictionary()
"""Merged rays of each open model, by weights: thousands of tokens, the same on every visit."""


def _get_merged(model: OpenModel, shown: View, artifacts: tuple[Artifact | None, ...]) -> Merged:
    of_model = _known_merged.setdefault(model, {})
    known = of_model.get(shown.weights)
    if known is None or any(one is not other for one, other in zip(known.artifacts, artifacts, strict=True)):
        known = of_model[shown.weights] = _merge_artifacts(model, artifacts)
    return known


def _merge_artifacts(model: OpenModel, artifacts: tuple[Artifact | None, ...]) -> Merged:
    held = [(at, artifact) for at, artifact in enumerate(artifacts) if artifact is not None]
    p = [artifact.arrays["every_p"] for _, artifact in held]
    every_p = np.sort(np.concatenate([*p, np.zeros(0, np.float32)])).astype(np.float64)
    q = q_values(every_p)
    rows = [
        row
        for at, artifact in held
        for row in _make_rows(model, None if at == model.header.n_layers else at, artifact, every_p, q)
    ]
    rows.sort(key=lambda row: (row.reading not in BEYOND_SPELLING, -row.merit))
    return Merged(
        artifacts, tuple(rows), _split_by_list(rows), len(every_p), int((every_p < ALPHA).sum()), int((q < FDR).sum())
    )


def _make_rows(
    model: OpenModel, layer: int | None, artifact: Artifact, every_p: NDArray[np.float64], q: NDArray[np.float64]
) -> Iterator[Row]:
    """Yield each ray of one artifact as a row; `every_p` is sorted, `q` its q-values."""
    arrays = artifact.arrays
    # A glitch has no z: it is ordered by its direction's share.
    merits = np.where(np.isnan(arrays["z"]), arrays["share"], arrays["z"])
    is_beyond = np.isin(arrays["reading"], [READINGS.index(each) for each in BEYOND_SPELLING]) & ~np.isnan(
        arrays["beyond_z"]
    )
    merits = np.where(is_beyond, arrays["beyond_z"], merits)
    # A ray's own p is among all p, unless it is nan: then its place is past the end.
    rates = np.append(q, np.nan)[np.searchsorted(every_p, arrays["p"].astype(np.float64))]
    ids = np.where(arrays["side"][:, None] == 0, arrays["left_ids"], arrays["right_ids"])
    columns = (ids, arrays["label"], arrays["letterless"], arrays["reading"], merits, rates)
    for at, (own, label, is_letterless, reading, merit, rate) in enumerate(
        zip(*(each.tolist() for each in columns), strict=True)
    ):
        texts = [model.vocabulary.entry(id_).text for id_ in own if id_ >= 0]
        forms = [form_of(text) for text in texts]
        among: GalleryList = LIST_OF_LABEL[LABELS[label]]
        if is_letterless and among == "themes":
            among = "letterless"
        # Letterless tokens are compared as they are: they are no words.
        words = [text.strip() or text for text in texts] if is_letterless else [form for form in forms if form]
        first = tuple(dict.fromkeys(words))[:N_WORDS]
        yield Row(layer, artifact, at, among, READINGS[reading], merit, rate, first)


def _count_list(among: GalleryList, groups: Sequence[Sequence[Row]]) -> ListCount:
    """Count the groups, rays and ends of a list."""
    rows = [row for group in groups for row in group]
    return ListCount(among, len(groups), len(rows), len({row.end for row in rows}))


def _split_by_list(rows: Iterable[Row]) -> Lists:
    """Split rows by list, and group those that say the same."""
    own: dict[GalleryList, list[Row]] = {among: [] for among in GALLERY_LISTS}
    for row in rows:
        own[row.among].append(row)
    return {among: _group_alike(of) for among, of in own.items()}


def _group_alike(rows: Iterable[Row]) -> list[list[Row]]:
    """Group rays that say the same, each group led by its first; both sides of an end are in one group."""
    groups: list[list[Row]] = []
    by_word: dict[str, list[int]] = {}
    by_end: dict[object, int] = {}
    for row in rows:
        own = by_end.get(row.end)
        if own is None:
            shared = Counter(at for word in row.words for at in by_word.get(word, ()))
            own = min((at for at, n in shared.items() if n >= N_SHARED), default=len(groups))
            by_end[row.end] = own
            if own == len(groups):
                groups.append([])
                for word in row.words:
                    by_word.setdefault(word, []).append(own)
        groups[own].append(row)
    return groups


def _make_notable(address: Address, group: Sequence[Row], vocabulary: Vocabulary, rates_of: RatesOf) -> Notable:
    row = group[0]
    arrays, at = row.artifact.arrays, row.at
    place = _name_ray(address, row)
    numbers = {name: float(arrays[name][at]) for name in NUMBERS}
    return Notable(
        address=place.address,
        ray=place.ray,
        side=place.side,
        readouts=tuple(_read_readouts(row, vocabulary)),
        singular_value=float(arrays["strength"][at]),
        energy_share=float(arrays["share"][at]),
        q=None if np.isnan(row.q) else row.q,
        own_q=_read_own_q(row, rates_of(place.address.matrix)),
        **{name: None if np.isnan(value) else value for name, value in numbers.items()},
        kind=RAY_CLASSES[arrays["ray_class"][at]],
        turn=_read_turn(arrays, at),
        letterless=bool(arrays["letterless"][at]),
        reading=READINGS[arrays["reading"][at]],
        also=tuple(_name_ray(address, other) for other in group[1:]),
    )


def _read_own_q(row: Row, rates: Rates) -> float | None:
    arrays, at = row.artifact.arrays, row.at
    of_side = rates.get(SIDE_PREFIXES[arrays["side"][at]])
    own = np.nan if of_side is None else of_side[arrays["index"][at], arrays["ray"][at]]
    return None if np.isnan(own) else float(own)


def _name_ray(address: Address, row: Row) -> Also:
    head, index, ray = (int(row.artifact.arrays[name][row.at]) for name in ("head", "index", "ray"))
    place = address if row.layer is None else address.at_layer(row.layer)
    matrix = (place if head < 0 else place.at_head(head)).at(row.kind)
    return Also(matrix.direction(index), "n" if ray else "p", row.side)


def _read_turn(arrays: Arrays, at: int) -> Turn | None:
    if "turn" not in arrays or np.isnan(arrays["turn"][at]).any():
        return None
    return Turn(*arrays["turn"][at].tolist())


def _read_readouts(row: Row, vocabulary: Vocabulary) -> Iterator[RayReadout]:
    for at, side in enumerate(SIDE_PREFIXES):
        ids, scores = (row.artifact.arrays[f"{side}_{what}"][row.at].tolist() for what in ("ids", "scores"))
        tokens = tuple(Token(*vocabulary.entry(id_), score) for id_, score in zip(ids, scores, strict=True) if id_ >= 0)
        if tokens:
            yield RayReadout(stream_side_of(row.kind, at), tokens)
