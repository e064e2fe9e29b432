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

    Example: "Axes of OV read, OV write: not told apart from singular directions. The first 4 axes of OV write: less readable than
    the 4 strongest singular directions."
    """
    said = answer_part(compared, "all", "axes of ", "singular directions")
    strongest = answer_part(compared, "first", f"{STRONGEST} axes of ", f"the {FIRST} strongest singular directions")
    return " ".join(filter(None, (said, strongest)))


def describe_axes(compared: CensusAxes) -> str:
    """Describe the readable shares of axes, of directions and of random vectors, over all layers and by depth.

    Example: "Output axes, write: p < .01 have 6.4% (3.7% to 9.9%) of the ends, 6.4% (…) of those of as many singular directions:
    axes less directions 0.0 (−0.3 to 0.3) points; 6.0% (…) in the heads that random vectors of the same span were drawn of,
    5.8% (…) of the ends of these vectors. Layers 24–29: …"
    """
    name, is_all = NAMES[compared.kind + AXES], compared.among == "all"
    one, *parts = compared.shares
    by_depth = "".join(
        f" {capitalise(name_layers(own.layers))}: {own.axes.value:.1%} against {own.directions.value:.1%}, "
        f"{as_points(own.difference)}; {f'{own.drawn_axes.value:.1%} against ' if is_all else ''}random {own.random.value:.1%}."
        for own in parts
        if own.layers is not None
    )
    random = (
        f"{as_shares(one.drawn_axes)} in the heads that random vectors of the same span were drawn of, {as_shares(one.random)} of "
        "the ends of these vectors"
        if is_all
        else f"{as_shares(one.random)} of those of random vectors weighted by singular value"
    )
    return (
        f"{capitalise(name) if is_all else f'The first {FIRST} {name}'}: p < .01 have {as_shares(one.axes)} of the ends, "
        f"{as_shares(one.directions)} of those of as many singular directions: axes less directions {as_points(one.difference)}; "
        f"{random}.{by_depth}"
    )
