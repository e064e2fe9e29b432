"""Judgements of the rays in an artifact: how readable, how many, of which class, and which directions pass a filter.

    {side}_coherence {side}_z {side}_p [n 2 3]   {side}_{forms beyond spelling}_{z p} [n 2]   {side}_difference_p [n]
    {side}_beyond_share {side}_n_forms {side}_letterless {side}_reading [n 2]

exist for sides of the residual stream with a control (`app.explorer.making.judging.readability` makes them). Where a
basis has one ray a term, only the first one's numbers count. Imports no torch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.judging.discovery import FDR, q_values
from app.core.judging.rays import ALPHA, HEADLINE, RAY_CLASSES, READINGS, Reading, classify_directions
from app.core.judging.significance import compare_to_control
from app.explorer.layout import SIDE_PREFIXES
from app.explorer.pages.directions import ControlSpread
from app.explorer.pages.rays import Judgement, Rays, Verdict
from app.explorer.view import Only
from app.store.artifacts import Arrays

BETTER_P = 0.05
"""Largest p among random rotations of a ray that is better than 95% of them."""
BINS = 40
FORMS = ("forms_z", "forms_p", "beyond_z", "beyond_p", "beyond_share")
BEYOND_LETTERS: tuple[Reading, ...] = ("theme", "one word", "partly spelling")
"""Readings of a readable ray that is not readable by its letters alone."""

Rows = NDArray[np.intp] | slice


def read_rays(arrays: Arrays, side: str, rows: Rows, n_rays: int) -> list[Rays | None]:
    """Read the judgements of these rows on one side; None for each where the side is not judged."""
    if not _is_judged(arrays, side):
        return [None] * len(arrays[f"{side}_top_ids"][rows])
    columns = [_as_plain(arrays[f"{side}_{name}"][rows]) for name in ("coherence", "z", "p")]
    columns.append(_as_plain(_q_of(arrays, side, n_rays)[rows]))
    columns += [_as_plain(arrays[f"{side}_{name}"][rows]) for name in ("spelling_z", "spelling_p")]
    columns.append(_as_plain(_rotation_p_of(arrays, side)[rows]))
    columns += [_as_plain(arrays[f"{side}_{name}"][rows]) for name in FORMS]
    columns += [arrays[f"{side}_{name}"][rows].tolist() for name in ("n_forms", "letterless")]
    columns.append([[READINGS[code] for code in codes] for codes in arrays[f"{side}_reading"][rows].tolist()])
    kinds = [RAY_CLASSES[code] for code in _classify_rays(arrays, side)[rows].tolist()]
    apart = _as_plain(arrays[f"{side}_difference_p"][rows])
    found: list[Rays | None] = []
    for *numbers, kind, difference in zip(*columns, kinds, apart, strict=True):
        plus = _make_judgement(numbers, 0)
        found.append(Rays(plus, _make_judgement(numbers, 1), kind, difference) if n_rays > 1 else Rays(plus))
    return found


def compute_rates(arrays: Arrays) -> dict[str, NDArray[np.float64]]:
    """Compute the q of both rays of all directions [n 2], by side; only of sides that are judged."""
    return {side: _q_of(arrays, side, 2) for side in SIDE_PREFIXES if _is_judged(arrays, side)}


def judge_side(arrays: Arrays, side: str, name: str, n_rays: int) -> Verdict | None:
    """Count the readable rays of one side, and its directions by class; None where it is not judged."""
    if not _is_judged(arrays, side):
        return None
    p, q = arrays[f"{side}_p"][:, :n_rays, HEADLINE], _q_of(arrays, side, n_rays)[:, :n_rays]
    readings = np.bincount(arrays[f"{side}_reading"][:, :n_rays].ravel(), minlength=len(READINGS)).tolist()
    n_of = dict(zip(READINGS, readings, strict=True))
    counts = np.bincount(_classify_rays(arrays, side), minlength=len(RAY_CLASSES)).tolist() if n_rays > 1 else ()
    return Verdict(
        side=name,
        n_rays=int((~np.isnan(p)).sum()),
        n_unknown=int(np.isnan(p).sum()),
        n_readable=int((p < ALPHA).sum()),
        n_found=int((q < FDR).sum()),
        n_spelling=n_of["spelling"],
        classes=tuple(zip(RAY_CLASSES, counts, strict=False)),
        n_better=_count_better(arrays, side, n_rays),
        n_theme=n_of["theme"],
        n_one_word=n_of["one word"],
        n_partly=n_of["partly spelling"],
        n_letterless=n_of["letterless"],
    )


def find_best(arrays: Arrays, sides: tuple[str, ...], n_rays: int) -> NDArray[np.float64]:
    """Find the largest z of each direction's rays on any of the sides [n]; -inf where none is judged."""
    columns = [arrays[f"{side}_z"][:, :n_rays, HEADLINE] for side in sides if _is_judged(arrays, side)]
    if not columns:
        return np.full(len(arrays["index"]), -np.inf)
    z = np.concatenate(columns, axis=1).astype(np.float64)
    found: NDArray[np.float64] = np.where(np.isnan(z), -np.inf, z).max(axis=1, initial=-np.inf)
    return found


