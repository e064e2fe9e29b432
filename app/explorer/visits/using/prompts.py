"""The visits to prompts: the form, a prompt that was run, one direction on it; and those who keep one, or delete it.

Raises what `browse` raises, and PromptsRefused where models are not run, TooManyPrompts where too many wait. Knows no HTTP
and imports no torch.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from app.core.address import SIGNS, Address, Ray, Sign, format_short
from app.explorer import recipes
from app.explorer.asking.changes import parse_edits, parse_steering, spell_edits
from app.explorer.asking.places import locate_model
from app.explorer.asking.prompts import (
    READ,
    PromptAim,
    PromptWish,
    check_position,
    most_tokens,
    normalise,
    parse_direction,
    parse_head,
    read_ids,
    require_live,
)
from app.explorer.asking.views import Options, check_view
from app.explorer.errors import (
    BadOption,
    Busy,
    ComputationFailed,
    NotBuilt,
    PromptsRefused,
    TooManyPrompts,
    UnknownPrompt,
)
from app.explorer.layout import MOST_REMOVED, SIDE_PREFIXES
from app.explorer.library import OpenModel
from app.explorer.pages.using.prompts import (
    CarriedPrompt,
    Contribution,
    CoursePage,
    NeuronContribution,
    PromptFormPage,
    PromptPage,
    PromptTab,
)
from app.explorer.reading import prompts as reading
from app.explorer.reading.finding.bank import Bank, open_bank
from app.explorer.resources import Resources
from app.explorer.running.line import Cost
from app.explorer.running.prompts import Prompts
from app.explorer.view import Processing, View
from app.explorer.visits import orders
from app.explorer.visits.full import unknown_token_error
from app.explorer.visits.using.statistics import load_statistics
from app.models.live.room import estimate_room
from app.models.vocabulary import TokenEntry
from app.store.artifacts import Artifact, Recipe
from app.store.grounds import note_now
from app.store.prompts import KEPT_SECONDS, Prompt, key_of

GIB = 2**30
TOKENS = 6
"""Tokens shown of what a direction writes."""
EXAMPLES = (
    "The new phone is faster, lighter and",
    "She said that it might rain tomorrow, so they",
    "The painter mixed red and blue to get a deep shade of",
    "He sat at his desk and wrote a letter to the editor of the",
    "When Mary and John went to the store, John gave a drink to",
    "In the beginning God created the heaven and the",
)
"""Prompts for those who have none."""
NOT_HERE = "There is no prompt {} here: it was deleted, is older than 30 days, or never was. Run it again, or ask for its text."
POST_NORMED = (
    "A norm stands behind each head's output in this model, so that what one direction writes is no share of a logit of "
    "its own."
)


NO_WISH = PromptWish()


@dataclass(frozen=True, slots=True)
class PromptInquiry:
    """What a visitor asks of a prompt."""

    at: int | None = None
    """The position; None: the last."""
    token: str = ""
    """The token that is asked about; empty: the likeliest."""
    against: str = ""
    """The token that it is compared with; empty: all."""
    show: PromptTab | None = None
    head: str = ""
    """The head whose directions are listed, such as L25H6."""
    whole: bool = False
    """All directions of that head."""
    draws: int = 0
    """Random directions beside each; 0: nothing is taken away."""
    again: PromptWish = NO_WISH
    """The prompt that the link holds, to be run where it is not here."""


def visit_form(
    r: Resources,
    address: Address,
    options: Options,
    wish: PromptWish,
    aim: PromptAim = READ,
    problem: str = "",
    *,
    deleted: bool = False,
) -> PromptFormPage:
    """Make the form that asks for a prompt, with what was typed and why it is not run."""
    prompts, model = require_prompts(r), locate_model(r, address)
    shown = check_view(model, Address(address.model), options, r.default_weights)
    note_now()  # it may hold what a visitor typed
    why_not = ""
    try:
        require_live(model)
    except BadOption as reason:
        why_not = str(reason)
    start, most = model.vocabulary.start, most_tokens(model, prompts.limits)
    return PromptFormPage(
        _model_of(address),
        model.header,
        shown,
        text=normalise(wish.text),
        ids=wish.ids,
        start=wish.start,
        problem=problem,
        why_not=why_not,
        start_token=None if start is None else model.vocabulary.entry(start),
        most_tokens=most,
        most_bytes=prompts.limits.text_bytes,
        room_gib=estimate_room(model.manifest, most) / GIB,
        direction=parse_direction(model, address, aim.of, "ov") if aim.of else None,
        edit=spell_edits(parse_edits(model, address, aim.edit, shown.weights)) if aim.edit else "",
        steer=format_short(parse_steering(model, address, aim.steer, None, 0.0, shown.weights)[0]) if aim.steer else "",
        deleted=deleted,
        examples=() if why_not else choose_examples(model, prompts),
    )


def keep_prompt(r: Resources, address: Address, wish: PromptWish, aim: PromptAim = READ) -> str:
    """Keep the prompt that a visitor typed, and return its key; BadOption where it, or its aim, means nothing."""
    prompts, model = require_prompts(r), locate_model(r, address)
    _check_aim(model, address, aim)
    return _keep(prompts, model, wish)


def find_key(r: Resources, address: Address, wish: PromptWish, aim: PromptAim = READ) -> str:
    """Return the key of the prompt that a visitor typed, without keeping it; else as `keep_prompt`."""
    prompts, model = require_prompts(r), locate_model(r, address)
    _check_aim(model, address, aim)
    return key_of(model.fingerprint, read_ids(model, wish, prompts.limits))


def _check_aim(model: OpenModel, address: Address, aim: PromptAim) -> None:
    """Raise BadOption or UnknownAddress where what the prompt is asked for means nothing."""
    if aim.of:
        parse_direction(model, address, aim.of, "ov")
    if aim.edit:
        parse_edits(model, address, aim.edit, "folded")
    if aim.steer:
        parse_steering(model, address, aim.steer, None, 0.0, "folded")


def delete_prompt(r: Resources, address: Address, key: str) -> None:
    """Delete a prompt with everything that was computed of it; UnknownAddress where it is not here."""
    prompts, model = require_prompts(r), locate_model(r, address)
    if prompts.store.get(model.fingerprint, key) is None:
        raise UnknownPrompt(NOT_HERE.format(key[:16]))
    try:
        prompts.store.delete(model.fingerprint, key)
    except OSError as error:
        raise ComputationFailed("The disk of this server refused to delete the prompt.") from error


def visit_prompt(r: Resources, address: Address, options: Options, key: str, spot: PromptInquiry) -> PromptPage:
    """Make the page of a prompt: what speaks for a token at a position."""
    model, shown, prompt = find_prompt(r, address, options, key, spot.again)
    at, head = check_position(len(prompt.ids), spot.at), parse_head(model, address, spot.head)
    token, against = (_find_token(model, getattr(spot, name), name) for name in ("token", "against"))
    asked_for = AskedPrompt(model, shown.weights, key, at, token, against)
    arrays = fulfil_live(r, model, asked_for.order(), _title(model)).arrays
    asked = reading.read_asked(arrays, model.vocabulary)
    if against is not None and against.id == asked.entry.id:
        raise BadOption("against is another token than the one that is asked about.")
    show = _choose_tab(spot.show, head, is_told="weight" in arrays)
    reference = _load_reference(r, model, shown)
    directions: tuple[Contribution, ...] = ()
    neurons: tuple[NeuronContribution, ...] = ()
    if show == "neurons":
        neurons = _read_neurons(r, _model_of(address), shown, asked_for)
    else:
        # Statistics leave the first position out, and say nothing of it.
        usual = reference if at else None
        of_head = (head.layer or 0, head.head or 0) if head is not None and show == "head" else None
        places = [
            _model_of(address).at_layer(layer).at_head(h).at("ov").direction(index)
            for layer, h, index in reading.choose_directions(arrays, usual, show, of_head, whole=spot.whole)
        ]
        rows = [reading.read_direction(arrays, usual, place, moved=show == "speaks") for place in places]
        if spot.draws and rows:
            rows = _add_totals(r, asked_for, asked.entry.id, rows, spot.draws)
        directions = tuple(_add_tokens(r, model, shown, rows))
    return PromptPage(
        _model_of(address),
        model.header,
        shown,
        key=key,
        text=prompt.text,
        tokens=reading.read_tokens(arrays, prompt.ids, model.vocabulary),
        at=at,
        next=reading.read_next_tokens(arrays, at, model.vocabulary),
        asked=asked,
        against=None if against is None else reading.read_against(arrays, against),
        parts=reading.read_parts(arrays),
        show=show,
        head=head,
        directions=directions,
        neurons=neurons,
        n_directions=int((arrays["strength"] > 0).sum()),
        draws=spot.draws,
        why_no_direct="" if "weight" in arrays else POST_NORMED,
        statistics=None if reference is None else reference.name,
        reference=None if reference is None else reference.text,
        n_reference=0 if reference is None else reference.n_tokens,
        kept_until=prompt.made + KEPT_SECONDS,
        carried=carry_prompt(r, model, prompt),
        token_named=_spell(model, token),
        against_named=_spell(model, against),
        other=None if spot.token.startswith("#") else _find_other(model, token),
        is_whole=spot.whole,
    )


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """A position of a prompt, and the tokens that are asked about there."""

    model: OpenModel
    weights: Processing
    key: str
    at: int
    token: TokenEntry | None
    """None: the likeliest."""
    against: TokenEntry | None
    """None: all others."""

    def order(self) -> Recipe:
        """Return the recipe of what speaks for the token."""
        return recipes.prompt(self.model, self.key, self.weights, self.at, *self._ids())

    def order_neurons(self) -> Recipe:
        """Return the recipe of the neurons that say most."""
        return recipes.neurons(self.model, self.key, self.weights, self.at, *self._ids())

    def order_removals(self, token: int, directions: Sequence[Address], draws: int) -> Recipe:
        """Return the recipe of what becomes of that token without each of these directions."""
        against = self._ids()[1]
        return recipes.removals(self.model, self.key, self.weights, self.at, token, against, directions, draws)

    def _ids(self) -> tuple[int | None, int | None]:
        return (None if self.token is None else self.token.id), (None if self.against is None else self.against.id)


def _title(model: OpenModel) -> str:
    return f"{model.header.slug} is running the prompt."


def _add_totals(
    r: Resources, asked_for: AskedPrompt, token: int, rows: Sequence[Contribution], draws: int
) -> list[Contribution]:
    """Add what the logit loses without each of the first rows, beside random directions."""
    places = [row.end.address for row in rows[:MOST_REMOVED]]
    title = f"Directions are taken away from the prompt in {asked_for.model.header.slug}."
    lost = fulfil_live(r, asked_for.model, asked_for.order_removals(token, places, draws), title).arrays
    totals = zip(lost["total"].tolist(), lost["random"].tolist(), strict=True)
    told = [replace(row, total=total, random=tuple(of)) for row, (total, of) in zip(rows, totals, strict=False)]
    return [*told, *rows[len(told) :]]


def _add_tokens(r: Resources, model: OpenModel, shown: View, rows: Sequence[Contribution]) -> list[Contribution]:
    """Add the first tokens that each row writes."""
    written = read_written(r, model, shown, [row.end for row in rows])
    return [replace(row, tokens=tokens) for row, tokens in zip(rows, written, strict=True)]


def _read_neurons(
    r: Resources, address: Address, shown: View, asked_for: AskedPrompt
) -> tuple[NeuronContribution, ...]:
    """Read the neurons that say most for the token, with the first tokens that each writes."""
    model = asked_for.model
    found = reading.read_neurons(fulfil_live(r, model, asked_for.order_neurons(), _title(model)).arrays, address)
    written = read_written(r, model, shown, [Ray(one.address, "p" if one.activation >= 0 else "n") for one in found])
    return tuple(replace(one, tokens=tokens) for one, tokens in zip(found, written, strict=True))


def visit_course(
    r: Resources,
    address: Address,
    options: Options,
    key: str,
    of: str,
    at: int | None = None,
    again: PromptWish = NO_WISH,
) -> CoursePage:
    """Make the page of one direction on a prompt."""
    model, shown, prompt = find_prompt(r, address, options, key, again)
    direction, position = parse_direction(model, address, of, "ov"), check_position(len(prompt.ids), at)
    arrays = fulfil_live(r, model, recipes.course(model, key, shown.weights, direction), _title(model)).arrays
    reference = _load_reference(r, model, shown)
    tokens = reading.read_course(arrays, prompt.ids, model.vocabulary, reference, direction)
    if at is None:  # where it does most, but at the start
        position = max(range(1, len(tokens)), key=lambda n: abs(tokens[n].z or tokens[n].attended), default=0)
    signs: tuple[Sign, Sign] = ("p", "n")
    plus, minus = read_written(r, model, shown, [Ray(direction, sign) for sign in signs])
    return CoursePage(
        direction,
        model.header,
        shown,
        key=key,
        text=prompt.text,
        tokens=tokens,
        at=position,
        sources=reading.read_sources(arrays, prompt.ids, model.vocabulary, position),
        writes=(plus, minus),
        statistics=None if reference is None else reference.name,
        reference=None if reference is None else reference.text,
        n_reference=0 if reference is None else reference.n_tokens,
        kept_until=prompt.made + KEPT_SECONDS,
        carried=carry_prompt(r, model, prompt),
    )


def choose_examples(model: OpenModel, prompts: Prompts) -> tuple[str, ...]:
    """Choose the examples that the model can be run on."""
    most = most_tokens(model, prompts.limits)
    return tuple(text for text in EXAMPLES if 0 < len(model.tokenize_whole(text)) <= most)


def carry_prompt(r: Resources, model: OpenModel, prompt: Prompt) -> CarriedPrompt:
    """Return the prompt as a link can carry it: its text where that gives the same tokens, else these."""
    limits = require_prompts(r).limits
    if prompt.text is not None:
        for start in (False, True):
            try:
                if read_ids(model, PromptWish(prompt.text, start=start), limits) == prompt.ids:
                    return CarriedPrompt(text=prompt.text, start=start)
            except BadOption:  # it may have been kept when more was allowed
                continue
    return CarriedPrompt(ids=" ".join(map(str, prompt.ids)))


def _find_other(model: OpenModel, token: TokenEntry | None) -> TokenEntry | None:
    """Find the other way to write a token that was asked for: with a space in front, or without."""
    if token is None:
        return None
    text = token.text.removeprefix(" ") if token.text.startswith(" ") else f" {token.text}"
    found = next(
        (id_ for id_ in model.vocabulary.lookup.variants(token.text) if model.vocabulary.entry(id_).text == text), None
    )
    return None if found is None else model.vocabulary.entry(found)


def _spell(model: OpenModel, token: TokenEntry | None) -> str:
    return "" if token is None else model.vocabulary.lookup.spelling(token.id, token.text)


def require_prompts(r: Resources) -> Prompts:
    """Return what runs prompts; PromptsRefused where nothing does."""
    if r.prompts is None and not r.computes_for_visits:
        raise PromptsRefused(
            "This server is for the public: it shows what was computed beforehand, and runs no prompts."
        )
    if r.prompts is None:
        raise PromptsRefused(
            "This server runs no prompts. Whoever runs it can allow them: singular-lens serve --prompts local for visitors "
            "on its own machine, --prompts public for all."
        )
    return r.prompts


def _model_of(address: Address) -> Address:
    return Address(address.model, address.pin)


def _keep(prompts: Prompts, model: OpenModel, wish: PromptWish) -> str:
    ids = read_ids(model, wish, prompts.limits)
    try:
        return prompts.store.put(model.fingerprint, ids, normalise(wish.text) if wish.text else None)
    except OSError as error:
        raise ComputationFailed("The disk of this server refused to keep the prompt.") from error


def find_prompt(
    r: Resources, address: Address, options: Options, key: str, again: PromptWish
) -> tuple[OpenModel, View, Prompt]:
    """Find the prompt of that key, and run it again where the link holds it; UnknownAddress where it is not here."""
    prompts, model = require_prompts(r), locate_model(r, address)
    shown = check_view(model, Address(address.model), options, r.default_weights)
    note_now()  # a prompt may be deleted at any time, and its page is its visitor's own
    prompt = prompts.store.get(model.fingerprint, key)
    if not again.is_empty():
        if key_of(model.fingerprint, read_ids(model, again, prompts.limits)) != key:
            raise UnknownPrompt(
                "The text in this link is not the prompt that the link names: some of it was changed or cut off."
            )
        prompt = prompt or prompts.store.get(model.fingerprint, _keep(prompts, model, again))
    if prompt is None:
        raise UnknownPrompt(NOT_HERE.format(key[:16]))
    require_live(model)
    return model, shown, prompt


def fulfil_live(r: Resources, model: OpenModel, recipe: Recipe, title: str, cost: Cost = "cheap") -> Artifact:
    """Return what the recipe names, by the live model where it is not there; TooManyPrompts, NotReady, ComputationFailed."""
    prompts = require_prompts(r)
    if (held := prompts.store.results.load(recipe)) is not None:
        return held
    try:
        errand = prompts.queue.submit(model.header.slug, [recipe], title, cost)
    except Busy as busy:
        raise TooManyPrompts(str(busy)) from busy
    return prompts.queue.results(errand)[0][0]


def _find_token(model: OpenModel, text: str, name: str) -> TokenEntry | None:
    if not text:
        return None
    found = model.vocabulary.find(text)
    if found is None:
        raise unknown_token_error(model, text, name)
    return found


def _choose_tab(show: PromptTab | None, head: Address | None, *, is_told: bool) -> PromptTab:
    if show == "head" and head is None:
        raise BadOption("show=head needs a head, such as head=L5H3.")
    if show in {"speaks", "neurons"} and not is_told:
        raise BadOption(POST_NORMED)
    return show or ("head" if head is not None else "speaks" if is_told else "writes")


def _load_reference(r: Resources, model: OpenModel, shown: View) -> reading.Reference | None:
    found = load_statistics(r.store, model, shown.weights)
    return None if found is None else reading.read_reference(found.name, found.text, found.arrays)


def _open_bank(r: Resources, model: OpenModel, shown: View) -> Bank | None:
    try:
        return open_bank(r, model, shown.weights)
    except NotBuilt:
        return None


def read_written(r: Resources, model: OpenModel, shown: View, rays: Sequence[Ray]) -> list[tuple[TokenEntry, ...]]:
    """Read the first tokens that each of these ends writes, from the bank, or from its matrix, read now if it is missing.

    Nothing for neurons that are not in the bank, whose whole MLP would be read, and while others are being computed for
    too many visitors. NotReady.
    """
    bank = _open_bank(r, model, shown)
    rows = [None if bank is None else bank.find(ray.address, SIDE_PREFIXES.index("right")) for ray in rays]
    needed = {
        ray.address.matrix: orders.order_matrix(model, ray.address, shown)
        for ray, row in zip(rays, rows, strict=True)
        if row is None and ray.address.basis == "svd"
    }
    read: dict[Address, Artifact] = {}
    with suppress(Busy, ComputationFailed):  # what the prompt's own page says is there without them
        if needed:
            read = dict(zip(needed, orders.fulfil_in_line(r, [*needed.values()]), strict=True))
    found: list[tuple[TokenEntry, ...]] = []
    for ray, row in zip(rays, rows, strict=True):
        end = SIGNS.index(ray.sign)
        if bank is not None and row is not None:
            ids = bank.rows.ids[row, end]
        elif ray.address.matrix in read:
            name = ("right_top_ids", "right_bottom_ids")[end]
            ids = read[ray.address.matrix].arrays[name][ray.address.index or 0]
        else:
            found.append(())
            continue
        found.append(tuple(model.vocabulary.entry(int(id_)) for id_ in ids[:TOKENS] if id_ >= 0))
    return found
