"""Forms of searches, of tokens, and of what composes with what."""

import re
from typing import Any, Literal

from pydantic import field_validator, model_validator

from app.explorer.errors import BadOption
from app.explorer.layout import Composed
from app.explorer.options import LAYERS
from app.explorer.pages.search import Inquiry, SearchBasis, SearchOrder
from app.web.query.form import PathQuery, Query, ViewQuery, option_field, without_controls


class SearchQuery(ViewQuery):
    """The options of a model's search."""

    q: str = option_field("q", "search")
    order: SearchOrder = option_field("order", "search")
    basis: SearchBasis = option_field("basis", "search")
    side: str = option_field("side", "search")
    kind: str = option_field("kind", "search")
    layers: str = option_field("layers", "search")
    readable: bool = option_field("readable", "search")
    used: bool = option_field("used", "search")
    page: int = option_field("page", "search")

    @field_validator("q")
    @classmethod
    def _is_text(cls, q: str) -> str:
        return without_controls(q)

    @field_validator("layers")
    @classmethod
    def _are_layers(cls, layers: str) -> str:
        if not re.fullmatch(LAYERS, layers):
            raise ValueError("one layer, such as 5, some, such as 20-29, or ends for the model's own matrices")
        return layers

    def inquiry(self) -> Inquiry:
        """Convert the form to what the explorer takes."""
        layers = self.layers.replace("L", "")
        return Inquiry(
            self.q, self.order, self.basis, self.side, self.kind, layers, self.readable, self.used, self.page
        )


class SearchPageQuery(SearchQuery):
    """Further options of its page."""

    format: Literal["csv"] | None = option_field("format", "search")


class EveryQuery(Query):
    """The options of a search of every model."""

    q: str = option_field("q", "every")

    @field_validator("q")
    @classmethod
    def _is_text(cls, q: str) -> str:
        return without_controls(q)


class TextQuery(ViewQuery):
    """The options that find a token by its text."""

    text: str = option_field("text", "text")


class HeadOfQuery(ViewQuery):
    """The options of a token's page: how much of it, and a head to go on to."""

    all: bool = option_field("all", "token")
    head: str = option_field("head", "token")


class AroundQuery(PathQuery, ViewQuery):
    """The options of the surroundings of a direction."""


class CompositionQuery(ViewQuery):
    """The options of a map of composition."""

    kind: Composed = option_field("kind", "composition")
    writer: str = option_field("writer", "composition")
    reader: str = option_field("reader", "composition")
    n: int = option_field("n", "composition")

    @field_validator("writer", "reader")
    @classmethod
    def _is_layer(cls, layer: str) -> str:
        number = layer.strip().upper().removeprefix("L")
        if not re.fullmatch("[0-9]{0,4}", number):
            raise ValueError("it is a layer, such as 5 or L5")
        return number

    def layers(self) -> tuple[int | None, int | None]:
        """Return the layer of writers and that of readers; None for all."""
        writer, reader = (int(layer) if layer else None for layer in (self.writer, self.reader))
        return writer, reader


class CompositionPageQuery(CompositionQuery):
    """The options of a page with a map of composition, which can be a file."""

    format: Literal["csv"] | None = option_field("format", "composition")


class PairQuery(PathQuery, ViewQuery):
    """The options of the page of two heads."""

    a: str = option_field("a", "pair")
    b: str = option_field("b", "pair")
    part: Literal["value", "query", "key"] = option_field("part", "pair")


class PairBoxQuery(PairQuery):
    """The same of the page, which asks for what is not said."""

    a: str = option_field("a", "pair", default="")
    b: str = option_field("b", "pair", default="")


class ContrastQuery(Query):
    """The options of two places side by side."""

    a: str = option_field("a", "contrast")
    b: str = option_field("b", "contrast")

    @model_validator(mode="before")
    @classmethod
    def _says_weights_of_each(cls, said: dict[str, Any]) -> dict[str, Any]:
        if "weights" in said:
            raise BadOption("weights means nothing here: each place says its own, as in a=gpt2/L5/H3/ov~raw.")
        return said
