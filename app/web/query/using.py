"""Forms of prompts, and of what a head, a direction and the stream do on them."""

import re
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from app.explorer.asking.prompts import PromptAim, PromptWish
from app.explorer.asking.views import Options
from app.explorer.layout import LinearBasis
from app.explorer.pages.using.attention import Split
from app.explorer.pages.using.lens import LensBasis
from app.explorer.pages.using.prompts import PromptTab
from app.explorer.visits.using.attention import WhyInquiry
from app.explorer.visits.using.lens import LensInquiry
from app.explorer.visits.using.prompts import PromptInquiry
from app.web.query.form import ViewQuery, option_field, read_number, read_position


class PromptQuery(ViewQuery):
    """A prompt in a query string."""

    text: str = option_field("text", "prompt")
    ids: str = option_field("ids", "prompt")
    start: bool = option_field("start", "prompt")

    def wish(self) -> PromptWish:
        """Convert the form to what the explorer takes."""
        return PromptWish(self.text, self.ids, self.start)


class FormQuery(PromptQuery):
    """The options of the form that asks for a prompt."""

    of: str = option_field("of", "prompt")
    edit: str = option_field("edit", "prompt")
    steer: str = option_field("steer", "prompt")
    deleted: bool = option_field("deleted", "prompt")

    def aim(self) -> PromptAim:
        """Convert what the prompt is for to what the explorer takes."""
        return PromptAim(self.of, self.edit, self.steer)


class SpokenQuery(PromptQuery):
    """The options of a prompt's page."""

    PAGE: ClassVar[str] = "a prompt"

    at: int | None = option_field("at", "p")
    token: str = option_field("token", "p")
    against: str = option_field("against", "p")
    show: PromptTab | None = option_field("show", "p")
    head: str = option_field("head", "p")
    all: bool = option_field("all", "p")
    totals: Literal[0, 1, 8] = option_field("totals", "p")

    @field_validator("totals", mode="before")
    @classmethod
    def _is_number(cls, value: Any) -> Any:
        return read_number(value)

    @field_validator("at", mode="before")
    @classmethod
    def _is_position(cls, at: Any) -> Any:
        return read_position(at)

    def spot(self) -> PromptInquiry:
        """Convert the form to what the explorer takes."""
        return PromptInquiry(
            self.at, self.token, self.against, self.show, self.head, self.all, self.totals, self.wish()
        )


class CourseQuery(PromptQuery):
    """The options of one direction on a prompt."""

    PAGE: ClassVar[str] = "a direction on a prompt"

    of: str = option_field("of", "p")
    at: int | None = option_field("at", "p")

    @field_validator("at", mode="before")
    @classmethod
    def _is_position(cls, at: Any) -> Any:
        return read_position(at)


class PairsQuery(ViewQuery):
    """The options of the pairs that a direction of QK makes in example prompts."""

    PAGE: ClassVar[str] = "pairs of positions"

    of: str = option_field("of", "pairs")
    distance: int = option_field("distance", "pairs")

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        return replace(super().options(), distance=self.distance)


class WhyQuery(PromptQuery):
    """The options of why a head looks from one position of a prompt at another."""

    PAGE: ClassVar[str] = "why a head looks somewhere"

    head: str = option_field("head", "p")
    to: int | None = option_field("to", "p")
    source: int | None = option_field("from", "p", alias="from")
    by: Split = option_field("by", "p")

    @field_validator("to", "source", mode="before")
    @classmethod
    def _is_position(cls, at: Any) -> Any:
        return read_position(at)

    def inquiry(self) -> WhyInquiry:
        """Convert the form to what the explorer takes."""
        return WhyInquiry(self.head, self.to, self.source, self.by, self.wish())


class LensQuery(PromptQuery):
    """The options of what the stream says at every layer of a prompt."""

    PAGE: ClassVar[str] = "a lens"

    at: int | None = option_field("at", "p")
    raw: bool = option_field("raw", "p")
    basis: LensBasis | None = option_field("basis", "p")

    @field_validator("at", mode="before")
    @classmethod
    def _is_position(cls, at: Any) -> Any:
        return read_position(at)

    def inquiry(self) -> LensInquiry:
        """Convert the form to what the explorer takes."""
        return LensInquiry(self.at, self.raw, self.basis, self.wish())


class LinearQuery(ViewQuery):
    """The options of the linear map between two streams."""

    PAGE: ClassVar[str] = "a linear map"

    start: int | None = option_field("from", "linear", alias="from")
    to: int | None = option_field("to", "linear")

    @field_validator("start", "to", mode="before")
    @classmethod
    def _is_stream(cls, said: Any) -> Any:
        # The model knows which streams there are: whatever is none is answered with these.
        return said if said is None or re.fullmatch("[0-9]{1,4}", str(said)) else -1

    basis: LinearBasis = option_field("basis", "linear")
