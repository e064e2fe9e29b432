"""What heads, tokens and places have to do with each other: full circuits, readers and writers, composition."""

from app.web.view.glossary.term import Term

CIRCUITS: dict[str, Term] = {
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
}
