"""What may stand in a query string: bounded, documented, and the same for pages and JSON."""

import re
import unicodedata
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, field_validator, model_validator

from app.core.address import BasisName
from app.core.basis import BASES
from app.explorer.asking.terms import LONGEST_SEARCH
from app.explorer.asking.views import FARTHEST, Options
from app.explorer.asking.walk import LONGEST as LONGEST_PATH
from app.explorer.errors import BadOption, OtherValue
from app.explorer.layout import KEPT_TOKENS, Composed
from app.explorer.pages.blind import BlindOf
from app.explorer.pages.gallery import GalleryList, Sought
from app.explorer.pages.maps import Ranked
from app.explorer.pages.search import Inquiry, SearchBasis, SearchOrder
from app.explorer.reading.finding.composition import LISTED, MOST_LISTED
from app.explorer.view import Only, Processing, Sort
from app.explorer.visits.blind import FIRST_SEED, LARGEST_SEED, ROUNDS
from app.models.lookup import LONGEST
from app.models.selection import FREQUENT, Product, Selection

PARAMETERS = tuple(dict.fromkeys(parameter.name for basis in BASES.values() for parameter in basis.parameters))
LONGEST_PLACE = 200
"""Characters of an address that a form sends."""
NUMBERS = r"^[0-9]{1,6}(,[0-9]{1,6}){0,3}$"
"""Of one fit."""
OF_READOUTS = ("ascii", "starts", "plain", "frequent", "readout", "rotated", *PARAMETERS)
"""What changes the numbers of a matrix, and nothing that is not of one matrix."""


class Query(BaseModel):
    """What any page takes: nothing yet."""

    @model_validator(mode="before")
    @classmethod
    def _is_heeded(cls, said: dict[str, Any]) -> dict[str, Any]:
        # Tokens that no filter was applied to would look as if one had been.
        idle = [name for name in OF_READOUTS if name in said and name not in cls.model_fields]
        if idle:
            mean, them = ("means", "it") if len(idle) == 1 else ("mean", "them")
            raise BadOption(
                f"{', '.join(idle)} {mean} nothing here. Valid: {', '.join(cls.model_fields)}. Pages of matrices and of "
                f"their directions take {them}."
            )
        return said


def _without_format(said: dict[str, Any], what: str, instead: str = "") -> dict[str, Any]:
    """What is said in a query of a page that is no file; BadOption where a file is asked for."""
    if "format" in said:
        sentence = f"format is there for heads, matrices, directions, the census, composition and searches: {what} is no file. {instead}"
        raise BadOption(sentence.rstrip())
    return said


class ViewQuery(Query):
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

    q: Annotated[str, Field(max_length=LONGEST_SEARCH, description="Where to go, or words to search for.")] = ""


class JobsQuery(Query):
    """What the list of jobs takes."""

    model: Annotated[str | None, Field(max_length=64, description="Only jobs of this model.")] = None
    live: Annotated[bool, Field(description="Only jobs that wait or run.")] = False


class MapQuery(ViewQuery):
    """What a model's page takes."""

    score: Annotated[str | None, Field(description="What colours the map, one of its `scores`.")] = None


class RankedQuery(MapQuery):
    """What a model's page takes besides."""

    ranked: Annotated[Ranked, Field(description="Heads in the list beside the map: the first, or all.")] = "first"


