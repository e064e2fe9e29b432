"""A prompt that a model ran: the form that asks for it, what speaks for a token, and what one direction does on it."""

from dataclasses import dataclass
from typing import Literal

from pydantic import computed_field

from app.core.address import Address, Ray, Sign
from app.explorer.header import Model
from app.explorer.pages.circuitry import OfToken
from app.explorer.pages.shared import Labelled, Linked, OfWeights
from app.explorer.pages.using.statistics import ReferenceText
from app.explorer.serial import AddressText, Entries, ForPeople
from app.explorer.view import View
from app.models.vocabulary import TokenEntry

PromptTab = Literal["speaks", "writes", "head", "neurons"]
"""What a prompt's page lists: the directions that say most for the token, those that write most, all of one head, or the
neurons that say most."""


@dataclass(frozen=True, slots=True)
class PromptFormPage:
    """The form that asks for a prompt."""

    address: Address
    model: Model
    view: View
    text: str
    """What was typed."""
    ids: str
    start: bool
    """The box that puts the token that begins texts in front is ticked."""
    problem: str
    """Why what was typed is not run; empty where nothing is wrong."""
    why_not: str
    """Why no prompt of this model is run at all; empty where they are."""
    start_token: TokenEntry | None
    """The token that begins texts."""
    most_tokens: int
    most_bytes: int
    room_gib: float
    """The memory that running the model takes, nearly."""
    direction: Address | None
    """The direction that is to be followed on the text."""
    edit: str
    """The edits that the text is to be run with, spelt; empty for none."""
    steer: str
    """The direction that its stream is to be pushed along, spelt; empty for none."""
    deleted: bool
    """A prompt was deleted just now."""
    examples: tuple[str, ...]
    """Texts for those who have none."""