def mask_passing(arrays: Arrays, only: Only, n_rays: int) -> NDArray[np.bool_]:
    """Mask the directions that pass the filter on any side [n]."""
    passed = np.zeros(len(arrays["index"]), bool)
    for side in SIDE_PREFIXES:
        if _is_judged(arrays, side):
            passed |= _mask_side(arrays, side, only, n_rays)
    return passed


def summarise_control(side: str, control: Arrays) -> ControlSpread | None:
    """Summarise the coherence of a control's random rays; None where fewer than two can be judged."""
    return summarise_coherence(side, control["coherence"][..., HEADLINE])


def summarise_coherence(side: str, coherence: NDArray[np.float32]) -> ControlSpread | None:
    """Summarise the coherence of rays; None where fewer than two can be judged."""
    coherence = coherence.flatten().astype(np.float64)
    known = coherence[~np.isnan(coherence)]
    if len(known) < 2:
        return None
    counts, edges = np.histogram(known, BINS)
    low, high = float(edges[0]), float(edges[-1])
    return ControlSpread(side, low, high, tuple(counts.tolist()), float(known.mean()), float(known.std(ddof=1)))


def _mask_side(arrays: Arrays, side: str, only: Only, n_rays: int) -> NDArray[np.bool_]:
    if only in RAY_CLASSES:
        is_of: NDArray[np.bool_] = _classify_rays(arrays, side) == RAY_CLASSES.index(only)
        return is_of if n_rays > 1 else np.zeros(len(is_of), bool)
    p = arrays[f"{side}_p"][:, :n_rays, HEADLINE]
    readings = arrays[f"{side}_reading"][:, :n_rays]
    chosen: dict[Only, Any] = {
        "readable": p < ALPHA,
        "found": _q_of(arrays, side, n_rays)[:, :n_rays] < FDR,
        "meaning": np.isin(readings, [READINGS.index(name) for name in BEYOND_LETTERS]),
        "theme": readings == READINGS.index("theme"),
        "spelling": readings == READINGS.index("spelling"),
    }
    return np.asarray(chosen[only].any(axis=1))


def _is_judged(arrays: Arrays, side: str) -> bool:
    return f"{side}_p" in arrays


def _q_of(arrays: Arrays, side: str, n_rays: int) -> NDArray[np.float64]:
    """Compute q over all rays of one side of the matrix, unless the arrays have it: [n 2], nan for a missing ray."""
    if f"{side}_q" in arrays:
        return arrays[f"{side}_q"]
    p = arrays[f"{side}_p"][..., HEADLINE].astype(np.float64)
    p[:, n_rays:] = np.nan
    found: NDArray[np.float64] = q_values(p)
    return found


def _rotation_p_of(arrays: Arrays, side: str) -> NDArray[Any]:
    """Return the p among random rotations [n 2]; nan where these were not asked for."""
    unasked = np.full(arrays[f"{side}_p"].shape[:2], np.nan)
    return arrays.get(f"{side}_rotation_p", unasked)


def _count_better(arrays: Arrays, side: str, n_rays: int) -> int | None:
    p = arrays.get(f"{side}_rotation_p")
    return None if p is None else int((p[:, :n_rays] <= BETTER_P).sum())


def _classify_rays(arrays: Arrays, side: str) -> NDArray[np.int8]:
    p = arrays[f"{side}_p"][..., HEADLINE]
    codes: NDArray[np.int8] = classify_directions(p[:, 0], p[:, 1], arrays[f"{side}_difference_p"])
    return codes


def _make_judgement(numbers: list[Any], ray: int) -> Judgement:
    coherence, z, p, *others = (column[ray] for column in numbers)
    return Judgement(tuple(coherence), tuple(z), tuple(p), *others)


def _as_plain(array: NDArray[Any]) -> list[Any]:
    """Convert to Python numbers, with None for nan: JSON has no nan."""
    values = array.astype(object)
    values[np.isnan(array)] = None
    return list(values.tolist())


def add_rotation_p(own: Arrays, turned: Arrays) -> Arrays:
    """Add to a matrix's arrays the p of each ray among those of random rotations, for the sides that have them."""
    p = {
        f"{side}_rotation_p": compare_to_control(
            own[f"{side}_coherence"][..., HEADLINE], turned[f"{side}_coherence"].flatten()
        )[1]
        for side in SIDE_PREFIXES
        if f"{side}_coherence" in own and f"{side}_coherence" in turned
    }
    return {**own, **p}
