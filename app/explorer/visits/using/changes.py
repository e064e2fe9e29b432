"""The visits to a prompt where the model is changed: what it says then, and how the text goes on, token by token.

Raises what `prompts` raises. Knows no HTTP and imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.core.address import Address, Ray, format_short
from app.explorer import recipes
from app.explorer.asking.changes import Edit, parse_edits, parse_steering, spell_edits
from app.explorer.asking.places import locate_model
from app.explorer.asking.prompts import PromptWish, check_position, most_tokens, normalise, require_live
from app.explorer.asking.views import Options, check_view
from app.explorer.changes import RULES, Change, Contrast, ContrastRule, Steering
from app.explorer.errors import BadOption, Busy, NotReady, PromptsRefused, TooManyPrompts
from app.explorer.library import OpenModel
from app.explorer.pages.using.changes import (
    Continuation,
    CurvePoint,
    EditPage,
    OtherPrompt,
    SaraFormPage,
    SaraPage,
    SteerPage,
    Study,
)
from app.explorer.reading import changes as reading
from app.explorer.reading.prompts import read_reference
from app.explorer.resources import Resources
from app.explorer.running.errand import Errand
from app.explorer.running.visitor import VisitorRequest
from app.explorer.view import View
from app.explorer.visits import orders
from app.explorer.visits.full import unknown_token_error
from app.explorer.visits.using.prompts import carry_prompt, find_prompt, fulfil_live, keep_prompt, require_prompts
from app.explorer.visits.using.statistics import find_statistics, load_statistics
from app.models.vocabulary import TokenEntry
from app.store.artifacts import Arrays, Recipe
from app.store.grounds import note_now
from app.store.prompts import KEPT_SECONDS, KEY, Prompt

TOO_SHORT = "A push leaves the first position as it is, and this prompt has no other: write a longer one."
TOO_SHORT_FOR_HISTORY = "Histories leave the first position out: each of the three prompts needs two tokens at least."
SAME = "What attracts and what repels are the same prompt: nothing lies between them."
SARA_EXAMPLES = (
    (
        "When I see my neighbour, I",
        "I love you so much, you are wonderful and I adore",
        "I hate you so much, you are terrible and I despise",
    ),
    (
        "In this season the air is",
        "The weather is hot and sunny in the summer",
        "The weather is cold and snowy in the winter",
    ),
    (
        "In the beginning God created",
        "and the light was good in the sight of the LORD",
        "and the people did evil in the land",
    ),
)
"""Prompts for those who have none: the prompt, what attracts, what repels."""
MOST_NAMED = 8
"""Tokens that may be asked about."""
NO_WISH = PromptWish()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeInquiry:
    """What a visitor asks of a prompt where the model is changed, whatever is changed."""

    at: int | None = None
    """The position; None: the last."""
    tokens: str = ""
    """Tokens that are asked about, with commas between them."""
    draws: int = 1
    """Random changes beside it."""
    more: int = 0
    """Tokens by which the prompt is continued."""
    seed: int | None = None
    """The seed of tokens that are drawn; None: the likeliest are taken."""
    again: PromptWish = NO_WISH
    """The prompt that the link holds, to be run where it is not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditInquiry(ChangeInquiry):
    """What a visitor asks of a prompt where heads are edited."""

    edit: str = ""
    """The edits, spelt: `L27H8.ov.4:-1`, with commas between them."""
    curve: bool = False
    """Also by how much is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SteerInquiry(ChangeInquiry):
    """What a visitor asks of a prompt where the stream is pushed along a direction."""

    of: str = ""
    """The direction, spelt with its end: `L27H8.ov.4p`."""
    layer: int | None = None
    """The layer whose stream is pushed; None: the one behind the direction's head."""
    amount: float = 0.2
    """The size of the push, in median lengths of the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaraInquiry(ChangeInquiry):
    """What a visitor asks of a prompt whose stream is drawn to another prompt and away from a third."""

    attract: str = ""
    """The key of the prompt that attracts, or its text."""
    repel: str = ""
    """And of the one that repels."""
    layer: int | None = None
    """The layer whose stream is changed; None: the one two thirds up."""
    rule: ContrastRule = "fixed"
    amount: float = 1.0
    """The c of the rule."""
    token: str = ""
    """The token whose odds are told; empty: the first one in which the prompt that attracts differs from the other."""
    against: str = ""
    """The token that it is held against; empty: that of the prompt that repels."""
    study: bool = False
    """Also by its amount, and by how much of the histories is kept."""


@dataclass(frozen=True, slots=True)
class SaraWish:
    """What a visitor typed for three prompts."""

    text: str = ""
    attract: str = ""
    repel: str = ""


@dataclass(frozen=True, slots=True)
class ChangedPrompt:
    """A prompt and a change of its model, as recipes need them."""

    model: OpenModel
    view: View
    prompt: Prompt
    change: Change
    heads: tuple[Address, ...]
    """The matrices whose tokens are followed."""
    statistics: Recipe | None
    """The recipe of the statistics that the change needs; None where it needs none, or there are none."""

    def order_outcome(self, at: int, named: Sequence[int], draws: int) -> Recipe:
        """Return the recipe of what the model says at a position; `named`: ids of tokens whose chances are told."""
        where = (self.prompt.key, self.view.weights, at, self.change, named, self.statistics, draws)
        return recipes.outcome(self.model, *where)

    def order_continuation(self, more: int, seed: int | None) -> Recipe:
        """Return the recipe of how the prompt goes on."""
        how = (self.change, self.statistics, more, seed)
        return recipes.continuation(self.model, self.prompt.key, self.view.weights, *how)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change does to a prompt, as it was computed."""

    asked: ChangedPrompt
    at: int
    others: tuple[Prompt, ...]
    """Of SARA, the prompt that attracts and the one that repels."""
    odds: tuple[TokenEntry, ...]
    """Of SARA, the tokens whose odds are told."""
    arrays: Arrays


