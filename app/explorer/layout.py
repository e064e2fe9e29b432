"""The layout of artifacts: names, types and shapes of the arrays of each kind, and the numbers that decide them.

Together with `recipes` this is all that pages and makers share. An array's form is its type and its axes: a number, or
a word that stands for the same number in all arrays of one artifact. The modules of `app.explorer.making` document what
the numbers mean. Knows no page, no torch and no file.
"""

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from app.core.address import LAYER_KINDS, Kind, ModelKind
from app.core.basis import BASES
from app.core.finding.reversal import BINS
from app.core.judging.rays import BEYOND_LENGTHS, FORM_LENGTHS, LENGTHS, SPELLING_LENGTHS
from app.explorer.view import StreamSide

ArtifactKind = Literal[
    "decomposition",
    "layer",
    "scores",
    "gallery",
    "census",
    "control",
    "rotation",
    "comparison",
    "vectors",
    "full",
    "bank",
    "words",
    "moments",
    "shadow",
    "tokens",
    "readings",
    "composition",
    "alike",
    "use",
    "use-outputs",
    "use-streams",
    "use-text",
    "use-part",
    "linear",
    "unlikely",
]
"""Kinds of artifacts. `decomposition`: one matrix in one basis, read out; `layer`: the strongest directions of all its
heads; `scores`: the numbers of the map; `gallery`, `census`: for a layer or the model's ends; `control`: random
directions read the same way; `rotation`: random vectors of a matrix's span; `comparison`: a matrix's bases side by
side; `vectors`: the vectors of a decomposition's terms; `full`: one token's rows of a head's full circuits; `bank`: the
vectors of a layer, or of the model's ends, with the tokens of their rays; `words`: the tokens of a part of the
vocabulary as a search compares them; `moments`: how the bank's vectors lie in the stream; `shadow`: tokens of random
directions, the chance level of a search; `tokens`: each token's own vector, besides its unit vector; `readings`: how
specifically heads read what a layer writes; `composition`: which head reads which other head's output; `alike`: how
much the subspaces of heads share; `use`: what directions do on a reference text; `use-outputs`: how what each head writes
varies on it; `use-streams`: the mean of the stream on it, and of what the model expects next; `use-text`: a text of the
operator's; `use-part`: the sums of a part of a text, from which the whole is made and which then is deleted; `linear`: the linear map
between two layers' streams on that text, in several bases; `unlikely`: what streams hold of the least likely tokens'
vectors there."""

PromptKind = Literal[
    "prompt",
    "neurons",
    "removals",
    "course",
    "attention",
    "pairs",
    "lens",
    "spans",
    "outcome",
    "curve",
    "continuation",
    "histories",
    "study",
]
"""Kinds of artifacts that are computed of a prompt, by the live model, and kept with it. `prompt`: what speaks for a token
at one position; `neurons`: which neurons do; `removals`: what becomes of the token without some directions there;
`course`: what one direction does at every position; `attention`: why a head looks from one position at another; `pairs`: what the directions of a head's QK add to the scores of
all pairs of positions at one distance; `lens`: what the stream says at every layer; `spans`: how much of it lies in the
first terms of a basis of the embedding; `outcome`: what the model says where something in it is changed; `curve`: the same by
how much is changed; `continuation`: how the text goes on, as it was and changed; `histories`: what a prompt's stream has in common with those of two
others; `study`: what drawing it to one of them does, by how much, and by how much of their histories is kept."""

KEPT_TOKENS = 50
"""Tokens stored for each ray; the direction's page shows them all."""
SIDE_PREFIXES = ("left", "right")
"""The prefixes of the arrays of each side."""
BADGE_KINDS: tuple[None, Literal["subspace"], Literal["close"]] = (None, "subspace", "close")
"""The meaning of the numbers in `badge_kind`."""

STRONGEST_DIRECTIONS, STRONGEST_TOKENS = 3, 8
"""Directions of a matrix, and tokens of a ray, on the layer's page."""

CONTROL_DIRECTIONS = 2_000
"""Random directions that a control reads."""
CONTROL_SHOWN, CONTROL_TOKENS = 1_000, 20
"""Random directions whose tokens are stored for comparison, and how many for each ray."""

ROTATED_VECTORS = 256
"""Random unit vectors of a side's span that its directions are compared with."""

