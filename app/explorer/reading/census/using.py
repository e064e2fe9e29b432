"""Whether what is readable is used: a census's groups beside the statistics of use, and what the intervals allow to say.

A head's weak directions are used more than their weights let expect and read differently from strong ones, whatever
readability has to do with it: the place in the matrix is taken out of the correlation. Knows no store and no page.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.core.judging.bootstrap import LEAST, Clusters, Estimate, estimate_mean
from app.core.judging.progression import partial_rank_correlation
from app.core.judging.rays import ALPHA
from app.core.using.shares import measure_overuse
from app.explorer.groups import SEED, USED_GROUPS
from app.explorer.pages.census import CensusUse
from app.explorer.reading.census.claims import KindStanding, Placed, Side, side_of, summarise_verdicts
from app.explorer.reading.census.counts import Group, MatrixRays
from app.explorer.reading.census.estimates import as_shares, capitalise, format_estimate
from app.explorer.reading.census.kinds import NAMES, name_ends
from app.store.artifacts import Arrays

FAINT, FAINT_SHARE = 0.1, 0.05
"""A correlation, and a share's distance from one half, below which a relation is called little: small to Cohen (1988)."""
Size = Literal["clear", "faint", "undecided"]
SIZES: dict[Size, str] = {"clear": "", "faint": "a little ", "undecided": ""}
"""How much a number differs from the middle, in the order in which answers say it, and the words for it."""
_FEW = f"fewer than {LEAST} layers, so nothing is claimed"


def measure_uses(groups: Mapping[str, Group], statistics: Arrays) -> tuple[CensusUse, ...]:
    """Measure, for what heads read and for what they write, whether readable directions are used more."""
    overuse = measure_overuse(*(statistics[name].astype(np.float64) for name in ("used", "even")))
    skew = statistics["skew"][..., 0]
    return tuple(_measure_use(groups[name], overuse, skew) for name in USED_GROUPS if name in groups)


def answer_use(uses: Sequence[CensusUse]) -> str:
    """Answer whether directions that read better are used more, and on which side readable ends lie.

    Example: "OV write: directions that read better are used a little more than their weights let expect.
    Readable ends of OV read: on the side of the longer tail of what is read more often than not."
    """
    related = {NAMES[use.kind]: (use.correlation, side_of(use.correlation)) for use in uses if use.correlation}
    sides = {NAMES[use.kind]: (use.same_side, side_of(use.same_side, 0.5, 3)) for use in uses if use.same_side}
    said = [summarise_verdicts(_select(related, 0, FAINT, size), _word_relation(how)) for size, how in SIZES.items()]
    said += [
        summarise_verdicts(_select(sides, 0.5, FAINT_SHARE, size), _word_side(how), of="readable ends of ")
        for size, how in SIZES.items()
    ]
    return " ".join(filter(None, said))


def describe_use(use: CensusUse, d_head: int) -> str:
    """Describe with numbers whether one kind's readable directions are used.

    Example: "OV write: within a head the rank correlation of z and of use beyond weights is 0.05 (0.01 to 0.09). Of 120
    OV write ends with p < .01, 55.0% (48.0% to 61.0%) lie on the side of the longer tail; 50% do by chance."
    """
    said = []
    if use.correlation:
        shown = format_estimate(use.correlation)
        said.append(f"within a head the rank correlation of z and of use beyond weights is {shown}")
    if use.same_side:
        said.append(
            f"of {use.rays:,} {name_ends(use.kind, d_head)} with p < .01, {as_shares(use.same_side)} lie on the side of the "
            "longer tail of what the direction reads; 50% do by chance"
        )
    return f"{capitalise(NAMES[use.kind])}: {'; '.join(said)}." if said else ""


def _measure_use(group: Group, overuse: NDArray[np.float64], skew: NDArray[np.floating]) -> CensusUse:
    """Measure one group; `overuse` and `skew` are [layers heads rank]."""
    related = {layer: _collect([_relate(one, overuse) for one in own]) for layer, own in group.layers.items()}
    sides = {layer: np.concatenate([_compare_sides(one, skew) for one in own]) for layer, own in group.layers.items()}
    return CensusUse(group.name, _estimate(related), sum(map(len, sides.values())), _estimate(sides))


def _relate(matrix: MatrixRays, overuse: NDArray[np.float64]) -> float | None:
    """Correlate the larger z of each direction's rays with its use beside its weights, whatever its place."""
    z = np.where(np.isfinite(matrix.z), matrix.z, -np.inf).max(axis=1)
    use = overuse[matrix.layer, matrix.head, : len(z)]
    known = np.isfinite(z) & np.isfinite(use)
    return partial_rank_correlation(z[known], use[known])


def _compare_sides(matrix: MatrixRays, skew: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return 1 for each readable ray on the side to which what its direction reads is skewed, 0 on the other."""
    own = skew[matrix.layer, matrix.head, : len(matrix.p)]
    is_compared = (matrix.p < ALPHA) & (np.isfinite(own) & (own != 0))[:, None]
    is_same = (own > 0)[:, None] == np.array([True, False])
    found: NDArray[np.float64] = is_same[is_compared].astype(np.float64)
    return found


def _collect(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([value for value in values if value is not None], np.float64)


def _estimate(clusters: Clusters) -> Estimate | None:
    known = {layer: values for layer, values in clusters.items() if len(values)}
    return estimate_mean(known, SEED) if known else None


def _select(
    estimates: Mapping[str, tuple[Estimate, Side]], middle: float, faint: float, size: Size
) -> dict[str, Placed]:
    """Select the verdicts on numbers that differ so much from the middle, little being less than `faint`."""
    return {
        name: Placed(KindStanding(side, side))
        for name, (estimate, side) in estimates.items()
        if _size_of(estimate.value - middle, faint, side) == size
    }


def _size_of(difference: float, faint: float, side: Side) -> Size:
    if side not in {"more", "less"}:
        return "undecided"
    return "faint" if abs(difference) < faint else "clear"


def _word_relation(how: str) -> dict[Side, str]:
    said = "directions that read better are used"
    return {
        "more": f"{said} {how}more than their weights let expect",
        "less": f"{said} {how}less than their weights let expect",
        "open": f"{said} neither more nor less than their weights let expect, as far as can be told",
        "unclaimed": _FEW,
    }


def _word_side(how: str) -> dict[Side, str]:
    return {
        "more": f"on the side of the longer tail of what is read {how}more often than not",
        "less": f"on the side of the longer tail of what is read {how}less often than not",
        "open": "as often on the one side of what is read as on the other, as far as can be told",
        "unclaimed": _FEW,
    }
