"""The visits to a prompt where the model is changed: what it says then, and how the text goes on, token by token.

Raises what `prompts` raises. Knows no HTTP and imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.address import Address
from app.explorer import recipes
from app.explorer.asking.changes import Edit, parse_edits, spell_edits
from app.explorer.asking.prompts import PromptWish, check_position
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, Busy, NotReady, PromptsRefused, TooManyPrompts
from app.explorer.library import OpenModel
from app.explorer.pages.using.changes import Continuation, CurvePoint, EditPage
from app.explorer.reading import changes as reading
from app.explorer.reading.prompts import read_reference
from app.explorer.resources import Resources
from app.explorer.running.errand import Errand
from app.explorer.running.visitor import VisitorRequest
from app.explorer.view import View
from app.explorer.visits import orders
from app.explorer.visits.full import unknown_token_error
from app.explorer.visits.prompts import carry_prompt, find_prompt, fulfil_live, require_prompts
from app.explorer.visits.using import find_statistics, load_statistics
from app.models.vocabulary import TokenEntry
from app.store.artifacts import Recipe
from app.store.prompts import KEPT_SECONDS

MOST_NAMED = 8
"""Tokens that may be asked about."""
NO_WISH = PromptWish()


@dataclass(frozen=True, slots=True)
class EditInquiry:
    """What a visitor asks of a prompt where heads are edited."""

    edit: str = ""
    """The edits, spelt: `L27H8.ov.4:-1`, with commas between them."""
    at: int | None = None
    """The position; None: the last."""
    tokens: str = ""
    """Tokens that are asked about, with commas between them."""
    draws: int = 1
    """Random changes beside it."""
    curve: bool = False
    """Also by how much is written."""
    more: int = 0
    """Tokens by which the prompt is continued."""
    seed: int | None = None
    """The seed of tokens that are drawn; None: the likeliest are taken."""
    again: PromptWish = NO_WISH
    """The prompt that the link holds, to be run where it is not here."""


@dataclass(frozen=True, slots=True)
class AskedEdit:
    """Edits of a prompt's model, as recipes need them."""

    model: OpenModel
    view: View
    key: str
    edits: tuple[Edit, ...]
    statistics: Recipe | None
    """The recipe of the statistics that have the mean of what is written; None where no edit needs it."""

    def order_continuation(self, more: int, seed: int | None) -> Recipe:
        """Return the recipe of how the prompt goes on."""
        edits = [edit.plain for edit in self.edits]
        return recipes.continuation(self.model, self.key, self.view.weights, edits, self.statistics, more, seed)


def visit_edit(
    r: Resources, address: Address, options: Options, key: str, inquiry: EditInquiry, *, waits: bool = True
) -> EditPage:
    """Make the page of a prompt where heads are edited; unless it `waits`, with as much of the continuation as there is."""
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    at = check_position(len(prompt.ids), inquiry.at)
    asked = _read_edits(r, address, model, shown, key, inquiry.edit)
    named, edits = _find_named(model, inquiry.tokens), asked.edits
    _check_continuation(r, model, len(prompt.ids), inquiry.more)
    if inquiry.curve and not all(edit.kind == "scale" for edit in edits):
        raise BadOption("curve=1 varies how much is written: it needs amounts, and neither mean nor only.")
    heads = dict.fromkeys(edit.address.matrix for edit in edits)
    orders.fulfil_in_line(r, [orders.order_matrix(model, head, shown) for head in heads])
    plain, ids = [edit.plain for edit in edits], [token.id for token in named]
    recipe = recipes.outcome(model, key, shown.weights, at, plain, ids, asked.statistics, inquiry.draws)
    arrays = fulfil_live(r, model, recipe, _title(model)).arrays
    statistics = load_statistics(r.store, model, shown.weights)
    reference = None if statistics is None else read_reference(statistics.name, statistics.text, statistics.arrays)
    return EditPage(
        Address(address.model, address.pin),
        model.header,
        shown,
        key=key,
        text=prompt.text,
        tokens=reading.read_followed(arrays, prompt.ids, model.vocabulary),
        at=at,
        edits=reading.read_directions(arrays, edits, model.vocabulary),
        divergence=float(arrays["divergence"][0]),
        random=tuple(arrays["divergence"][1:].tolist()),
        energy=float(arrays["energy"][0]),
        random_energy=tuple(arrays["energy"][1:].tolist()),
        next=reading.read_next(arrays, model.vocabulary),
        named=reading.read_named(arrays, ids, model.vocabulary),
        curve=_read_curve(r, asked, at) if inquiry.curve else (),
        continuation=_continue(r, asked, inquiry, waits=waits) if inquiry.more else None,
        statistics=None if reference is None else reference.name,
        reference=None if reference is None else reference.text,
        n_reference=0 if reference is None else reference.n_tokens,
        kept_until=prompt.made + KEPT_SECONDS,
        carried=carry_prompt(r, model, prompt),
        edit_named=spell_edits(edits),
        named_tokens=inquiry.tokens,
        has_curve=inquiry.curve,
        more=inquiry.more,
        seed=inquiry.seed,
    )


