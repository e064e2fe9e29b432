"""The findings on the axes that heads' outputs vary along, beside singular directions: sentences that the intervals allow.

Random vectors of the same span stand beside both: what these have as well is owed to neither. Knows no store and no page.
"""

from collections.abc import Sequence

from app.explorer.groups import AXES
from app.explorer.pages.census import CensusAxes
from app.explorer.reading.census.counts import FIRST
from app.explorer.reading.census.estimates import as_points, as_shares, capitalise, name_layers
from app.explorer.reading.census.kinds import NAMES
from app.explorer.reading.census.spans import answer_part

STRONGEST = f"the first {FIRST}"


def answer_axes(compared: Sequence[CensusAxes]) -> str:
    """Answer whether output axes are more readable than singular directions; empty where they were not compared.

    Example: "OV read, OV write: not told apart from singular directions. The first 4 axes of OV write: less readable than the 4
    strongest singular directions."
    """
    said = answer_part(compared, "all", "", "singular directions")
    strongest = answer_part(compared, "first", f"{STRONGEST} axes of ", f"the {FIRST} strongest singular directions")
    return " ".join(filter(None, (said, strongest)))


def describe_axes(compared: CensusAxes) -> str:
    """Describe the readable shares of axes, of directions and of random vectors, over all layers and by depth.

    Example: "Output axes, write: p < .01 have 6.2% (3.7% to 9.9%) of the ends, 6.5% (…) of those of singular directions, 6.1% (…)
    of those of random vectors of the same span: −0.3 (−1.0 to 0.4) points. Layers 24–29: …"
    """
    name, random = NAMES[compared.kind + AXES], "random vectors of the same span"
    if compared.among == "first":
        name, random = f"{STRONGEST} {name}", "random vectors weighted by singular value"
    one, *parts = compared.shares
    by_depth = "".join(
        f" {capitalise(name_layers(own.layers))}: {own.axes.value:.1%} against {own.directions.value:.1%}, random "
        f"{own.random.value:.1%}; {as_points(own.difference)}."
        for own in parts
        if own.layers is not None
    )
    return (
        f"{capitalise(name)}: p < .01 have {as_shares(one.axes)} of the ends, {as_shares(one.directions)} of those of as many "
        f"singular directions, {as_shares(one.random)} of those of {random}; axes less directions "
        f"{as_points(one.difference)}.{by_depth}"
    )