class NotableQuery(ViewQuery):
    """What a model's gallery takes."""

    among: Annotated[
        GalleryList,
        Field(
            description="The list that is walked: rays of words (themes), of signs without letters (letterless), of "
            "frequent or very short tokens (frequent), of tokens that were never trained (untrained)."
        ),
    ] = "themes"
    kind: Annotated[str, Field(description="Only rays of matrices of that kind: ov, mlp-in, heads/write …")] = ""
    side: Annotated[
        str,
        Field(
            description="Only rays that were judged on that side.",
            json_schema_extra={"enum": ["", "read", "write", "query", "key"]},
        ),
    ] = ""
    layer: Annotated[
        str,
        Field(
            description="Only rays of that layer, such as 5 or L5, or of the model's own matrices (ends).",
            json_schema_extra={"pattern": "^(ends|L?[0-9]{1,4})?$"},
        ),
    ] = ""
    page: Annotated[int, Field(description="Page of the list.", json_schema_extra={"minimum": 1})] = 1

    @model_validator(mode="before")
    @classmethod
    def _is_no_file(cls, said: dict[str, Any]) -> dict[str, Any]:
        return _without_format(said, "a gallery")

    @field_validator("layer")
    @classmethod
    def _is_number(cls, layer: str) -> str:
        layer = layer.lower()
        return layer[1:] if re.fullmatch("l[0-9]+", layer) else layer

    def sought(self) -> Sought:
        """The explorer's form of it."""
        return Sought(self.among, self.kind, self.side, self.layer, self.page)


def _spaced(q: str) -> str:
    """The words, with a space in the place of each control character: those of a paste stand between words."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in q)


LAYERS = re.compile("^(ends|L?[0-9]{1,4}(-L?[0-9]{1,4})?)?$")


class SearchQuery(ViewQuery):
    """What a model's search takes."""

    q: Annotated[
        str,
        Field(
            max_length=LONGEST_SEARCH,
            description='Words, with commas or spaces between them; "two words" a phrase, or a token as it stands; -word '
            "subtracts; #1234 a token's id; L27H0.ov.0n the end of a direction.",
        ),
    ] = ""
    order: Annotated[
        SearchOrder,
        Field(
            description="By how alike a ray's tokens are to the words (theme), or by the product of its vector with theirs."
        ),
    ] = "theme"
    basis: Annotated[
        SearchBasis, Field(description="What is searched: singular directions (svd), or the neurons of MLPs.")
    ] = "svd"
    side: Annotated[
        str,
        Field(description="Only rays of that side.", json_schema_extra={"enum": ["", "read", "write", "query", "key"]}),
    ] = ""
    kind: Annotated[str, Field(description="Only rays of matrices of that kind: ov, qk, mlp-in …")] = ""
    layers: Annotated[
        str,
        Field(
            json_schema_extra={"pattern": LAYERS.pattern},
            description="Only rays of that layer, such as 5 or L5, of layers such as 20-29, or of the model's own matrices "
            "(ends).",
        ),
    ] = ""
    readable: Annotated[bool, Field(description="Only rays readable at p < .01.")] = False
    used: Annotated[bool, Field(description="Only directions with at least half the gain of an average one.")] = False
    page: Annotated[int, Field(ge=1, le=100, description="Page of the list.")] = 1

    @field_validator("q")
    @classmethod
    def _is_text(cls, q: str) -> str:
        return _spaced(q)

    @field_validator("layers")
    @classmethod
    def _are_layers(cls, layers: str) -> str:
        if not LAYERS.fullmatch(layers):
            raise ValueError("one layer, such as 5, some, such as 20-29, or ends for the model's own matrices")
        return layers

    def inquiry(self) -> Inquiry:
        """The explorer's form of it."""
        layers = self.layers.replace("L", "")
        return Inquiry(
            self.q, self.order, self.basis, self.side, self.kind, layers, self.readable, self.used, self.page
        )


class SearchPageQuery(SearchQuery):
    """What its page takes besides."""

    format: Annotated[
        Literal["csv"] | None, Field(description="csv: all that was found, on whichever page, as a file.")
    ] = None


class EveryQuery(Query):
    """What a search of every model takes."""

    q: Annotated[str, Field(max_length=LONGEST_SEARCH, description="As for a model's search.")] = ""

    @field_validator("q")
    @classmethod
    def _is_text(cls, q: str) -> str:
        return _spaced(q)


