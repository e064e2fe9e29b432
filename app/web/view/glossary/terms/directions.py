"""What a matrix is taken apart into: singular directions, other bases, and how good each is."""

from app.web.view.glossary.term import Term

DIRECTIONS: dict[str, Term] = {
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
    "quantised": Term(
        "quantised copy",
        "A copy of the model whose numbers were rounded to few levels, to save space: they are not the original's.",
        "A file of llama.cpp (GGUF) keeps numbers in blocks, each with its own step between levels: what is read is off by up "
        "to half a step. Warnings of near-equal singular values go by these steps. How far they turn directions is "
        "estimated for singular directions and principal components of single matrices, where levels are evenly spaced; not "
        "for the heads' vectors stacked, whose errors go together.",
    ),
    "determined": Term(
        "determined",
        "Another rounding like this copy's would turn the direction by less than 15° on both sides, in the median.",
        "To first order, from each block's step through gains, rotation and both factors: towards the other directions, and "
        "out of their span. Tried on SmolLM2's 4-bit copy with noise drawn again: of an end's first ten tokens another "
        "rounding keeps 8.9 where it turns by less than 5°, 7.8 at 8° to 10°, 6.5 at 12° to 15°, 5.4 at 15° to 20°, 3.9 at "
        "20° to 30°. Of directions that are not determined only the span means something. Warnings of near-equal singular "
        "values say how far it can be, in two standard deviations; this, how far it is in half of all roundings.",
    ),
    "strength": Term(
        "strength",
        "The size of this term: the Frobenius norm of what it adds to the matrix. In svd, the singular value.",
    ),
    "rank": Term("rank", "How many directions the matrix has; for OV and QK at most the dimension of a head."),
    "terms": Term("terms", "How many rank-one terms this basis writes the matrix with."),
    "top": Term("top singular value", "The largest singular value of the matrix: how far it can stretch a vector."),
    "first-share": Term(
        "first direction's share",
        "The share of the first direction: near 100% where one direction is the whole matrix.",
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
        "end",
        "A direction has two ends, + and −: what scores highest along it, and what scores lowest. Which is which is a "
        "convention, and both sides flip together: what + reads goes with what + writes.",
        "The largest entry of the right-hand vector is made positive. JSON and CSV call an end a ray.",
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
    "mlp-in": Term(
        "MLP in",
        "What each neuron of the MLP reads from the residual stream: W_in.",
        "Left directions read the stream, right ones live among the neurons. In a gated MLP, what the gate multiplies.",
    ),
    "mlp-gate": Term(
        "MLP gate",
        "What opens each neuron of a gated MLP: W_gate, which reads the residual stream before the nonlinearity.",
    ),
    "mlp-out": Term(
        "MLP out",
        "What each neuron of the MLP writes to the residual stream: W_out.",
        "Left directions live among the neurons, right ones write.",
    ),
    "embed": Term(
        "embedding",
        "The vector that each token puts into the residual stream: W_E.",
        "The token side of a direction is its left vector's own entries, one a token; the other side is what it writes.",
    ),
    "unembed": Term(
        "unembedding",
        "What the logit of each token reads from the end of the residual stream: W_U.",
        "The token side of a direction is its right vector's own entries, one a token.",
    ),
    "pos": Term(
        "positions",
        "The vector that each position puts into the residual stream: W_pos.",
        "The position side of a direction is its left vector's own entries: a curve over positions.",
    ),
    "heads/write": Term(
        "all OV outputs, stacked",
        "Every direction that any head's OV writes, times its singular value, with both signs: all heads stacked.",
        "2 × layers × heads × d_head vectors. The head side names the ends that a direction is made of.",
    ),
    "heads/read": Term(
        "all OV inputs, stacked",
        "Every direction that any head's OV reads, times its singular value, with both signs: all heads stacked.",
    ),
    "token": Term(
        "token side",
        "Tokens with the largest entries in the singular vector itself: nothing is multiplied, one number a token.",
    ),
    "neuron": Term(
        "neuron side",
        "Neurons with the largest entries in the vector itself; each leads to its own page.",
    ),
    "position": Term("position side", "Positions with the largest entries in the vector itself."),
    "head": Term(
        "head side", "Ends of heads with the largest entries in the vector itself: who writes, or reads, along it."
    ),
    "basis": Term(
        "basis",
        "A way to write a matrix as a sum of rank-one terms: svd, pca, nmf, ica, dictionary, neuron or frequency.",
        "Every basis gives terms of one form, so all are shown, searched and compared in the same way.",
    ),
    "explained": Term(
        "explained energy",
        "The share of the matrix's squared size that the span of the first terms holds; no span holds more than that of "
        "as many singular directions.",
        "Rows of the matrix, seen as points in the residual stream, are projected on the span; a mean that the basis takes "
        "out counts first.",
    ),
    "error": Term(
        "error", "What all terms together leave of the matrix: the norm of the rest divided by the norm of the matrix."
    ),
    "mean-share": Term("mean's share", "How much of the matrix's squared size its samples' mean alone is."),
    "mean": Term("mean", "The mean of the samples, which this basis takes out first: it belongs to no direction."),
    "variance": Term("variance", "How much the samples vary along the direction."),
    "kurtosis": Term(
        "kurtosis",
        "Excess kurtosis of the samples along the direction: 0 for a bell curve, large where few samples stand far out.",
    ),
    "gaussian-share": Term(
        "near Gaussian",
        "The share of the terms whose excess kurtosis is between −0.5 and 0.5: among such sources the method cannot tell which is which.",
    ),
    "usage": Term("usage", "The share of the samples that use the atom."),
    "frequency": Term(
        "frequency", "Where the group of tokens stands between frequent and rare: one over the mean rank of its ids."
    ),
    "components": Term("components", "How many terms are fitted."),
    "atoms": Term("atoms", "How many vectors the dictionary has; more than dimensions is what makes it overcomplete."),
    "sparsity": Term("sparsity", "How many atoms each sample may use at most."),
    "seed": Term("seed", "Where the fit begins: the same seed gives the same terms, another seed may give others."),
    "groups": Term("groups", "Into how many groups of equal size the tokens are put, from frequent to rare."),
    "packing": Term(
        "packing",
        "How the atoms of a dictionary lie in the residual stream: more vectors than dimensions cannot all be orthogonal.",
        "The samples' mean is taken out of the samples, and its direction out of atoms and random vectors: where it is "
        "large, it would be all that the numbers show.",
    ),
    "pair-cosines": Term(
        "cosines of all pairs",
        "How the cosines between atoms spread, beside random unit vectors, whose spread is 1/√d_model; heights are logarithms.",
    ),
    "needed": Term(
        "vectors needed",
        "Median number of vectors that bring a sample's own error below this, over 1,024 samples, and its quartiles.",
        "Found greedily, by orthogonal matching pursuit, in samples less their mean.",
    ),
    "far-atom": Term(
        "far from pca",
        "The largest cosine of an atom, without the direction of the samples' mean, to any principal direction, held "
        "against that of random vectors: any vector comes near some.",
    ),
    "nonzeros": Term("vectors per row", "How many vectors of a basis each row may be written with."),
    "span-size": Term(
        "first vectors", "How many vectors of each basis, the first of its order, span what is held against each other."
    ),
    "compared-direction": Term("direction", "Whose nearest partners are shown: a basis and an index, such as svd/12."),
    "coding-error": Term(
        "error",
        "What is left of samples, less the mean of all of them, that are each written with so few vectors, relative to "
        "their size without that mean.",
        "Greedily, by orthogonal matching pursuit, on 2,048 samples drawn at random; with orthonormal vectors, the best "
        "there is. The mean costs no basis a vector, nor random vectors. The error is of the weights, not of what they do on text.",
    ),
    "explained-centred": Term(
        "explained energy",
        "The share of the samples' squared size, the mean of all of them taken out, that the span of the first vectors holds.",
        "The size is that of the weights, not of what they do on text. No span of as many vectors holds more of the samples as they "
        "are than that of the first singular directions, and of samples less their mean than that of the first principal components.",
    ),
    "random-dictionary": Term(
        "random vectors",
        "The same error with as many random vectors of the same span as the basis has: what its size and its span alone give.",
    ),
    "overlap": Term(
        "overlap",
        "Mean squared cosine of the principal angles between two spans: 1 where they are one, 0 where they are orthogonal.",
    ),
    "partner-cosine": Term(
        "cosine", "Between the two vectors in the residual stream; negative where they point against each other."
    ),
    "partner-control": Term(
        "random",
        "The size of cosine that 95% of random vectors of the span of the direction's own basis stay below with their nearest of "
        "this one.",
        "The bases of a head's matrix share a span of few dimensions, where any two vectors are more alike than in the whole stream.",
    ),
}
