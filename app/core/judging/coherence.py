"""How alike the top tokens of a ray are, in the space that they are read with.

Rank-weighted mean cosine of all pairs of them, over vectors without what all tokens share: the vocabulary's mean and its
first principal components (all-but-the-top, Mu & Viswanath 2018), and without tokens that were never trained. The top
tokens of any direction are somewhat alike, so the number means little without a control. Knows no tokens' texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from app.core.exact.readout import TokenTable
from app.core.exact.shares import shared
from app.core.gram import on_few_cores
from app.core.judging.rays import LENGTHS

LEAST = 20
"""Trained tokens that the longest length needs; the others need all of theirs."""
REMOVED = 16
"""One principal component is taken out for so many dimensions."""
BLOCK = 8_192
"""Tokens taken to float64 at a time."""
AT_ONCE = 512
"""Rays whose vectors are added at a time: their sums stay in the cache."""


@dataclass(frozen=True)
class Lexicon:
    """A table's tokens as their likeness is measured, in the table's rows."""

    units: Float[Tensor, "n_tokens d_model"]
    """In float16: the sum of 50 of them is far more exact than any control."""
    squares: Float[Tensor, " n_tokens"]
    """Squared lengths, 1 but for rounding, and 0 for a vector that is the mean itself."""
    trained: Bool[Tensor, " n_tokens"]


def shared_components(
    vectors: Float[Tensor, "n_tokens d_model"], trained: Bool[Tensor, " n_tokens"]
) -> tuple[Float[Tensor, " d_model"], Float[Tensor, "n_removed d_model"]]:
    """What the trained tokens share: their mean, and the first principal components about it, unit rows."""
    d, places = vectors.shape[1], torch.arange(len(vectors), device=vectors.device)

    # Each core takes a share of the tokens from one end to the other: small steps taken together would be waited for.
    def own_sum(rows: Int64[Tensor, " n_rows"]) -> Tensor:
        return torch.stack([_trained(vectors, trained, some).sum(dim=0) for some in torch.split(rows, BLOCK)]).sum(
            dim=0
        )

    mean = torch.stack(shared(own_sum, places, BLOCK, len(vectors))).sum(dim=0) / int(trained.sum())

    def own_gram(rows: Int64[Tensor, " n_rows"]) -> Tensor:
        gram = torch.zeros(d, d, dtype=torch.float64, device=vectors.device)
        for some in torch.split(rows, BLOCK):
            centred = (_trained(vectors, trained, some) - mean).float()
            gram += (centred.T @ centred).double()
        return gram

    gram = torch.stack(shared(own_gram, places, BLOCK, len(vectors))).sum(dim=0)
    with on_few_cores(d):
        components = torch.linalg.eigh(gram).eigenvectors[:, d - d // REMOVED :].T
    return mean.float(), components.float().contiguous()


def _trained(
    vectors: Float[Tensor, "n_tokens d_model"], trained: Bool[Tensor, " n_tokens"], rows: Int64[Tensor, " n_rows"]
) -> Float64[Tensor, "n_trained d_model"]:
    """Those of consecutive rows that are trained."""
    own = slice(int(rows[0]), int(rows[-1]) + 1)
    return vectors[own][trained[own]].double()


def lexicon(
    vectors: Float[Tensor, "n_tokens d_model"],
    trained: Bool[Tensor, " n_tokens"],
    mean: Float[Tensor, " d_model"],
    components: Float[Tensor, "n_removed d_model"],
) -> Lexicon:
    """The vectors without mean and components, unit length."""

    def own_units(some: Float[Tensor, "n_rows d_model"]) -> Tensor:
        units = torch.empty(some.shape, dtype=torch.float16, device=some.device)
        for rows, out in zip(torch.split(some, AT_ONCE), torch.split(units, AT_ONCE), strict=True):
            centred = rows - mean
            out.copy_(normalize(centred - (centred @ components.T) @ components, dim=1))
        return units

    units = torch.cat(shared(own_units, vectors, least=BLOCK, most=len(vectors)))
    squares = torch.cat([rows.float().square().sum(dim=1) for rows in torch.split(units, BLOCK)])
    return Lexicon(units, squares, trained)


def coherence(table: TokenTable, words: Lexicon, ids: Int64[Tensor, "n k"]) -> Float[Tensor, "n n_lengths"]:
    """The coherence of the first 10, 20 and 50 trained tokens of each ray, or of all there are (at least 20) for the last.

    nan where a ray has too few. Pairs (i, j) weigh `w_i w_j` with `w_r = 1 / log2(r + 1)`, ranks r from 1.
    """
    return trained_coherence(words, *trained_first(table, words, ids))


def trained_coherence(
    words: Lexicon, rows: Int64[Tensor, "n k"], counts: Int64[Tensor, "n 1"]
) -> Float[Tensor, "n n_lengths"]:
    """The same of rows of the table of which so many come first that are trained."""
    needed = torch.tensor([*LENGTHS[:-1], LEAST], device=rows.device)
    return torch.where(counts >= needed, _means(words, rows, counts, LENGTHS), torch.nan)


def first_coherence(
    words: Lexicon, rows: Int64[Tensor, "n k"], counts: Int64[Tensor, "n 1"], lengths: tuple[int, ...]
) -> Float[Tensor, "n n_lengths"]:
    """The coherence of the first so many rows of the table, of which `counts` count; nan where those are fewer."""
    return torch.where(
        counts >= torch.tensor(lengths, device=rows.device), _means(words, rows, counts, lengths), torch.nan
    )


def trained_first(
    table: TokenTable, words: Lexicon, ids: Int64[Tensor, "n k"]
) -> tuple[Int64[Tensor, "n k"], Int64[Tensor, "n 1"]]:
    """The tokens as rows of the table, trained ones first, else in their order; and how many of them are trained."""
    rows = _rows(table, ids)
    return chosen_first(rows, words.trained[rows])


def chosen_first(
    rows: Int64[Tensor, "n k"], chosen: Bool[Tensor, "n k"]
) -> tuple[Int64[Tensor, "n k"], Int64[Tensor, "n 1"]]:
    """The rows, chosen ones first, else in their order; and how many are chosen."""
    order = chosen.argsort(dim=1, descending=True, stable=True)
    return rows.gather(1, order), chosen.sum(dim=1, keepdim=True)


def _means(
    words: Lexicon, rows: Int64[Tensor, "n k"], counts: Int64[Tensor, "n 1"], lengths: tuple[int, ...]
) -> Float[Tensor, "n n_lengths"]:
    """The weighted mean cosine of the pairs of the first so many of each row, of those that count."""
    rows = rows[:, : lengths[-1]]
    ranks = torch.arange(rows.shape[1], device=rows.device)
    weights = (1 / torch.log2(ranks + 2.0)) * (ranks < counts)
    ends = [min(length, rows.shape[1]) for length in lengths]
    # The weighted sum over pairs is the square of the weighted sum, without the squares.
    parts = zip(torch.split(rows, AT_ONCE), torch.split(weights, AT_ONCE), strict=True)
    sums = torch.cat([_squared_sums(words.units, *part, ends) for part in parts])
    squares = _cumulative(weights.square() * words.squares[rows], ends)
    totals, own = _cumulative(weights, ends).square(), _cumulative(weights.square(), ends)
    return (sums - squares) / (totals - own)


def _rows(table: TokenTable, ids: Int64[Tensor, "n k"]) -> Int64[Tensor, "n k"]:
    """Where the tokens are in the table: looked up, which is many times as quick as a search."""
    places = torch.empty(int(table.ids[-1]) + 1, dtype=torch.int64, device=ids.device)
    places[table.ids] = torch.arange(len(table.ids), device=ids.device)
    return places[ids]


def _cumulative(values: Float[Tensor, "n k"], ends: Sequence[int]) -> Float[Tensor, "n n_lengths"]:
    """The sums of the first so many."""
    return values.cumsum(dim=1)[:, [end - 1 for end in ends]]


def _squared_sums(
    units: Float[Tensor, "n_tokens d_model"],
    rows: Int64[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    ends: Sequence[int],
) -> Float[Tensor, "n n_lengths"]:
    """Squared lengths of the weighted sums of the first so many vectors of each row."""
    n, k = rows.shape
    starts = torch.tensor([0, *ends[:-1]], device=rows.device)
    bags = (torch.arange(n, device=rows.device)[:, None] * k + starts).flatten()
    weights = weights.flatten().to(units.dtype)
    sums = embedding_bag(rows.flatten(), units, bags, mode="sum", per_sample_weights=weights)
    sums = sums.view(n, len(ends), units.shape[1]).float()
    for shorter, longer in pairwise(sums.unbind(dim=1)):
        longer.add_(shorter)
    return sums.square().sum(dim=2)
