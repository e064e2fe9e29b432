"""The terms of the pages: one sentence for every number, for its tooltip, and what the glossary adds."""

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
    "distance": Term(
        "distance",
        "How many positions the key stands before the query: rotary models turn the two against each other by it.",
        "W_Q R_D W_Kᵀ, where R_D turns pairs of a head's coordinates, each pair by its own frequency; the bias towards "
        "keys turns too. Distance 0 turns nothing: maps and layers show that. A model that turns long texts otherwise "
        "(LongRoPE) is shown as in the shortest text that has the distance.",
    ),
    "full-circuit": Term(
        "full circuit",
        "A head's matrix between tokens instead of vectors: how each token scores each other one, of which a page shows "
        "one token's row.",
        "W_E W_V W_O W_U and W_E W_Q W_Kᵀ W_Eᵀ (Elhage et al. 2021); in folded weights W_E stands behind the norm.",
    ),
    "token-score": Term(
        "score",
        "Dot product of the other token's vector with what the head makes of this one; in float64, ties by token id.",
    ),
    "hub": Term(
        "hub tokens",
        "Tokens that are among the first ten at one in two hundred ends of random directions, or more: mostly long vectors "
        "of rare pieces. That they score high says little of a head.",
        "Told by the first 1,000 random directions of the control; in a small vocabulary it takes ten times as many places "
        "as an equal share.",
    ),
    "token-id": Term(
        "id",
        "The token's number. Most tokenizers number from frequent to rare, so that it says about how rare the token is.",
    ),
    "token-length": Term("length", "Of the token's row of the embedding, as stored."),
    "near-tokens": Term(
        "nearest by embedding",
        "Tokens whose embeddings point the same way, after taking out their mean and what most of them share.",
        "Cosines without the first d/32 principal components of the embedding, which tell frequent words from rare ones.",
    ),
    "token-z": Term(
        "z",
        "How far out the token lies along the direction, in standard deviations of the scores of all tokens.",
        "v · (w − mean) / √(vᵀ Σ v): w the token's own vector, mean and Σ those of all tokens.",
    ),
    "token-strength": Term(
        "σ·score",
        "The singular value times the product of the direction with the token's vector, less the mean of all tokens: how much it adds or answers, where z says "
        "how unusual that is.",
    ),
    "pair": Term(
        "two heads",
        "Directions that one head writes beside those that another reads with: the cosine of each two.",
        "By chance such a cosine is about 1/√d, either way. A cell is drawn from twice that on.",
    ),
    "pair-cs": Term(
        "CS through OV, or through QK",
        "How specifically the whole circuit of the second head reads what the first writes: 1 for matrices that lie anyhow.",
        "√d ‖W_OV M‖ / (‖W_OV‖ ‖M‖), M the second head's W_OV, W_QK or its transpose: composition (Elhage et al. 2021). Of one "
        "direction, a unit vector stands for the first W_OV. Lists of what reads a direction have another CS, of what W_Q, W_K or "
        "W_V alone takes in.",
    ),
    "token-rank": Term("rank", "The token's place in the order of that end among all tokens, counted from 1."),
    "token-expected": Term(
        "by chance",
        "How many of so many random unit directions would have this token as far out. Below .05 the direction is more than "
        "chance explains.",
        "n · 2Φ(−z √E|w − mean|² / |w − mean|): a token with a long vector lies far out along any direction.",
    ),
    "direct-reading": Term(
        "direct reading, from weights",
        "A direction that one matrix writes lies where another reads. Nothing here has been run: it says what could be read, "
        "not what is.",
        "What weights skip: the norm before each reader divides by the length of the whole stream at that token; rotary "
        "positions turn queries and keys; a softmax that is saturated hardly moves; MLPs between the two may change what "
        "was written; and a token must have something along the direction to begin with. Attention of a layer reads "
        "earlier layers; its MLP also reads attention of the same layer, unless the two run side by side.",
    ),
    "neighbours": Term(
        "like it",
        "Directions of other matrices that do the same to the stream, by the cosine of their vectors; only those of which "
        "fewer than one in twenty lists would hold one by chance.",
        "The cosine is divided by the root mean square of all cosines that were looked at: z. By chance n · 2Φ(−|z|) of n "
        "would be as far out. Left out: its own matrix, whose directions are orthogonal, heads that share its span because "
        "they share keys and values, and directions of gain below .1. − in front of a name: it is the other end that is like "
        "this direction's + end.",
    ),
    "read-by": Term(
        "read by",
        "Queries (Q), keys (K) and values (V) of later heads that read this direction more specifically than chance "
        "explains, and directions and neurons of later matrices that lie along it.",
        "Heads that share keys and values stand there once. Listed from CS 3 on where at most 35% are false.",
    ),
    "written-by": Term(
        "written by",
        "Directions and neurons that earlier matrices write along the direction that is read here: by cosine, beyond chance.",
    ),
    "reader-reads": Term(
        "read by the whole",
        "What is written before and read most specifically by all that this head reads with, not by this direction alone.",
    ),
    "cs": Term(
        "CS",
        "How specifically a head's query, key or value takes a direction in: 1 for a random one. Not how strongly.",
        "√d ‖v W‖ / ‖W‖, W being W_Q, W_K or W_V of the head. With the whole circuit, W_OV or W_QK, it is another number: CS "
        "through OV, or through QK.",
    ),
    "false-share": Term(
        "false, at most",
        "Of pairs that are so specific and so many layers apart, the share that pairs in the wrong order have as well, where "
        "the reader comes before the writer and nothing can be read. At most that share means nothing.",
        "Rate of reversed pairs divided by the rate of causal ones at the same distance; the smallest for any lower CS.",
    ),
    "own-score": Term("itself", "How the token scores in its own row: OV copies where that is high."),
    "own-rank": Term("rank", "The token's own place in its row: 1 where no token scores higher."),
    "ov-constant": Term(
        "constant", "What OV writes whatever it reads, b_V W_O + b_O; it belongs to no direction. b_O is its layer's."
    ),
    "mlp-constant": Term("constant", "What the MLP writes whatever it reads, b_out; it belongs to no direction."),
    "neuron-bias": Term(
        "neuron bias",
        "b_in: what each neuron has whatever is read; folded, with what the norm's shift adds. It belongs to no direction.",
    ),
    "token-bias": Term(
        "token bias",
        "b_U: what each logit has whatever is read; folded, with what the final norm's shift adds, centred over the "
        "vocabulary. It belongs to no direction.",
    ),
    "key-bias": Term("key bias", "b_Q W_Kᵀ: keys that are favoured whatever the query; it belongs to no direction."),
    "histogram": Term("all tokens", "How the whole vocabulary scores on this side; heights on a logarithmic scale."),
    "coherence": Term(
        "coherence",
        "How alike the top tokens of an end are in the model's own space: the mean cosine of all pairs, those of the first "
        "tokens counting most. Any direction has some.",
        "Pairs of ranks i and j weigh 1/(log₂(i + 1) log₂(j + 1)). Never-trained tokens are left out; the vocabulary's "
        "mean and one in 16 principal components are taken out of the vectors (all-but-the-top, Mu & Viswanath 2018).",
    ),
    "readable": Term(
        "readable",
        "An end whose top tokens are more alike than those of 99 in 100 random directions: p < .01. Of many random ends, "
        "one in a hundred passes.",
        "Readable does not mean used: it says that the tokens belong together, not that the model relies on the direction, "
        "nor that they are all that it does.",
    ),
    "stands-out": Term(
        "stands out (●)",
        "An end whose tokens are more alike than those of random directions: by itself, at p < .01, and among all ends of "
        "its side of its matrix, at a false discovery rate of 10%. The one mark of these pages.",
        "Readable does not mean used: that says nothing of whether the model relies on it.",
    ),
    "control": Term(
        "control",
        "What ends are judged by: the same numbers of 2,000 random directions, read with the same vectors and the same "
        "tokens. All matrices that are read so share it.",
        "A model's embedding and unembedding have one each, so have folded and raw weights, and every choice of tokens. "
        "With fewer than 100 trained tokens there is none, and nothing is judged.",
    ),
    "z": Term(
        "z",
        "How many standard deviations of the control the end's coherence lies above the control's mean; of its first 50 "
        "tokens, unless something else is said.",
        "The control is skewed, so go by p: z only orders.",
    ),
    "p": Term(
        "p",
        "The share of the control's ends that are as coherent as this one, or more: (1 + as many) / (1 + all), so never "
        "less than 1 in 4,001.",
        "It judges one end by itself. In a list of many, some are below .01 by chance: there q is the number to look at.",
    ),
    "q": Term(
        "false discovery rate",
        "q: the share of false findings to expect in the list of this side's ends, the most coherent first, that stops at "
        "this one. Found is what has q < 10%.",
        "By Benjamini & Hochberg (1995), over all ends of one side of one matrix, wherever an end is shown; pages of many "
        "matrices show it of those that are computed. Counts of a whole gallery are over all that it looked at.",
    ),
    "spelling": Term(
        "spelling",
        "How alike an end's first 20 different words are spelt, or its first 10 where it has fewer: beginnings and endings of "
        "words, script, digits. Each word counts once, whatever its case and the space around it.",
        "It has a control of its own and uses nothing of the model. A readable end is called spelling where those of its "
        "words that neither begin nor end as one before them, with the same three letters, are no more alike than chance "
        "has it: only its letters may be what it has in common.",
    ),
    "theme": Term(
        "theme",
        "A readable end whose different words are alike, too, each counted once, and by more than their spelling.",
        "The words among its 50 tokens are judged as the tokens are: as many first ones as random ends have often enough to "
        "judge by, 10, 20, 30 or 40.",
    ),
    "one-word": Term(
        "one word",
        "A readable end whose tokens are alike because some are one word in several spellings: its different words, each "
        "counted once, are not shown to be more alike than those of random ends.",
    ),
    "partly-spelling": Term(
        "partly spelling",
        "An end whose words are spelt more alike than chance has it. Those that neither begin nor end as one before them are "
        "alike, too, but less than half as much.",
    ),
    "letterless": Term(
        "letterless",
        "An end most of whose first ten tokens, or of all, have no letter: quotes, brackets, digits, white space, bytes.",
        "They are alike in most models. Spelling says nothing of them.",
    ),
    "forms": Term(
        "words",
        "z and p of an end's different words, each counted once whatever its case and the space around it: as many first "
        "ones as random ends have often enough, 10, 20, 30 or 40.",
    ),
    "beyond-spelling": Term(
        "beyond spelling",
        "z and p of those of an end's words that neither begin nor end as one before them, with the same three letters.",
    ),
    "one-sided": Term(
        "one end",
        "One end is readable, and the two differ by more than those of 99 in 100 random directions do.",
        "Not that the other end means nothing, nor that it is not used. In the API: one-sided.",
    ),
    "antipodal": Term(
        "both ends", "Both ends are readable.", "Not that the two are opposites of each other. In the API: antipodal."
    ),
    "neither": Term(
        "no end",
        "No end is readable by this measure.",
        "Not that the direction means nothing. Tables show it as no word at all. In the API: neither.",
    ),
    "undetermined": Term(
        "can't tell",
        "One end is readable, but its lead over the other may be chance; or a number is missing.",
        "In the API: undetermined.",
    ),
    "skewness": Term(
        "skewness",
        "How lopsided the scores of all tokens are: 0 for a bell curve, positive where the long tail is on the + end.",
        "Of the histogram's bins, with Sheppard's corrections.",
    ),
    "excess-kurtosis": Term(
        "excess kurtosis",
        "How heavy the tails of the scores of all tokens are: 0 for a bell curve, large where few tokens stand far out.",
    ),
    "never-trained": Term(
        "never-trained tokens",
        "Tokens whose vectors training never moved apart: they still lie on one point, and would make any end look "
        "coherent. They are shown, but not counted.",
        "Known by their neighbours: a mean cosine above 0.9 to the nearest 20.",
    ),
    "token-filters": Term(
        "token filters",
        "Limit every readout to some tokens before the top ones are taken: ASCII, starts of words, plain ones, all but the "
        "first ids. Each choice has a control of its own.",
        "Most vocabularies are numbered from frequent to rare, so without the first ids is mostly without the most "
        "frequent. In byte-level ones some 256 bytes come first; sorted ones have no such order.",
    ),
    "readout": Term(
        "readout",
        "By what tokens are ranked: the dot product of their vectors with the direction, which is what the network computes, or "
        "the cosine, the same with every token's vector at unit length.",
        "A few tokens with long vectors stand in many lists of dot products. Cosines have a control of their own. Directions "
        "have unit length, so that their scores are then cosines; those of a bias are cosines times its length.",
    ),
    "readability": Term(
        "readable ends",
        "Share of the ends of the head's eight strongest directions, on both sides, whose top tokens are more alike than "
        "those of random directions, at p < .01. One in a hundred is what chance gives.",
        "It says how alike the tokens are, not that the model uses the ends.",
    ),
    "likeness": Term(
        "what an end is called",
        "Theme: different words are alike. One word: only its spellings are. Spelling: only words that begin or end alike are; "
        "partly spelling: the others are less than half as much. Letterless: most tokens have no letter.",
    ),
    "also": Term(
        "also",
        "Ends that share three of their ten first words with this one, and would say the same; of them the most readable "
        "is shown.",
        "Words: tokens without case, width and the space in front; of lists of signs, the signs themselves.",
    ),
    "themes": Term(
        "words",
        "Ends whose first tokens are words: first those that are alike beyond spelling, by the z of their words without "
        "those that begin or end alike; then those that are one word, or spelling, by z.",
        "In the API: themes.",
    ),
    "frequent": Term(
        "frequent tokens",
        "Readable ends most of whose first tokens have the first ids, are at most two bytes long, or no text: such ends "
        "top many matrices.",
        "A token's id stands for its frequency: true of vocabularies that were merged or numbered by counts.",
    ),
    "untrained": Term(
        "never-trained tokens",
        "Ends most of whose tokens were never trained, the strongest directions first: how alike such tokens are says "
        "nothing.",
        "Never trained: the token's vector nearly equals those of its 20 nearest neighbours.",
    ),
    "composition-score": Term(
        "composition",
        "How much of what one head writes another head's queries, keys or values read, beside a random head's output, "
        "which has 1 in the mean.",
        "CS = √d ‖OV M‖ / (‖OV‖ ‖M‖) in Frobenius norms, M the reader's QK for queries, QK transposed for keys, OV for values "
        "(Elhage et al. 2021, who show the ratio less 1/√d). Direct reading, from weights: what passes through layers between "
        "them, the norm's scale at each token, positions and the softmax are not in it.",
    ),
    "composition-fdr": Term(
        "false, at most",
        "Of the pairs with so much composition and more, at most this share is what pairs in the wrong order have, too.",
        "A head that writes later cannot be read by one of an earlier layer: how often such pairs reach the same score, divided "
        "by how often pairs in order do. An upper bound, since what is written late may be read early for its own sake.",
    ),
    "subspace-share": Term(
        "shared",
        "How much of the smaller of the two subspaces lies in the other: 100% where one holds the other.",
        "‖U₁ᵀU₂‖² divided by the smaller number of dimensions, U₁ and U₂ orthonormal: the mean squared cosine of the principal "
        "angles. Random subspaces have r/d.",
    ),
    "relative-gain": Term(
        "relative gain",
        "A direction's strength beside those of its matrix: 1 is their root mean square.",
        "gᵢ = σᵢ √n / ‖M‖, n the number of directions: spectra of large and small matrices lie on one scale.",
    ),
    "principal-angles": Term(
        "principal angles",
        "How near two subspaces lie, angle by angle: cosines of 1 are directions that both have, of 0 such as the other lacks.",
        "Singular values of U₁ᵀU₂, U₁ and U₂ orthonormal. Beside them those of random subspaces of the same sizes.",
    ),
    "matched-cosine": Term(
        "cosine",
        "How parallel two directions are, in the mean over the sides that are the stream's: both sides flip together.",
        "Partners are one to one, so that the sum of the cosines' sizes is largest (Hungarian method). Of random directions the "
        "same way matched the page says the mean, too.",
    ),
    "distance-percentile": Term(
        "beyond",
        "So many pairs of heads as many layers apart share less; pairs of one key/value group are left out.",
    ),
    "census": Term(
        "census",
        "How readable the ends of every matrix are beside random directions read with the same table, kind by kind. "
        "Readable does not mean used: that says nothing of whether the model relies on it.",
        "Both ends of every singular direction, QK at distance 0. A distribution of z says how a kind differs from random "
        "directions, the comparisons how two kinds differ that are read with one table.",
    ),
    "census-z": Term(
        "mean z",
        "Mean over ends of how many deviations of the control each end is more coherent than random directions; these "
        "have mean 0 and deviation 1. In brackets the interval at 95%.",
        "Percentile bootstrap: whole layers are drawn again 2,000 times, since heads of one layer are alike and no "
        "independent evidence, and so are the random directions. Kinds that are compared share their layers, which are "
        "drawn once for both. Widened for few layers; with fewer than five there is no interval, and nothing is claimed.",
    ),
    "census-readable": Term(
        "p < .01",
        "Share of the ends that fewer than one in a hundred random ends exceed; of random directions it would be 1%.",
    ),
    "census-unjudged": Term(
        "not judged",
        "Ends most of whose top tokens were never trained: that these are alike says nothing, so they count nowhere.",
    ),
    "census-discovered": Term(
        "FDR 10%",
        "Share of the ends that stay readable if a tenth of those called so may be false, over all ends of this kind.",
        "Benjamini and Hochberg 1995.",
    ),
    "census-beyond": Term(
        "none can be shown",
        "Some ends stand out from all random ones, but too few: of many tests, many must have the smallest p that so many "
        "random ends allow before any is found at a false discovery rate of 10%.",
        "With 4,000 random ends p is never below 1 in 4,001, so of 34,522 ends 87 must stand there.",
    ),
    "census-early": Term(
        "first − last quarter",
        "Mean z of a matrix's first quarter of directions minus that of the last, averaged over matrices: above 0 where "
        "strong directions read better.",
    ),
    "census-correlation": Term(
        "rank correlation",
        "Spearman's, of a direction's place in its matrix and its z, averaged over matrices: below 0 where strong "
        "directions read better.",
    ),
    "census-later": Term(
        "later − first half",
        "Mean z of the matrices of the later half of the layers minus that of the first half.",
    ),
    "census-depth": Term(
        "by depth",
        "The first layer, the last fifth of the layers, and the middle layers between them, each by itself: what is so in "
        "some need not be so in all.",
        "Intervals where there are at least five layers. An answer names the depth wherever one alone bears it out.",
    ),
    "census-span": Term(
        "the span or the direction",
        "Share of readable ends among a matrix's singular directions, and among random unit vectors of the same span: what "
        "these have as well is not owed to the directions.",
        "64 vectors of each side of two heads a layer, drawn by a seed, beside the directions of these same heads. An MLP's "
        "matrix spans the whole stream: random vectors of its span are random directions.",
    ),
    "census-span-difference": Term(
        "difference",
        "Share of readable ends of the directions minus that of the random vectors, in percent points; interval at 95%.",
        "Both are of the same layers, which are drawn for both at once.",
    ),
    "census-weighted": Term(
        "weighted by singular value",
        "Random vectors as the matrix makes them of random ones: each singular direction has a part in them as large as its "
        "singular value. Beside the four strongest directions of each matrix.",
        "Six vectors of each side of each matrix.",
    ),
    "census-axes": Term(
        "output axes",
        "Share of readable ends among the axes that heads' outputs vary along on text, among as many singular directions of the "
        "same heads, and among random vectors of the same spans.",
        "The axes are mixtures of the directions, so all three lie in one span. Random vectors are of two heads a layer, whose axes "
        "are counted by themselves beside them; or, beside the first four, six of each head weighted by singular value.",
    ),
    "census-cut": Term(
        "equal rank",
        "A matrix cut down at random to as many neurons as a head has dimensions, or the embedding to as many dimensions "
        "of the stream: what is left owes nothing to the matrix's size.",
        "Taken apart and read out as the others. What is drawn from one matrix counts as one matrix.",
    ),
    "census-difference": Term(
        "difference", "Mean z of the first kind minus that of the second, both read with one table; interval at 95%."
    ),
    "census-superiority": Term(
        "first larger",
        "How often, of two ends, one of each kind, the first has the larger z: 50% where the kinds do not differ.",
        "Probability of superiority; ties count half. Interval at 95%, as that of the mean.",
    ),
    "rotation": Term(
        "random rotation of the same span",
        "Unit vectors drawn at random from the span of the matrix's singular directions: an end that is more coherent than "
        "95% of theirs owes that to the direction, not only to the span. Chance: 5%.",
        "The control says whether a direction is more readable than any direction; the span of a matrix may be so as a "
        "whole. 256 random vectors of each side, isotropic in the span, judged as all ends are; p is the share of their "
        "512 ends that are as coherent, or more: (1 + as many) / (1 + all).",
    ),
    "blind": Term(
        "blind round",
        "Ten times two columns of tokens, one read out at an end of a direction of the model, one of a random direction with the same "
        "vectors: which is the model's? Guessing is right in 5 of 10.",
        "Ends are drawn from the eight strongest directions of any head's OV and QK: a matrix at random, then one of its "
        "ends, or one of those readable at p < .01. The same seed asks the same ten questions.",
    ),
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
    "used-share": Term(
        "used",
        "The share of the variance of what the head writes that is along this direction, on text that the model wrote by "
        "itself, at all tokens but the first of each text, on which models rest their attention.",
        "uᵢ = Mᵢᵢ / tr M with M = diag(σ) Cov(a) diag(σ), a what attention brings of a direction to a token. By the weights "
        "alone it is σᵢ² / Σ σ², which is what a stream of equal variance in all directions would give. The mean of what a "
        "head writes is in neither. What attention brings from the first token is part of it. A share says how large a direction's part is, not what the network does with it.",
    ),
    "overuse": Term(
        "use of the first directions",
        "How much more of what a head writes its first directions make, on text that the model wrote by itself, than "
        "by their weights alone: 0 is as much, 1 twice as much, −1 half as much.",
        "log₂ of Σ uᵢ over Σ σᵢ² / Σ σ², both sums over the first eight directions, or half of those of a smaller head; u are the used shares. 0, too, for a head that writes "
        "nothing that varies.",
    ),
    "use-skew": Term(
        "skew of what is read",
        "How one-sided the values are that the direction reads at tokens: 0 where both sides of their mean are alike, above 0 "
        "where the longer tail is on the + side.",
        "Third moment about the mean over the cube of the standard deviation, over all tokens but the first of each text; the "
        "interval is a bootstrap over groups of texts.",
    ),
    "fitted-axes": Term(
        "fitted axes",
        "The axes along which the head's output varies most: mixtures of its singular directions, fitted on one half of the "
        "text and scored on the other.",
        "Eigenvectors of M, the covariance of the output in the axes that the directions write to: the singular directions "
        "of the matrix weighted by what the stream really holds. No other axes of the span do better on the half that they "
        "were fitted on.",
    ),
    "linear-map": Term(
        "linear map",
        "The matrix that best predicts the stream that enters one layer from the one that enters an earlier layer, at the same "
        "token, on text.",
        "Ridge regression of centred streams, A = (XᵀX/n + λ s I)⁻¹ XᵀY/n with s the mean square of a coordinate. The windows of "
        "the text are shared out among four parts; each is predicted by the map of the other three, with the one λ of eight "
        "that predicts these held-out parts best. What attention brings from other tokens, and what is not linear, no such map can predict.",
    ),
    "linear-score": Term(
        "R²",
        "The share of what varies of the later stream along a direction that the linear map predicts, on windows of text that "
        "it was not fitted on: 1 is all, 0 nothing.",
        "1 − var(residual · b) / var(target · b). In all, the same of the sums over any orthonormal basis: a rotation changes "
        "it no more than the map. The mean over directions weighs all of them alike, and so depends on the basis. More text to "
        "fit on raises it: compare it within one page.",
    ),
    "linear-weighted": Term(
        "by variance",
        "The same mean, where each direction counts by how much the later stream varies along it: R² in all, in every orthonormal "
        "basis. Atoms of an NMF overlap, and are none.",
    ),
    "linear-random": Term(
        "random directions",
        "An orthonormal basis drawn at random: what any direction of the stream would show.",
        "Along a random direction large and small variances are mixed. A basis that tells them apart has a lower mean R² by that alone "
        "where what varies little is predicted worse: a lower mean does not say that the basis is predicted worse.",
    ),
    "linear-diagonal": Term(
        "on the diagonal",
        "The share of the map's squared entries, written in this basis, that stand on the diagonal: 1 where each direction "
        "goes to itself alone.",
        "The sum of (bᵢ A bᵢᵀ)² over that of all (bᵢ A bⱼᵀ)². Even a multiple of the identity, which is diagonal in every basis, adds to "
        "it: compare it with random directions.",
    ),
    "linear-unmoved": Term(
        "the stream as it is",
        "The R² of taking the later stream to be the earlier one, each less its mean over the text: the map is the identity.",
        "Below 0 where that is worse than predicting the mean.",
    ),
    "linear-quarters": Term(
        "quarters",
        "The directions of a basis in its own order, in four parts: from large to small variance (pca), from strong to weak "
        "(svd, nmf), from frequent to rare tokens (frequency).",
    ),
    "sink": Term(
        "sinks",
        "Positions whose stream is more than twenty times as long as is usual in their window: models rest their attention "
        "there, and a few of them would be most of what varies.",
        "The first position of each window is left out everywhere; these are further ones, such as a line break that begins a "
        "text.",
    ),
    "unlikely-control": Term(
        "beside the same tokens elsewhere",
        "How much of the stream lies in the span of the least likely next tokens' vectors, by how much of the streams at other "
        "positions lies in the span of the very same vectors: 1 is no more than there.",
        "Streams less their mean over the text, vectors less their mean over all tokens. A ratio of sums over positions, with a "
        "bootstrap interval over windows of the text. What streams hold of these vectors at all positions alike is in both.",
    ),
    "unlikely-without": Term(
        "without their mean",
        "The same ratio, where the mean of the set's vectors is taken out of the span: what all of these tokens share, such as "
        "being unlikely everywhere.",
    ),
    "unlikely-naive": Term(
        "beside as frequent tokens",
        "The ratio that one writes first: the share of the whole stream in the span of the least likely tokens' vectors, by that "
        "in the span of tokens about as frequent. It misleads.",
    ),
    "unlikely-signed": Term(
        "towards their mean",
        "Cosine of the stream with the mean of the set's vectors: above 0 where the stream speaks for these tokens, below 0 "
        "where it speaks against them. Of the other directions of the span it says nothing.",
    ),
    "unlikely-undone": Term(
        "taken away later",
        "Cosine of what the stream has in the span with what all later layers add there: near −1 if they took it away.",
    ),
    "output-share": Term(
        "output",
        "The share of what varies in what the head writes that is along this axis, on the text that the axes are fitted to: on "
        "other text the first axes have less, and later ones more. Shares of the first few together are what to compare.",
        "λᵢ / Σ λ, λ the eigenvalues of M, whose eigenvectors mix the singular directions: M is the covariance of the output "
        "along these, the mean of both halves of the text. It is the SVD of W with what the head attends to as its weights, √C W.",
    ),
    "held-share": Term(
        "held out",
        "The share along the axis of that place which was fitted on the other half of the text: what to expect of text that "
        "it is not fitted to.",
        "Fitted on every second window and scored on the windows between, both ways, and averaged. Axes with nearly equal shares "
        "change places from one half to the other, so it is a number of the place as much as of this very axis.",
    ),
    "mixture": Term(
        "mixture",
        "The singular directions that the axis is most like, each with the size of the cosine between what the two write.",
        "The squares add up to 1 over all directions: .50 of direction 0 means that a quarter of the axis is along it. A random "
        "axis of 64 dimensions has .33 of the direction that it is most like, on average.",
    ),
    "output-participation": Term(
        "output's participation",
        "About how many axes share what varies in what the head writes.",
        "(Σ λ)² / Σ λ², λ the variances along the axes. For a stream that varies alike in all directions it would be the "
        "participation ratio of OV.",
    ),
    "statistics": Term(
        "statistics",
        "The number of the statistics of use that the axes are fitted to. A permanent link names them: another text has other "
        "axes.",
        "It is made of the weights, the text and how it was run, so it is the same on every server.",
    ),
    "reading-strength": Term(
        "strength",
        "How large what a head reads of a direction is beside the rest of its stream: its specificity times the direction's "
        "singular value, by what the norm before the head divides the stream by on the reference text.",
        "σ CS / rms. It predicts the direct effect on text better than CS alone; what other layers make of it, it does not "
        "predict better.",
    ),
    "direct-contribution": Term(
        "direct",
        "What it adds to the logit of the token through the final norm alone, that norm's scale held still: a share of the "
        "logit, not an effect of what later layers make of it.",
        "ρ σᵢ aᵢ (vᵢ · q) with q = g · (W_U[:, y] − mean), ρ the final norm's scale at the position, aᵢ what arrives there. "
        "With the MLPs, the embedding and the biases, all directions of all heads add up to the token's logit less the mean "
        "of all. They cancel heavily: on SmolLM2-135M, the ten that say most are 3 to 5% of the sum of their sizes.",
    ),
    "beyond-usual": Term(
        "beyond its usual",
        "The part of what it adds directly that is beyond what it adds on average over the reference text: what is "
        "particular to this prompt.",
        "ρ σᵢ (aᵢ − mean aᵢ) (vᵢ · q). Directions are listed by its size: without the mean taken off, the same few that write "
        "a constant head every list.",
    ),
    "total-effect": Term(
        "total",
        "What the token's logit loses if the direction is not written at this position, and all that comes later runs on "
        "without it; beside it the same of random directions of the span of what its head writes.",
        "The position is run again from that layer on, with the keys and values of the positions before it; what the "
        "direction wrote at other positions stays. On SmolLM2-135M it is about a quarter of the direct part in layers 25 to "
        "29, and of either sign before: the two are different questions.",
    ),
    "attended": Term(
        "arrives",
        "What attention brings of the direction to the position: what it reads at each position, weighted by the head's "
        "attention to it.",
        "aᵢ = Σⱼ A[t, j] cᵢ[j] with cᵢ[j] = xⱼ · uᵢ. The head writes Σᵢ σᵢ aᵢ vᵢ, and a constant of its biases.",
    ),
    "attended-z": Term(
        "z on text",
        "What arrives of the direction here, in standard deviations from its mean over the reference text. These values "
        "are not normal: on any text some directions lie beyond 5, so z alone is no finding.",
        "On SmolLM2-135M, a position has 66 of 17,280 directions beyond 5, where a normal distribution would have none.",
    ),
    "head-share": Term(
        "of its head",
        "Its share of the energy of what its head writes at this position.",
        "(σᵢ aᵢ)² / Σ (σ a)².",
    ),
    "start-position": Term(
        "start",
        "The first position. Models rest much of their attention on it whatever its token is, so that it is told apart, and "
        "left out of the reference text.",
    ),
    "attention-score": Term(
        "attention score",
        "What a head gives a position before the softmax makes shares of attention of all scores: the query of the position "
        "that looks against the key of the one that is looked at.",
        "factor · (xₜ W_Q + b_Q) R_D (xⱼ W_K + b_K)ᵀ with D = t − j. Softmax ignores what all sources share.",
    ),
    "pair-term": Term(
        "term of a pair",
        "What a direction of the head's QK at this very distance adds to the score: what the query has of its left side "
        "times what the key has of its right side. All terms, and the biases, are the score. The directions of distance 0 "
        "give no such sum at any other distance: their diagonal has half of a score beyond 64 positions, and the wrong sign at times.",
        "Cᵢ = factor · σᵢ (xₜ · uᵢ)(xⱼ · vᵢ) with W_Q R_D W_Kᵀ = Σ σᵢ uᵢ vᵢᵀ.",
    ),
    "edit": Term(
        "edit",
        "Another amount of a direction in what its head writes, at every position, and all later layers run on: −1 writes nothing "
        "of it, 1 twice as much.",
        "r′ = r + ε (r · vᵢ) vᵢ for a head's output r, which is what W_O (I + ε vᵢ vᵢᵀ) would write: no stored weight changes, and "
        "heads that share their values write as before. `mean` always writes the mean of the reference text, `only` nothing else "
        "of the head's.",
    ),
    "change-divergence": Term(
        "KL",
        "How far what the model says next is from what it says changed: 0 is the same, and from 1 on it says something else.",
        "KL(as it is ‖ changed) in nats, over all tokens that could come next.",
    ),
    "change-energy": Term(
        "energy",
        "Of what the edited heads write on this text, how much the change takes away or adds: a change matters by this as a rule, "
        "whatever its direction means.",
        "Σ ‖r′ − r‖² / Σ ‖r‖² over all positions but the first, on the text as it is; an amount counts by its square.",
    ),
    "log-odds": Term(
        "log-odds",
        "How much likelier one token is than another to come next: 1 is e times, 2 is 7.4 times as likely.",
        "log p(token) − log p(other), which is the difference of their logits.",
    ),
    "history": Term(
        "activation history",
        "The streams that enter a layer at all positions of a text: a matrix with a row for each coordinate.",
    ),
    "sara-score": Term(
        "score",
        "How much more a coordinate's history on the prompt has in common with the one that attracts than with the one that repels.",
        "Fixed: the cosine of rows of the Gram matrices A Aᵀ of the histories without their first positions, attracted less repelled, "
        "from −2 to 2; it holds neither signs of singular vectors nor the order of tokens. As published: the cosine of rows of "
        "U diag(S), cut to the shortest text.",
    ),
    "rv": Term(
        "RV",
        "How alike two histories are as a whole: the cosine between their Gram matrices, 1 for the same.",
        "‖AᵀB‖² / (‖AᵀA‖ ‖BᵀB‖), Robert and Escoufier 1976.",
    ),
    "push-size": Term(
        "median lengths",
        "A push is counted in median lengths of the stream that enters the layer, the first position left out.",
        "x′ = x + c N vᵢ, N the median of ‖x‖ over positions behind the first, on the reference text where there are statistics, "
        "less its mean where the norm takes that off. .05 to .2 is mild, from .8 on texts break as a rule.",
    ),
    "random-edit": Term(
        "at random",
        "The same done to random directions of the span of what the head writes: what a change does that means nothing.",
        "As many orthogonal ones as are edited, each head by itself, with the same amounts; drawn with a fixed seed.",
    ),
    "lens": Term(
        "lens",
        "What the model would say next if all layers after a point were left out: the stream there, read by the final norm "
        "and the unembedding.",
        "softmax(norm(x_l) W_U), the logit lens (nostalgebraist 2020). Only the end of it is something that the model does.",
    ),
    "mean-shifted": Term(
        "mean-shifted",
        "The stream is read with what its mean at that layer lacks of its mean at the end: what all positions have in "
        "common then says nothing.",
        "x_l − mean_l + mean_L, means over the reference text without the first position of each window and other sinks. On SmolLM2-135M it "
        "takes the KL from the end from 19 to 6 nats in the middle. No lens at all is 5 nats away: the shifted lens is nearer from "
        "about layer 22 of 30 on, the raw one from layer 28 on.",
    ),
    "lens-place": Term(
        "place",
        "Where the token that is likeliest in the end stands at that layer, by chance: 1 is first.",
    ),
    "lens-divergence": Term(
        "KL",
        "How far what the stream says at a layer is from what the model says in the end: 0 is the same.",
        "KL(end ‖ layer) in nats, over all tokens that could come next.",
    ),
    "unigram-line": Term(
        "no lens",
        "The distance of the same chances everywhere, the mean of what the model expects over the reference text: no constant "
        "guess is nearer to it there. A lens that is further away says less than that.",
    ),
    "row-term": Term(
        "beyond other sources",
        "What a query's direction adds to this source's score beyond its mean over all other sources, weighted by the attention "
        "that these have: only differences move attention. The query's directions are those of distance 0, the same for "
        "every source.",
        "(xₜ · uᵢ)(hᵢⱼ − Σₖ A′ₜₖ hᵢₖ), h: what a source holds of direction i, A′: the attention to all others, summing to one.",
    ),
    "settled-terms": Term(
        "terms until it stays",
        "Terms, the largest first, until their sum stays within a tenth of the whole. Where random bases need hardly more, "
        "the directions are no shorter account of the score. The smallest set of terms that merely reaches it says nothing: "
        "terms overshoot in any basis.",
    ),
    "rotary-plane": Term(
        "rotary plane",
        "Two coordinates of query and key that positions rotate together, by an angle that grows with the distance. Each "
        "adds its size times the cosine of the angle between both; fast planes tell near positions apart, slow ones hardly "
        "turn.",
        "factor · |qₚ| |kₚ| cos(φₚ + D θₚ).",
    ),
    "neuron-contribution": Term(
        "neuron's contribution",
        "What a neuron of an MLP adds to the logit of the token through the final norm alone: its activation times what it "
        "writes.",
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


def score_name(key: str) -> str:
    """Name a score of the map.

    Example: score_name("ov-stable-rank") -> "OV stable rank"
    """
    circuit, _, rest = key.partition("-")
    if circuit in {"ov", "qk"}:
        return f"{circuit.upper()} {TERMS[rest].name}"
    return TERMS[key].name


def score_key(key: str) -> str:
    """Return the glossary entry of a score of the map.

    Example: score_key("ov-stable-rank") -> "stable-rank"
    """
    circuit, _, rest = key.partition("-")
    return rest if circuit in {"ov", "qk"} else key
