"""Forms of the pages of a whole model: its map, gallery, census and blind rounds; and of the jump box."""

import re
from typing import ClassVar, Literal

from pydantic import field_validator

from app.explorer.options import ROUNDS
from app.explorer.pages.blind import BlindOf
from app.explorer.pages.gallery import GalleryList, Sought
from app.explorer.pages.maps import Ranked
from app.web.query.form import ViewQuery, option_field


class JumpQuery(ViewQuery):
    """The options of the jump box."""

    q: str = option_field("q", "jump")


class MapQuery(ViewQuery):
    """The options of a model's page."""

    score: str | None = option_field("score", "model")


class RankedQuery(MapQuery):
    """Further options of a model's page."""

    ranked: Ranked = option_field("ranked", "model")


class NotableQuery(ViewQuery):
    """The options of a model's gallery."""

    PAGE: ClassVar[str] = "a gallery"

    among: GalleryList = option_field("among", "notable")
    kind: str = option_field("kind", "notable")
    side: str = option_field("side", "notable")
    layer: str = option_field("layer", "notable")
    page: int = option_field("page", "notable")

    @field_validator("layer")
    @classmethod
    def _is_number(cls, layer: str) -> str:
        layer = layer.lower()
        return layer[1:] if re.fullmatch("l[0-9]+", layer) else layer

    def as_sought(self) -> Sought:
        """Convert the form to what the explorer takes."""
        return Sought(self.among, self.kind, self.side, self.layer, self.page)


class CensusQuery(ViewQuery):
    """The options of a model's census."""

    format: Literal["csv"] | None = option_field("format", "census")


class BlindQuery(ViewQuery):
    """The options of a blind round."""

    seed: int = option_field("seed", "blind")
    answers: str = option_field("answers", "blind")

    @field_validator("answers")
    @classmethod
    def _are_letters(cls, answers: str) -> str:
        if len(answers) > ROUNDS or set(answers) - set("lr"):
            raise ValueError(f"up to {ROUNDS} letters, each l or r")
        return answers

    of: BlindOf = option_field("of", "blind")
