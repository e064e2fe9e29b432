"""Forms of prompts where the model is changed, and of experiments over many of them."""

from typing import Any, ClassVar, Literal

from pydantic import ValidationInfo, field_validator

from app.explorer.changes import ContrastRule
from app.explorer.options import find_option
from app.explorer.visits.using.changes import ChangeInquiry, EditInquiry, SaraInquiry, SteerInquiry
from app.explorer.visits.using.experiments import ExperimentWish
from app.web.query.form import ViewQuery, option_field, read_number, read_position
from app.web.query.using import PromptQuery


class ChangeQuery(PromptQuery):
    """The options of a prompt where the model is changed, whatever is changed."""

    at: int | None = option_field("at", "p")
    tokens: str = option_field("tokens", "p")
    random: Literal[1, 8] = option_field("random", "p")
    more: int = option_field("more", "p")
    seed: int | None = option_field("seed", "p")

    @field_validator("random", mode="before")
    @classmethod
    def _is_number(cls, value: Any) -> Any:
        return read_number(value)

    @field_validator("seed", "layer", "c", "pull", mode="before", check_fields=False)
    @classmethod
    def _is_said(cls, value: Any, info: ValidationInfo) -> Any:
        # A form sends what was left empty.
        return find_option(info.field_name or "", "p").default if value == "" else value

    @field_validator("c", "pull", mode="after", check_fields=False)
    @classmethod
    def _is_rounded(cls, value: float) -> float:
        return round(value, 3)

    @field_validator("at", mode="before")
    @classmethod
    def _is_position(cls, at: Any) -> Any:
        return read_position(at)

    def inquiry(self) -> ChangeInquiry:
        """Convert the form to what the explorer takes."""
        raise NotImplementedError

    def common(self) -> dict[str, Any]:
        """Convert what all changes have in common to what the explorer takes."""
        names = {"at": self.at, "tokens": self.tokens, "draws": self.random, "more": self.more, "seed": self.seed}
        return names | {"again": self.wish()}


class EditQuery(ChangeQuery):
    """The options of a prompt where heads are edited."""

    PAGE: ClassVar[str] = "an edited prompt"

    edit: str = option_field("edit", "p")
    curve: bool = option_field("curve", "p")

    def inquiry(self) -> EditInquiry:
        """Convert the form to what the explorer takes."""
        return EditInquiry(edit=self.edit, curve=self.curve, **self.common())


class SteerQuery(ChangeQuery):
    """The options of a prompt where the stream is pushed along a direction."""

    PAGE: ClassVar[str] = "a steered prompt"

    of: str = option_field("of", "p")
    layer: int | None = option_field("layer", "p")
    c: float = option_field("c", "p")

    def inquiry(self) -> SteerInquiry:
        """Convert the form to what the explorer takes."""
        return SteerInquiry(of=self.of, layer=self.layer, amount=self.c, **self.common())


class SaraQuery(ChangeQuery):
    """The options of a prompt whose stream is drawn to one prompt and away from another."""

    PAGE: ClassVar[str] = "a prompt drawn to another"

    attract: str = option_field("attract", "p")
    repel: str = option_field("repel", "p")
    layer: int | None = option_field("layer", "p")
    rule: ContrastRule = option_field("rule", "p")
    pull: float = option_field("pull", "p")
    token: str = option_field("token", "p")
    against: str = option_field("against", "p")
    study: bool = option_field("study", "p")

    def inquiry(self) -> SaraInquiry:
        """Convert the form to what the explorer takes."""
        return SaraInquiry(
            attract=self.attract,
            repel=self.repel,
            layer=self.layer,
            rule=self.rule,
            amount=self.pull,
            token=self.token,
            against=self.against,
            study=self.study,
            **self.common(),
        )


class ExperimentFormQuery(ViewQuery):
    """The options of the form that asks for an experiment: what it is filled in with."""

    PAGE: ClassVar[str] = "a form"

    edit: str = option_field("edit", "x")
    of: str = option_field("of", "x")
    layer: int | None = option_field("layer", "x")
    c: float = option_field("c", "x")
    attract: str = option_field("attract", "x")
    repel: str = option_field("repel", "x")
    rule: ContrastRule = option_field("rule", "x")
    pull: float = option_field("pull", "x")
    token: str = option_field("token", "x")
    against: str = option_field("against", "x")
    random: Literal[1, 8] = option_field("random", "x")
    like: str = option_field("like", "x")
    first: str = option_field("first", "x")

    @field_validator("random", mode="before")
    @classmethod
    def _is_number(cls, value: Any) -> Any:
        return read_number(value)

    @field_validator("layer", "c", "pull", mode="before")
    @classmethod
    def _is_said(cls, value: Any, info: ValidationInfo) -> Any:
        return find_option(info.field_name or "", "x").default if value == "" else value

    def experiment(self) -> ExperimentWish:
        """Convert the form to what the explorer takes."""
        said = {name: getattr(self, name) for name in ("edit", "of", "attract", "repel", "rule", "token", "against")}
        layer = "" if self.layer is None else str(self.layer)
        return ExperimentWish(layer=layer, c=f"{self.c:g}", pull=f"{self.pull:g}", draws=self.random, **said)


class ExperimentQuery(ViewQuery):
    """The options of an experiment's JSON: its key decides everything, its weights, too."""

    PAGE: ClassVar[str] = "an experiment's JSON"


class ExperimentPageQuery(ViewQuery):
    """The options of an experiment's page."""

    format: Literal["csv"] | None = option_field("format", "x")