class CompositionQuery(ViewQuery):
    """What a map of composition takes."""

    kind: Annotated[
        Composed, Field(description="What reads: the queries (q), the keys (k) or the values (v) of a head.")
    ] = "q"
    writer: Annotated[
        str,
        Field(
            description="Only heads of that layer as writers, such as 5 or L5.",
            json_schema_extra={"pattern": "^(L?[0-9]{1,4})?$"},
        ),
    ] = ""
    reader: Annotated[
        str,
        Field(description="Only heads of that layer as readers.", json_schema_extra={"pattern": "^(L?[0-9]{1,4})?$"}),
    ] = ""
    n: Annotated[int, Field(ge=1, le=MOST_LISTED, description="Strongest pairs that are listed.")] = LISTED
    format: Annotated[Literal["csv"] | None, Field(description="csv: every pair in order, as a file.")] = None

    @field_validator("writer", "reader")
    @classmethod
    def _is_layer(cls, layer: str) -> str:
        number = layer.strip().upper().removeprefix("L")
        if not re.fullmatch("[0-9]{0,4}", number):
            raise ValueError("it is a layer, such as 5 or L5")
        return number

    def layers(self) -> tuple[int | None, int | None]:
        """Of writers, and of readers; None for all."""
        writer, reader = (int(layer) if layer else None for layer in (self.writer, self.reader))
        return writer, reader


class ContrastQuery(Query):
    """What two places side by side take."""

    a: Annotated[
        str,
        Field(
            max_length=LONGEST_PLACE,
            description="A head (its OV), a matrix or a direction, as smollm2/L5/H3/ov; ~raw or ~folded behind it says in "
            "which weights.",
        ),
    ] = ""
    b: Annotated[
        str,
        Field(max_length=LONGEST_PLACE, description="Another of that kind; without a model's name, of the same model."),
    ] = ""

    @model_validator(mode="before")
    @classmethod
    def _says_weights_of_each(cls, said: dict[str, Any]) -> dict[str, Any]:
        if "weights" in said:
            raise BadOption("weights means nothing here: each place says its own, as in a=gpt2/L5/H3/ov~raw.")
        return said


class CensusQuery(ViewQuery):
    """What a model's census takes."""

    format: Annotated[Literal["csv"] | None, Field(description="csv: a row for each end (ray), as a file.")] = None


class FitQuery(Query):
    """How a matrix is fitted."""

    components: Annotated[
        int | None,
        Field(description="Of nmf and ica: how many. Default: 64, or as many as there can be."),
    ] = None
    atoms: Annotated[int | None, Field(description="Of dictionary: how many, up to 8 d_model.")] = None
    sparsity: Annotated[int | None, Field(description="Of dictionary: atoms that each sample uses at most.")] = None
    groups: Annotated[int | None, Field(description="Of frequency: groups of tokens.")] = None
    seed: Annotated[int | None, Field(description="Of nmf, ica and dictionary: where they begin.")] = None

    def parameters(self) -> dict[str, int | None]:
        """Those of the basis by name; None: not given."""
        return {name: getattr(self, name) for name in PARAMETERS}


class BasisQuery(FitQuery, ViewQuery):
    """What pages of a matrix in some basis take."""

    def options(self) -> Options:
        """The explorer's form of it."""
        return replace(super().options(), parameters=self.parameters())


class WishQuery(FitQuery):
    """What a job is to compute."""

    model: Annotated[str, Field(max_length=64, description="The model.")]
    kind: Annotated[
        Literal["matrices", "import"],
        Field(description="import brings a model that this server was to import and could not: nothing else is said."),
    ] = "matrices"
    weights: Annotated[
        str | None,
        Field(max_length=40, description="folded, raw, or both with a comma between them. Default: as for pages."),
    ] = None
    matrices: Annotated[
        str | None,
        Field(
            max_length=400,
            description="Kinds of matrices (ov, qk, mlp-in …) or single ones (L5/mlp-in), with commas between them; bank "
            "for what is searched. Default: all that have the basis, and the bank.",
        ),
    ] = None
    basis: Annotated[str | None, Field(max_length=40, description="svd if nothing is said.")] = None


