"""The bases in sentences: what each is, what its order means, and what it takes for granted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BasisWords:
    """What a basis is, for whoever sees it for the first time."""

    what: str
    order: str
    """What its order means."""
    premise: str
    """What it takes for granted, and where that fails."""
    merit: str = ""
    """The key of what it orders by in TERMS, where that is not the strength."""


BASES: dict[str, BasisWords] = {
    "svd": BasisWords(
        "Singular directions: orthogonal on both sides, each the one along which the matrix is largest once those before "
        "it are taken out.",
        "They are ordered by singular value.",
        "That features are orthogonal is the method's choice and no finding: those that are not come out mixed.",
    ),
    "used": BasisWords(
        "Axes that what the head writes varies along on text, most first: mixtures of its singular directions.",
        "They are ordered by their share of what varies, on the text that they are fitted to; what such axes make of text that "
        "they are not fitted to stands beside it.",
        "Where they write is orthogonal; where they read is not, but as the text weighs it. Another text has other axes.",
        "output-share",
    ),
    "pca": BasisWords(
        "Singular directions of what is left of the samples without their mean, which is shown apart.",
        "They are ordered by variance: how much the samples differ along a direction.",
        "Where the mean is a small share of the matrix, these are nearly the singular directions; where it is large, the "
        "first singular direction is mostly the mean.",
        "variance",
    ),
    "nmf": BasisWords(
        "Parts that add up and never cancel: positive and negative entries stand side by side, and every sample is a sum "
        "of parts with weights of zero or more. A part has one end.",
        "They are ordered by strength.",
        "Weights are no counts, and nothing makes them sums of parts: parts are what this fit needed, and another seed or "
        "number of components may find others. Stacked heads have both signs, so their parts come in pairs of opposites.",
    ),
    "ica": BasisWords(
        "Directions along which the samples are as far from a bell curve as can be, and as independent of each other.",
        "They are ordered by excess kurtosis; the + end is the one that the samples' long tail points along.",
        "Where the kurtosis is near 0 the sources are Gaussian, and no method can tell such directions from any others of "
        "their span.",
        "kurtosis",
    ),
    "dictionary": BasisWords(
        "Atoms, more of them than dimensions if you like; every sample is a sum of few of them, of either sign.",
        "They are ordered by usage: the share of the samples that use the atom.",
        "That samples are sums of few atoms is the premise: where random atoms do nearly as well, it fails, and atoms say "
        "little.",
        "usage",
    ),
    "neuron": BasisWords(
        "The MLP's own neurons: each term is one neuron and its weights, under the number that the model has it under.",
        "Tables have them by norm, the largest first.",
        "The nonlinearity makes neurons special; that one neuron means one thing is another matter.",
    ),
    "coordinate": BasisWords(
        "The residual stream's own coordinates: each term is one coordinate and what the matrix has there, under the "
        "coordinate's own number.",
        "Tables have them by norm, the largest first.",
        "Nothing in the architecture makes coordinates of the stream special: a few that training made large stand out.",
    ),
    "frequency": BasisWords(
        "Mean vectors of groups of tokens from frequent to rare, each without what the groups before it span.",
        "They are ordered from frequent to rare.",
        "A token's id stands for its frequency: true of vocabularies that were merged or numbered by counts, wrong for "
        "special, added or sorted ones. The first term is nearly the mean of all tokens, where that is large.",
        "frequency",
    ),
}
"""By name; the neuron basis of a matrix without neurons is `coordinate`."""

FITS: dict[str, str] = {
    "nmf": "about three and a half minutes and 1.2 GiB",
    "ica": "about a minute and 0.9 GiB",
    "dictionary": "about a minute and 0.7 GiB",
}
"""What a fit took of an embedding of 50,257 tokens and 768 dimensions (benchmarks/fits.py), with 256 components or atoms."""


def basis_key(basis: str, kind: str) -> str:
    """Return the entry of BASES for a matrix of that kind.

    Example: basis_key("neuron", "embed") -> "coordinate"
    """
    return "coordinate" if basis == "neuron" and not kind.startswith("mlp") else basis
