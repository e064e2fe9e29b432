"""What is searched and found, and in which weights."""

from app.web.view.glossary.term import Term

FINDING: dict[str, Term] = {
    "search-theme": Term(
        "likeness",
        "How alike an end's first 20 tokens are, on average, to the words that were searched for: 1 were they the words "
        "themselves, 0 for tokens that have nothing to do with them.",
        "The mean of e · q over the tokens: e are their vectors, in the embedding where a side reads and in the unembedding "
        "where it writes, without the mean of all tokens and the first d / 32 components (what tokens share by how frequent "
        "they are), at unit length; q is the sum of those of the words, likewise.",
    ),
    "alignment": Term(
        "alignment",
        "Product of the direction's own vector and the words', both at unit length: whether the direction itself is about "
        "the words, not only its tokens.",
        "Of the end that was found, so that it is rarely below 0. A likeness without an alignment comes from tokens that are "
        "near to the words, along a direction that is not.",
    ),
    "expected": Term(
        "expected by chance",
        "How many directions of the model would be aligned as well with any vector in the place of the words': fewer than .01 "
        "is clear, fewer than 1 weak, and more is no better than a random direction.",
        "E = N · 2 Φ(−c / √(qᵀ C q)) for an alignment of c, where N is the number of vectors and C the mean of v vᵀ over those "
        "of the end. N is that of the whole model, whatever the filters are.",
    ),
    "gain": Term(
        "gain",
        "A direction's singular value beside those of its matrix: 1 for an average one, below .5 for one that the matrix uses "
        "little.",
        "σᵢ √n / ‖M‖. Vectors of full matrices fill the stream, so that some are near to anything: those that the matrix "
        "avoids, too. Of a neuron it is the length of its weights beside those of the others.",
    ),
    "search-fdr": Term(
        "false discovery rate of a search",
        "The share of the nearest ends that chance may have brought, at most: how many random directions, read with the same "
        "tokens, are as like the words, beside how many of the model's have.",
        "For close-knit words, such as months, any direction is as like them now and then: hence a comparison for each "
        "search.",
    ),
    "search-strip": Term(
        "strip of a search",
        "Where in depth what is nearest lies, by kind of matrix: the darker a layer, the more there.",
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
}