def find_outcome(r: Resources, address: Address, options: Options, key: str, inquiry: ChangeInquiry) -> Outcome:
    """Find what a change does to a prompt, at the position and beside the tokens that are asked about; NotReady."""
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    others: tuple[Prompt, ...] = ()
    odds: tuple[TokenEntry, ...] = ()
    match inquiry:
        case EditInquiry():
            asked, _ = _read_edits(r, address, model, shown, prompt, inquiry.edit)
        case SteerInquiry():
            asked, _, _ = _read_steering(r, address, model, shown, prompt, inquiry)
        case SaraInquiry():
            asked, _, pair = _read_contrast(r, address, model, shown, prompt, inquiry)
            others, odds = pair, find_odds(model, inquiry.token, inquiry.against, pair)
        case _:
            raise TypeError(f"{type(inquiry).__name__} asks for no change")
    at = check_position(len(prompt.ids), inquiry.at)
    return Outcome(asked, at, others, odds, _compute_outcome(r, asked, inquiry, at, odds))


def _compute_outcome(
    r: Resources, asked: ChangedPrompt, inquiry: ChangeInquiry, at: int, also: Sequence[TokenEntry]
) -> Arrays:
    orders.fulfil_in_line(r, [orders.order_matrix(asked.model, head, asked.view) for head in asked.heads])
    ids = [token.id for token in (*also, *_find_named(asked.model, inquiry.tokens))]
    recipe = asked.order_outcome(at, ids, inquiry.draws)
    return fulfil_live(r, asked.model, recipe, _title(asked.model)).arrays


def visit_edit(
    r: Resources, address: Address, options: Options, key: str, inquiry: EditInquiry, *, waits: bool = True
) -> EditPage:
    """Make the page of a prompt where heads are edited; unless it `waits`, with as much of the continuation as there is."""
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    asked, edits = _read_edits(r, address, model, shown, prompt, inquiry.edit)
    if inquiry.curve and not all(edit.kind == "scale" for edit in edits):
        raise BadOption("curve=1 varies how much is written: it needs amounts, and neither mean nor only.")
    arrays, told = _tell(r, asked, inquiry, waits=waits)
    return EditPage(
        address=Address(address.model, address.pin),
        edits=reading.read_directions(arrays, edits, model.vocabulary),
        energy=float(arrays["energy"][0]),
        random_energy=tuple(arrays["energy"][1:].tolist()),
        curve=_read_curve(r, asked, edits, told["at"]) if inquiry.curve else (),
        edit_named=spell_edits(edits),
        has_curve=inquiry.curve,
        **told,
    )