BANK_TOKENS = 20
"""Tokens stored for each ray of the bank and each random ray beside it; all tokens where the vocabulary has fewer."""
WORDS_PART = 32_768
"""Tokens of one `words` artifact."""
BANK_ENDS: tuple[Literal["read", "write"], ...] = ("read", "write")
"""The meaning of the numbers in a bank's `end`: the tokens that its rays are read as, the embedding's or the
unembedding's."""
BANK_MODEL_KINDS: tuple[ModelKind, ...] = ("embed", "unembed")
"""The model's own matrices whose vectors are in the bank."""
USE_WORD = "use"
"""What the statistics of use are called in a task."""
VECTORS_WORD = "vectors"
"""What the vectors of every matrix are called in a task, on which comparisons and files of vectors rest."""
USE_WINDOWS, USE_TOKENS = 32, 256
"""Windows of reference text, and the tokens of each, or as many as the model has positions for."""
USE_PARTS = 4
"""Parts in which the windows are run: what an interruption costs is one part."""
USE_PEAKS = 3
"""Places of the reference text where most arrives of a direction, at either end, each in another window."""
NEXT_TOKENS = 10
"""Next tokens that are kept for each position of a prompt."""
OVERLAPPED = 4
"""Leading dimensions of two histories whose overlap is told."""
SIGN_DRAWS = 16
"""Draws of the signs of singular vectors."""
STUDIED: dict[str, tuple[float, ...]] = {
    "fixed": (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0),
    "last": (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5),
    "front": (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0),
}
"""Amounts by which rules are compared: as many of each."""
STUDIED_RANKS = (1, 2, 4, 8, 16, 32)
"""Columns that histories are cut to."""
SET_TOKENS = 20
"""Tokens of a direction's own set, whose chance is told where it is changed."""
CURVE_AMOUNTS = (-1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
"""Amounts of the curve of an edit."""
PROMPT_NEURONS = 10
"""Neurons that are kept: those that say most for a token, or against it."""
LENS_SPANS = (1, 4, 16, 64, 256)
"""Sizes of the spans of first terms of which it is told how much of a prompt's stream lies in them."""
MOST_REMOVED = 10
"""Directions of a prompt that are taken away, one at a time, for one page."""
USE_FIRST = 8
"""The most directions of a head whose share of its output is told with an interval; half of them all in a small head."""
MIXED = 4
"""Singular directions that an axis is said to be a mixture of: those it is most like."""
WHOLE_FLOATS_BYTES = 2**30
"""The most bytes that the vectors of a whole model may take in float32 to be stored so; larger ones are stored in
float16."""

LINEAR_WORD, UNLIKELY_WORD = "linear", "unlikely"
"""What both are called in a task; `linear-12-30` the map from stream 12 to stream 30."""
LinearBasis = Literal["pca", "svd", "frequency", "coordinates", "nmf", "random"]
LINEAR_BASES: tuple[LinearBasis, ...] = get_args(LinearBasis)
"""The bases in which a linear map is seen: those of the embedding, the stream's own coordinates, and random directions."""
LINEAR_BLOCKS = 48
"""Blocks of rows and of columns by which a map is drawn."""
UNLIKELY_POSITIONS, UNLIKELY_TOKENS = 48, 64
"""Positions of the reference text, and the least likely tokens at each; fewer where they would span a ninth of the stream."""

Part = Literal["query", "key", "value"]
PARTS: tuple[Part, ...] = get_args(Part)
"""The parts of a head that read the stream; keys and values once for each group of heads that share them."""
WRITE_KINDS: tuple[Kind, ...] = ("ov", "mlp-out")
"""The matrices of a layer that write to the stream, with their right sides."""

Role = Literal["ov", "query", "key"]
ROLES: tuple[Role, ...] = get_args(Role)
"""The roles of a token in a head's full circuits: attended to, query, key."""
ROLE_SIDES: dict[Role, StreamSide] = {"ov": "write", "query": "key", "key": "query"}
"""The side that each role is read out as: for a query the keys it looks for, for a key the queries that find it."""
FULL_TOKENS = 100
"""Tokens at either end of a token's row: many of the first may say little."""

Composed = Literal["q", "k", "v"]
COMPOSED: tuple[Composed, ...] = get_args(Composed)
"""The inputs of a head that can read another head's output: queries, keys, values."""

SPAN_SIDES: tuple[StreamSide, ...] = get_args(StreamSide)
"""The subspaces of a head's OV and QK that are compared with those of other heads."""
SHARED_SIDES: tuple[StreamSide, ...] = ("read", "key")
"""The subspaces that the heads of a key/value group share."""

MOST_NONZEROS = 32
"""The most vectors for each sample by which bases are compared."""
SPANS = (4, 16, 64)
"""Sizes of the spans of first vectors that are compared."""
THRESHOLDS = (0.5, 0.3)
"""Relative errors for which a dictionary's page says how many atoms a sample needs."""

Label = Literal["notable", "frequency", "glitch"]
LABELS: tuple[Label, ...] = get_args(Label)
"""The labels of a ray in the gallery."""
ENDS: tuple[ModelKind, ...] = ("embed", "unembed", "pos")
"""The model's own matrices that are no stack of its heads' vectors: the gallery considers them."""
GALLERY_TOKENS = 20
"""Tokens stored for each ray of the gallery: so many mostly hold ten different words."""
BY_LENGTH = ("coherence", "z", "p")
OF_FORMS = ("forms_z", "forms_p", "beyond_z", "beyond_p", "spelling_z", "spelling_p")
NUMBERS = BY_LENGTH + OF_FORMS
"""The numbers by which a ray of the gallery was judged."""

Forms = dict[str, str]
"""Array name -> form: `float32 n 2` is an array of n rows of two numbers."""

_TERM_FORMS: Forms = {
    "index": "int32 n",
    "strength": "float32 n",
    "share": "float64 n",
    "gap": "float32 n",
    "merit": "float32 n",
    "badge_kind": "int8 n",
    "badge_degrees": "float32 n",
    "badge_first": "int32 n",
    "badge_last": "int32 n",
    "turn_left": "float32 n",
    "turn_right": "float32 n",
    "rest_left": "float32 n",
    "rest_right": "float32 n",
}
_JUDGEMENT_FORMS: Forms = {
    **dict.fromkeys(BY_LENGTH, f"float32 rows 2 {len(LENGTHS)}"),
    **dict.fromkeys(OF_FORMS, "float32 rows 2"),
    "beyond_share": "float32 rows 2",
    "n_forms": "int32 rows 2",
    "letterless": "bool rows 2",
    "reading": "int8 rows 2",
    "difference_p": "float32 rows",
}
_READOUT_FORMS: Forms = {
    "top_ids": "int32 rows k",
    "top_scores": "float32 rows k",
    "bottom_ids": "int32 rows k",
    "bottom_scores": "float32 rows k",
    "counts": "int32 rows bins",
    "low": "float32 rows",
    "high": "float32 rows",
    **_JUDGEMENT_FORMS,
}


def _prefix_forms(prefix: str, forms: Forms, **axes: str) -> Forms:
    """Prefix the names of the forms, and rename some of their axes."""
    return {f"{prefix}_{name}": " ".join(axes.get(word, word) for word in form.split()) for name, form in forms.items()}


def _side_forms() -> Forms:
    """Return the readout forms of both sides, each with as many tokens as its vocabulary, or its entries, have."""
    return _prefix_forms("left", _READOUT_FORMS, rows="n", k="k_left") | _prefix_forms(
        "right", _READOUT_FORMS, rows="n", k="k_right"
    )


_PACKING_FORMS: Forms = {
    "cosine_counts": "int64 200",
    "cosine_expected": "float64 200",
    "cosine_spreads": "float32 2",
    "mean_share": "float32 1",
    **{f"needs_errors_{who}": "float32 most" for who in ("atoms", "random", "pca")},
    **{f"needs_quartiles_{who}": f"int32 {len(THRESHOLDS)} 3" for who in ("atoms", "random", "pca")},
    "lonely_cosines": "float32 n",
    "lonely_control": "float32 5",
    "coherence": "float32 n",
    "coherence_control": "float32 1",
}
LAYOUT: dict[ArtifactKind | PromptKind, Forms] = {
    "decomposition": {
        **_TERM_FORMS,
        **_side_forms(),
        **_prefix_forms("bias", _READOUT_FORMS, rows="1", k="k_bias"),
        "unit": "int32 n",
        "left_curve": "float32 n positions",
        "units": "int32 m",
        **{f"units_{kind}": "int32 m" for kind in LAYER_KINDS},
        "stack": "int32 2",
        "held": "float32 n",
        "mixture": "float32 n mixed",
        "mixture_of": "int32 n mixed",
        "explained": "float32 points",
        "explained_svd": "float32 points",
        "explained_at": "int32 points",
        "vectors": "float32 n d_model",
        **_PACKING_FORMS,
    },
    "layer": {
        **_TERM_FORMS,
        **_side_forms(),
        "head": "int32 n",
        "circuit": "int8 n",
        "spectra": "float32 heads 2 d_head",
    },
    "scores": {
        f"{circuit}{score}": "float64 layers heads"
        for circuit, score in (
            ("", "copying"),
            *(
                (circuit, score)
                for circuit in ("ov-", "qk-")
                for score in ("top", "first-share", "participation", "entropy-rank", "stable-rank")
            ),
        )
    },
    "gallery": {
        **dict.fromkeys(("kind", "side", "ray", "label", "ray_class", "reading"), "int8 n"),
        **dict.fromkeys(("head", "index"), "int32 n"),
        **dict.fromkeys(("strength", *NUMBERS), "float32 n"),
        "letterless": "bool n",
        "share": "float64 n",
        "turn": "float32 n 2",
        **{f"{side}_ids": f"int32 n {GALLERY_TOKENS}" for side in SIDE_PREFIXES},
        **{f"{side}_scores": f"float32 n {GALLERY_TOKENS}" for side in SIDE_PREFIXES},
        "every_p": "float32 m",
        "readable": "float32 heads 2",
    },
    "census": {
        "group": "int8 n",
        "part": "int16 n",
        "index": "int32 n",
        "of": "int32 n",
        "z": "float32 n 2",
        "p": "float32 n 2",
        "control_read": "int64 bins",
        "control_write": "int64 bins",
    },
    "control": {
        "trained": "bool d_vocab",
        "mean": "float32 d_model",
        "components": "float32 m d_model",
        "coherence": f"float32 {CONTROL_DIRECTIONS} 2 {len(LENGTHS)}",
        "forms": f"float32 {CONTROL_DIRECTIONS} 2 {len(FORM_LENGTHS)}",
        "beyond": f"float32 {CONTROL_DIRECTIONS} 2 {len(BEYOND_LENGTHS)}",
        "spelling": f"float32 {CONTROL_DIRECTIONS} 2 {len(SPELLING_LENGTHS)}",
        "ids": f"int32 {CONTROL_SHOWN} 2 k",
    },
    "rotation": {f"{side}_coherence": f"float32 {ROTATED_VECTORS} 2" for side in SIDE_PREFIXES},
    "comparison": {
        **{f"errors_{basis}": f"float32 {MOST_NONZEROS}" for basis in BASES},
        **{f"control_{basis}": f"float32 {MOST_NONZEROS}" for basis in BASES},
        **{f"explained_{basis}": f"float32 {len(SPANS)}" for basis in BASES},
        **{f"overlaps_{first}": "float32 bases bases" for first in SPANS},
        **{f"smallest_{first}": "float32 bases bases" for first in SPANS},
        **{f"partner_{one}_{other}": f"int32 {one}" for one in BASES for other in BASES if one != other},
        **{f"cosine_{one}_{other}": f"float32 {one}" for one in BASES for other in BASES if one != other},
        **{f"near_{one}_{other}": "float32 1" for one in BASES for other in BASES if one != other},
        "unit": "int32 neuron",
    },
    "vectors": {"left": "float32 n d_left", "right": "float32 n d_right"},
    "full": {
        name: form
        for role in ROLES
        for name, form in {
            **_prefix_forms(
                role,
                {name: form for name, form in _READOUT_FORMS.items() if name.endswith(("ids", "scores"))},
                rows="1",
            ),
            f"{role}_own_score": "float32 1",
            f"{role}_own_rank": "int32 1",
        }.items()
    },
    "bank": {
        "kind": "int8 n",
        "head": "int16 n",
        **dict.fromkeys(("index", "unit"), "int32 n"),
        **dict.fromkeys(("side", "end"), "int8 n"),
        **dict.fromkeys(("strength", "gain", "spread"), "float32 n"),
        "ids": "int32 n 2 k",
        **dict.fromkeys(("z", "p"), "float32 n 2"),
        "reading": "int8 n 2",
        "letterless": "bool n 2",
        "vectors": "float32 n d_model",
        "halves": "float16 n d_model",
    },
    "words": {"unit": "float32 n d_model", "halves": "float16 n d_model"},
    "moments": dict.fromkeys(BANK_ENDS, "float32 d_model d_model"),
    "shadow": {"ids": "int32 m 2 k"},
    "tokens": {
        "centre": "float32 d_model",
        "mean": "float32 d_model",
        "components": "float32 m d_model",
        "coordinates": "float32 d_vocab m",
        **dict.fromkeys(("rest", "length"), "float32 d_vocab"),
        "odd": "int32 o",
        "vectors": "float32 o d_model",
    },
    "readings": {
        "kind": "int8 n",
        "head": "int16 n",
        "index": "int32 n",
        "part": "int8 n",
        **dict.fromkeys(("layer", "reader"), "int16 n"),
        "specificity": "float32 n",
        "counts": f"int64 {len(PARTS)} layers {BINS}",
        "pairs": f"int64 {len(PARTS)} layers",
    },
    "composition": {
        "cs": f"float32 {len(COMPOSED)} heads heads",
    },
    "use": {
        "ids": "int32 windows tokens",
        **dict.fromkeys(("used", "even", "mean", "spread", "read_spread", "positive"), "float32 layers heads rank"),
        "skew": "float32 layers heads rank 3",
        "fitted": "float32 layers heads rank",
        "first": "float32 layers heads 3",
        "ratio": "float32 3",
        "stream": "float32 layers",
        "peaks": f"float32 layers heads rank 2 {USE_PEAKS}",
        "peaks_at": f"int32 layers heads rank 2 {USE_PEAKS}",
    },
    "use-outputs": {"covariance": "float32 halves layers heads rank rank"},
    "use-streams": {"mean": "float32 points d_model", "chance": "float32 d_vocab"},
    "use-text": {"ids": "int32 windows tokens"},
    "use-part": {
        "ids": "int32 windows tokens",
        **dict.fromkeys(("attended", "squares"), "float64 layers groups halves heads rank"),
        "products": "float64 layers halves heads rank rank",
        "powers": "float64 layers groups powers heads rank",
        "positive": "int64 layers groups heads rank",
        "positions": "int64 layers groups halves",
        "streams": "float64 points d_model",
        "chances": "float64 d_vocab",
        "counted": "int64 1",
        "stream": "float32 layers n",
        "peaks": "float32 layers windows heads rank 2",
        "peaks_at": "int32 layers windows heads rank 2",
    },
    "linear": {
        **{
            f"{name}_{basis}": f"float32 terms_{basis}"
            for name in ("score", "embedding", "start", "end")
            for basis in LINEAR_BASES
        },
        **{f"map_{basis}": f"float32 blocks_{basis} blocks_{basis}" for basis in LINEAR_BASES},
        **{f"diagonal_{basis}": "float32 1" for basis in LINEAR_BASES},
        "whole": "float32 3",
        "unmoved": "float32 1",
        "penalty": "float64 1",
        "positions": "int32 2",
    },
    "unlikely": {
        "at": "int32 n 2",
        "ids": "int32 n m",
        **dict.fromkeys(("naive", "control", "without", "signed", "signed_others", "undone"), "float32 points 3"),
        **dict.fromkeys(("share", "chance"), "float32 points"),
        "middle": "float32 measures 3",
    },
    "prompt": {
        "next_ids": "int32 n k",
        "next_chances": "float32 n k",
        "token": "int32 1",
        "chance": "float32 asked",
        **dict.fromkeys(("logit", "embedding", "constant"), "float32 1"),
        **dict.fromkeys(("attention", "mlp"), "float32 layers"),
        "attended": "float32 layers heads rank",
        **dict.fromkeys(("strength", "weight"), "float32 layers heads rank"),
    },
    "neurons": {
        "layer": "int16 m",
        "unit": "int32 m",
        **dict.fromkeys(("activation", "direct"), "float32 m"),
    },
    "removals": {"total": "float32 m", "random": "float32 m draws"},
    "course": {"read": "float32 n", "attended": "float32 n", "pattern": "float32 n n"},
    "attention": {
        **dict.fromkeys(("source", "first"), "int32 1"),
        **dict.fromkeys(("pattern", "score"), "float32 m"),
        **dict.fromkeys(("cap", "still"), "float32 1"),
        **dict.fromkeys(("strength", "read", "held"), "float32 rank"),
        "bias": "float32 parts",
        **dict.fromkeys(("row_read", "row_held", "row_other"), "float32 query_rank"),
        "settled": "int32 splits",
        **dict.fromkeys(("settled_random", "row_settled_random"), "int32 draws"),
        **dict.fromkeys(("size", "angle", "frequencies"), "float32 planes"),
    },
    "pairs": {
        **dict.fromkeys(("to", "source"), "int32 m"),
        **dict.fromkeys(("score", "attention"), "float32 m"),
        "term": "float32 m rank",
    },
    "lens": {
        "top": "int32 points n",
        **dict.fromkeys(("top_chance", "chance", "divergence"), "float32 points n"),
        "rank": "int32 points n",
        "constant": "float32 n",
        **dict.fromkeys(("attention", "mlp"), "float32 layers n"),
        "embedding": "float32 n",
    },
    "spans": {"size": "int32 spans", "share": "float32 points n spans", "random": "float32 spans"},
    "outcome": {
        "top": "int32 m",
        "chance": "float32 rows m",
        "divergence": "float32 others",
        "set_ids": "int32 sets k",
        "set_sign": "int8 sets",
        "set_chance": "float32 rows sets",
        "named_chance": "float32 rows named",
        "course": "float32 n",
        "energy": "float32 others",
        "size": "float32 1",
    },
    "curve": {
        "amount": "float32 m",
        **dict.fromkeys(("divergence", "random"), "float32 m"),
        "set_chance": "float32 m",
    },
    "histories": {
        "score": "float32 rules d_model",
        "dependence": "float32 2",
        "kept": "float32 2 r",
        **dict.fromkeys(("rv", "overlap"), "float32 pairs"),
        "dimensions": "int32 1",
        "scale": "float32 texts",
    },
    "study": {
        **dict.fromkeys(("amount", "divergence", "odds"), "float32 rules m"),
        "rank": "int32 q",
        **dict.fromkeys(("kept", "likeness", "rank_divergence", "rank_odds"), "float32 q"),
        "before": "float32 1",
    },
    "continuation": {"ids": "int32 rows m", "surprise": "float32 rows m"},
    "alike": {
        **{side: "float32 groups groups" if side in SHARED_SIDES else "float32 heads heads" for side in SPAN_SIDES},
        **{f"rank_{side}": "int32 groups" if side in SHARED_SIDES else "int32 heads" for side in SPAN_SIDES},
    },
}
"""The arrays that an artifact of each kind may have; which of them it has depends on the matrix and its basis."""


class Mislaid(Exception):
    """The arrays do not have the layout of their kind of artifact."""


def count_first(d_head: int) -> int:
    """Return how many of a head's directions are the first ones, whose share of its output is told."""
    return max(1, min(USE_FIRST, d_head // 2))


def count_unlikely(d_model: int) -> int:
    """Return how many of the least likely tokens are taken at a position."""
    return max(1, min(UNLIKELY_TOKENS, d_model // 9))


def list_middle(n_layers: int) -> range:
    """List the streams in the middle third of a model, of those that enter a layer."""
    return range(n_layers // 3, max(n_layers // 3 + 1, 2 * n_layers // 3 + 1))


def check_layout(kind: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise Mislaid, naming the first array that the kind does not have, or that has another type or shape."""
    forms, axes = LAYOUT[cast("ArtifactKind | PromptKind", kind)], dict[str, int]()
    for name, array in arrays.items():
        form = forms.get(name)
        if form is None:
            raise Mislaid(f"an artifact of the kind {kind} has no array {name}")
        dtype, *words = form.split()
        sizes = zip(words, array.shape, strict=False)
        expected = [int(word) if word.isdecimal() else axes.get(word, size) for word, size in sizes]
        if array.dtype != np.dtype(dtype) or array.ndim != len(words) or [*array.shape] != expected:
            raise Mislaid(f"{name} is {array.dtype} {array.shape} where {form} belongs; others have {axes}")
        axes |= dict(zip(words, array.shape, strict=True))
