"""Each token's own vector at one end of a model, restored from its unit vector and the artifact of tokens.

Knows how the artifact is laid out (`app.explorer.making.finding.tokens`), and no page. Imports no torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.explorer import recipes
from app.explorer.inventory import end_of
from app.explorer.library import OpenModel
from app.explorer.reading.finding.parts import load_built
from app.explorer.reading.finding.words import WordTable, open_words
from app.explorer.resources import Resources
from app.explorer.view import End, Processing
from app.store.artifacts import Arrays


@dataclass(frozen=True)
class OwnVectors:
    """The vectors of all tokens at one end, with their mean and common components."""

    words: WordTable
    arrays: Arrays
    variance: float
    """Mean square distance of a token's vector from the centre of all."""
    known: NDArray[np.bool_]
    """[d_vocab]: True for ids that the tokenizer knows."""

    def is_trained(self, id_: int) -> bool:
        """True if the tokenizer knows the token and training has moved it."""
        odd = self.arrays["odd"]
        at = int(np.searchsorted(odd, id_))
        return bool(self.known[id_]) and (at == len(odd) or int(odd[at]) != id_)

    def vector(self, id_: int) -> NDArray[np.float32]:
        """Restore the token's own vector [d_model]; ComputationFailed where a file has changed meanwhile."""
        found: NDArray[np.float32]
        arrays = self.arrays
        if not self.is_trained(id_):
            found = arrays["vectors"][np.searchsorted(arrays["odd"], id_)]
            return found
        unit = self.words.rows(np.array([id_]))[0]
        found = arrays["mean"] + arrays["coordinates"][id_] @ arrays["components"] + arrays["rest"][id_] * unit
        return found

    def centred_vector(self, id_: int) -> NDArray[np.float32]:
        """Restore the token's vector minus the centre of all tokens [d_model]."""
        centred: NDArray[np.float32] = self.vector(id_) - self.arrays["centre"]
        return centred

    def scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Multiply every token's own vector with each of the vectors [k d]: [d_vocab k], nan for unknown ids.

        ComputationFailed where a file has changed meanwhile.
        """
        arrays, turned = self.arrays, np.ascontiguousarray(vectors.T)
        found = self.words.similarities(turned)
        found *= arrays["rest"][:, None]
        found += arrays["coordinates"] @ (arrays["components"] @ turned)
        found += arrays["mean"] @ turned
        if len(arrays["odd"]):
            found[arrays["odd"]] = arrays["vectors"] @ turned
        found[~self.known] = np.nan
        return found


def open_own_vectors(r: Resources, model: OpenModel, processing: Processing, end: End) -> OwnVectors:
    """Open the tokens' own vectors at one end; NotBuilt where a part is missing."""
    own: End = "write" if end_of(model, processing, end) == "write" else "read"
    artifact = load_built(r, model, processing, recipes.tokens(model, own, processing))
    words = open_words(r, model, processing, own)
    return OwnVectors(words, artifact.arrays, artifact.facts["variance"], model.vocabulary.known)
