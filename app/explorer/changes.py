"""What may be changed in a model that runs, as plain data, and how a recipe holds it. Knows no tensor and no page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

EditKind = Literal["scale", "mean", "only"]
"""How a direction is edited: so much more of it is written (`scale`); always its mean (`mean`); it and nothing else of its
head's (`only`)."""
KINDS: tuple[EditKind, ...] = ("scale", "mean", "only")
ENDS: tuple[Literal["", "p", "n"], ...] = ("", "p", "n")
STEPS = 1_000
"""Steps of an amount from 0 to 1: a recipe holds whole numbers."""


@dataclass(frozen=True, slots=True)
class HeadEdit:
    """An edit of what a head writes along one of its singular directions."""

    layer: int
    head: int
    index: int
    """The direction of its OV."""
    kind: EditKind = "scale"
    amount: float = 0.0
    """How much more is written, -1 for nothing; of the kind `scale`."""
    end: Literal["", "p", "n"] = ""
    """The end whose tokens are followed; empty: the one that is written at the position."""


@dataclass(frozen=True, slots=True)
class Steering:
    """A push of the stream that enters a layer along a direction that a head writes, at all positions but the first."""

    layer: int
    """The layer whose stream is pushed."""
    of: HeadEdit
    """The direction, with the end along which it goes; its amount means nothing."""
    amount: float
    """The size of the push, in median lengths of the stream there."""


ContrastRule = Literal["fixed", "published", "last", "front"]
"""How two prompts, one that attracts and one that repels, change a stream: by SARA as it is fixed here, which compares rows of
Gram matrices; by SARA as published; by the difference of their last tokens (ActAdd); by that of their first tokens, position by
position (ActAdd as published, without the first position)."""
RULES: tuple[ContrastRule, ...] = ("fixed", "published", "last", "front")


@dataclass(frozen=True, slots=True)
class Contrast:
    """A change of the stream that enters a layer towards one prompt and away from another."""

    layer: int
    rule: ContrastRule
    amount: float
    """The c of the rule."""
    attract: str
    """The key of the prompt that attracts."""
    repel: str
    """And of the one that repels."""


Change = Sequence[HeadEdit] | Steering | Contrast


def spell_amount(kind: EditKind, amount: float) -> str:
    """Spell how a direction is edited: an amount, or a word.

    Example: spell_amount("scale", -1.0) -> "-1"; spell_amount("mean", 0.0) -> "mean"
    """
    return f"{amount:g}" if kind == "scale" else kind


def write_change(change: Change) -> dict[str, int]:
    """Write a change as parameters of a recipe."""
    if isinstance(change, Steering):
        return {"steered": change.layer, "c": round(STEPS * change.amount), **write_edits([change.of])}
    if isinstance(change, Contrast):
        return {**write_others(change.layer, change.attract, change.repel), **_write_rule(change)}
    return write_edits(change)


def read_change(parameters: Mapping[str, float]) -> Change:
    """Read the change that parameters of a recipe hold."""
    if "rule" in parameters:
        rule, keys = RULES[int(parameters["rule"])], read_others(parameters)
        return Contrast(int(parameters["contrasted"]), rule, parameters["c"] / STEPS, *keys)
    edits = read_edits(parameters)
    if "steered" in parameters:
        return Steering(int(parameters["steered"]), edits[0], parameters["c"] / STEPS)
    return edits


def write_others(layer: int, attract: str, repel: str) -> dict[str, int]:
    """Write two other prompts, and the layer whose stream is compared, as parameters of a recipe."""
    return {"contrasted": layer, "attract": int(attract, 16), "repel": int(repel, 16)}


def read_others(parameters: Mapping[str, float]) -> tuple[str, str]:
    """Read the keys of the two other prompts of a recipe, the one that attracts first."""
    attract, repel = (f"{int(parameters[name]):016x}" for name in ("attract", "repel"))
    return attract, repel


def _write_rule(change: Contrast) -> dict[str, int]:
    return {"rule": RULES.index(change.rule), "c": round(STEPS * change.amount)}


def write_edits(edits: Sequence[HeadEdit]) -> dict[str, int]:
    """Write edits as parameters of a recipe."""
    found: dict[str, int] = {}
    for n, edit in enumerate(edits):
        found |= {f"layer-{n}": edit.layer, f"head-{n}": edit.head, f"index-{n}": edit.index}
        found |= {f"kind-{n}": KINDS.index(edit.kind), f"amount-{n}": round(STEPS * edit.amount)}
        found[f"end-{n}"] = ENDS.index(edit.end)
    return found


def read_edits(parameters: Mapping[str, float]) -> list[HeadEdit]:
    """Read the edits that parameters of a recipe hold."""

    def number(name: str) -> int:
        return int(parameters[f"{name}-{n}"])

    found: list[HeadEdit] = []
    n = 0
    while f"layer-{n}" in parameters:
        how = KINDS[number("kind")], number("amount") / STEPS, ENDS[number("end")]
        found.append(HeadEdit(number("layer"), number("head"), number("index"), *how))
        n += 1
    return found
