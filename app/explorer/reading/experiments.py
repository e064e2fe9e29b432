"""What a change does to many prompts, read for its page. Knows no torch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.judging.bootstrap import Estimate, estimate_mean
from app.explorer.pages.using.experiments import LikeliestToken, Trial
from app.explorer.reading.changes import split_swapped
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays
from app.store.prompts import Prompt

SEED = 0
"""The seed of the prompts that are resampled."""
TINY = 1e-30
"""The least chance that is told of a token."""


def read_trial(found: Arrays, prompt: Prompt, vocabulary: Vocabulary, *, of_odds: bool) -> Trial:
    """Read what the change does to one prompt, at its end; `of_odds`: to the odds of two tokens, by SARA."""
    arrays, swapped = split_swapped(found) if of_odds else (found, {})
    divergence, *random = arrays["divergence"].tolist()
    before, *others = _read_odds(arrays["named_chance"]) if of_odds else np.maximum(arrays["set_chance"][:, 0], TINY)
    factor, *random_factors = (float(other / before) for other in others)
    swapped_factor = float(_read_odds(swapped["named_chance"][None])[0] / before) if of_odds else None
    best = [int(chances.argmax()) for chances in arrays["chance"][:2]]
    was, now = (
        LikeliestToken(vocabulary.entry(int(arrays["top"][place])), float(arrays["chance"][row, place]))
        for row, place in enumerate(best)
    )
    tokens = tuple(map(vocabulary.entry, prompt.ids))
    return Trial(prompt.key, tokens, divergence, tuple(random), factor, tuple(random_factors), swapped_factor, was, now)


def sum_up(trials: Sequence[Trial]) -> dict[str, Estimate]:
    """Estimate the means over prompts: of divergences, and of the logarithms of factors, its own and its controls'.

    `swapped_factor` is only there of trials that have one.
    """
    values = {
        "divergence": [trial.divergence for trial in trials],
        "random": [sum(trial.random) / len(trial.random) for trial in trials],
        "factor": [_log(trial.factor) for trial in trials],
        "random_factor": [sum(map(_log, trial.random_factors)) / len(trial.random_factors) for trial in trials],
        "swapped_factor": [_log(trial.swapped_factor) for trial in trials if trial.swapped_factor is not None],
    }
    return {
        name: estimate_mean({n: np.array([value]) for n, value in enumerate(of_all)}, SEED)
        for name, of_all in values.items()
        if of_all
    }


def _log(factor: float) -> float:
    return math.log(max(factor, TINY))


def _read_odds(chances: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    odds: NDArray[np.floating[Any]] = np.maximum(chances[:, 0], TINY) / np.maximum(chances[:, 1], TINY)
    return odds
