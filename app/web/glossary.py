"""The words of the pages: one sentence for every number and every note. The single source of both.

Knows no page and no value: it says what a number means, not what it is.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """One entry."""

    name: str
    """As a heading or a label says it."""
    sentence: str
    """What the tooltip says."""
    more: str = ""
    """What the glossary adds: a formula, a source, a trap."""


TERMS: dict[str, Term] = {
    "singular-value": Term(
        "singular value",
        "How strongly the matrix acts along this direction: the weight of this term in the sum.",
        "σᵢ in M = Σ σᵢ uᵢᵀ vᵢ. A matrix with larger weights has larger singular values; compare shares, not values, "
        "between matrices.",
    ),
    "energy-share": Term(
        "share", "This direction's part of the squared size of the matrix: σᵢ² divided by the sum of all σ²."
    ),
    "gap": Term(
        "gap",
        "Relative distance to the nearest neighbouring singular value; the smaller, the less well defined the direction is by itself.",
        "The smaller of 1 − σᵢ/σᵢ₋₁ and 1 − σᵢ₊₁/σᵢ.",
    ),
    "subspace": Term(
        "subspace",
        "These directions are one subspace: rounding of the stored weights can turn each by more than 10° into the others.",
        "Only their span means something. Another rounding of the same weights would show other tokens.",
    ),
    "close": Term(
        "close", "Rounding of the stored weights can turn this direction by 1° to 10° towards its nearest neighbours."
    ),
    "rank": Term("rank", "How many directions the matrix has: at most the dimension of a head."),
    "top": Term("top singular value", "The largest singular value of the matrix: how far it can stretch a vector."),
    "first-share": Term(
        "first share", "The share of the first direction: near 1 where one direction is the whole matrix."
    ),
    "stable-rank": Term(
        "stable rank",
        "Sum of all σ² divided by the largest σ²: about how many directions are as strong as the first.",
    ),
    "participation": Term(
        "participation ratio",
        "(Σ σ²)² divided by Σ σ⁴: about how many directions share the energy.",
    ),
    "entropy-rank": Term(
        "entropy rank",
        "Exponential of the entropy of the energy shares: an effective number of directions.",
    ),
    "copying": Term(
        "copying score",
        "Near +1 where, on the direct path, tokens mostly promote themselves; near −1 where they suppress themselves.",
        "Σλ / Σ|λ| over the eigenvalues of W_E W_V W_O W_U (Elhage et al. 2021); for folded weights W_E behind the norm, "
        "for encoders W_E in the place of W_U.",
    ),
    "score": Term(
        "score",
        "Dot product of the token's vector with the direction, which has length 1; in float64, ties by token id.",
    ),
    "ray": Term(
        "ray",
        "One sign of a direction. The sign is a convention, and both sides flip together: + reads with + writes.",
        "The largest entry of the right-hand vector is made positive.",
    ),
    "read": Term(
        "reads",
        "Tokens whose embedding lies most along the direction that makes the matrix answer.",
        "Read with W_E; in folded weights after the norm's centring and scaling, as the layer sees a lone embedding. "
        "Where attention reads the stream without a norm, with W_E as it is.",
    ),
    "write": Term(
        "writes",
        "Tokens whose unembedding has the largest dot product with what is added to the residual stream: the direct path.",
        "Read with W_U; in folded weights after the final norm's gain, centred over the vocabulary. An encoder has no "
        "W_U: read with W_E.",
    ),
    "query": Term(
        "query side",
        "Tokens whose embedding lies most along the direction that is compared where attention looks from.",
    ),
    "key": Term(
        "key side", "Tokens whose embedding lies most along the direction that is compared where attention looks."
    ),
    "ov": Term(
        "OV",
        "What a head writes, given what it reads at the token it attends to: W_V W_O.",
        "Row vectors, y = x M, as in TransformerLens; the directions on the left read, those on the right write.",
    ),
    "qk": Term(
        "QK",
        "How well a query matches a key: W_Q W_Kᵀ. With biases and positions it gives the attention scores; it writes nothing.",
        "Left directions read at the query, right ones at the key. The model's scale, mostly 1/√d_head, is not included.",
    ),
    "distance": Term(
        "distance",
        "How many positions the key stands before the query: rotary models turn the two against each other by it.",
        "W_Q R_D W_Kᵀ, where R_D turns pairs of a head's coordinates, each pair by its own frequency; the bias towards "
        "keys turns too. Distance 0 turns nothing: maps and layers show that.",
    ),
    "ov-constant": Term(
        "constant", "What OV writes whatever it reads, b_V W_O + b_O; it belongs to no direction. b_O is its layer's."
    ),
    "key-bias": Term("key bias", "b_Q W_Kᵀ: keys that are favoured whatever the query; it belongs to no direction."),
    "histogram": Term("all tokens", "How the whole vocabulary scores on this side; heights on a logarithmic scale."),
    "coherence": Term(
        "coherence",
        "Mean cosine between the top tokens that the ray writes, the vocabulary's mean removed. Any direction has some.",
        "A guide for where to look first, not a test: it has no control yet.",
    ),
    "folded": Term(
        "folded weights",
        "What the network computes through its norms: gains and centring are multiplied into the matrices.",
        "W_V becomes P diag(g) W_V, W_O becomes W_O P with P = I − 1ᵀ1/d (P = I for RMSNorm), W_U takes the final norm's "
        "gain. Norms of queries and keys, or of what the heads write, give their gains too. Signs and indices do not "
        "carry over from raw weights.",
    ),
    "raw": Term(
        "raw weights",
        "The matrices as the checkpoint stores them, as most published tables show them.",
        "Whatever the norms multiply by is missing, before attention and after it.",
    ),
    "fingerprint": Term(
        "fingerprint",
        "A hash of tensors, configuration and tokenizer; a link with its first digits names these very weights.",
    ),
    "parameters": Term("parameters", "Numbers in the checkpoint, each stored once."),
    "layers": Term("layers", "Blocks of attention and MLP, counted from 0."),
    "heads": Term("heads", "Attention heads in each layer, counted from 0: L5H3 is head 3 of layer 5."),
    "d-model": Term("d_model", "Width of the residual stream, the vector every layer reads from and adds to."),
    "d-head": Term("d_head", "Width of one head; its OV and QK have at most that many directions."),
    "vocabulary": Term("vocabulary", "Tokens the model knows."),
    "context": Term("context", "The longest text the model takes, in tokens."),
    "kv-heads": Term("key/value heads", "Heads whose keys and values several query heads share, in each layer."),
    "experts": Term(
        "experts",
        "Alternatives of one MLP, of which each token uses a few: a mixture, not one matrix, so it has no page.",
    ),
    "norm": Term("norm", "Where vectors are brought to one length around attention, and by which kind of norm."),
    "positions": Term(
        "positions",
        "How the model knows where a token stands: learned vectors in the stream, turned queries and keys (rotary), "
        "or a slope on the scores (ALiBi).",
    ),
    "sinks": Term(
        "sinks", "Attention may go to nothing: the weights that a head gives to tokens can sum to less than one."
    ),
    "precomputed": Term(
        "precomputed",
        "OV and QK of these heads were taken apart and read out before, in these weights: their pages open at once. "
        "The others are computed when somebody first asks.",
    ),
    "checked": Term(
        "checked",
        "At import these weights were put through identities that the model's own computation must satisfy; the numbers "
        "are the largest errors over all layers, relative to the largest value.",
    ),
    "job-matrices": Term(
        "matrices of a job",
        "What a job computes, one by one: the OV matrix of a head, or its QK matrix; with folded and raw weights, each twice.",
    ),
    "job-layers": Term(
        "layers of a job",
        "Layers of which all is there that was asked for; with folded and raw weights, each counts twice.",
    ),
    "job-found": Term("there before", "Matrices that were on disk already: they are left as they are."),
    "heads-per-second": Term(
        "heads per second",
        "How many heads this job computes in a second, all matrices of each, from its first ones on; what was there "
        "before does not count.",
    ),
    "unsettled": Term(
        "settled the slower way",
        "Share of the rays whose top tokens the fast pass could not put into a certain order: they were scored again with more digits.",
    ),
    "compute-time": Term(
        "computing and writing",
        "Time spent on the heads and on the disk; both go on at once, so together they may be more than has passed.",
    ),
}

NOTES: dict[str, str] = {
    "folded": "Folded weights: what the network computes through its norms.",
    "raw": "Raw weights: as the checkpoint stores them.",
    "raw-read": "Raw weights: what the norm before attention multiplies by is missing from what is read; "
    "the folded view has it.",
    "raw-encoder": "Raw weights: an encoder's attention reads the stream as it is, and its norms stand after the heads.",
    "stream-read": "No norm stands before this attention: tokens are read with their plain embeddings.",
    "post-norm": "What the heads write passes a norm: its gain is in the write side, its length is not, so what is "
    "written is right up to a positive factor a token.",
    "raw-post-norm": "The gain of the norm that the heads' writing passes is missing from the write side; "
    "the folded view has it.",
    "qk-no-write": "QK writes nothing: both sides are read with the embedding, and neither is an effect on logits.",
    "tied": "This model's embedding and unembedding are one matrix: both sides are read with the same vectors.",
    "untied": "Read sides use the embedding, the write side uses the unembedding; they are different matrices.",
    "no-unembedding": "An encoder has no unembedding: both sides, and the copying score, use the embedding, "
    "and the write side is no effect on logits.",
    "sinks": "Attention may go to a sink: the constant is then not written in full.",
    "qk-norm": "Queries and keys pass norms of their own: the gains are in, the lengths are not, so scores are right "
    "up to a positive factor for each query and each key.",
    "raw-qk-norm": "The gains of the norms of queries and keys are missing; the folded view has them.",
    "no-rotation": "Distance 0: no rotation, as for a token that attends to itself.",
    "rotation": "Queries are turned against keys as for a key that stands this many positions before the query.",
    "still-layer": "This layer does not turn queries and keys by their positions: QK is the same at any distance.",
    "zero-matrix": "This matrix is zero: it has no directions.",
}
"""What a reader must know before believing a table, by the keys of `MatrixPage.notes`."""

KEYS: tuple[tuple[str, str], ...] = (
    ("/", "to the jump box: L5H3, L5H3 ov 12, L5"),
    ("[ ]", "previous and next direction, head or layer"),
    ("c", "copy the link to these very weights"),
    ("?", "this list"),
    ("← ↑ ↓ →", "move over the map or the bars, once one has focus"),
)
"""(key, what it does): the keyboard, for the help and the glossary."""


def score_name(key: str) -> str:
    """What a score of the map is called.

    Example: score_name("ov-stable-rank") -> "OV stable rank"
    """
    circuit, _, rest = key.partition("-")
    if circuit in {"ov", "qk"}:
        return f"{circuit.upper()} {TERMS[rest].name}"
    return TERMS[key].name


def score_key(key: str) -> str:
    """The glossary entry of a score of the map.

    Example: score_key("ov-stable-rank") -> "stable-rank"
    """
    circuit, _, rest = key.partition("-")
    return rest if circuit in {"ov", "qk"} else key
