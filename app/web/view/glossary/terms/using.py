"""What directions do on text: statistics, streams, prompts, changes."""

from app.web.view.glossary.term import Term

USING: dict[str, Term] = {
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
}
