"""What a model says of a prompt where something in it is changed, beside random changes of the same kind and size."""

from dataclasses import dataclass
from statistics import median

from pydantic import computed_field

from app.core.address import Address, Sign
from app.explorer.changes import RULES, ContrastRule, EditKind, spell_amount
from app.explorer.header import Model
from app.explorer.pages.circuitry import OfToken
from app.explorer.pages.shared import Labelled, Linked, OfWeights
from app.explorer.pages.using.prompts import OfReference
from app.explorer.serial import AddressText, Entries, ForPeople
from app.explorer.view import View
from app.models.vocabulary import TokenEntry

FAR = 1.0
"""The divergence in nats from which on the model says something else altogether."""
LONG = 20.0
"""A first position so many times as long as the others is a sink: it has the energy of four hundred of them."""
OFFERED = (16, 32, 64)
CHOICES = ((-1.0, "gone"), (-0.5, "half"), (1.0, "twice"), (3.0, "×4"), (10.0, "×11"))
"""Amounts that a page offers."""
VARIED, LONG_ENOUGH = 0.4, 12
"""The share of different tokens below which a text of so many tokens repeats itself."""
BROKEN = 3.0
"""A continuation whose perplexity is so many times that of the plain one is no text any more."""


@dataclass(frozen=True, slots=True)
class ChangedToken(OfToken):
    """A token that may come next, and its chances."""

    entry: ForPeople[TokenEntry]
    before: float
    """Its chance as the model is."""
    after: float
    """Its chance where the model is changed."""
    random: tuple[float, ...]
    """Its chance where it is changed at random, for each random change."""


@dataclass(frozen=True, slots=True)
class FollowedToken(OfToken):
    """A token of the prompt, and how much the change matters behind it."""

    position: int
    entry: ForPeople[TokenEntry]
    divergence: float
    """KL of the next token's chances as they were from the changed ones, in nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedSet(Labelled):
    """A direction's own tokens, and how likely all of them are together."""

    address: AddressText
    """Address of the direction."""
    ray: Sign
    """The end whose tokens are followed: the one that was named, or that is written at the position."""
    tokens: Entries
    """The first tokens there; twenty are followed."""
    before: float
    """The chance of all of them together as the model is."""
    after: float
    """The same where it is changed."""
    random: tuple[float, ...]
    """The same for each random change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedDirection(FollowedSet):
    """A direction that is edited."""

    kind: EditKind
    amount: float | None
    """How much more of it is written, -1 for nothing; null unless the kind is scale."""
    named: ForPeople[str]
    """The direction as the link spells it."""

    @property
    def word(self) -> str:
        """How it is changed, as a link spells it: an amount, or a word."""
        return spell_amount(self.kind, self.amount or 0.0)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What becomes of the model's answer by how much is written."""

    amount: float
    divergence: float
    random: float
    """The divergence where as much more is written of a random direction of each head's span."""
    chance: float
    """The chance of the first direction's tokens together."""


@dataclass(frozen=True, slots=True)
class ContinuedText:
    """How a prompt goes on."""

    tokens: Entries
    perplexity: float | None
    """The perplexity of these tokens to the model as it is; null while they are still coming."""
    same: int
    """The number of first tokens that both texts have in common."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """How a prompt goes on as the model is, and where it is changed."""

    asked: int
    """Tokens that were asked for: a text may end before."""
    seed: int | None
    """The seed by which tokens are drawn, in both texts with the same numbers; null: the likeliest are taken."""
    plain: ContinuedText
    changed: ContinuedText
    is_done: bool
    """False while tokens are still coming."""

    @property
    def times(self) -> float | None:
        """How many times the changed text's perplexity is that of the plain one."""
        if self.plain.perplexity is None or self.changed.perplexity is None:
            return None
        return self.changed.perplexity / self.plain.perplexity

    @property
    def is_broken(self) -> bool:
        """Whether the changed text is hardly one any more."""
        return (self.times or 0.0) >= BROKEN or self.is_repeating

    @property
    def is_repeating(self) -> bool:
        """Whether the changed text says a few tokens again and again, and the plain one does not: that lowers perplexity."""
        plain, changed = (
            len({one.id for one in text.tokens}) / (len(text.tokens) or 1) for text in (self.plain, self.changed)
        )
        return len(self.changed.tokens) >= LONG_ENOUGH and changed < VARIED <= plain


