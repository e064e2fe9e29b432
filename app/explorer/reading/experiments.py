"""What a change does to many prompts, read for its page. Knows no torch."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.judging.bootstrap import Estimate, estimate_mean
from app.explorer.pages.using.experiments import TINY, LikeliestToken, Trial, log_factor
from app.explorer.reading.changes import split_swapped
from app.models.vocabulary import TokenEntry, Vocabulary
from app.store.artifacts import Arrays
from app.store.prompts import Prompt

SEED = 0
"""The seed of the prompts that are resampled."""


def read_trial(found: Arrays, prompt: Prompt, vocabulary: Vocabulary, *, of_odds: bool) -> Trial:
    """Read what the change does to one prompt, at its end; `of_odds`: to the odds of two tokens, by SARA."""
    arrays, swapped = split_swapped(found) if of_odds else (found, {})
    divergence, *random = arrays["divergence"].tolist()
    energy, *random_energy = arrays["energy"].tolist() if "energy" in arrays else (None,)
    before, *others = _read_measure(arrays, of_odds=of_odds).tolist()
    factor, *random_factors = (other / before for other in others)
    swapped_factor = float(_read_odds(swapped["named_chance"][None])[0] / before) if of_odds else None
    best = [int(chances.argmax()) for chances in arrays["chance"][:2]]
    was, now = (
        LikeliestToken(vocabulary.entry(int(arrays["top"][place])), float(arrays["chance"][row, place]))
        for row, place in enumerate(best)
    )
    return Trial(
        key=prompt.key,
        tokens=tuple(map(vocabulary.entry, prompt.ids)),
        divergence=divergence,
        random=tuple(random),
        energy=energy,
        random_energy=tuple(random_energy),
        measured_before=before,
        measured_after=others[0],
        factor=factor,
        random_factors=tuple(random_factors),
        swapped_factor=swapped_factor,
        before=was,
        after=now,
    )


def read_own(arrays: Arrays, vocabulary: Vocabulary) -> tuple[TokenEntry, ...]:
    """Read the first changed direction's own tokens; none where none is followed."""
    return tuple(vocabulary.entry(id_) for id_ in arrays["set_ids"][:1].flatten().tolist() if id_ >= 0)


def sum_up(trials: Sequence[Trial]) -> dict[str, Any]:
    """Sum up trials: means over prompts, with intervals of what the change itself does, and numbers of prompts.

    Random changes are the same on each prompt: so each has its own mean, and resampled prompts would not say how sure that of
    all random changes is.
    """
    energies = [trial.energy for trial in trials if trial.energy is not None]
    of_random = [value for trial in trials for value in trial.random_energy]
    swapped = [trial.swapped_gain for trial in trials if trial.swapped_factor is not None]
    return {
        "divergence": _estimate([trial.divergence for trial in trials]),
        "random": _means([trial.random for trial in trials]),
        "log_factor": _estimate([trial.gain for trial in trials]),
        "random_log_factor": _means([tuple(map(log_factor, trial.random_factors)) for trial in trials]),
        "swapped_log_factor": _estimate(swapped) if swapped else None,
        "measured_before": fmean(trial.measured_before for trial in trials),
        "measured_after": fmean(trial.measured_after for trial in trials),
        "energy": fmean(energies) if energies else None,
        "random_energy": fmean(of_random) if of_random else None,
        "n_beyond": sum(trial.is_beyond_random for trial in trials),
        "n_turned": sum(trial.before.id != trial.after.id for trial in trials),
        "n_raised": sum(trial.factor > 1 for trial in trials),
        "random_raised": tuple(
            sum(factor > 1 for factor in factors)
            for factors in zip(*(trial.random_factors for trial in trials), strict=True)
        ),
        "n_swapped_raised": sum(gain > 0 for gain in swapped) if swapped else None,
    }


def _estimate(values: Sequence[float]) -> Estimate:
    return estimate_mean({n: np.array([value]) for n, value in enumerate(values)}, SEED)


def _means(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return the mean of each column."""
    return tuple(map(fmean, zip(*rows, strict=True)))


def _read_measure(arrays: Arrays, *, of_odds: bool) -> NDArray[np.floating[Any]]:
    if of_odds:
        return _read_odds(arrays["named_chance"])
    chances: NDArray[np.floating[Any]] = np.maximum(arrays["set_chance"][:, 0], TINY)
    return chances


def _read_odds(chances: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    odds: NDArray[np.floating[Any]] = np.maximum(chances[:, 0], TINY) / np.maximum(chances[:, 1], TINY)
    return odds
