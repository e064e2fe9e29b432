"""Coherence: how alike the top tokens of a ray are, in the space that they are read with.

Rank-weighted mean cosine of all pairs of them, over vectors without what all tokens share: the vocabulary's mean and
its first principal components (all-but-the-top, Mu & Viswanath 2018), and without tokens that were never trained. The
top tokens of any direction are somewhat alike, so the number means little without a control. Knows no tokens' texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from app.core.exact.readout import TokenTable
from app.core.exact.shares import map_shares
from app.core.gram import limit_threads
from app.core.judging.rays import LENGTHS

LEAST = 20
"""Trained tokens that the longest length needs; the others need as many as their length."""
REMOVED = 16
"""Dimensions for each principal component that is removed."""
BLOCK = 8_192
"""Tokens taken to float64 at a time."""
AT_ONCE = 512
"""Rays whose vectors are added at a time: their sums stay in the cache."""


@dataclass(frozen=True)
class Lexicon:
    """A table's token vectors prepared for coherence, by the table's rows."""

    units: Float[Tensor, "n_tokens d_model"]
    """Unit vectors in float16: the sum of 50 of them is far more exact than any control."""
    squares: Float[Tensor, " n_tokens"]
    """Squared lengths: 1 but for rounding, and 0 for a vector that is the mean itself."""
    trained: Bool[Tensor, " n_tokens"]


def shared_components(
    vectors: Float[Tensor, "n_tokens d_model"], trained: Bool[Tensor, " n_tokens"]
) -> tuple[Float[Tensor, " d_model"], Float[Tensor, "n_removed d_model"]]:
    """Compute the trained tokens' mean and the first principal components about it, unit rows."""
    d, places = vectors.shape[1], torch.arange(len(vectors), device=vectors.device)

    # Each core takes its own share of the tokens: in small steps taken together cores would wait for each other.
    def own_sum(rows: Int64[Tensor, " n_rows"]) -> Tensor:
        return torch.stack(
            [_select_trained(vectors, trained, some).sum(dim=0) for some in torch.split(rows, BLOCK)]
        ).sum(dim=0)

    mean = torch.stack(map_shares(own_sum, places, BLOCK, len(vectors))).sum(dim=0) / int(trained.sum())

    def own_gram(rows: Int64[Tensor, " n_rows"]) -> Tensor:
        gram = torch.zeros(d, d, dtype=torch.float64, device=vectors.device)
        for some in torch.split(rows, BLOCK):
            centred = (_select_trained(vectors, trained, some) - mean).float()
            gram += (centred.T @ centred).double()
        return gram

    gram = torch.stack(map_shares(own_gram, places, BLOCK, len(vectors))).sum(dim=0)
    with limit_threads(d):
        components = torch.linalg.eigh(gram).eigenvectors[:, d - d // REMOVED :].T
    return mean.float(), components.float().contiguous()


def _select_trained(
    vectors: Float[Tensor, "n_tokens d_model"], trained: Bool[Tensor, " n_tokens"], rows: Int64[Tensor, " n_rows"]
) -> Float64[Tensor, "n_trained d_model"]:
    """Select the trained ones of consecutive rows."""
    own = slice(int(rows[0]), int(rows[-1]) + 1)
    return vectors[own][trained[own]].double()


def lexicon(
    vectors: Float[Tensor, "n_tokens d_model"],
    trained: Bool[Tensor, " n_tokens"],
    mean: Float[Tensor, " d_model"],
    components: Float[Tensor, "n_removed d_model"],
) -> Lexicon:
    """Prepare the vectors: without mean and components, at unit length."""

    def own_units(some: Float[Tensor, "n_rows d_model"]) -> Tensor:
        units = torch.empty(some.shape, dtype=torch.float16, device=some.device)
        for rows, out in zip(torch.split(some, AT_ONCE), torch.split(units, AT_ONCE), strict=True):
            centred = rows - mean
            out.copy_(normalize(centred - (centred @ components.T) @ components, dim=1))
        return units

    units = torch.cat(map_shares(own_units, vectors, least=BLOCK, most=len(vectors)))
    squares = torch.cat([rows.float().square().sum(dim=1) for rows in torch.split(units, BLOCK)])
    return Lexicon(units, squares, trained)


def coherence(table: TokenTable, words: Lexicon, ids: Int64[Tensor, "n k"]) -> Float[Tensor, "n n_lengths"]:
    """Compute the coherence of each ray's first 10, 20 and 50 trained tokens; the last of all if there are 20 to 49.

    nan where a ray has too few. Pairs (i, j) weigh `w_i w_j` with `w_r = 1 / log2(r + 1)`, ranks r from 1.
    """
    return trained_coherence(words, *put_trained_first(table, words, ids))


def trained_coherence(
    words: Lexicon, rows: Int64[Tensor, "n k"], counts: Int64[Tensor, "n 1"]
) -> Float[Tensor, "n n_lengths"]:
    """Compute the coherence of rows of the table, trained ones first, of which `counts` are trained."""
    needed = torch.tensor([*LENGTHS[:-1], LEAST], device=rows.device)
    return torch.where(counts >= needed, _mean_cosines(words, rows, counts, LENGTHS), torch.nan)


def first_coherence(
    words: Lexicon, rows: Int64[Tensor, "n k"], counts: Int64[Tensor, "n 1"], lengths: tuple[int, ...]
) -> Float[Tensor, "n n_lengths"]:
    """Compute the coherence of the first rows of the table, of which `counts` count; nan where those are fewer."""
    return torch.where(
        counts >= torch.tensor(lengths, device=rows.device), _mean_cosines(words, rows, counts, lengths), torch.nan
    )


def put_trained_first(
    table: TokenTable, words: Lexicon, ids: Int64[Tensor, "n k"]
) -> tuple[Int64[Tensor, "n k"], Int64[Tensor, "n 1"]]:
    """Look the tokens up as rows of the table, trained ones first, else in order; and count the trained ones."""
    rows = _rows_of(table, ids)
    return put_chosen_first(rows, words.trained[rows])


def put_chosen_first(
    rows: Int64[Tensor, "n k"], chosen: Bool[Tensor, "n k"]
) -> tuple[Int64[Tensor, "n k"], Int64[Tensor, "n 1"]]:
    """Put chosen rows first, else keep their order; and count the chosen ones."""
    order = chosen.argsort(dim=1, descending=True, stable=True)
    return rows.gather(1, order), chosen.sum(dim=1, keepdim=True)


def _mean_cosines(
    words: Lexicon, rows: Int64[Tensor, "n k"], counts: Int64[Tensor, "n 1"], lengths: tuple[int, ...]
) -> Float[Tensor, "n n_lengths"]:
    """Compute the weighted mean cosine of the pairs of each row's first tokens that count, by length."""
    rows = rows[:, : lengths[-1]]
    ranks = torch.arange(rows.shape[1], device=rows.device)
    weights = (1 / torch.log2(ranks + 2.0)) * (ranks < counts)
    ends = [min(length, rows.shape[1]) for length in lengths]
    # The weighted sum over pairs is the square of the weighted sum, without the squares.
    parts = zip(torch.split(rows, AT_ONCE), torch.split(weights, AT_ONCE), strict=True)
    sums = torch.cat([_squared_sums(words.units, *part, ends) for part in parts])
    squares = _cumulative_sums(weights.square() * words.squares[rows], ends)
    totals, own = _cumulative_sums(weights, ends).square(), _cumulative_sums(weights.square(), ends)
    return (sums - squares) / (totals - own)


def _rows_of(table: TokenTable, ids: Int64[Tensor, "n k"]) -> Int64[Tensor, "n k"]:
    """Find the tokens' rows in the table: by lookup, many times as quick as a search."""
    places = torch.empty(int(table.ids[-1]) + 1, dtype=torch.int64, device=ids.device)
    places[table.ids] = torch.arange(len(table.ids), device=ids.device)
    return places[ids]


def _cumulative_sums(values: Float[Tensor, "n k"], ends: Sequence[int]) -> Float[Tensor, "n n_lengths"]:
    """Sum the first values of each row up to each end."""
    return values.cumsum(dim=1)[:, [end - 1 for end in ends]]


def _squared_sums(
    units: Float[Tensor, "n_tokens d_model"],
    rows: Int64[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    ends: Sequence[int],
) -> Float[Tensor, "n n_lengths"]:
    """Compute the squared length of the weighted sum of each row's first vectors, up to each end."""
    n, k = rows.shape
    starts = torch.tensor([0, *ends[:-1]], device=rows.device)
    bags = (torch.arange(n, device=rows.device)[:, None] * k + starts).flatten()
    weights = weights.flatten().to(units.dtype)
    sums = embedding_bag(rows.flatten(), units, bags, mode="sum", per_sample_weights=weights)
    sums = sums.view(n, len(ends), units.shape[1]).float()
    for shorter, longer in pairwise(sums.unbind(dim=1)):
        longer.add_(shorter)
    return sums.square().sum(dim=2)
