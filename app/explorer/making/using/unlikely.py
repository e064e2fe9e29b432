"""What the streams of a reference text hold of the least likely tokens' vectors: maker of `unlikely`.

    at [n 2]  ids [n m]            positions of the text (window, token), and the least likely next tokens at each
    naive control without [points 3]  the ratios of `app.core.using.unlikely` at each stream, with their intervals over windows
    middle [3 3]                   the same three of the streams in the middle together
    share chance [points]          share of the streams in the span of their own set, and of others in the same, centred
    signed signed_others [points 3]  cosine with the mean of the set's vectors; of streams at other positions
    undone [points 3]              cosine of what a stream has in the span with what later layers add there

Positions of one window are no independent evidence: intervals are over windows, all positions of each together. Tokens that
training never moved and special ones are left out. Vectors are the unembedding's columns in the weights of
the recipe. Runs in a job's process, which holds the model meanwhile. Knows no pages.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address
from app.core.judging.bootstrap import estimate_statistic
from app.core.steps import Steps, run
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.inventory import end_of
from app.explorer.layout import UNLIKELY_POSITIONS, count_unlikely, list_middle
from app.explorer.making.context import ArraysAndFacts, Context
from app.explorer.making.judging.controls import make_control
from app.explorer.making.subjects import Subject, read_subject
from app.explorer.making.using import texts
from app.explorer.recipes import UNLIKELY_SEED

if TYPE_CHECKING:
    from torch import Tensor

RUNNING = 90
"""The share of the time that running the text takes, in percent."""

Numbers = NDArray[np.float64]


def measure_unlikely(context: Context, text: int) -> Steps[ArraysAndFacts]:
    """Measure it; ComputationFailed if the model cannot be run, or if the text is not here."""
    import torch

    from app.core.using.unlikely import choose_unlikely, match_frequencies, measure_spans

    ids = texts.read_text(context, text)
    allowed = _find_allowed(context)
    yield 0, 100
    ran = yield from _run_positions(context, ids, _choose_positions(ids.shape))
    streams, logits, at = ran.streams, ran.logits, ran.at
    chosen = choose_unlikely(logits, allowed, min(count_unlikely(streams.shape[2]), int(allowed.sum()) // 2))
    generator = torch.Generator().manual_seed(UNLIKELY_SEED)
    matched = match_frequencies(chosen, allowed, generator)
    found = measure_spans(streams, ran.means, _read_vectors(context), chosen, matched)
    pairs = {
        name: torch.stack(pair, -1).numpy()  # [points n 2]
        for name, pair in {
            "naive": (found.naive, found.matched),
            "control": (found.own, found.others),
            "without": (found.own_without, found.others_without),
        }.items()
    }
    middle = slice(
        list_middle(context.model.manifest.n_layers).start, list_middle(context.model.manifest.n_layers).stop
    )
    windows = at[:, 0]
    plain = {"signed": found.signed, "signed_others": found.signed_others, "undone": found.undone}
    return {
        "at": at.astype(np.int32),
        "ids": chosen.numpy().astype(np.int32),
        **{
            name: np.array([_estimate_ratio(one, windows) for one in values], np.float32)
            for name, values in pairs.items()
        },
        "middle": np.array([_estimate_ratio(one[middle].mean(axis=0), windows) for one in pairs.values()], np.float32),
        "share": found.own.mean(1).numpy().astype(np.float32),
        "chance": found.others.mean(1).numpy().astype(np.float32),
        **{
            name: np.array([_estimate_mean(one, windows) for one in values.numpy()], np.float32)
            for name, values in plain.items()
        },
    }, {}


def _choose_positions(shape: "tuple[int, ...]") -> NDArray[np.int64]:
    """Choose positions at random, as many in each window as in any other or one more, never a window's first."""
    windows, tokens = shape
    chance = np.random.default_rng(UNLIKELY_SEED)
    n = min(UNLIKELY_POSITIONS, windows * (tokens - 1))
    places = [1 + chance.permutation(tokens - 1) for _ in range(windows)]
    return np.array([(k % windows, places[k % windows][k // windows]) for k in range(n)])


@dataclass(frozen=True)
class _Ran:
    """What the text did at the positions that were chosen."""

    at: NDArray[np.int64]
    """[n 2]: window and position, without those that are sinks."""
    streams: "Tensor"
    """[points n d_model]."""
    logits: "Tensor"
    """[n d_vocab]."""
    means: "Tensor"
    """[points d_model]: of all positions that were run, without first ones and sinks."""


def _run_positions(context: Context, ids: "Tensor", at: NDArray[np.int64]) -> "Steps[_Ran]":
    """Run the windows as far as they are needed."""
    import torch

    from app.core.using.sinks import find_sinks
    from app.models.live.forward import run_model

    model = texts.assemble(context.model)
    kept: list[NDArray[np.int64]] = []
    streams: list[Tensor] = []
    logits: list[Tensor] = []
    sums, n = torch.zeros((), dtype=torch.float64), 0
    for window in range(len(ids)):
        yield RUNNING * window // len(ids), 100
        own = at[at[:, 0] == window]
        if not len(own):
            continue
        seen = run_model(model, ids[window, : int(own[:, 1].max()) + 1])
        assert seen.logits is not None
        plain = ~find_sinks(seen.streams[:, 1:])
        behind = seen.streams[:, 1:][:, plain].double()
        sums, n = sums + behind.sum(1), n + behind.shape[1]
        for place in own:
            if plain[place[1] - 1]:
                kept.append(place)
                streams.append(seen.streams[:, place[1]].clone())
                logits.append(seen.logits[place[1]].clone())
    return _Ran(np.array(kept), torch.stack(streams, 1), torch.stack(logits), sums / n)


def _find_allowed(context: Context) -> "Tensor":
    """Find the tokens that may be chosen: those that training has moved and that stand for text."""
    import torch

    end = end_of(context.model, context.processing, "write")
    control = context.store.read(recipes.control(context.model, end, context.processing))
    trained = (run(make_control(context, end))[0] if control is None else control.arrays)["trained"]
    allowed = torch.from_numpy(np.array(trained))
    allowed[list(context.model.vocabulary.specials.values())] = False
    if not allowed.sum() // 2:
        raise ComputationFailed(f"{context.model.header.slug} has no tokens that training has moved.")
    return allowed


def _read_vectors(context: Context) -> "Tensor":
    """Read the unembedding's columns: [d_vocab d_model]."""
    subject: Subject = run(read_subject(context, Address(context.model.header.slug).at("unembed")))
    vectors: Tensor = subject.product.samples()
    return vectors.cpu()


def _estimate_ratio(values: Numbers, windows: NDArray[np.int64]) -> tuple[float, float, float]:
    """Estimate the ratio of two sums over positions, each position [2], with its interval over their windows."""
    there, place = np.unique(windows, return_inverse=True)
    sums = np.zeros((len(there), 2))
    np.add.at(sums, place, values)
    return texts.spell(estimate_statistic(sums, lambda totals: totals[..., 0] / totals[..., 1], UNLIKELY_SEED))


def _estimate_mean(values: Numbers, windows: NDArray[np.int64]) -> tuple[float, float, float]:
    counted = np.stack([values, np.ones_like(values)], axis=1)
    return _estimate_ratio(counted, windows)
