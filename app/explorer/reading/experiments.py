"""What a change does to many prompts, read for its page. Knows no torch."""

import math
from collections.abc import Sequence

import numpy as np

from app.core.judging.bootstrap import Estimate, estimate_mean
from app.explorer.pages.using.experiments import LikeliestToken, Trial
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Arrays
from app.store.prompts import Prompt

SEED = 0
"""The seed of the prompts that are resampled."""
TINY = 1e-30
"""The least chance that is told of a token."""


def read_trial(arrays: Arrays, prompt: Prompt, vocabulary: Vocabulary) -> Trial:
    """Read what the change does to one prompt, at its end."""
    divergence, *random = arrays["divergence"].tolist()
    before, *others = np.maximum(arrays["set_chance"][:, 0], TINY).tolist()
    factor, *random_factors = (other / before for other in others)
    best = [int(chances.argmax()) for chances in arrays["chance"][:2]]
    was, now = (
        LikeliestToken(vocabulary.entry(int(arrays["top"][place])), float(arrays["chance"][row, place]))
        for row, place in enumerate(best)
    )
    tokens = tuple(map(vocabulary.entry, prompt.ids))
    return Trial(prompt.key, tokens, divergence, tuple(random), factor, tuple(random_factors), was, now)


def sum_up(trials: Sequence[Trial]) -> dict[str, Estimate]:
    """Estimate the means over prompts: of divergences, and of the logarithms of factors, its own and random ones'."""
    values = {
        "divergence": [trial.divergence for trial in trials],
        "random": [sum(trial.random) / len(trial.random) for trial in trials],
        "factor": [math.log(max(trial.factor, TINY)) for trial in trials],
        "random_factor": [
            sum(math.log(max(factor, TINY)) for factor in trial.random_factors) / len(trial.random_factors)
            for trial in trials
        ],
    }
    return {
        name: estimate_mean({n: np.array([value]) for n, value in enumerate(of_all)}, SEED)
        for name, of_all in values.items()
    }
