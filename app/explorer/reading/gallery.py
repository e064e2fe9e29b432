"""The notable rays of a model, merged from the artifacts of its layers and ends (`app.explorer.making.judging.gallery` makes them).

Rays that say the same are shown once: those of one end of one direction, where the first of them stands, and those that
share three of their ten first words on their judged side with one that is shown before them. Imports no torch.
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
from app.explorer.inventory import SIDES
from app.explorer.layout import ENDS, LABELS, NUMBERS, PREFIXES, Label
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
from app.explorer.view import View
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays, Artifact

N_RAYS = 32
"""On a page."""
N_APART = 4
"""Of each list but the one that is asked for."""
N_SHARED, N_WORDS = 3, 10
"""So many words in common of so many first ones, and two rays say the same."""
OF_LABELS: dict[Label, GalleryList] = {"notable": "themes", "frequency": "frequent", "glitch": "untrained"}
"""The list that a ray belongs to; letterless ones have one of their own."""
OWN = "ends"
"""What stands for a layer where the model's own matrices are meant."""
BEYOND: tuple[Reading, ...] = ("theme", "partly spelling")
"""Readings of rays that stand first, by what is left of them without words that begin or end alike."""
SCORES = tuple(f"{circuit}-readability" for circuit in CIRCUITS)
"""What the artifacts of all layers add to the map's scores."""


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
    """Its first ones on its judged side, each once."""

    @property
    def kind(self) -> Kind:
        """Of its matrix."""
        kind: Kind = KINDS[self.artifact.arrays["kind"][self.at]]
        return kind

    @property
    def side(self) -> str:
        """On which it was judged."""
        return SIDES[self.kind][self.artifact.arrays["side"][self.at]]

    @property
    def end(self) -> tuple[int | str | None, ...]:
        """Of which direction which end it is."""
        arrays = self.artifact.arrays
        return (self.layer, self.kind, *(int(arrays[name][self.at]) for name in ("head", "index", "ray")))


RatesOf = Callable[[Address], Rates]
"""The false discovery rates of the rays of a matrix."""
Lists = dict[GalleryList, list[list[Row]]]


@dataclass(frozen=True)
class Merged:
    """All rays of some artifacts."""

    artifacts: tuple[Artifact | None, ...]
    rows: tuple[Row, ...]
    """In the order of the page's lists."""
    lists: Lists
    """Of all of them."""
    n_rays: int
    n_readable: int
    n_found: int


