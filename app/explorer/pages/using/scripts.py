"""A script that repeats a change on prompts by plain torch and transformers, as a value: what it has to hold."""

from dataclasses import dataclass

from app.explorer.changes import Change, Contrast, HeadEdit, Steering, spell_amount
from app.explorer.header import Model
from app.explorer.view import View
from app.models.live.expressions import FamilyExpressions


@dataclass(frozen=True, slots=True)
class ScriptPrompt:
    """A prompt of the script."""

    text: str
    ids: tuple[int, ...]
    at: int
    """The position whose next token is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeScript:
    """What a script holds: a change, the prompts, and what it cannot compute by itself."""

    model: Model
    view: View
    family: FamilyExpressions
    change: Change
    own: tuple[int, ...]
    """The ids of the first changed direction's own tokens, at the end that is followed; empty of SARA."""
    prompts: tuple[ScriptPrompt, ...]
    draws: int
    """Random changes beside it."""
    seed: int
    size: float | None
    """Of a push, the length that it counts in, where that is of the reference text; None: of each prompt's own stream."""
    means: dict[tuple[int, int], tuple[float, ...]]
    """Of edits to the mean, by layer and head: the mean of what the head reads along each direction, on the reference text."""
    others: tuple[tuple[int, ...], ...]
    """Of SARA, the ids of the prompt that attracts and of the one that repels."""
    odds: tuple[int, ...]
    """Of SARA, the ids of the two tokens whose odds are told."""
    names: dict[int, str]
    """The texts of tokens that the page shows."""

    @property
    def said(self) -> str:
        """The change in words that hold no text of a visitor's."""
        if isinstance(self.change, Contrast):
            return f"a stream drawn between two prompts by the rule {self.change.rule!r}, c {self.change.amount:g}"
        if isinstance(self.change, Steering):
            of = self.change.of
            return f"a stream pushed along L{of.layer}H{of.head} OV {of.index} by {self.change.amount:g}"
        told = (
            f"L{one.layer}H{one.head} OV {one.index} by {spell_amount(one.kind, one.amount)}" for one in self.change
        )
        return f"edits of {', '.join(told)}"

    @property
    def kind(self) -> str:
        """The kind of the change: edit, push or contrast."""
        return {Steering: "push", Contrast: "contrast"}.get(type(self.change), "edit")

    @property
    def edits(self) -> list[HeadEdit]:
        """The directions that are edited, or pushed along."""
        if isinstance(self.change, Contrast):
            return []
        return [self.change.of] if isinstance(self.change, Steering) else list(self.change)

    @property
    def centred(self) -> bool:
        """Whether the model's norms take the stream's mean out, and its weights are shown so."""
        return self.model.normalization == "LN" and self.view.weights == "folded"
