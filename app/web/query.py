"""Forms of query strings, one a kind of page: typed, with bounds and sentences out of the table of options."""

import re
import unicodedata
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from app.core.address import BasisName
from app.core.basis import BASES
from app.explorer.asking.prompts import PromptAim, PromptWish
from app.explorer.asking.views import Options
from app.explorer.changes import ContrastRule
from app.explorer.errors import BadOption, OtherValue
from app.explorer.layout import Composed, LinearBasis
from app.explorer.options import LAYERS, OF_NUMBERS, ROUNDS, Page, find_option
from app.explorer.pages.blind import BlindOf
from app.explorer.pages.gallery import GalleryList, Sought
from app.explorer.pages.maps import Ranked
from app.explorer.pages.search import Inquiry, SearchBasis, SearchOrder
from app.explorer.pages.using.attention import Split
from app.explorer.pages.using.lens import LensBasis
from app.explorer.pages.using.prompts import PromptTab
from app.explorer.view import Only, Processing, Sort
from app.explorer.visits.using.attention import WhyInquiry
from app.explorer.visits.using.changes import ChangeInquiry, EditInquiry, SaraInquiry, SteerInquiry
from app.explorer.visits.using.experiments import ExperimentWish
from app.explorer.visits.using.lens import LensInquiry
from app.explorer.visits.using.prompts import PromptInquiry
from app.models.token_filter import FREQUENT, Product, TokenFilter

PARAMETERS = tuple(dict.fromkeys(parameter.name for basis in BASES.values() for parameter in basis.parameters))


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


class JumpQuery(ViewQuery):
    """The options of the jump box."""

    q: str = option_field("q", "jump")


class JobsQuery(Query):
    """The options of the list of jobs."""

    model: str | None = option_field("model", "jobs")
    live: bool = option_field("live", "jobs")


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


def _without_controls(q: str) -> str:
    """The words, with a space in the place of each control character: those of a paste stand between words."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in q)


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
        return _without_controls(q)

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
        return _without_controls(q)


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


class CensusQuery(ViewQuery):
    """The options of a model's census."""

    format: Literal["csv"] | None = option_field("format", "census")


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


class WishQuery(FitQuery):
    """The options of a job: what it computes."""

    model: str = option_field("model", "wish")
    kind: Literal["matrices", "import"] = option_field("kind", "wish")
    weights: str | None = option_field("weights", "wish")
    matrices: str | None = option_field("matrices", "wish")
    basis: str | None = option_field("basis", "wish")


class DistanceQuery(ViewQuery):
    """The options of pages that show a QK of a rotary model at a distance."""

    distance: int = option_field("distance", "matrix")

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        return replace(super().options(), distance=self.distance)


class TokenQuery(DistanceQuery):
    """The options of the full circuits of a head."""

    token: str = option_field("token", "full")


class PathQuery(Query):
    """Further options of pages of directions."""

    path: str = option_field("path", "direction")


class AroundQuery(PathQuery, ViewQuery):
    """The options of the surroundings of a direction."""


class TextQuery(ViewQuery):
    """The options that find a token by its text."""

    text: str = option_field("text", "text")


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


def _read_position(at: Any) -> Any:
    """Read a position; ValueError if it is none of any prompt."""
    if at is None or isinstance(at, int):
        return at
    if not re.fullmatch("[0-9]{1,4}", str(at)):
        raise ValueError("a position of the prompt, counted from 0")
    return int(at)


def _read_number(value: Any) -> Any:
    """Read digits as a number, since one of several is meant."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value


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
        return _read_number(value)

    @field_validator("at", mode="before")
    @classmethod
    def _is_position(cls, at: Any) -> Any:
        return _read_position(at)

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
        return _read_position(at)


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
        return _read_position(at)

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
        return _read_position(at)

    def inquiry(self) -> LensInquiry:
        """Convert the form to what the explorer takes."""
        return LensInquiry(self.at, self.raw, self.basis, self.wish())


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
        return _read_number(value)

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
        return _read_position(at)

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
        return _read_number(value)

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


class PairsQuery(ViewQuery):
    """The options of the pairs that a direction of QK makes in example prompts."""

    PAGE: ClassVar[str] = "pairs of positions"

    of: str = option_field("of", "pairs")
    distance: int = option_field("distance", "pairs")

    def options(self) -> Options:
        """Convert the form to what the explorer takes."""
        return replace(super().options(), distance=self.distance)


class HeadOfQuery(ViewQuery):
    """The options of a token's page: how much of it, and a head to go on to."""

    all: bool = option_field("all", "token")
    head: str = option_field("head", "token")


class PairQuery(PathQuery, ViewQuery):
    """The options of the page of two heads."""

    a: str = option_field("a", "pair")
    b: str = option_field("b", "pair")
    part: Literal["value", "query", "key"] = option_field("part", "pair")


class PairBoxQuery(PairQuery):
    """The same of the page, which asks for what is not said."""

    a: str = option_field("a", "pair", default="")
    b: str = option_field("b", "pair", default="")


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


class OembedQuery(Query):
    """What a site that puts a page in a frame asks."""

    url: str = option_field("url", "oembed")
    maxwidth: int | None = option_field("maxwidth", "oembed")
    maxheight: int | None = option_field("maxheight", "oembed")
    format: str = option_field("format", "oembed")


class ListQuery(Query):
    """The options of a list of places."""

    title: str = option_field("title", "list")
    of: str = option_field("of", "list")

    @field_validator("title", "of")
    @classmethod
    def _is_text(cls, text: str) -> str:
        return _without_controls(text)
