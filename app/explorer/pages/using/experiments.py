"""An experiment: a change of a model that is tried on many prompts, so that nobody argues from one."""

import math
from dataclasses import dataclass

from app.core.address import Address
from app.explorer.header import Model
from app.explorer.pages.circuitry import OfToken
from app.explorer.pages.shared import Linked, OfWeights
from app.explorer.serial import Entries, EstimateValue, ForPeople
from app.explorer.view import View
from app.models.vocabulary import TokenEntry


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


@dataclass(frozen=True, slots=True)
class Trial:
    """What a change does to one prompt, at its end."""

    key: str
    """The prompt's name in links."""
    tokens: Entries
    """The prompt as it is run."""
    divergence: float
    """KL of the next token's chances as they were from the changed ones, in nats."""
    random: tuple[float, ...]
    """The same for each random change."""
    factor: float
    """How many times as likely the tokens of the first changed direction are together; of SARA, how many times as large the
    odds of the one token against the other."""
    random_factors: tuple[float, ...]
    """The same for each random change."""
    swapped_factor: float | None
    """Of SARA, the same with the roles of the two prompts swapped; null for other changes."""
    before: LikeliestToken
    after: LikeliestToken

    @property
    def gain(self) -> float:
        """The logarithm of the factor: of SARA, the log-odds gained."""
        return math.log(self.factor) if self.factor > 0 else -math.inf

    @property
    def is_beyond_random(self) -> bool:
        """Whether it changes more than any random change does."""
        return self.divergence > max(self.random)


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
    others: ForPeople[tuple[tuple[TokenEntry, ...], ...]]
    """The tokens of the prompt that attracts and of the one that repels."""
    odds: Entries
    """Of SARA, the token whose odds are told, and the one that it is held against; empty for other changes."""
    draws: int
    """Random changes beside it, on each prompt."""
    trials: tuple[Trial, ...]
    n_missing: int
    """Prompts of it that were deleted since."""
    n_left: int
    """Prompts that were not run: it was stopped before, or they failed."""
    failure: str | None
    """Why the last one that could not be run could not; null where all could."""
    is_going_on: ForPeople[bool]
    """Whether more are being run."""
    divergence: EstimateValue
    """The mean KL over prompts, with its interval: prompts are resampled."""
    random: EstimateValue
    """The same for random changes, the mean over them first."""
    factor: EstimateValue
    """The mean logarithm of how many times as likely the first direction's tokens are, or as large the odds: of SARA the
    log-odds gained."""
    random_factor: EstimateValue
    """The same for random changes."""
    swapped_factor: EstimateValue | None = None
    """The same with roles swapped; null unless of SARA."""
    n_beyond: int
    """Prompts that the change does more to than any of its random changes."""
    n_turned: int
    """Prompts behind which another token is the likeliest then."""
    n_raised: int
    """Prompts behind which the first direction's tokens, or the odds, are likelier than before."""
    kept_until: float
    """When the experiment is deleted, in seconds since 1970."""
