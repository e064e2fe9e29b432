"""What may stand in a query string: bounded, documented, and the same for pages and JSON."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator

from app.explorer.pages import Processing, Sort
from app.explorer.views import FARTHEST, Options


class ViewQuery(BaseModel):
    """What every page of a model takes."""

    weights: Annotated[
        Processing | None,
        Field(
            description="folded: what the network computes through its norms; raw: as stored. Encoders have raw only, "
            "their model's `processings` says so. Default: the server's, or raw."
        ),
    ] = None

    def options(self) -> Options:
        """The explorer's form of it."""
        return Options(weights=self.weights)


class JumpQuery(ViewQuery):
    """What the jump box sends."""

    q: Annotated[str, Field(max_length=200, description="Where to go.")] = ""


class JobsQuery(BaseModel):
    """What the list of jobs takes."""

    model: Annotated[str | None, Field(max_length=64, description="Only jobs of this model.")] = None
    live: Annotated[bool, Field(description="Only jobs that wait or run.")] = False


class WishQuery(BaseModel):
    """What a job is to compute."""

    model: Annotated[str, Field(max_length=64, description="The model.")]
    weights: Annotated[
        str | None,
        Field(max_length=40, description="folded, raw, or both with a comma between them. Default: as for pages."),
    ] = None
    circuits: Annotated[
        str | None, Field(max_length=40, description="ov, qk, or both with a comma between them. Default: both.")
    ] = None


class MapQuery(ViewQuery):
    """What a model's page takes."""

    score: Annotated[str | None, Field(max_length=40, description="What colours the map, one of its `scores`.")] = None


class TurnQuery(ViewQuery):
    """What pages of a head's directions take."""

    distance: Annotated[
        int,
        Field(
            ge=0,
            le=FARTHEST,
            description="For QK of a rotary model: positions from the query back to the key, less than the model's "
            "context. Anything else has distance 0 only.",
        ),
    ] = 0

    def options(self) -> Options:
        """The explorer's form of it."""
        return Options(weights=self.weights, distance=self.distance)


class TableQuery(TurnQuery):
    """What pages with tables of directions take."""

    sort: Annotated[
        Sort, Field(description="Singular values falling (strength) or rising (weakest), gaps (gap, closest).")
    ] = "strength"
    page: Annotated[int, Field(ge=1, le=10_000, description="Page of the table.")] = 1
    find: Annotated[
        str,
        Field(
            max_length=100,
            description="Only directions that have this text among the tokens that the table shows.",
        ),
    ] = ""

    @field_validator("find")
    @classmethod
    def _is_text(cls, find: str) -> str:
        if any(ord(character) < 32 for character in find):
            raise ValueError("control characters cannot be searched for")
        return find

    def options(self) -> Options:
        """The explorer's form of it."""
        return replace(super().options(), sort=self.sort, page=self.page, find=self.find)


class PageQuery(MapQuery, TableQuery):
    """Whatever a page for people takes; its address decides what of it means something."""

    format: Annotated[Literal["csv"] | None, Field(description="csv: the whole table as a file.")] = None

    def options(self) -> Options:
        """The explorer's form of it."""
        return replace(super().options(), whole=self.format is not None)
