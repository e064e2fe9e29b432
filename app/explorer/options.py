"""The table of all options of query strings: the meaning of each, its default, its bounds, and the pages where it counts.

Links leave out what the table says is usual; what a request may ask for, its bounds and the API's description are made of
it; and a recipe takes what changes numbers. What an option does is told elsewhere: here is no page, no model and no HTTP.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from app.explorer.layout import KEPT_TOKENS
from app.models.lookup import LONGEST as LONGEST_TOKEN
from app.models.token_filter import FREQUENT

Page = Literal[
    "model",
    "layer",
    "head",
    "matrix",
    "direction",
    "notable",
    "census",
    "blind",
    "search",
    "composition",
    "alike",
    "token",
    "text",
    "jump",
    "full",
    "compare",
    "around",
    "pair",
    "contrast",
    "oembed",
    "list",
    "every",
    "prompt",
    "p",
    "x",
    "pairs",
    "linear",
    "unlikely",
    "jobs",
    "wish",
]
"""The kind of page that a query belongs to: of an address, of what stands behind one, or below `/-`."""

PLACES: tuple[Page, ...] = ("model", "layer", "head", "matrix", "direction")
OF_MODELS: tuple[Page, ...] = (
    *PLACES,
    *("notable", "census", "blind", "search", "composition", "alike", "token", "text", "jump"),
    *("full", "compare", "around", "pair", "prompt", "p", "x", "pairs", "linear", "unlikely"),
)
MATRICES: tuple[Page, ...] = ("matrix", "direction")
HEADS: tuple[Page, ...] = ("head", *MATRICES)
TABLES: tuple[Page, ...] = ("head", "matrix")
"""Pages with a table of directions."""

LONGEST_SEARCH, LONGEST_PLACE, LONGEST_PATH, LONGEST_FIND = 1_000, 200, 480, 100
"""Characters of words, of an address in a form, of a path, and of a text that is looked for in a table."""
LONGEST_PROMPT = 1_800
"""Characters of a prompt in a link: the rest of an address has room beside it."""
LONGEST_EDIT = 400
LONGEST_OTHER = 600
"""Characters of another prompt in a link."""
MOST_PUSHED = 5
"""Median lengths of a stream that it is pushed by."""
MOST_CONTINUED = 64
"""Tokens that a prompt is continued by."""
LARGEST_POSITION = 1_024
LARGEST_DISTANCE = 1_024
"""The largest distance; less where the model's texts are shorter."""
LISTED, MOST_LISTED = 30, 1_000
"""Pairs of heads."""
LARGEST_LAYER = 9_999
ROUNDS = 10
"""Questions of a blind round."""
FIRST_SEED, LARGEST_SEED = 1, 999_999
SIDES = ("", "read", "write", "query", "key")
LAYER, LAYER_OR_ENDS = "^(L?[0-9]{1,4})?$", "^(ends|L?[0-9]{1,4})?$"
LAYERS = "^(ends|L?[0-9]{1,4}(-L?[0-9]{1,4})?)?$"
NUMBERS = "^[0-9]{1,6}(,[0-9]{1,6}){0,3}$"
"""The numbers of one fit: its parameters in their order."""
REQUIRED = ...
"""In the place of a default: without it nothing is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of a value; None and empty: anything of its type."""

    low: int | None = None
    high: int | None = None
    shortest: int | None = None
    """Characters."""
    longest: int | None = None
    pattern: str = ""
    """A regular expression that the whole text matches."""
    said: dict[str, Any] | None = None
    """Bounds that only the API's description says: whoever reads the value holds it to them, in a sentence of its own."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option, on some pages: a name may mean another thing on other pages, and is another row then."""

    name: str
    pages: tuple[Page, ...]
    default: Any
    """The value that a link leaves out; REQUIRED: none."""
    meaning: str
    """In sentences, for the API's description."""
    bounds: Bounds = Bounds()
    changes: Literal["numbers", "view"] = "view"
    """`numbers`: it decides what an artifact holds, or which one is read; `view`: only what of it is shown, and how."""
    is_always_said: bool = False
    """Links say it even if it is as usual."""


