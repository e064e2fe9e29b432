"""Forms of the pages of a matrix: how it is fitted, which directions of it are shown, and with which tokens."""

import re
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import ValidationError, ValidatorFunctionWrapHandler, field_validator, model_validator

from app.core.address import BasisName
from app.core.basis import BASES
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, OtherValue
from app.explorer.view import Only, Sort
from app.models.token_filter import FREQUENT, Product, TokenFilter
from app.web.query.form import DistanceQuery, PathQuery, Query, ViewQuery, option_field
from app.web.query.model import RankedQuery

PARAMETERS = tuple(dict.fromkeys(parameter.name for basis in BASES.values() for parameter in basis.parameters))


class FitQuery(Query):
    """How a matrix is fitted."""

    components: int | None = option_field("components", "matrix")
    atoms: int | None = option_field("atoms", "matrix")
    sparsity: int | None = option_field("sparsity", "matrix")
    groups: int | None = option_field("groups", "matrix")
    seed: int | None = option_field("seed", "matrix")
    statistics: int | None = option_field("statistics", "matrix")

    @field_validator("statistics", mode="before")
    @classmethod
    def _is_name(cls, said: Any) -> Any:
        # The answer to what names none is a list of those that are here.
        return said if said is None or re.fullmatch("[0-9]{1,10}", str(said)) else -1

    def parameters(self) -> dict[str, int | None]:
        """Those of the basis by name; None: not given."""
        return {name: getattr(self, name) for name in PARAMETERS}


class BasisQuery(FitQuery, ViewQuery):
    """The options of pages of a matrix in some basis."""

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        return replace(super().options(), parameters=self.parameters())


class TokenQuery(DistanceQuery):
    """The options of the full circuits of a head."""

    token: str = option_field("token", "full")


class DirectionQuery(BasisQuery, DistanceQuery):
    """The options of pages of directions."""

    PAGE: ClassVar[str] = "their JSON"
    INSTEAD: ClassVar[str] = "The same address without /api/v1 takes format=csv, format=npz or format=parquet."

    ascii: bool = option_field("ascii", "matrix")
    starts: bool = option_field("starts", "matrix")
    plain: bool = option_field("plain", "matrix")
    frequent: int = option_field("frequent", "matrix")

    @field_validator("frequent", mode="wrap")
    @classmethod
    def _is_offered(cls, value: Any, read: ValidatorFunctionWrapHandler) -> int:
        offered = f"{', '.join(f'{value:,}' for value in FREQUENT[:-1])} or {FREQUENT[-1]:,}"
        try:
            frequent = int(read(value))
        except ValidationError:
            raise ValueError(f"it is {offered}") from None
        if frequent not in FREQUENT:
            near = sorted(sorted(FREQUENT, key=lambda value: abs(value - frequent))[:2])
            said = f"frequent is {offered}."
            raise OtherValue(said, "frequent", tuple((str(value), f"frequent={value}") for value in near))
        return frequent

    readout: Product = option_field("readout", "matrix")
    rotated: bool = option_field("rotated", "matrix")

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        token_filter = TokenFilter(self.ascii, self.starts, self.plain, self.frequent, self.readout)
        return replace(super().options(), token_filter=token_filter, rotated=self.rotated)


class TableQuery(DirectionQuery):
    """The options of pages with tables of directions."""

    sort: Sort = option_field("sort", "matrix")
    page: int = option_field("page", "matrix")
    only: Only = option_field("only", "matrix")
    find: str = option_field("find", "matrix")

    @field_validator("find")
    @classmethod
    def _is_text(cls, find: str) -> str:
        if any(ord(character) < 32 for character in find):
            raise ValueError("control characters cannot be searched for")
        return find

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        return replace(super().options(), sort=self.sort, page=self.page, only=self.only, find=self.find)


class CompareQuery(ViewQuery):
    """The options of a comparison of bases."""

    PAGE: ClassVar[str] = "a comparison"
    INSTEAD: ClassVar[str] = "The table of each basis is one, under the address of the matrix in that basis."

    nonzeros: int = option_field("nonzeros", "compare")
    first: int = option_field("first", "compare")
    direction: str = option_field("direction", "compare")
    nmf: str | None = option_field("nmf", "compare")
    ica: str | None = option_field("ica", "compare")
    dictionary: str | None = option_field("dictionary", "compare")
    used: str | None = option_field("used", "compare")

    def wanted_fits(self) -> dict[BasisName, tuple[int, ...]]:
        """The parameters of the fits that are asked for, in their order."""
        said = {name: getattr(self, name) for name in BASES if name in type(self).model_fields}
        return {name: tuple(map(int, numbers.split(","))) for name, numbers in said.items() if numbers is not None}


class PageQuery(PathQuery, RankedQuery, TableQuery):
    """Whatever a page for people takes; its address decides what of it means something."""

    prompt: str = option_field("prompt", "direction")
    format: Literal["csv", "npz", "parquet"] | None = option_field("format", "matrix")
    k: int | None = option_field("k", "matrix")

    @model_validator(mode="after")
    def _is_of_a_file(self) -> "PageQuery":
        if self.k is not None and self.format != "csv":
            raise BadOption("k means nothing here: it is for format=csv.")
        return self

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        return replace(super().options(), whole=self.format is not None, tokens=self.k)
