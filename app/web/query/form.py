"""What every form of a query string can do: typed, with bounds and sentences out of the table of options."""

import re
import unicodedata
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, Field, model_validator

from app.explorer.asking.views import Options
from app.explorer.errors import BadOption
from app.explorer.options import OF_NUMBERS, Page, find_option
from app.explorer.view import Processing


def option_field(name: str, page: Page, **changed: object) -> Any:
    """Describe a form's field by the row that the table of options has for it on that page; `changed`: another default, or
    the option's name where the field's is another."""
    option = find_option(name, page)
    bounds = option.bounds
    limits: dict[str, Any] = {"ge": bounds.low, "le": bounds.high, "pattern": bounds.pattern or None}
    limits |= {"min_length": bounds.shortest, "max_length": bounds.longest, "json_schema_extra": bounds.said}
    limits["alias"] = changed.get("alias")
    return Field(changed.get("default", option.default), description=option.meaning, **limits)


class Query(BaseModel):
    """The options of any page: none, and none that would be ignored without a word."""

    PAGE: ClassVar[str] = "this"
    """Name of the page in a sentence."""
    INSTEAD: ClassVar[str] = "The same address below /api/v1 gives JSON."
    """Where its numbers are, if it is no file."""

    @model_validator(mode="before")
    @classmethod
    def _is_heeded(cls, said: dict[str, Any]) -> dict[str, Any]:
        if "format" in said and "format" not in cls.model_fields:
            raise BadOption(
                "format is there for heads, matrices, directions, the census, composition and searches: "
                f"{cls.PAGE} is no file. {cls.INSTEAD}"
            )
        # Tokens that no filter was applied to would look as if one had been.
        idle = [name for name in OF_NUMBERS if name in said and name not in cls.model_fields]
        valid = [field.alias or name for name, field in cls.model_fields.items()]
        if idle:
            mean, them = ("means", "it") if len(idle) == 1 else ("mean", "them")
            raise BadOption(
                f"{', '.join(idle)} {mean} nothing here. Valid: {', '.join(valid)}. Pages of matrices and of "
                f"their directions take {them}."
            )
        return said


class ViewQuery(Query):
    """The options of every page of a model."""

    weights: Processing | None = option_field("weights", "model")

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        return Options(weights=self.weights)


class PathQuery(Query):
    """Further options of pages of directions."""

    path: str = option_field("path", "direction")


class DistanceQuery(ViewQuery):
    """The options of pages that show a QK of a rotary model at a distance."""

    distance: int = option_field("distance", "matrix")

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        return replace(super().options(), distance=self.distance)


def without_controls(q: str) -> str:
    """The words, with a space in the place of each control character: those of a paste stand between words."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in q)


def read_position(at: Any) -> Any:
    """Read a position; ValueError if it is none of any prompt."""
    if at is None or isinstance(at, int):
        return at
    if not re.fullmatch("[0-9]{1,4}", str(at)):
        raise ValueError("a position of the prompt, counted from 0")
    return int(at)


def read_number(value: Any) -> Any:
    """Read digits as a number, since one of several is meant."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