class DistanceQuery(ViewQuery):
    """What pages take that show a QK of a rotary model at a distance."""

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
        return replace(super().options(), distance=self.distance)


class TokenQuery(DistanceQuery):
    """What the full circuits of a head take."""

    token: Annotated[
        str,
        Field(
            max_length=LONGEST,
            description="One token of the model: its exact text, a space in front included, or with `·` for the "
            "space, or #1234 for an id. Without it: tokens to begin with.",
        ),
    ] = ""


class PathQuery(Query):
    """What pages of directions take besides."""

    path: Annotated[
        str,
        Field(
            description="How a visitor came here, from ray to ray: L24H1.ov.0p_r-L28H6.ov.0p, `r-` where one reads what "
            "the one before writes, `w-` where it writes what that one reads, `l-` where it is like it. Changes nothing else.",
            json_schema_extra={"maxLength": LONGEST_PATH},
        ),
    ] = ""


class AroundQuery(PathQuery, ViewQuery):
    """What the surroundings of a direction take."""


class TextQuery(ViewQuery):
    """What finds a token by its text."""

    text: Annotated[
        str,
        Field(
            min_length=1,
            max_length=LONGEST,
            description="One token of the model: its exact text, a space in front included, or with `·` for the "
            "space, or #1234 for an id.",
        ),
    ]


class HeadOfQuery(ViewQuery):
    """What a token's page takes in its query: how much of it, and a head to go on to."""

    all: Annotated[bool, Field(description="With single neurons and its rank at every end, which takes longer.")] = (
        False
    )
    head: Annotated[str, Field(max_length=16, description="Go to the token's full circuits in that head: L5H3.")] = ""


class PairQuery(PathQuery, ViewQuery):
    """What the page of two heads takes."""

    a: Annotated[str, Field(max_length=100, description="The head that writes: gpt2/L5/H3.")]
    b: Annotated[str, Field(max_length=100, description="The head that reads: gpt2/L7/H1, or L7H1 of the same model.")]
    part: Annotated[
        Literal["value", "query", "key"], Field(description="What b reads with: its value, its query or its key.")
    ] = "value"


class PairBoxQuery(PairQuery):
    """The same of the page, which asks for what is not said."""

    a: Annotated[str, Field(max_length=100)] = ""
    b: Annotated[str, Field(max_length=100)] = ""


class TurnQuery(BasisQuery, DistanceQuery):
    """What pages of directions take."""

    ascii: Annotated[bool, Field(description="Only tokens of ASCII characters.")] = False
    starts: Annotated[bool, Field(description="Only tokens that begin a word: a space, then a letter.")] = False
    plain: Annotated[bool, Field(description="Without special tokens, and those that were never trained.")] = False
    frequent: Annotated[
        int,
        Field(
            description="Without so many of the first ids: the most frequent tokens in most vocabularies, after some 256 "
            "bytes in byte-level ones.",
            json_schema_extra={"enum": [*FREQUENT]},
        ),
    ] = 0

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

    readout: Annotated[
        Product,
        Field(
            description="By what tokens are ranked: dot, the product of a token's vector with the direction, as the network "
            "computes it, or cosine, the same of the token's vector at unit length."
        ),
    ] = "dot"
    rotated: Annotated[
        bool,
        Field(
            description="Of singular directions of a matrix: also held against random rotations of the same span. Takes "
            "a while the first time."
        ),
    ] = False

    def options(self) -> Options:
        """The explorer's form of it."""
        selection = Selection(self.ascii, self.starts, self.plain, self.frequent, self.readout)
        return replace(super().options(), selection=selection, rotated=self.rotated)


