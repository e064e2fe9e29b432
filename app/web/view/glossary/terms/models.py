"""What a model is, and the jobs that compute it."""

from app.web.view.glossary.term import Term

MODELS: dict[str, Term] = {
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
        "The others, hatched on the map, are computed when somebody first asks.",
    ),
    "checked": Term(
        "verified",
        "At import these weights were put through identities that the model's own computation must satisfy; the numbers "
        "are the largest errors over all layers, relative to the largest value.",
    ),
    "job-matrices": Term(
        "matrices of a job",
        "What a job computes, one by one: the OV matrix of a head, or an embedding; with folded and raw weights, each twice.",
    ),
    "job-layers": Term(
        "layers of a job",
        "Layers of which all is there that was asked for; with folded and raw weights, each counts twice.",
    ),
    "job-found": Term("there before", "Matrices that were on disk already: they are left as they are."),
    "matrices-per-second": Term(
        "matrices per second",
        "How many matrices this job computes in a second, from its first ones on; what was there before does not count.",
    ),
    "unsettled": Term(
        "settled the slower way",
        "Share of the ends whose top tokens the fast pass could not put into a certain order: they were scored again with more digits.",
    ),
    "compute-time": Term(
        "computing and writing",
        "Time spent on the matrices and on the disk; both go on at once, so together they may be more than has passed.",
    ),
}
