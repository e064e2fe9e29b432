"""How readable an end is, beside random ones: verdicts, the gallery, the census, the blind round."""

from app.web.view.glossary.term import Term

JUDGING: dict[str, Term] = {
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
}