def visit_steering(
    r: Resources, address: Address, options: Options, key: str, inquiry: SteerInquiry, *, waits: bool = True
) -> SteerPage:
    """Make the page of a prompt where the stream is pushed along a direction; else as `visit_edit`."""
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    asked, ray, steering = _read_steering(r, address, model, shown, prompt, inquiry)
    arrays, told = _tell(r, asked, inquiry, waits=waits)
    (matrix,) = orders.fulfil_in_line(r, [orders.order_matrix(model, asked.heads[0], shown)])
    return SteerPage(
        address=Address(address.model, address.pin),
        direction=reading.read_followed_set(arrays, ray.address, model.vocabulary),
        layer=steering.layer,
        amount=steering.amount,
        size=float(arrays["size"][0]),
        strength=float(matrix.arrays["strength"][steering.of.index]),
        spread=_find_spread(r, model, shown, steering),
        steer_named=format_short(ray),
        **told,
    )


def visit_sara(
    r: Resources, address: Address, options: Options, key: str, inquiry: SaraInquiry, *, waits: bool = True
) -> SaraPage:
    """Make the page of a prompt whose stream is drawn to one prompt and away from another; else as `visit_edit`."""
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    asked, contrast, others = _read_contrast(r, address, model, shown, prompt, inquiry)
    tokens = find_odds(model, inquiry.token, inquiry.against, others)
    arrays, told = _tell(r, asked, inquiry, waits=waits, also=tokens)
    rest, swapped = reading.split_swapped(arrays)
    recipe = recipes.histories(model, key, contrast.layer, contrast.attract, contrast.repel)
    held = fulfil_live(r, model, recipe, _title(model)).arrays
    favoured, against = told["named"][:2]
    scored = RULES.index(contrast.rule) if contrast.rule in {"fixed", "published"} else None
    counts, edges = ((), (0.0, 0.0)) if scored is None else reading.count_scores(held["score"][scored])
    kept, behind = reading.read_kept(held)
    sinks = held["scale"].tolist()
    other = [
        OtherPrompt(each.key, tuple(map(model.vocabulary.entry, each.ids)), sink, _carry_other(r, model, each))
        for each, sink in zip(others, sinks[1:], strict=True)
    ]
    return SaraPage(
        address=Address(address.model, address.pin),
        layer=contrast.layer,
        rule=contrast.rule,
        amount=contrast.amount,
        attract=other[0],
        repel=other[1],
        sink=sinks[0],
        favoured=favoured,
        against=against,
        odds=reading.read_odds(rest, swapped),
        swapped=float(swapped["divergence"]),
        dependence=(float(held["dependence"][0]), float(held["dependence"][1])),
        scores=counts,
        score_range=edges,
        kept=kept,
        kept_behind=behind,
        likeness=reading.read_likeness(held),
        n_leading=int(held["dimensions"][0]),
        study=_study(r, asked, contrast, (tokens[0].id, tokens[1].id)) if inquiry.study else None,
        favoured_named=inquiry.token,
        against_named=inquiry.against,
        **told,
    )


def visit_sara_form(
    r: Resources, address: Address, options: Options, wish: SaraWish, problem: str = ""
) -> SaraFormPage:
    """Make the form that asks for three prompts, with what was typed and why it is not run."""
    prompts, model = require_prompts(r), locate_model(r, address)
    shown = check_view(model, Address(address.model), options, r.default_weights)
    note_now()  # it may hold what a visitor typed
    why_not = ""
    try:
        require_live(model)
    except BadOption as reason:
        why_not = str(reason)
    most = most_tokens(model, prompts.limits)
    fits = [
        each for each in SARA_EXAMPLES if not why_not and all(1 < len(model.tokenize_whole(t)) <= most for t in each)
    ]
    here = Address(address.model, address.pin)
    typed = (normalise(wish.text), normalise(wish.attract), normalise(wish.repel))
    return SaraFormPage(here, model.header, shown, *typed, problem, why_not, most, tuple(fits))


def keep_three(r: Resources, address: Address, wish: SaraWish) -> tuple[str, str, str]:
    """Keep the three prompts that a visitor typed, and return their keys; BadOption where one means nothing."""
    model = locate_model(r, address)
    texts = {"The prompt": wish.text, "What attracts": wish.attract, "What repels": wish.repel}
    if wish.attract == wish.repel:
        raise BadOption(SAME)
    keys = []
    for name, text in texts.items():
        try:
            if text.strip() and len(model.tokenize_whole(normalise(text))) == 1:
                raise BadOption("This is one token, and histories leave the first position out: write two at least.")
            keys.append(keep_prompt(r, address, PromptWish(text)))
        except BadOption as problem:
            raise BadOption(f"{name}: {problem}") from None
    prompt, attract, repel = keys
    return prompt, attract, repel


