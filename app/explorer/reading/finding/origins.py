"""Each token's own vector at one end of a model, out of its unit vector and the artifact of tokens.

Knows how the artifact stands (`app.explorer.making.finding.tokens`), and no page. Imports no torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.explorer import recipes
from app.explorer.inventory import end_of
from app.explorer.library import OpenModel
from app.explorer.reading.finding.parts import built
from app.explorer.reading.finding.words import WordTable, open_words
from app.explorer.resources import Resources
from app.explorer.view import End, Processing
from app.store.artifacts import Arrays


@dataclass(frozen=True)
class OwnVectors:
    """The vectors of all tokens at one end, before anything is taken out of them."""

    words: WordTable
    arrays: Arrays
    variance: float
    """Mean square distance of a token's vector from the centre of all."""
    known: NDArray[np.bool_]
    """Which ids the tokenizer knows [d_vocab]."""

    def is_trained(self, id_: int) -> bool:
        """Whether training has moved that token, which the tokenizer knows."""
        odd = self.arrays["odd"]
        at = int(np.searchsorted(odd, id_))
        return bool(self.known[id_]) and (at == len(odd) or int(odd[at]) != id_)

    def vector(self, id_: int) -> NDArray[np.float32]:
        """That token's own [d_model]; ComputationFailed where a file has changed meanwhile."""
        found: NDArray[np.float32]
        arrays = self.arrays
        if not self.is_trained(id_):
            found = arrays["vectors"][np.searchsorted(arrays["odd"], id_)]
            return found
        unit = self.words.rows(np.array([id_]))[0]
        found = arrays["mean"] + arrays["coordinates"][id_] @ arrays["components"] + arrays["rest"][id_] * unit
        return found

    def centred(self, id_: int) -> NDArray[np.float32]:
        """The same from the centre of all tokens."""
        centred: NDArray[np.float32] = self.vector(id_) - self.arrays["centre"]
        return centred

    def scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The product of every token's own vector with each of the vectors [k d]: [d_vocab k], nan for unknown ids.

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


def open_origins(r: Resources, model: OpenModel, processing: Processing, end: End) -> OwnVectors:
    """Of that end; NotBuilt where anything of it is not there."""
    own: End = "write" if end_of(model, processing, end) == "write" else "read"
    artifact = built(r, model, processing, recipes.tokens(model, own, processing))
    words = open_words(r, model, processing, own)
    return OwnVectors(words, artifact.arrays, artifact.facts["variance"], model.vocabulary.known)
