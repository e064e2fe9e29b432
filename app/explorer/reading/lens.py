"""What a prompt's stream says at every layer, read for its page. Knows no torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.explorer.pages.using.attention import PlacedToken
from app.explorer.pages.using.lens import LensCell, LensPoint, SpanShare
from app.explorer.pages.using.prompts import NextToken
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays


def read_placed_tokens(ids: Sequence[int], vocabulary: Vocabulary) -> tuple[PlacedToken, ...]:
    """Read the prompt's tokens."""
    return tuple(PlacedToken(position, vocabulary.entry(id_)) for position, id_ in enumerate(ids))


def read_ends(arrays: Arrays, vocabulary: Vocabulary) -> tuple[NextToken, ...]:
    """Read the token that is likeliest in the end, at each position."""
    last = zip(arrays["top"][-1].tolist(), arrays["top_chance"][-1].tolist(), strict=True)
    return tuple(NextToken(vocabulary.entry(id_), chance) for id_, chance in last)


def read_points(arrays: Arrays, at: int, vocabulary: Vocabulary) -> tuple[LensPoint, ...]:
    """Read every point of the stream, and what its layer adds at a position."""
    names = ("top", "top_chance", "rank", "chance", "divergence")
    rows = zip(*(arrays[name].tolist() for name in names), strict=True)
    added = [(*arrays[name][:, at].tolist(), None) for name in ("attention", "mlp")]
    return tuple(
        LensPoint(
            point,
            tuple(LensCell(vocabulary.entry(top), *numbers) for top, *numbers in zip(*row, strict=True)),
            mean_behind_first(arrays["divergence"][point]),
            added[0][point],
            added[1][point],
        )
        for point, row in enumerate(rows)
    )


def read_spans(arrays: Arrays) -> tuple[SpanShare, ...]:
    """Read how much of the stream lies in the first terms of a basis."""
    sizes = zip(arrays["size"].tolist(), arrays["random"].tolist(), strict=True)
    return tuple(
        SpanShare(size, random, tuple(mean_behind_first(share) for share in arrays["share"][:, :, n]))
        for n, (size, random) in enumerate(sizes)
    )


def mean_behind_first(values: NDArray[np.floating]) -> float:
    """Average over all positions but the first, which is unlike all others; over that one where there is no other."""
    return float((values[1:] if len(values) > 1 else values).mean(dtype=np.float64))