def follow_sara(
    r: Resources, address: Address, options: Options, key: str, inquiry: SaraInquiry
) -> tuple[Continuation, Errand | None]:
    """The same where the stream is drawn to another prompt."""
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    return _follow(r, _read_contrast(r, address, model, shown, prompt, inquiry)[0], inquiry)


def follow_edit(
    r: Resources, address: Address, options: Options, key: str, inquiry: EditInquiry
) -> tuple[Continuation, Errand | None]:
    """Return how far a prompt's continuation has come, and what is being made of it; None once it is there.

    To be asked again and again: what nobody asks for ends after a while, or at once where it is abandoned.
    """
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    return _follow(r, _read_edits(r, address, model, shown, prompt, inquiry.edit)[0], inquiry)


def follow_steering(
    r: Resources, address: Address, options: Options, key: str, inquiry: SteerInquiry
) -> tuple[Continuation, Errand | None]:
    """The same where the stream is pushed."""
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    return _follow(r, _read_steering(r, address, model, shown, prompt, inquiry)[0], inquiry)


def abandon_continuation(r: Resources, errand: Errand, asking: VisitorRequest) -> None:
    """Let go of a continuation that this request asked for, unless somebody else has asked since."""
    require_prompts(r).queue.abandon(errand, asking)


def require_mean(r: Resources, model: OpenModel, shown: View, change: Change) -> Recipe | None:
    """Return the recipe of the statistics that edits need, None where they need none; BadOption where they are not here."""
    if isinstance(change, Steering | Contrast) or not any(edit.kind == "mean" for edit in change):
        return None
    statistics = find_statistics(r.store, model, shown.weights)
    if statistics is None:
        raise BadOption(
            "mean writes the mean of the reference text, which this server does not have: singular-lens statistics "
            f"{model.header.slug} --weights {shown.weights} computes it."
        )
    return statistics


def _read_edits(
    r: Resources, address: Address, model: OpenModel, shown: View, prompt: Prompt, text: str
) -> tuple[ChangedPrompt, tuple[Edit, ...]]:
    """Read the edits of a link; BadOption where they need statistics that are not here."""
    edits = parse_edits(model, address, text, shown.weights)
    plain, heads = [edit.plain for edit in edits], tuple(dict.fromkeys(edit.address.matrix for edit in edits))
    return ChangedPrompt(model, shown, prompt, plain, heads, require_mean(r, model, shown, plain)), edits


def _find_spread(r: Resources, model: OpenModel, shown: View, steering: Steering) -> float | None:
    statistics = load_statistics(r.store, model, shown.weights)
    of = steering.of
    return None if statistics is None else float(statistics.arrays["spread"][of.layer, of.head, of.index])


def _read_steering(
    r: Resources, address: Address, model: OpenModel, shown: View, prompt: Prompt, inquiry: SteerInquiry
) -> tuple[ChangedPrompt, Ray, Steering]:
    ray, steering = parse_steering(model, address, inquiry.of, inquiry.layer, inquiry.amount, shown.weights)
    if len(prompt.ids) == 1:
        raise BadOption(TOO_SHORT)
    statistics = find_statistics(r.store, model, shown.weights)
    return ChangedPrompt(model, shown, prompt, steering, (ray.address.matrix,), statistics), ray, steering


def _read_contrast(
    r: Resources, address: Address, model: OpenModel, shown: View, prompt: Prompt, inquiry: SaraInquiry
) -> tuple[ChangedPrompt, Contrast, tuple[Prompt, Prompt]]:
    """Read a contrast of a link, and find the two prompts that it names."""
    contrast, others = read_contrast(r, address, model, inquiry)
    if len(prompt.ids) == 1:
        raise BadOption(TOO_SHORT_FOR_HISTORY)
    return ChangedPrompt(model, shown, prompt, contrast, (), None), contrast, others