OPTIONS: tuple[Option, ...] = (
    Option(
        "weights",
        OF_MODELS,
        None,
        "folded: what the network computes through its norms; raw: as stored. Encoders have raw only, their "
        "model's `processings` says so. Default: the server's, or raw.",
        changes="numbers",
    ),
    Option("q", ("jump",), "", "Where to go, or words to search for.", Bounds(longest=LONGEST_SEARCH)),
    Option("model", ("jobs",), None, "Only jobs of this model.", Bounds(longest=64)),
    Option("live", ("jobs",), False, "Only jobs that wait or run."),
    Option("score", ("model",), None, "What colours the map, one of its `scores`."),
    Option("ranked", ("model",), "first", "Heads in the list beside the map: the first, or all."),
    Option(
        "among",
        ("notable",),
        "themes",
        "The list that is walked: rays of words (themes), of signs without letters (letterless), of frequent or"
        " very short tokens (frequent), of tokens that were never trained (untrained).",
    ),
    Option("kind", ("notable",), "", "Only rays of matrices of that kind: ov, qk, mlp-in, embed …"),
    Option("side", ("notable",), "", "Only rays that were judged on that side.", Bounds(said={"enum": [*SIDES]})),
    Option(
        "layer",
        ("notable",),
        "",
        "Only rays of that layer, such as 5 or L5, or of the model's own matrices (ends).",
        Bounds(said={"pattern": LAYER_OR_ENDS}),
    ),
    Option("page", ("notable",), 1, "Page of the list.", Bounds(said={"minimum": 1})),
    Option(
        "q",
        ("search",),
        "",
        'Words, with commas or spaces between them; "two words" a phrase, or a token as it stands; -word '
        "subtracts; #1234 a token's id; L27H0.ov.0n the end of a direction.",
        Bounds(longest=LONGEST_SEARCH),
    ),
    Option(
        "order",
        ("search",),
        "theme",
        "By how alike a ray's tokens are to the words (theme), or by the product of its vector with theirs.",
    ),
    Option("basis", ("search",), "svd", "What is searched: singular directions (svd), or the neurons of MLPs."),
    Option("side", ("search",), "", "Only rays of that side.", Bounds(said={"enum": [*SIDES]})),
    Option("kind", ("search",), "", "Only rays of matrices of that kind: ov, qk, mlp-in …"),
    Option(
        "layers",
        ("search",),
        "",
        "Only rays of that layer, such as 5 or L5, of layers such as 20-29, or of the model's own matrices (ends).",
        Bounds(said={"pattern": LAYERS}),
    ),
    Option("readable", ("search",), False, "Only rays readable at p < .01."),
    Option("used", ("search",), False, "Only directions with at least half the gain of an average one."),
    Option("page", ("search",), 1, "Page of the list.", Bounds(low=1, high=100)),
    Option("format", ("search",), None, "csv: all that was found, on whichever page, as a file."),
    Option("q", ("every",), "", "As for a model's search.", Bounds(longest=LONGEST_SEARCH)),
    Option("kind", ("composition",), "q", "What reads: the queries (q), the keys (k) or the values (v) of a head."),
    Option(
        "writer",
        ("composition",),
        "",
        "Only heads of that layer as writers, such as 5 or L5.",
        Bounds(said={"pattern": LAYER}),
    ),
    Option("reader", ("composition",), "", "Only heads of that layer as readers.", Bounds(said={"pattern": LAYER})),
    Option("n", ("composition",), LISTED, "Strongest pairs that are listed.", Bounds(low=1, high=MOST_LISTED)),
    Option("format", ("composition",), None, "csv: every pair in order, as a file."),
    Option(
        "from",
        ("linear",),
        None,
        "The stream that is mapped, by the layer that it enters. Default: 0, the first.",
        Bounds(said={"minimum": 0, "maximum": LARGEST_LAYER}),
    ),
    Option(
        "to",
        ("linear",),
        None,
        "The stream that it is mapped to, by the layer that it enters; the number of layers is what the final norm reads. "
        "Default: that.",
        Bounds(said={"minimum": 1, "maximum": LARGEST_LAYER}),
    ),
    Option(
        "basis",
        ("linear",),
        "pca",
        "The basis that is shown: pca, svd, frequency or nmf of the embedding, the stream's coordinates, or random "
        "directions.",
    ),
    Option(
        "a",
        ("contrast",),
        "",
        "A head (its OV), a matrix or a direction, as smollm2/L5/H3/ov; ~raw or ~folded behind it says in which"
        " weights.",
        Bounds(longest=LONGEST_PLACE),
    ),
    Option(
        "b",
        ("contrast",),
        "",
        "Another of that kind; without a model's name, of the same model.",
        Bounds(longest=LONGEST_PLACE),
    ),
    Option("format", ("census",), None, "csv: a row for each end (ray), as a file."),
    Option(
        "components",
        (*MATRICES, "wish"),
        None,
        "Of nmf and ica: how many. Default: 64, or as many as there can be.",
        changes="numbers",
    ),
    Option("atoms", (*MATRICES, "wish"), None, "Of dictionary: how many, up to 8 d_model.", changes="numbers"),
    Option(
        "sparsity", (*MATRICES, "wish"), None, "Of dictionary: atoms that each sample uses at most.", changes="numbers"
    ),
    Option("groups", (*MATRICES, "wish"), None, "Of frequency: groups of tokens.", changes="numbers"),
    Option("seed", (*MATRICES, "wish"), None, "Of nmf, ica and dictionary: where they begin.", changes="numbers"),
    Option(
        "statistics",
        (*MATRICES, "wish"),
        None,
        "Of used: the number of the statistics that axes are fitted to. Default: those that are shown.",
        changes="numbers",
    ),
    Option("model", ("wish",), REQUIRED, "The model.", Bounds(longest=64)),
    Option(
        "kind",
        ("wish",),
        "matrices",
        "import brings a model that this server was to import and could not: nothing else is said.",
    ),
    Option(
        "weights",
        ("wish",),
        None,
        "folded, raw, or both with a comma between them. Default: as for pages.",
        Bounds(longest=40),
    ),
    Option(
        "matrices",
        ("wish",),
        None,
        "Kinds of matrices (ov, qk, mlp-in …) or single ones (L5/mlp-in), with commas between them; bank for "
        "what is searched, vectors for what comparisons are made of, linear-0-6 for the linear map between two streams, "
        "unlikely for what they hold of unlikely tokens. "
        "Default: all that have the basis, and the bank.",
        Bounds(longest=400),
    ),
    Option("basis", ("wish",), None, "svd if nothing is said.", Bounds(longest=40)),
    Option(
        "distance",
        (*HEADS, "full", "pairs"),
        0,
        "For QK of a rotary model: positions from the query back to the key, less than the model's context. "
        "Anything else has distance 0 only.",
        Bounds(low=0, high=LARGEST_DISTANCE),
        changes="numbers",
    ),
    Option(
        "token",
        ("full",),
        "",
        "One token of the model: its exact text, a space in front included, or with `·` for the space, or #1234"
        " for an id. Without it: tokens to begin with.",
        Bounds(longest=LONGEST_TOKEN),
    ),
    Option(
        "path",
        ("direction", "around", "pair"),
        "",
        "How a visitor came here, from ray to ray: L24H1.ov.0p_r-L28H6.ov.0p, `r-` where one reads what the one"
        " before writes, `w-` where it writes what that one reads, `l-` where it is like it. Changes nothing "
        "else.",
        Bounds(said={"maxLength": LONGEST_PATH}),
    ),
    Option(
        "prompt",
        ("direction",),
        "",
        "The key of a prompt, which the page leads back to.",
        Bounds(pattern="^([0-9a-f]{16})?$"),
    ),
    Option(
        "text",
        ("text",),
        REQUIRED,
        "One token of the model: its exact text, a space in front included, or with `·` for the space, or #1234"
        " for an id.",
        Bounds(shortest=1, longest=LONGEST_TOKEN),
    ),
    Option("all", ("token",), False, "With single neurons and its rank at every end, which takes longer."),
    Option("head", ("token",), "", "Go to the token's full circuits in that head: L5H3.", Bounds(longest=16)),
    Option("a", ("pair",), REQUIRED, "The head that writes: gpt2/L5/H3.", Bounds(longest=100)),
    Option(
        "b", ("pair",), REQUIRED, "The head that reads: gpt2/L7/H1, or L7H1 of the same model.", Bounds(longest=100)
    ),
    Option("part", ("pair",), "value", "What b reads with: its value, its query or its key."),
    Option(
        "text",
        ("prompt", "p"),
        "",
        "The prompt itself: a link that holds it opens even where the prompt is not kept any more.",
        Bounds(longest=LONGEST_PROMPT),
    ),
    Option(
        "ids",
        ("prompt", "p"),
        "",
        "Token ids in the place of a text, with spaces or commas between them.",
        Bounds(longest=LONGEST_PROMPT),
    ),
    Option(
        "start",
        ("prompt", "p"),
        False,
        "Begin with the token that begins texts, whatever the tokenizer does.",
    ),
    Option("deleted", ("prompt",), False, "Say that a prompt was deleted."),
    Option(
        "of",
        ("prompt", "p", "x"),
        "",
        "A singular direction of a head's OV that is followed on the text, as L25H6.ov.0.",
        Bounds(longest=40),
    ),
    Option(
        "of",
        ("pairs",),
        "",
        "A singular direction of a head's QK, as L24H4.qk.9. Required.",
        Bounds(longest=40),
    ),
    Option(
        "at",
        ("p",),
        None,
        "The position, counted from 0. Default: the last; of a direction, where it does most.",
        Bounds(said={"minimum": 0, "maximum": LARGEST_POSITION}),
    ),
    Option(
        "token",
        ("p", "x"),
        "",
        "The token that is asked about: its exact text, a space in front included, or with `·` for the space, or #1234 for "
        "an id. Default: the likeliest.",
        Bounds(longest=LONGEST_TOKEN),
    ),
    Option(
        "against",
        ("p", "x"),
        "",
        "Another token that it is compared with, in the place of all.",
        Bounds(longest=LONGEST_TOKEN),
    ),
    Option(
        "show",
        ("p",),
        None,
        "What is listed: the directions that say most for the token (speaks), those that write most (writes), those of one "
        "head (head), or neurons.",
    ),
    Option(
        "head",
        ("p",),
        "",
        "The head whose directions are listed, or whose attention is told: L25H6.",
        Bounds(longest=16),
    ),
    Option("all", ("p",), False, "All directions of that head."),
    Option(
        "to",
        ("p",),
        None,
        "The position that looks, counted from 0. Default: the last.",
        Bounds(said={"minimum": 0, "maximum": LARGEST_POSITION}),
    ),
    Option(
        "from",
        ("p",),
        None,
        "The position that is looked at, up to that one. Default: the one that is looked at most, but for the start.",
        Bounds(said={"minimum": 0, "maximum": LARGEST_POSITION}),
    ),
    Option(
        "by",
        ("p",),
        "pair",
        "How the score is split: by the directions of QK at the pair's distance (pair), by the query's directions and beside "
        "all other sources (row), or by the planes that positions rotate (planes).",
    ),
    Option(
        "totals",
        ("p",),
        0,
        "Also take each listed direction away at that position and run all behind it again, beside so many random directions "
        "of its head's span: 1 or 8.",
    ),
    Option(
        "raw",
        ("p",),
        False,
        "Of the lens: read the stream as it is, without what its mean lacks at that layer.",
    ),
    Option(
        "basis",
        ("p",),
        None,
        "Of the lens: how much of the stream lies in the first terms of the embedding in that basis.",
    ),
    Option(
        "edit",
        ("prompt", "p", "x"),
        "",
        "What is changed in the model: singular directions of heads' OV, each with how much more of it is written, from -1 for "
        "nothing to 10, as L27H8.ov.4:-1; in the amount's place mean, for its mean on the reference text, or only, for nothing "
        "else of its head's. Up to 12, with commas between them.",
        Bounds(longest=LONGEST_EDIT),
    ),
    Option(
        "steer",
        ("prompt",),
        "",
        "A direction of a head's OV that the stream is pushed along, as L27H8.ov.4p.",
        Bounds(longest=40),
    ),
    Option(
        "tokens",
        ("p",),
        "",
        "Of a change: tokens whose chances are told, with commas between them: words, with a space in front where there is such "
        "a token, or ids such as #512. Up to 8.",
        Bounds(longest=200),
    ),
    Option("random", ("p",), 1, "Of a change: as many random changes of the same kind and size beside it: 1 or 8."),
    Option("random", ("x",), 8, "As many random changes of the same kind and size beside it: 1 or 8."),
    Option("like", ("x",), "", "The key of an experiment that the form is filled in like.", Bounds(longest=16)),
    Option("first", ("x",), "", "The key of a prompt that the form begins with.", Bounds(longest=16)),
    Option(
        "layer",
        ("p", "x"),
        None,
        "Of steering: the layer whose stream is pushed, before it reads it. Default: the one behind the direction's head.",
        Bounds(low=0, high=LARGEST_LAYER),
    ),
    Option(
        "c",
        ("p", "x"),
        0.2,
        "Of steering: the size of the push, in median lengths of the stream there; below 0 the other way.",
        Bounds(low=-MOST_PUSHED, high=MOST_PUSHED),
    ),
    Option(
        "attract",
        ("p", "x"),
        "",
        "Of SARA: the key of the prompt that the stream is drawn to, or its text.",
        Bounds(longest=LONGEST_OTHER),
    ),
    Option(
        "repel",
        ("p", "x"),
        "",
        "Of SARA: the key of the prompt that it is drawn away from, or its text.",
        Bounds(longest=LONGEST_OTHER),
    ),
    Option(
        "rule",
        ("p", "x"),
        "fixed",
        "Of SARA: how. As it is fixed here (fixed), as published (published), by adding the difference of the last tokens' streams "
        "(last), or of the first ones' (front).",
    ),
    Option(
        "pull",
        ("p", "x"),
        1.0,
        "Of SARA: the c of the rule; below 0 with roles swapped.",
        Bounds(low=-MOST_PUSHED, high=MOST_PUSHED),
    ),
    Option("study", ("p",), False, "Of SARA: also by its amount, and by how much of the histories is kept."),
    Option("format", ("x",), None, "csv: a row for each prompt, as a file."),
    Option("title", ("list",), "", "The title of the list.", Bounds(longest=100)),
    Option(
        "of",
        ("list",),
        "",
        "Addresses of up to 50 places with commas between them, in their order; ~raw behind one takes the weights as stored.",
        Bounds(longest=1_800),
    ),
    Option(
        "url",
        ("oembed",),
        REQUIRED,
        "The absolute address of a page of this server.",
        Bounds(shortest=1, longest=2_000),
    ),
    Option("maxwidth", ("oembed",), None, "The largest width of the frame, in pixels.", Bounds(low=1, high=1_000_000)),
    Option(
        "maxheight", ("oembed",), None, "The largest height of the frame, in pixels.", Bounds(low=1, high=1_000_000)
    ),
    Option("format", ("oembed",), "json", "json: no other is offered.", Bounds(longest=20)),
    Option("curve", ("p",), False, "Of an edit: also the same by how much is written."),
    Option(
        "more",
        ("p",),
        0,
        "Of a change: continue the prompt by so many tokens, as the model is and changed.",
        Bounds(low=0, high=MOST_CONTINUED),
    ),
    Option(
        "seed",
        ("p",),
        None,
        "Of a continuation: draw tokens by that seed, among the likeliest that have 90% of the chances together. Default: the "
        "likeliest are taken.",
        Bounds(low=0, high=LARGEST_SEED),
    ),
    Option("ascii", HEADS, False, "Only tokens of ASCII characters.", changes="numbers"),
    Option("starts", HEADS, False, "Only tokens that begin a word: a space, then a letter.", changes="numbers"),
    Option("plain", HEADS, False, "Without special tokens, and those that were never trained.", changes="numbers"),
    Option(
        "frequent",
        HEADS,
        0,
        "Without so many of the first ids: the most frequent tokens in most vocabularies, after some 256 bytes "
        "in byte-level ones.",
        Bounds(said={"enum": [*FREQUENT]}),
        changes="numbers",
    ),
    Option(
        "readout",
        HEADS,
        "dot",
        "By what tokens are ranked: dot, the product of a token's vector with the direction, as the network "
        "computes it, or cosine, the same of the token's vector at unit length.",
        changes="numbers",
    ),
    Option(
        "rotated",
        MATRICES,
        False,
        "Of singular directions of a matrix: also held against random rotations of the same span. Takes a while"
        " the first time.",
        changes="numbers",
    ),
    Option(
        "sort",
        TABLES,
        "order",
        "The basis's own order, strengths falling (strength) or rising (weakest), gaps (gap, closest), z of the"
        " most readable end (readable, or of one side: readable-left, readable-right).",
    ),
    Option("page", TABLES, 1, "Page of the table.", Bounds(low=1, high=10_000)),
    Option(
        "only",
        TABLES,
        "all",
        "Only directions that on one side have an end readable at p < .01 (readable), found at a false "
        "discovery rate of 10% (found), readable and neither by spelling alone nor without letters (meaning), a"
        " theme (theme), readable by spelling alone (spelling), or whose ends are one-sided, antipodal, "
        "neither, undetermined.",
    ),
    Option(
        "find",
        TABLES,
        "",
        "Only directions that have this text among the tokens that the table shows.",
        Bounds(longest=100),
    ),
    Option(
        "seed",
        ("blind",),
        FIRST_SEED,
        "Which ten questions: the same seed asks the same.",
        Bounds(low=0, high=LARGEST_SEED),
        is_always_said=True,
    ),
    Option(
        "answers",
        ("blind",),
        "",
        f"The answers so far, l or r for the column that is taken for the model's: up to {ROUNDS}.",
        Bounds(said={"pattern": f"^[lr]{{0,{ROUNDS}}}$"}),
    ),
    Option(
        "of",
        ("blind",),
        "all",
        "Ends of the model that are asked about: any of the strongest directions of heads (all), or those "
        "readable at p < .01 (readable).",
    ),
    Option("nonzeros", ("compare",), 8, "Vectors a sample, for the errors: 1 to 32.", changes="numbers"),
    Option("first", ("compare",), 16, "Vectors of each basis for the spans: 4, 16 or 64.", changes="numbers"),
    Option(
        "direction",
        ("compare",),
        "svd/0",
        "Whose nearest partners are shown: a basis and an index, as svd/12.",
        Bounds(longest=40),
        changes="numbers",
    ),
    Option(
        "nmf",
        ("compare",),
        None,
        "Which fit: components and seed, as 32,0. Default: that with the defaults if it is there, else the "
        "first that is.",
        Bounds(pattern=NUMBERS),
        changes="numbers",
    ),
    Option(
        "used",
        ("compare",),
        None,
        "Which statistics axes of a head's output are fitted to, by their number. Default: those that are shown.",
        Bounds(pattern="^[0-9]{1,10}$"),
        changes="numbers",
    ),
    Option(
        "ica", ("compare",), None, "The same of ica: components and seed.", Bounds(pattern=NUMBERS), changes="numbers"
    ),
    Option(
        "dictionary",
        ("compare",),
        None,
        "The same of dictionary: atoms, sparsity and seed.",
        Bounds(pattern=NUMBERS),
        changes="numbers",
    ),
    Option(
        "format",
        HEADS,
        None,
        "csv: the whole table as a file; npz: the vectors of a matrix's directions, for numpy.load; "
        "parquet: the same as a table.",
    ),
    Option(
        "k", HEADS, None, "For format=csv of a table: tokens at either end of a row.", Bounds(low=1, high=KEPT_TOKENS)
    ),
)
_BY_NAME: dict[tuple[str, Page], Option] = {(option.name, page): option for option in OPTIONS for page in option.pages}
OF_NUMBERS = tuple(
    dict.fromkeys(option.name for option in OPTIONS if option.changes == "numbers" and {*option.pages} & {*MATRICES})
)
"""Names of what changes the numbers of a matrix."""


def find_option(name: str, page: Page) -> Option:
    """The row of that name on that page; KeyError if it means nothing there."""
    return _BY_NAME[name, page]


@cache
def usual_values(page: Page) -> dict[str, Any]:
    """Return the values that a link to such a page leaves out, by name; None for what it always says. Read only."""
    there = [option for option in OPTIONS if page in option.pages]
    return {option.name: None if option.is_always_said else option.default for option in there}
