"""Streams drawn to one prompt and away from another: SARA, as published and fixed, and the addition of activations.

`histories`, of what enters a layer on the prompt itself, on the one that attracts and on the one that repels:
    score [rules d_model]     the scores of each coordinate: fixed, and as published
    dependence [2]            how far published scores move when singular vectors' signs are drawn anew, and their size
    kept [2 r]                the share of the prompt's own history that its first columns keep: all positions, and without the
                              first one; nan behind their number
    rv, overlap [pairs]       likeness of the histories without their first positions and their common mean: own and attract,
                              own and repel, attract and repel; overlap of as many leading `dimensions`
    scale [texts]             the length of the first position's stream by the median of the others'
`study`, at the prompt's end:
    amount, divergence, odds [rules m]   of the fixed rule, of the difference of last tokens, and of that of first ones
    before [1]                the log-odds as the model is
    rank, kept [q]            columns that histories are cut to, and the share of the own history's energy in them
    likeness [q]              the correlation of the scores with those of whole histories
    rank_divergence, rank_odds [q]       what the fixed rule does then

Runs in the live process. Knows no page.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.explorer.changes import STEPS, Contrast, ContrastRule
from app.explorer.layout import OVERLAPPED, SIGN_DRAWS, STUDIED, STUDIED_RANKS
from app.explorer.making.context import Arrays
from app.explorer.making.using.changes import Changer, measure_divergence, run_others
from app.explorer.recipes import number_in
from app.store.artifacts import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from app.models.live.changes import Row, StreamChange
    from app.models.live.forward import TextRun

PAIRS = ((0, 1), (0, 2), (1, 2))


class Contraster(Changer):
    """A contrast of two prompts, as a change of a running model; beside it the same with roles swapped, and at random."""

    def __init__(self, own: "Tensor", attract: "Tensor", repel: "Tensor", contrast: Contrast, seed: int) -> None:
        self._own, self._attract, self._repel = own, attract, repel
        self._contrast, self._seed = contrast, seed

    def list_rows(self, draws: int) -> "Sequence[Row]":
        """Make the changes of each row: the contrast, so many at random, and last the one with roles swapped."""
        return [*super().list_rows(draws), [self._change(-1.0, None)]]

    def make_row(self, draw: int | None = None) -> "Row":
        """Make the changes of a row; `draw`: the number of the random change in the place of its own."""
        return [self._change(1.0, draw)]

    def _change(self, sign: float, draw: int | None) -> "StreamChange":
        """Make the change; -1 for the sign swaps the roles, since all rules change theirs with them."""
        from app.models.live.changes import StreamChange

        rule, layer, amount = self._contrast.rule, self._contrast.layer, sign * self._contrast.amount
        if rule in {"fixed", "published"}:
            scores = score_coordinates(rule, self._own, self._attract, self._repel)
            scores = scores if draw is None else _shuffle(scores, self._seed + draw)
            scale = (1 + amount * scores).to(self._own)
            return StreamChange(layer, 0 if rule == "published" else 1, scale=scale)
        shift = find_difference(rule, self._attract, self._repel)
        shift = shift if draw is None else _replace_at_random(shift, self._seed + draw)
        return StreamChange(layer, 1, shift=amount * shift)


def score_coordinates(rule: ContrastRule, own: "Tensor", attract: "Tensor", repel: "Tensor") -> "Tensor":
    """Score each coordinate of the stream by what the prompt's history has in common with either other one, in float64.

    The fixed rule leaves out first positions, unless a text has no other.
    """
    from app.core.changing.histories import score_as_published, score_by_gram, summarise_history

    streams = [one.cpu() for one in (own, attract, repel)]
    if rule == "published":
        rank = min(map(len, streams))
        return score_as_published(*(summarise_history(one, rank, skips_first=False) for one in streams))
    return score_by_gram(*(one[1:].T.double() for one in streams))


def find_difference(rule: ContrastRule, attract: "Tensor", repel: "Tensor") -> "Tensor":
    """Find what is added: the difference of last tokens [d_model], or that of each position but the first [k d_model]."""
    if rule == "last":
        return attract[-1] - repel[-1]
    n = min(len(attract), len(repel))
    return attract[1:n] - repel[1:n]


def compare_histories(run: "TextRun", others: "Sequence[Tensor]", recipe: Recipe) -> Arrays:
    """Compare the histories of three prompts at a layer."""
    import torch

    from app.core.changing.histories import (
        accumulate_energy,
        centre_histories,
        measure_rv,
        measure_sign_dependence,
        overlap_subspaces,
        summarise_history,
    )

    streams = [run.streams[number_in(recipe, "contrasted")].cpu(), *(one.cpu() for one in others)]
    rank = min(map(len, streams))
    own, attract, repel = (summarise_history(one, rank, skips_first=False) for one in streams)
    generator = torch.Generator().manual_seed(number_in(recipe, "seed"))
    dependence = measure_sign_dependence(own, attract, repel, SIGN_DRAWS, generator)
    centred = centre_histories(streams)
    k = max(1, min(OVERLAPPED, *map(len, centred)))
    kept = [accumulate_energy(streams[0], skips_first=skips).float() for skips in (False, True)]
    return {
        "score": torch.stack([score_coordinates(rule, *streams) for rule in ("fixed", "published")]).float().numpy(),
        "dependence": np.array(dependence, np.float32),
        "kept": torch.nn.utils.rnn.pad_sequence(kept, True, torch.nan).numpy(),
        "rv": np.array([measure_rv(centred[a], centred[b]) for a, b in PAIRS], np.float32),
        "overlap": np.array([overlap_subspaces(centred[a], centred[b], k) for a, b in PAIRS], np.float32),
        "dimensions": np.array([k], np.int32),
        "scale": np.array([_measure_sink(one) for one in streams], np.float32),
    }


def study_contrast(network: Any, run: "TextRun", others: "Sequence[Tensor]", recipe: Recipe) -> Arrays:
    """Study what a contrast does at the prompt's end, by its amount, and by how much of the histories is kept."""

    from app.core.changing.histories import accumulate_energy, score_by_gram, summarise_history
    from app.models.live.changes import StreamChange

    layer = number_in(recipe, "contrasted")
    own, attract, repel = run.streams[layer], *others
    streams = [one.cpu() for one in (own, attract, repel)]
    whole = score_coordinates("fixed", *streams)
    rows: list[Row] = [[StreamChange(layer, 1, scale=(1 + c * whole).to(own))] for c in STUDIED["fixed"]]
    for rule in ("last", "front"):
        difference = find_difference(rule, attract, repel)
        rows += [[StreamChange(layer, 1, shift=c * difference)] for c in STUDIED[rule]]
    most = max(1, min(len(one) for one in streams) - 1)
    ranks = [*(rank for rank in STUDIED_RANKS if rank < most), most]
    cut = [score_by_gram(*(summarise_history(one, rank, skips_first=True) for one in streams)) for rank in ranks]
    amount = number_in(recipe, "c") / STEPS
    rows += [[StreamChange(layer, 1, scale=(1 + amount * scores).to(own))] for scores in cut]
    before, divergence, odds = _read_odds(network, run, rows, number_in(recipe, "for"), number_in(recipe, "against"))
    shape = len(STUDIED), len(STUDIED["fixed"])
    n = shape[0] * shape[1]
    energy = accumulate_energy(streams[0], skips_first=True)
    return {
        "amount": np.array([*STUDIED.values()], np.float32),
        "divergence": divergence[:n].reshape(shape),
        "odds": odds[:n].reshape(shape),
        "before": before,
        "rank": np.array(ranks, np.int32),
        "kept": np.array([float(energy[rank - 1]) for rank in ranks], np.float32),
        "likeness": np.array([_correlate(scores, whole) for scores in cut], np.float32),
        "rank_divergence": np.ascontiguousarray(divergence[n:]),
        "rank_odds": np.ascontiguousarray(odds[n:]),
    }