def read_contrast(
    r: Resources, address: Address, model: OpenModel, inquiry: SaraInquiry
) -> tuple[Contrast, tuple[Prompt, Prompt]]:
    """Read a contrast, and find the two prompts between which it lies, or keep them where they are texts; BadOption."""
    attract, repel = (find_other(r, address, model, name, getattr(inquiry, name)) for name in ("attract", "repel"))
    if attract.key == repel.key:
        raise BadOption(SAME)
    if min(len(attract.ids), len(repel.ids)) == 1:
        raise BadOption(TOO_SHORT_FOR_HISTORY)
    last = model.header.n_layers - 1
    layer = 2 * model.header.n_layers // 3 if inquiry.layer is None else inquiry.layer
    if not 0 <= layer <= last:
        raise BadOption(f"layer goes from 0 to {last} here: it is the one whose stream is changed.")
    return Contrast(layer, inquiry.rule, inquiry.amount, attract.key, repel.key), (attract, repel)


def find_other(r: Resources, address: Address, model: OpenModel, name: str, said: str) -> Prompt:
    """Find the prompt that attracts or repels by its key, or keep it where it is a text; BadOption."""
    store = require_prompts(r).store
    found = store.get(model.fingerprint, said) if said else None
    if found is None and said.strip() and not KEY.fullmatch(said):
        try:
            found = store.get(model.fingerprint, keep_prompt(r, address, PromptWish(said)))
        except BadOption as problem:
            raise BadOption(f"{name}: {problem}") from None
    if found is None:
        raise BadOption(
            f"{name} is the key of a prompt, which is not here: it was deleted, is older than 30 days, or never was. Write "
            f"it anew, at {model.header.slug}/sara."
        )
    return found


def find_odds(
    model: OpenModel, token: str, against: str, others: tuple[Prompt, Prompt]
) -> tuple[TokenEntry, TokenEntry]:
    """Find the two tokens whose odds are told: those that are named, else the first in which the two prompts differ.

    BadOption where they are no tokens, or the same one.
    """
    words = (token.strip(), against.strip())
    favoured, other = (
        _find_token(model, word) if word else model.vocabulary.entry(id_)
        for word, id_ in zip(words, _find_difference(*others), strict=True)
    )
    if favoured == other:
        raise BadOption("token and against are two tokens, whose odds are told: name another one.")
    return favoured, other


def _carry_other(r: Resources, model: OpenModel, prompt: Prompt) -> str:
    """Return another prompt as a link can carry it: its text, or its key where the text alone does not give its tokens."""
    carried = carry_prompt(r, model, prompt)
    return prompt.key if carried.start or not carried.text or KEY.fullmatch(carried.text) else carried.text


def _find_difference(attract: Prompt, repel: Prompt) -> tuple[int, int]:
    """Find the first tokens in which two prompts differ; where one goes on after the other, their last ones."""
    pairs = zip(attract.ids, repel.ids, strict=False)
    return next((pair for pair in pairs if pair[0] != pair[1]), (attract.ids[-1], repel.ids[-1]))


def _study(r: Resources, asked: ChangedPrompt, contrast: Contrast, tokens: tuple[int, int]) -> Study:
    where = (asked.prompt.key, contrast.layer, contrast.attract, contrast.repel)
    recipe = recipes.study(asked.model, *where, contrast.amount, tokens)
    return reading.read_study(fulfil_live(r, asked.model, recipe, _title(asked.model), "dear").arrays)


def _tell(
    r: Resources, asked: ChangedPrompt, inquiry: ChangeInquiry, *, waits: bool, also: Sequence[TokenEntry] = ()
) -> tuple[Arrays, dict[str, Any]]:
    """Compute what a change does; return its arrays, and the values that every page of a change has.

    `also`: tokens that are told before those that were asked about.
    """
    model, prompt, vocabulary = asked.model, asked.prompt, asked.model.vocabulary
    at = check_position(len(prompt.ids), inquiry.at)
    named = (*also, *_find_named(model, inquiry.tokens))
    _check_continuation(r, model, len(prompt.ids), inquiry.more)
    found = _compute_outcome(r, asked, inquiry, at, also)
    ids = [token.id for token in named]
    arrays = reading.split_swapped(found)[0] if isinstance(asked.change, Contrast) else found
    statistics = load_statistics(r.store, model, asked.view.weights)
    reference = None if statistics is None else read_reference(statistics.name, statistics.text, statistics.arrays)
    return found, {
        "model": model.header,
        "view": asked.view,
        "key": prompt.key,
        "text": prompt.text,
        "tokens": reading.read_followed(arrays, prompt.ids, vocabulary),
        "at": at,
        "divergence": float(arrays["divergence"][0]),
        "random": tuple(arrays["divergence"][1:].tolist()),
        "next": reading.read_next(arrays, vocabulary),
        "named": reading.read_named(arrays, ids, vocabulary),
        "continuation": _continue(r, asked, inquiry, waits=waits) if inquiry.more else None,
        "statistics": None if reference is None else reference.name,
        "reference": None if reference is None else reference.text,
        "n_reference": 0 if reference is None else reference.n_tokens,
        "kept_until": prompt.made + KEPT_SECONDS,
        "carried": carry_prompt(r, model, prompt),
        "named_tokens": inquiry.tokens,
        "more": inquiry.more,
        "seed": inquiry.seed,
    }