@dataclass(frozen=True, slots=True)
class CarriedPrompt:
    """The prompt as a link can carry it."""

    text: str = ""
    ids: str = ""
    """Token ids, where it was no text."""
    start: bool = False

    @property
    def values(self) -> dict[str, object]:
        """The values of a link's query."""
        return {"text": self.text, "ids": self.ids, "start": "1" if self.start else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfPrompt:
    """A page of a prompt that was run."""

    key: str
    """The prompt's name in links."""
    text: ForPeople[str | None]
    """What was typed; None where it was token ids."""
    kept_until: float
    """When the prompt is deleted, in seconds since 1970."""
    carried: ForPeople[CarriedPrompt]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfReference(OfPrompt):
    """A page of a prompt that is compared with a reference text."""

    statistics: str | None
    """The name of the statistics that the comparison rests on; null where there are none."""
    reference: ReferenceText | None
    """The text that these are of: own, what the model wrote by itself; given, one of whoever runs the server."""
    n_reference: int
    """Positions of that text."""


@dataclass(frozen=True, slots=True)
class NextToken(OfToken):
    """A token that may come next."""

    entry: ForPeople[TokenEntry]
    chance: float
    """The model's probability of it."""


@dataclass(frozen=True, slots=True)
class PromptToken(OfToken):
    """A token of the prompt as it was run."""

    position: int
    entry: ForPeople[TokenEntry]
    likeliest: NextToken
    """The likeliest token behind it."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a direction of a head's OV writes at the position, and what that is for the token."""

    end: ForPeople[Ray]
    """The end that it writes along; of directions that say most (`speaks`), along which it writes more than usual."""
    tokens: Entries
    """The first tokens that this end writes; empty where they are not computed yet."""
    attended: float
    """What arrives of it at the position: its coefficient there, from all positions that its head attends to."""
    z: float | None
    """The same in standard deviations from its mean over the reference text; null where there are no statistics, and at the
    first position, which they leave out."""
    head_share: float
    """Its share of the energy of what its head writes at the position."""
    direct: float | None
    """What it adds to the logit through the final norm alone; null where a norm stands behind attention."""
    beyond: float | None
    """The part of that beyond what it adds on average over the reference text; null without statistics, and at the first
    position."""
    total: float | None = None
    """What the logit loses if it is not written at this position and all later layers run on; null unless asked for."""
    random: tuple[float, ...] = ()
    """The same of random directions of the span of what its head writes."""

    @computed_field
    @property
    def address(self) -> AddressText:
        """Address of the direction."""
        return self.end.address

    @computed_field
    @property
    def label(self) -> str:
        """The short name of the address."""
        return self.end.address.label

    @computed_field
    @property
    def ray(self) -> Sign:
        """The end that it writes along; of those that say most, the one along which it writes more than usual."""
        return self.end.sign


@dataclass(frozen=True, slots=True)
class NeuronContribution(Labelled):
    """What a neuron writes at the position, and what that is for the token."""

    address: AddressText
    """Address of the neuron in its MLP's output."""
    activation: float
    direct: float
    """What it adds to the logit through the final norm alone."""
    tokens: Entries
    """The first tokens of what it writes, at the end along which it writes; empty where they are not computed yet."""


@dataclass(frozen=True, slots=True)
class LogitParts:
    """The logit of the token less the mean of all, or less another token's, as a sum."""

    logit: float
    heads: float
    """What all heads add, biases included."""
    mlps: float
    embedding: float
    """What the token's own embedding adds, its position included."""
    constant: float
    """What the biases of the final norm and the unembedding add."""


@dataclass(frozen=True, slots=True)
class PromptPage(OfReference, Linked, OfWeights):
    """A prompt, and what speaks for a token at one of its positions."""

    address: ForPeople[Address]
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    tokens: tuple[PromptToken, ...]
    at: int
    """The position that all below is about: what is written there decides the token behind it."""
    next: tuple[NextToken, ...]
    """The likeliest tokens behind it."""
    asked: NextToken
    """The token that is asked about."""
    against: NextToken | None
    """The token that it is compared with; null: with the mean of all."""
    parts: LogitParts
    show: PromptTab
    """What is listed."""
    head: ForPeople[Address | None]
    """The head whose directions are listed."""
    directions: tuple[Contribution, ...]
    """The directions that are listed, by what `show` says; empty for neurons."""
    neurons: tuple[NeuronContribution, ...]
    """The neurons that are listed; empty for directions."""
    n_directions: int
    """Directions that they were chosen from."""
    draws: ForPeople[int]
    """Random directions beside each; 0: totals are not asked for."""
    why_no_direct: ForPeople[str]
    """Why it is not told what directions add; empty where it is."""
    token_named: ForPeople[str] = ""
    """How the visitor's link names the token; empty for the likeliest."""
    against_named: ForPeople[str] = ""
    other: ForPeople[TokenEntry | None] = None
    """The token of the same word with a space in front, where one without was asked for; and the other way round."""
    is_whole: ForPeople[bool] = False
    """All directions of the head are listed."""

    @property
    def listed(self) -> float:
        """What everything that is listed adds to the logit together."""
        return sum(one.direct or 0.0 for one in self.directions) + sum(one.direct for one in self.neurons)

    @property
    def listed_beyond(self) -> float | None:
        """What the directions that are listed add beyond their usual; None where no usual is known."""
        found = [one.beyond for one in self.directions if one.beyond is not None]
        return sum(found) if found else None


@dataclass(frozen=True, slots=True)
class CourseToken(OfToken):
    """What a direction does at one token of a prompt."""

    position: int
    entry: ForPeople[TokenEntry]
    read: float
    """What it reads there: its coefficient in the stream as its head reads it."""
    attended: float
    """What arrives of it there, from all positions that its head attends to."""
    z: float | None
    """The same in standard deviations from its mean over the reference text; null where there are no statistics, and at the
    first position, which they leave out."""
    sources: ForPeople[tuple[tuple[int, float], ...]]
    """The positions that bring most of it, and how much each brings."""


@dataclass(frozen=True, slots=True)
class CourseSource(OfToken):
    """A position that a head attends to, and what it brings of a direction."""

    position: int
    entry: ForPeople[TokenEntry]
    attention: float
    """The head's attention to it."""
    read: float
    """What the direction reads there."""
    brought: float
    """The product of both: what arrives from there."""


@dataclass(frozen=True, slots=True)
class CoursePage(OfReference, Labelled, Linked, OfWeights):
    """What one direction of a head's OV does at every token of a prompt."""

    address: AddressText
    """Address of the direction."""
    model: ForPeople[Model]
    view: ForPeople[View]
    tokens: tuple[CourseToken, ...]
    at: int
    """The position that the sources are of."""
    sources: tuple[CourseSource, ...]
    """What arrives there, by position, from what brings most; all of it together is `attended`."""
    writes: ForPeople[tuple[tuple[TokenEntry, ...], tuple[TokenEntry, ...]]]
    """The first tokens that the + end and the - end write; empty where they are not computed yet."""