def follow_continuation(
    r: Resources, address: Address, options: Options, key: str, inquiry: EditInquiry
) -> tuple[Continuation, Errand | None]:
    """Return how far a prompt's continuation has come, and what is being made of it; None once it is there.

    To be asked again and again: what nobody asks for ends after a while, or at once where it is abandoned.
    """
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    asked = _read_edits(r, address, model, shown, key, inquiry.edit)
    if not inquiry.more:
        raise BadOption("more is the number of tokens that follow, from 1 on.")
    _check_continuation(r, model, len(prompt.ids), inquiry.more)
    return _follow(r, asked, inquiry)


def abandon_continuation(r: Resources, errand: Errand, asking: VisitorRequest) -> None:
    """Let go of a continuation that this request asked for, unless somebody else has asked since."""
    require_prompts(r).queue.abandon(errand, asking)


def _read_edits(r: Resources, address: Address, model: OpenModel, shown: View, key: str, text: str) -> AskedEdit:
    """Read the edits of a link; BadOption where they need statistics that are not here."""
    edits = parse_edits(model, address, text, shown.weights)
    statistics = find_statistics(r.store, model, shown.weights) if any(edit.kind == "mean" for edit in edits) else None
    if statistics is None and any(edit.kind == "mean" for edit in edits):
        raise BadOption(
            "mean writes the mean of the reference text, which this server does not have: singular-lens statistics "
            f"{model.header.slug} --weights {shown.weights} computes it."
        )
    return AskedEdit(model, shown, key, edits, statistics)


def _find_named(model: OpenModel, text: str) -> tuple[TokenEntry, ...]:
    """Find the tokens that a visitor asks about: words with a space in front where there is such a token, or ids as #512."""
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


def _read_curve(r: Resources, asked: AskedEdit, at: int) -> tuple[CurvePoint, ...]:
    edits: Sequence[Edit] = asked.edits
    recipe = recipes.curve(asked.model, asked.key, asked.view.weights, at, [edit.plain for edit in edits])
    return reading.read_curve(fulfil_live(r, asked.model, recipe, _title(asked.model), "dear").arrays)


def _continue(r: Resources, asked: AskedEdit, inquiry: EditInquiry, *, waits: bool) -> Continuation:
    if waits:
        recipe = asked.order_continuation(inquiry.more, inquiry.seed)
        arrays = fulfil_live(r, asked.model, recipe, _title(asked.model), "dear").arrays
        return reading.read_continuation(arrays, inquiry.more, inquiry.seed, asked.model.vocabulary)
    return _follow(r, asked, inquiry)[0]


def _follow(r: Resources, asked: AskedEdit, inquiry: EditInquiry) -> tuple[Continuation, Errand | None]:
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
