"""An experiment: a change of a model that is tried on many prompts, so that nobody argues from one."""

import math
from dataclasses import dataclass
from statistics import fmean

from app.core.address import Address, Sign
from app.explorer.header import Model
from app.explorer.pages.circuitry import OfToken
from app.explorer.pages.shared import Labelled, Linked, OfWeights
from app.explorer.serial import AddressText, Entries, EstimateValue, ForPeople
from app.explorer.view import View
from app.models.vocabulary import TokenEntry

TINY = 1e-30
"""The least chance or factor that is told apart from none."""


@dataclass(frozen=True, slots=True)
class ExperimentFormPage:
    """The form that asks for the prompts of an experiment, and what is changed."""

    address: Address
    model: Model
    view: View
    prompts: str
    """What was typed, a prompt a line."""
    edit: str
    of: str
    layer: str
    c: str
    attract: str
    repel: str
    rule: str
    pull: str
    token: str
    against: str
    draws: int
    problem: str
    """Why what was typed is not run; empty where nothing is wrong."""
    why_not: str
    """Why no prompt of this model is run at all; empty where they are."""
    most_prompts: int
    most_tokens: int
    examples: tuple[str, ...]
    """Texts for those who have none."""


@dataclass(frozen=True, slots=True)
class LikeliestToken(OfToken):
    """The likeliest token behind a prompt."""

    entry: ForPeople[TokenEntry]
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a change does to one prompt, at its end.

    Its measure is the chance of the first changed direction's own tokens together; of SARA, the odds of the one token against
    the other.
    """

    key: str
    """The prompt's name in links."""
    tokens: Entries
    """The prompt as it is run."""
    divergence: float
    """KL of the next token's chances as they were from the changed ones, in nats."""
    random: tuple[float, ...]
    """The same for each random change."""
    energy: float | None
    """Of edits: of what the edited heads write on the prompt, the share that the change takes away or adds."""
    random_energy: tuple[float, ...]
    """The same for each random change; empty unless of edits."""
    measured_before: float
    """The measure as the model is."""
    measured_after: float
    """The measure where it is changed."""
    factor: float
    """How many times as large the measure is then."""
    random_factors: tuple[float, ...]
    """The same for each random change."""
    swapped_factor: float | None
    """Of SARA, the same with the roles of the two prompts swapped; null for other changes."""
    before: LikeliestToken
    after: LikeliestToken

    @property
    def is_beyond_random(self) -> bool:
        """Whether it changes more than any random change does."""
        return self.divergence > max(self.random)

    @property
    def gain(self) -> float:
        """The logarithm of the factor: of SARA, the log-odds gained."""
        return log_factor(self.factor)

    @property
    def swapped_gain(self) -> float:
        """The log-odds gained with roles swapped; 0 unless of SARA."""
        return log_factor(self.swapped_factor or 1.0)

    @property
    def random_gain(self) -> float:
        """The mean logarithm of the factors of random changes."""
        return fmean(map(log_factor, self.random_factors))


@dataclass(frozen=True, slots=True)
class TriedDirection(Labelled):
    """A direction that an experiment edits, or pushes along."""

    address: AddressText
    ray: Sign
    """The end whose tokens are followed."""
    how: str
    """How it is edited, as a link spells it; empty for a push."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPage(Linked, OfWeights):
    """What a change does to many prompts."""

    address: ForPeople[Address]
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    key: str
    """The experiment's name in links: what it says decides it."""
    change: dict[str, str]
    """The options that spell the change, as in a link: edit; or of, layer and c; or attract, repel, layer, rule, pull, token
    and against."""
    directions: tuple[TriedDirection, ...]
    """What is edited, or pushed along; empty of SARA."""
    layer: int | None
    """The layer whose stream is changed; null of edits."""
    size: float | None
    """Of a push, the length that its amount counts in, where that is one: the median on the reference text; null where it is each
    prompt's own, and of other changes."""
    own: Entries
    """The first direction's own tokens, whose chance together is measured; empty of SARA."""
    others: ForPeople[tuple[tuple[TokenEntry, ...], ...]]
    """The tokens of the prompt that attracts and of the one that repels."""
    odds: Entries
    """Of SARA, the token whose odds are told, and the one that it is held against; empty for other changes."""
    draws: int
    """Random changes beside it, the same ones on each prompt."""
    trials: tuple[Trial, ...]
    n_missing: int
    """Prompts of it that were deleted since."""
    n_left: int
    """Prompts that were not run: it was stopped before, or they failed."""
    failure: str | None
    """Why the last one that could not be run could not; null where all could."""
    is_going_on: ForPeople[bool]
    """Whether more are being run, or wait for their turn."""
    divergence: EstimateValue
    """The mean KL over prompts, with its interval: prompts are resampled."""
    random: tuple[float, ...]
    """The mean KL over prompts of each random change."""
    log_factor: EstimateValue
    """The mean logarithm of how many times as large the measure is: of SARA the log-odds gained."""
    random_log_factor: tuple[float, ...]
    """The same of each random change."""
    swapped_log_factor: EstimateValue | None = None
    """The same with roles swapped; null unless of SARA."""
    measured_before: float
    """The mean chance over prompts of the direction's own tokens as the model is; of SARA the mean odds."""
    measured_after: float
    """The same where it is changed."""
    energy: float | None
    """Of edits, the mean share over prompts of what the heads write that is taken away or added."""
    random_energy: float | None
    """The same of random changes, over prompts and changes."""
    n_beyond: int
    """Prompts that the change does more to than any of its random changes."""
    n_turned: int
    """Prompts behind which another token is the likeliest then."""
    n_raised: int
    """Prompts behind which the measure is larger than before."""
    random_raised: tuple[int, ...]
    """The same of each random change."""
    n_swapped_raised: int | None
    """The same with roles swapped; null unless of SARA."""
    kept_until: float
    """When the experiment is deleted, in seconds since 1970."""


def log_factor(factor: float) -> float:
    """Return the logarithm of a factor, which may be too small to have one."""
    return math.log(max(factor, TINY))