@dataclass(frozen=True, slots=True, kw_only=True)
class OfChange(OfReference):
    """A page of a prompt where the model is changed."""

    address: ForPeople[Address]
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    tokens: tuple[FollowedToken, ...]
    at: int
    """The position that all below is about: what comes next there."""
    divergence: float
    """KL of the next token's chances as they were from the changed ones, in nats."""
    random: tuple[float, ...]
    """The same for random changes of the same kind and size."""
    next: tuple[ChangedToken, ...]
    """The likeliest tokens as the model is, and those where it is changed that are not among them."""
    named: tuple[ChangedToken, ...]
    """The tokens that were asked about."""
    continuation: Continuation | None
    """How the prompt goes on; null unless asked for."""
    named_tokens: ForPeople[str] = ""
    more: ForPeople[int] = 0
    seed: ForPeople[int | None] = None

    @computed_field
    @property
    def draws(self) -> int:
        """Random changes beside the one that was asked for."""
        return len(self.random)

    @property
    def offers(self) -> list[int]:
        """Numbers of tokens by which the page offers to continue the prompt: no more than the model reads."""
        room = self.model.n_ctx - len(self.tokens)
        return [n for n in OFFERED if n <= room] or [room] * (room > 0)

    @property
    def is_far(self) -> bool:
        """Whether the model says something else altogether."""
        return self.divergence >= FAR

    @property
    def typical_random(self) -> float:
        """The median divergence of random changes."""
        return median(self.random)

    @property
    def likeliest(self) -> ChangedToken:
        """The likeliest token as the model is."""
        return max(self.next, key=lambda token: token.before)

    @property
    def likeliest_after(self) -> ChangedToken:
        """The likeliest token where it is changed."""
        return max(self.next, key=lambda token: token.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPage(OfChange, Linked, OfWeights):
    """What a model says of a prompt where heads are edited along directions."""

    edits: tuple[ChangedDirection, ...]
    energy: float
    """Of what the edited heads write on the prompt, the share that the change takes away or adds: amounts count by their
    squares, and the first position is left out."""
    random_energy: tuple[float, ...]
    """The same of the random changes: as many orthogonal directions of each edited head's span, edited in the same way."""
    curve: tuple[CurvePoint, ...]
    """By how much is written of these directions together; empty unless asked for."""
    edit_named: ForPeople[str]
    """The edits as the link spells them."""
    has_curve: ForPeople[bool] = False

    @property
    def followed(self) -> tuple[ChangedDirection, ...]:
        """The directions whose own tokens are followed."""
        return self.edits

    @property
    def is_deletion(self) -> bool:
        """Whether one direction is taken away, and nothing else is done."""
        return len(self.edits) == 1 and self.edits[0].kind == "scale" and self.edits[0].amount == -1

    @property
    def can_curve(self) -> bool:
        """Whether there is an amount to be varied."""
        return all(edit.kind == "scale" for edit in self.edits)

    @property
    def n_heads(self) -> int:
        """Heads that are edited."""
        return len({edit.address.parent for edit in self.edits})

    def list_choices(self, one: ChangedDirection) -> list[tuple[str, str]]:
        """List other ways to change a direction, each as a link spells it and as people read it, the present one among them."""
        usual = [(f"{amount:g}", label) for amount, label in CHOICES]
        words = [("mean", "its mean")] if self.statistics else []
        if len(self.edits) == 1:
            words.append(("only", "only it"))
        listed = usual + words
        return listed if one.word in dict(listed) else [(one.word, f"×{1 + (one.amount or 0.0):g}"), *listed]

    def spell_with(self, one: ChangedDirection, word: str | None) -> str:
        """Spell the edits with another way to change one direction; None: without it."""
        words = [(edit.named, word if edit is one else edit.word) for edit in self.edits]
        return ",".join(f"{named}:{how}" for named, how in words if how is not None)

    @property
    def edit_with_ends(self) -> str:
        """The edits as a link spells them, each with the end whose tokens are followed here."""
        return ",".join(
            f"{one.named if one.named[-1] in 'pn' else one.named + one.ray}:{one.word}" for one in self.edits
        )

    def spell_all(self, amount: float) -> str:
        """Spell the edits with one amount for all directions."""
        return ",".join(f"{edit.named}:{spell_amount('scale', amount)}" for edit in self.edits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteerPage(OfChange, Linked, OfWeights):
    """What a model says of a prompt where its stream is pushed along a direction."""

    direction: FollowedSet
    """The direction, and the end towards which the stream is pushed."""
    layer: int
    """The layer whose stream is pushed, at all positions but the first."""
    amount: float
    """The size of the push, in `size`."""
    size: float
    """The median length of the stream there, without the first position: on the reference text, or on this prompt where there
    are no statistics."""
    strength: float
    """The direction's singular value: `amount * size / strength` is what would have to arrive of it for its head to write as
    much."""
    spread: float | None
    """The standard deviation of what arrives of the direction on the reference text; null without statistics."""
    steer_named: ForPeople[str]
    """The direction as the link spells it."""

    @property
    def followed(self) -> tuple[FollowedSet, ...]:
        """The direction whose own tokens are followed."""
        return (self.direction,)

    @property
    def typical_chance(self) -> float:
        """The median chance of the direction's own tokens where the stream is pushed at random."""
        return median(self.direction.random)

    @property
    def units(self) -> float:
        """What would have to arrive of the direction for its head to write as much."""
        return self.amount * self.size / self.strength


@dataclass(frozen=True, slots=True)
class OtherPrompt:
    """A prompt that another is drawn to, or away from."""

    key: str
    """Its name in links."""
    tokens: Entries
    sink: float
    """How many times as long its first position's stream is as the median of the others."""
    carried: ForPeople[str]
    """The prompt as a link can carry it: its text, or its key."""


@dataclass(frozen=True, slots=True)
class LogOdds:
    """How much likelier one token is than another to come next: the logarithm of the ratio of their chances."""

    before: float
    """As the model is."""
    after: float
    swapped: float
    """The same with the roles of the two prompts swapped."""
    random: tuple[float, ...]
    """The same with scores dealt out at random, or vectors of the same lengths drawn at random."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two histories are, without their first positions and less their common mean."""

    of: str
    """Which two: own and attract, own and repel, attract and repel."""
    rv: float
    """The RV coefficient: from 0 to 1."""
    overlap: float
    """The overlap of their leading dimensions: from 0 to 1."""


@dataclass(frozen=True, slots=True)
class StudyPoint:
    """What a rule does by its amount."""

    amount: float
    divergence: float
    gain: float
    """The log-odds gained."""


@dataclass(frozen=True, slots=True)
class RankPoint:
    """What is kept of the effect where histories are cut to so many columns."""

    rank: int
    kept: float
    """Of the prompt's own history, without its first position, the share of the energy in these columns."""
    likeness: float
    """The correlation of the scores with those of whole histories."""
    divergence: float
    gain: float
    """The log-odds gained."""


@dataclass(frozen=True, slots=True)
class Study:
    """What a contrast does, by its amount, and by how much of the histories is kept."""

    fixed: tuple[StudyPoint, ...]
    last: tuple[StudyPoint, ...]
    """The difference of last tokens, for comparison at an equal divergence."""
    front: tuple[StudyPoint, ...]
    """That of first tokens, position by position, as published but for the first position."""
    ranks: tuple[RankPoint, ...]

    @property
    def rows(self) -> list[tuple[tuple[ContrastRule, StudyPoint], ...]]:
        """All rules side by side, one amount of each after the other."""
        points = zip(self.fixed, self.last, self.front, strict=True)
        return [(("fixed", fixed), ("last", last), ("front", front)) for fixed, last, front in points]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaraPage(OfChange, Linked, OfWeights):
    """What a model says of a prompt whose stream is drawn to one prompt and away from another."""

    layer: int
    """The layer whose stream is changed."""
    rule: ContrastRule
    """How: SARA as it is fixed here (fixed), as published, or by adding the difference of last tokens (last) or of first ones
    (front)."""
    amount: float
    """The c of the rule."""
    attract: OtherPrompt
    repel: OtherPrompt
    sink: float
    """How many times as long this prompt's first stream is as the median of the others."""
    favoured: ChangedToken
    """The token whose odds are told."""
    against: ChangedToken
    """The token that it is held against."""
    odds: LogOdds
    swapped: float
    """The divergence with the roles of the two prompts swapped."""
    dependence: tuple[float, float]
    """How far published scores move when the signs of singular vectors, which an SVD may choose, are drawn anew; and how far they
    are from 0."""
    scores: ForPeople[tuple[int, ...]]
    """Coordinates by their score under the rule, in twenty bins from the least to the largest; empty where none are scored."""
    score_range: tuple[float, float]
    """The least and the largest score; 0 where none are scored."""
    kept: tuple[float, ...]
    """The share of the energy of the prompt's own history that its first 1, 2 ... columns keep, with the first position."""
    kept_behind: tuple[float, ...]
    """The same without it."""
    likeness: tuple[Likeness, ...]
    n_leading: int
    """Leading dimensions whose overlap is told."""
    study: Study | None
    """Null unless asked for."""
    favoured_named: ForPeople[str] = ""
    against_named: ForPeople[str] = ""

    @property
    def followed(self) -> tuple[FollowedSet, ...]:
        """No direction is followed."""
        return ()

    @property
    def gain(self) -> float:
        """The log-odds gained."""
        return self.odds.after - self.odds.before

    @property
    def swapped_gain(self) -> float:
        """The log-odds gained with roles swapped."""
        return self.odds.swapped - self.odds.before

    @property
    def random_gains(self) -> tuple[float, ...]:
        """The log-odds gained at random."""
        return tuple(value - self.odds.before for value in self.odds.random)

    @property
    def verdict(self) -> str:
        """What the gain is worth beside its controls."""
        if self.gain <= 0 or self.swapped_gain >= self.gain:
            return "It goes the other way, or no way at all"
        if self.gain <= max(self.random_gains):
            return "That is no more than at random"
        return "That is more than at random"

    @property
    def rules(self) -> tuple[ContrastRule, ...]:
        """All rules."""
        return RULES

    @property
    def has_sink(self) -> bool:
        """Whether the first position's stream is so long that it is nearly all of the history."""
        return self.sink >= LONG

    @property
    def is_unequal(self) -> bool:
        """Whether the two prompts have different numbers of tokens."""
        return len(self.attract.tokens) != len(self.repel.tokens)


@dataclass(frozen=True, slots=True)
class SaraFormPage:
    """The form that asks for a prompt, one that attracts and one that repels."""

    address: Address
    model: Model
    view: View
    text: str
    attract: str
    repel: str
    problem: str
    """Why what was typed is not run; empty where nothing is wrong."""
    why_not: str
    """Why no prompt of this model is run at all; empty where they are."""
    most_tokens: int
    examples: tuple[tuple[str, str, str], ...]
    """Texts for those who have none: the prompt, what attracts, what repels."""