def gallery(
    model: OpenModel,
    address: Address,
    shown: View,
    artifacts: Sequence[Artifact | None],
    rates_of: RatesOf = lambda _: {},
    failure: str = "",
    sought: Sought = UNSOUGHT,
) -> NotablePage:
    """From the artifacts of all layers, first to last, and of the model's ends: of those that are there."""
    _check(model.header, sought)
    merged = _merged(model, shown, tuple(artifacts))
    lists = merged.lists
    if sought.kind or sought.side or sought.layer:
        lists = _lists(row for row in merged.rows if _is_sought(row, sought))
    n_pages = max(1, -(-len(lists[sought.among]) // N_RAYS))
    if not 1 <= sought.page <= n_pages:
        raise BadOption(f"There is no page {sought.page}: there are {n_pages}, counted from 1.")
    first = (sought.page - 1) * N_RAYS
    parts = {
        among: slice(first, first + N_RAYS) if among == sought.among else slice(N_APART) for among in GALLERY_LISTS
    }
    themes, letterless, frequency, glitches = (
        tuple(_notable(address, group, model.vocabulary, rates_of) for group in lists[among][parts[among]])
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
        n_layers=sum(artifact is not None for artifact in artifacts[: model.header.n_layers]),
        is_whole=len(held) == len(artifacts),
        is_judged=not held or any(artifact.facts["judged"] for artifact in held),
        n_rays=merged.n_rays,
        n_readable=merged.n_readable,
        n_found=merged.n_found,
        failure=failure,
        sought=sought,
        n_pages=n_pages,
        choices=tuple(_choices(model.header).items()),
        counts=tuple(_counted(among, groups) for among, groups in lists.items()),
    )


def shares(layers: Sequence[Artifact | None]) -> dict[str, NDArray[np.float32]]:
    """Of each head [layers heads] the share of readable rays, by score; nothing until all layers are there and judged."""
    held = [artifact for artifact in layers if artifact is not None and artifact.facts["judged"]]
    if len(held) < len(layers):
        return {}
    stacked = np.stack([artifact.arrays["readable"] for artifact in held])
    return {name: stacked[:, :, at] for at, name in enumerate(SCORES)}


def _choices(model: Model) -> dict[str, tuple[str, ...]]:
    """What may be sought in the gallery of a model."""
    own = tuple(kind for kind in ENDS if kind in model.model_kinds)
    layers = (*map(str, range(model.n_layers)), OWN)
    return {"kind": (*CIRCUITS, *model.layer_kinds, *own), "side": ("read", "write", "query", "key"), "layer": layers}


def _check(model: Model, sought: Sought) -> None:
    choices = _choices(model)
    for name in ("kind", "side"):
        if getattr(sought, name) not in {"", *choices[name]}:
            raise BadOption(f"{name} must be one of {', '.join(choices[name])}.")
    if sought.layer not in {"", *choices["layer"]}:
        raise BadOption(f"layer goes from 0 to {model.n_layers - 1}, or {OWN} for the model's own matrices.")
    judged = [side for side in choices["side"] if sought.kind in SIDES and side in SIDES[sought.kind]]
    if sought.kind and sought.side not in {"", *judged}:
        raise BadOption(f"side must be {' or '.join(judged)} with kind={sought.kind}: it has no other.")


def _is_sought(row: Row, sought: Sought) -> bool:
    layer = OWN if row.layer is None else str(row.layer)
    return sought.kind in {"", row.kind} and sought.side in {"", row.side} and sought.layer in {"", layer}


_known: WeakKeyDictionary[OpenModel, dict[str, Merged]] = WeakKeyDictionary()
"""Of every model as long as it is open, by weights: thousands of tokens, the same on every visit."""


def _merged(model: OpenModel, shown: View, artifacts: tuple[Artifact | None, ...]) -> Merged:
    of_model = _known.setdefault(model, {})
    known = of_model.get(shown.weights)
    if known is None or any(one is not other for one, other in zip(known.artifacts, artifacts, strict=True)):
        known = of_model[shown.weights] = _merge(model, artifacts)
    return known


def _merge(model: OpenModel, artifacts: tuple[Artifact | None, ...]) -> Merged:
    held = [(at, artifact) for at, artifact in enumerate(artifacts) if artifact is not None]
    p = [artifact.arrays["every_p"] for _, artifact in held]
    every_p = np.sort(np.concatenate([*p, np.zeros(0, np.float32)])).astype(np.float64)
    q = q_values(every_p)
    rows = [
        row
        for at, artifact in held
        for row in _rows(model, None if at == model.header.n_layers else at, artifact, every_p, q)
    ]
    rows.sort(key=lambda row: (row.reading not in BEYOND, -row.merit))
    return Merged(
        artifacts, tuple(rows), _lists(rows), len(every_p), int((every_p < ALPHA).sum()), int((q < FDR).sum())
    )


def _rows(
    model: OpenModel, layer: int | None, artifact: Artifact, every_p: NDArray[np.float64], q: NDArray[np.float64]
) -> Iterator[Row]:
    """Each ray; `every_p` rises, `q` goes with it."""
    arrays = artifact.arrays
    # Nothing is known of a glitch but its direction's size.
    merits = np.where(np.isnan(arrays["z"]), arrays["share"], arrays["z"])
    is_beyond = np.isin(arrays["reading"], [READINGS.index(each) for each in BEYOND]) & ~np.isnan(arrays["beyond_z"])
    merits = np.where(is_beyond, arrays["beyond_z"], merits)
    # A ray's own p is among all of them, unless it has none: then it is past the end.
    rates = np.append(q, np.nan)[np.searchsorted(every_p, arrays["p"].astype(np.float64))]
    ids = np.where(arrays["side"][:, None] == 0, arrays["left_ids"], arrays["right_ids"])
    columns = (ids, arrays["label"], arrays["letterless"], arrays["reading"], merits, rates)
    for at, (own, label, is_letterless, reading, merit, rate) in enumerate(
        zip(*(each.tolist() for each in columns), strict=True)
    ):
        texts = [model.vocabulary.entry(id_).text for id_ in own if id_ >= 0]
        forms = [form_of(text) for text in texts]
        among: GalleryList = OF_LABELS[LABELS[label]]
        if is_letterless and among == "themes":
            among = "letterless"
        # Signs are told apart by themselves, where there are no words.
        words = [text.strip() or text for text in texts] if is_letterless else [form for form in forms if form]
        first = tuple(dict.fromkeys(words))[:N_WORDS]
        yield Row(layer, artifact, at, among, READINGS[reading], merit, rate, first)


def _counted(among: GalleryList, groups: Sequence[Sequence[Row]]) -> ListCount:
    """How long the list of these groups is."""
    rows = [row for group in groups for row in group]
    return ListCount(among, len(groups), len(rows), len({row.end for row in rows}))


def _lists(rows: Iterable[Row]) -> Lists:
    """These rays by list, those that say the same together."""
    own: dict[GalleryList, list[Row]] = {among: [] for among in GALLERY_LISTS}
    for row in rows:
        own[row.among].append(row)
    return {among: _grouped(of) for among, of in own.items()}


def _grouped(rows: Iterable[Row]) -> list[list[Row]]:
    """The rays that say the same, each group behind the first of it; both sides of an end in one group."""
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


def _notable(address: Address, group: Sequence[Row], vocabulary: Vocabulary, rates_of: RatesOf) -> Notable:
    row = group[0]
    arrays, at = row.artifact.arrays, row.at
    place = _also(address, row)
    numbers = {name: float(arrays[name][at]) for name in NUMBERS}
    return Notable(
        address=place.address,
        ray=place.ray,
        side=place.side,
        readouts=tuple(_readouts(row, SIDES[row.kind], vocabulary)),
        singular_value=float(arrays["strength"][at]),
        energy_share=float(arrays["share"][at]),
        q=None if np.isnan(row.q) else row.q,
        own_q=_own_q(row, rates_of(place.address.matrix)),
        **{name: None if np.isnan(value) else value for name, value in numbers.items()},
        kind=RAY_CLASSES[arrays["ray_class"][at]],
        turn=_turn(arrays, at),
        letterless=bool(arrays["letterless"][at]),
        reading=READINGS[arrays["reading"][at]],
        also=tuple(_also(address, other) for other in group[1:]),
    )


def _own_q(row: Row, rates: Rates) -> float | None:
    arrays, at = row.artifact.arrays, row.at
    of_side = rates.get(PREFIXES[arrays["side"][at]])
    own = np.nan if of_side is None else of_side[arrays["index"][at], arrays["ray"][at]]
    return None if np.isnan(own) else float(own)


def _also(address: Address, row: Row) -> Also:
    head, index, ray = (int(row.artifact.arrays[name][row.at]) for name in ("head", "index", "ray"))
    place = address if row.layer is None else address.at_layer(row.layer)
    matrix = (place if head < 0 else place.at_head(head)).at(row.kind)
    return Also(matrix.direction(index), "n" if ray else "p", row.side)


def _turn(arrays: Arrays, at: int) -> Turn | None:
    if "turn" not in arrays or np.isnan(arrays["turn"][at]).any():
        return None
    return Turn(*arrays["turn"][at].tolist())


def _readouts(row: Row, sides: tuple[str, str], vocabulary: Vocabulary) -> Iterator[RayReadout]:
    for side, name in zip(PREFIXES, sides, strict=True):
        ids, scores = (row.artifact.arrays[f"{side}_{what}"][row.at].tolist() for what in ("ids", "scores"))
        tokens = tuple(Token(*vocabulary.entry(id_), score) for id_, score in zip(ids, scores, strict=True) if id_ >= 0)
        if tokens:
            yield RayReadout(name, tokens)