def _read_odds(
    network: Any, run: "TextRun", rows: "Sequence[Row]", favoured: int, against: int
) -> "tuple[Any, Any, Any]":
    """Read at the text's end the log-odds as they are, and of each row the divergence and the log-odds."""
    import torch

    from app.models.live.forward import read_logits

    streams = [run.streams[-1, -1], *(stream[-1] for stream in run_others(network, run, rows))]
    logits = read_logits(network, torch.stack(streams)).cpu()
    odds = (logits[:, favoured] - logits[:, against]).numpy()
    return odds[:1], measure_divergence(logits[:1], logits[1:]).numpy(), odds[1:]


def _correlate(one: "Tensor", other: "Tensor") -> float:
    import torch

    return float(torch.corrcoef(torch.stack([one, other]))[0, 1].nan_to_num())


def _measure_sink(stream: "Tensor") -> float:
    """Measure how many times the first position's stream is as long as the median of the others."""
    lengths = stream.norm(dim=-1)
    return float(lengths[0] / lengths[1:].median()) if len(lengths) > 1 else 1.0


def _shuffle(scores: "Tensor", seed: int) -> "Tensor":
    """Give each coordinate another one's score."""
    import torch

    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(seed))
    return scores.index_select(0, order)


def _replace_at_random(shift: "Tensor", seed: int) -> "Tensor":
    """Draw vectors of the same lengths at random."""
    import torch

    drawn = torch.randn(shift.shape, generator=torch.Generator().manual_seed(seed)).to(shift)
    drawn *= shift.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True)
    return drawn