def _find_named(model: OpenModel, text: str) -> tuple[TokenEntry, ...]:
    """Find the tokens that a visitor asks about: words with a space in front where there is such a token, or ids as #512."""
    if not text.isprintable():
        raise BadOption("tokens holds a control character: leave it out, or name a token by its id, as #198.")
    words = [word for part in text.split(",") if (word := part.strip())]
    if len(words) > MOST_NAMED:
        raise BadOption(f"tokens names up to {MOST_NAMED} tokens, with commas between them.")
    return tuple(dict.fromkeys(_find_token(model, word) for word in words))


def _find_token(model: OpenModel, word: str) -> TokenEntry:
    found = None if word[0] in "#·" else model.vocabulary.find(f" {word}")
    found = found or model.vocabulary.find(word)
    if found is None:
        raise unknown_token_error(model, word, "tokens")
    return found


def _check_continuation(r: Resources, model: OpenModel, n_tokens: int, more: int) -> None:
    """Raise PromptsRefused where this server continues no text, BadOption where the model reads no further."""
    if more and not require_prompts(r).limits.continued:
        raise PromptsRefused(
            "This server continues no text. Whoever runs it can allow it: singular-lens serve --generation local for "
            "visitors on its own machine, --generation public for all."
        )
    if (room := model.header.n_ctx - n_tokens) < more:
        raise BadOption(
            f"{model.header.slug} reads texts of {model.header.n_ctx} tokens: this one leaves {room}, so that more goes from 0 "
            f"to {room} here."
        )


def _read_curve(r: Resources, asked: ChangedPrompt, edits: Sequence[Edit], at: int) -> tuple[CurvePoint, ...]:
    plain = [edit.plain for edit in edits]
    recipe = recipes.curve(asked.model, asked.prompt.key, asked.view.weights, at, plain)
    return reading.read_curve(fulfil_live(r, asked.model, recipe, _title(asked.model), "dear").arrays)


def _continue(r: Resources, asked: ChangedPrompt, inquiry: ChangeInquiry, *, waits: bool) -> Continuation:
    if waits:
        recipe = asked.order_continuation(inquiry.more, inquiry.seed)
        arrays = fulfil_live(r, asked.model, recipe, _title(asked.model), "dear").arrays
        return reading.read_continuation(arrays, inquiry.more, inquiry.seed, asked.model.vocabulary)
    return _follow(r, asked, inquiry)[0]


def _follow(r: Resources, asked: ChangedPrompt, inquiry: ChangeInquiry) -> tuple[Continuation, Errand | None]:
    if not inquiry.more:
        raise BadOption("more is the number of tokens that follow, from 1 on.")
    _check_continuation(r, asked.model, len(asked.prompt.ids), inquiry.more)
    prompts, vocabulary = require_prompts(r), asked.model.vocabulary
    recipe, how = asked.order_continuation(inquiry.more, inquiry.seed), (inquiry.more, inquiry.seed)
    if (held := prompts.store.results.load(recipe)) is not None:
        return reading.read_continuation(held.arrays, *how, vocabulary), None
    try:
        errand = prompts.queue.submit(asked.model.header.slug, [recipe], _title(asked.model), "dear")
    except Busy as busy:
        raise TooManyPrompts(str(busy)) from busy
    except NotReady:  # another one is being made for the same request
        return reading.read_so_far((), *how, vocabulary), None
    return reading.read_so_far(errand.so_far, *how, vocabulary), errand


def _title(model: OpenModel) -> str:
    return f"{model.header.slug} is running the prompt with what was changed."
