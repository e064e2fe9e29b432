"""How values are written as JSON: the types of fields that differ there. Knows no page.

A page's class is the description of its JSON, too: pydantic writes its fields and computed fields, but for those that
are `ForPeople`.
"""

from typing import Annotated, TypeVar

from pydantic import Field, GetPydanticSchema, PlainSerializer
from pydantic_core import core_schema
from typing_extensions import TypedDict

from app.core.address import Address, Sign
from app.core.judging.bootstrap import Estimate
from app.models.vocabulary import TokenEntry

T = TypeVar("T")

UNREAD = GetPydanticSchema(lambda *_: core_schema.any_schema())
"""Marks a type that pydantic need not look into: it is written by a function, or not at all."""

ForPeople = Annotated[T, UNREAD, Field(exclude=True)]
"""A field that only the page for people needs."""

SignWord = Annotated[Sign, Field(description="The end of its direction: p is the + end, n the - end.")]

AddressText = Annotated[Address, UNREAD, PlainSerializer(str, return_type=str)]

Numbers = Annotated[tuple[tuple[str, float], ...], PlainSerializer(dict, return_type=dict[str, float])]
"""Named numbers: an object in JSON."""


class EntryJson(TypedDict):
    """A token without a score."""

    id: int
    token: str
    """The decoded text of the token."""


class EstimateJson(TypedDict):
    """A number and its interval at 95%, by bootstrap over matrices. Heads that share keys and values count as one
    matrix."""

    value: float
    low: float | None
    """Lower end of the interval; null, as `high`, where there are too few matrices to claim one."""
    high: float | None


def write_entries(tokens: tuple[TokenEntry, ...]) -> list[EntryJson]:
    """Write tokens without their scores."""
    return [{"id": token.id, "token": token.text} for token in tokens]


def _write_estimate(estimate: Estimate) -> EstimateJson:
    low, high = estimate.interval or (None, None)
    return {"value": estimate.value, "low": low, "high": high}


Entries = Annotated[tuple[TokenEntry, ...], UNREAD, PlainSerializer(write_entries, return_type=list[EntryJson])]
EstimateValue = Annotated[Estimate, UNREAD, PlainSerializer(_write_estimate, return_type=EstimateJson)]