class TableQuery(TurnQuery):
    """What pages with tables of directions take."""

    sort: Annotated[
        Sort,
        Field(
            description="The basis's own order, strengths falling (strength) or rising (weakest), gaps (gap, "
            "closest), z of the most readable end (readable, or of one side: readable-left, readable-right)."
        ),
    ] = "order"
    page: Annotated[int, Field(ge=1, le=10_000, description="Page of the table.")] = 1
    only: Annotated[
        Only,
        Field(
            description="Only directions that on one side have an end readable at p < .01 (readable), found at a false "
            "discovery rate of 10% (found), readable and neither by spelling alone nor without letters (meaning), a theme (theme), "
            "readable by spelling alone (spelling), or whose ends are one-sided, antipodal, neither, undetermined."
        ),
    ] = "all"
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
        return replace(super().options(), sort=self.sort, page=self.page, only=self.only, find=self.find)


class BlindQuery(ViewQuery):
    """What a blind round takes."""

    seed: Annotated[
        int, Field(ge=0, le=LARGEST_SEED, description="Which ten questions: the same seed asks the same.")
    ] = FIRST_SEED
    answers: Annotated[
        str,
        Field(
            json_schema_extra={"pattern": f"^[lr]{{0,{ROUNDS}}}$"},
            description=f"The answers so far, l or r for the column that is taken for the model's: up to {ROUNDS}.",
        ),
    ] = ""

    @field_validator("answers")
    @classmethod
    def _are_letters(cls, answers: str) -> str:
        if len(answers) > ROUNDS or set(answers) - set("lr"):
            raise ValueError(f"up to {ROUNDS} letters, each l or r")
        return answers

    of: Annotated[
        BlindOf,
        Field(
            description="Ends of the model that are asked about: any of the strongest directions of heads (all), or "
            "those readable at p < .01 (readable)."
        ),
    ] = "all"


class CompareQuery(ViewQuery):
    """What a comparison of bases takes."""

    @model_validator(mode="before")
    @classmethod
    def _is_no_file(cls, said: dict[str, Any]) -> dict[str, Any]:
        return _without_format(
            said, "a comparison", "The table of each basis is one, under the address of the matrix in that basis."
        )

    nonzeros: Annotated[int, Field(description="Vectors a sample, for the errors: 1 to 32.")] = 8
    first: Annotated[int, Field(description="Vectors of each basis for the spans: 4, 16 or 64.")] = 16
    direction: Annotated[
        str, Field(max_length=40, description="Whose nearest partners are shown: a basis and an index, as svd/12.")
    ] = ""
    nmf: Annotated[
        str | None,
        Field(
            pattern=NUMBERS,
            description="Which fit: components and seed, as 32,0. Default: that with the defaults if it is there, else "
            "the first that is.",
        ),
    ] = None
    ica: Annotated[str | None, Field(pattern=NUMBERS, description="The same of ica: components and seed.")] = None
    dictionary: Annotated[
        str | None, Field(pattern=NUMBERS, description="The same of dictionary: atoms, sparsity and seed.")
    ] = None

    def wanted(self) -> dict[BasisName, tuple[int, ...]]:
        """The parameters of the fits that are asked for, in their order."""
        said = {name: getattr(self, name) for name, basis in BASES.items() if basis.is_fitted}
        return {name: tuple(map(int, numbers.split(","))) for name, numbers in said.items() if numbers is not None}


class PageQuery(PathQuery, RankedQuery, TableQuery):
    """Whatever a page for people takes; its address decides what of it means something."""

    format: Annotated[
        Literal["csv", "npz"] | None,
        Field(description="csv: the whole table as a file; npz: the vectors of a matrix's directions, for numpy.load."),
    ] = None
    k: Annotated[
        int | None,
        Field(ge=1, le=KEPT_TOKENS, description="For format=csv of a table: tokens at either end of a row."),
    ] = None

    @model_validator(mode="after")
    def _is_of_a_file(self) -> "PageQuery":
        if self.k is not None and self.format != "csv":
            raise BadOption("k means nothing here: it is for format=csv.")
        return self

    def options(self) -> Options:
        """The explorer's form of it."""
        return replace(super().options(), whole=self.format is not None, tokens=self.k)
