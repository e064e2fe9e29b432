"""The visits to prompts: the form, a prompt that was run, one direction on it; and those who keep one, or delete it.

Raises what `browse` raises, and PromptsRefused where models are not run, TooManyPrompts where too many wait. Knows no HTTP
and imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.core.address import Address, AddressError, Ray, Sign, parse_short
from app.explorer import recipes
from app.explorer.asking.places import check_place, locate_model
from app.explorer.asking.prompts import PromptWish, most_tokens, normalise, read_ids, require_live
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
    CoursePage,
    NeuronContribution,
    PromptFormPage,
    PromptPage,
    PromptTab,
)
from app.explorer.reading import prompts as reading
from app.explorer.reading.finding.bank import Bank, open_bank
from app.explorer.resources import Resources
from app.explorer.running.prompts import Prompts
from app.explorer.view import View
from app.explorer.visits import orders
from app.explorer.visits.full import unknown_token_error
from app.explorer.visits.using import load_statistics
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
NOT_HERE = "There is no prompt {} here: it was deleted, or is older than 30 days. Run it again, or ask for its text."
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
    of: str = "",
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
        direction=_parse_direction(model, address, of) if of else None,
        deleted=deleted,
        examples=() if why_not else choose_examples(model, prompts),
    )


def keep_prompt(r: Resources, address: Address, wish: PromptWish, of: str = "") -> str:
    """Keep the prompt that a visitor typed, and return its key; BadOption where it, or a direction `of` it, means nothing."""
    prompts, model = require_prompts(r), locate_model(r, address)
    if of:
        _parse_direction(model, address, of)
    return _keep(prompts, model, wish)


def find_key(r: Resources, address: Address, wish: PromptWish, of: str = "") -> str:
    """Return the key of the prompt that a visitor typed, without keeping it; else as `keep_prompt`."""
    prompts, model = require_prompts(r), locate_model(r, address)
    if of:
        _parse_direction(model, address, of)
    return key_of(model.fingerprint, read_ids(model, wish, prompts.limits))


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
    vocabulary, at = model.vocabulary, check_position(prompt, spot.at)
    token = _find_token(model, spot.token, "token")
    against = _find_token(model, spot.against, "against")
    head = parse_head(model, address, spot.head)
    title = f"{model.header.slug} is running the prompt."
    named = [None if one is None else one.id for one in (token, against)]
    arrays = fulfil_live(r, model, recipes.prompt(model, key, shown.weights, at, *named), title).arrays
    asked = reading.read_asked(arrays, vocabulary)
    if against is not None and against.id == asked.entry.id:
        raise BadOption("against is another token than the one that is asked about.")
    show = _choose_tab(spot.show, head, is_told="weight" in arrays)
    # Statistics leave the first position out, and say nothing of it.
    reference = _load_reference(r, model, shown)
    usual = reference if at else None
    neurons: tuple[NeuronContribution, ...] = ()
    if show == "neurons":
        of_neurons = recipes.neurons(model, key, shown.weights, at, *named)
        neurons = reading.read_neurons(fulfil_live(r, model, of_neurons, title).arrays, _model_of(address))
    of_head = (head.layer or 0, head.head or 0) if head is not None and show == "head" else None
    chosen = [] if show == "neurons" else reading.choose_directions(arrays, usual, show, of_head, whole=spot.whole)
    places = [_model_of(address).at_layer(layer).at_head(h).at("ov").direction(index) for layer, h, index in chosen]
    rows = [reading.read_direction(arrays, usual, place, moved=show == "speaks") for place in places]
    if spot.draws and rows:
        asked_for = recipes.removals(
            model,
            key,
            shown.weights,
            at,
            asked.entry.id,
            None if against is None else against.id,
            places[:MOST_REMOVED],
            spot.draws,
        )
        lost = fulfil_live(
            r, model, asked_for, f"Directions are taken away from the prompt in {model.header.slug}."
        ).arrays
        totals = zip(lost["total"].tolist(), lost["random"].tolist(), strict=True)
        for n, (total, random) in enumerate(totals):
            rows[n] = replace(rows[n], total=total, random=tuple(random))
    bank = _open_bank(r, model, shown)
    of_rows = _read_written(r, model, shown, bank, [row.end for row in rows])
    tokens_of_neurons = _read_written(
        r, model, shown, bank, [Ray(one.address, "p" if one.activation >= 0 else "n") for one in neurons]
    )
    return PromptPage(
        _model_of(address),
        model.header,
        shown,
        key=key,
        text=prompt.text,
        tokens=reading.read_tokens(arrays, prompt.ids, vocabulary),
        at=at,
        next=reading.read_next_tokens(arrays, at, vocabulary),
        asked=asked,
        against=None if against is None else reading.read_against(arrays, against),
        parts=reading.read_parts(arrays),
        show=show,
        head=head,
        directions=tuple(replace(row, tokens=tokens) for row, tokens in zip(rows, of_rows, strict=True)),
        neurons=tuple(replace(one, tokens=tokens) for one, tokens in zip(neurons, tokens_of_neurons, strict=True)),
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
    if not of:
        raise BadOption("of names a direction of a head's OV, such as L25H6.ov.0.")
    direction, position = _parse_direction(model, address, of), check_position(prompt, at)
    title = f"{model.header.slug} is running the prompt."
    arrays = fulfil_live(r, model, recipes.course(model, key, shown.weights, direction), title).arrays
    reference = _load_reference(r, model, shown)
    tokens = reading.read_course(arrays, prompt.ids, model.vocabulary, reference, direction)
    if at is None:  # where it does most, but at the start
        position = max(range(1, len(tokens)), key=lambda n: abs(tokens[n].z or tokens[n].attended), default=0)
    signs: tuple[Sign, Sign] = ("p", "n")
    bank = _open_bank(r, model, shown)
    plus, minus = _read_written(r, model, shown, bank, [Ray(direction, sign) for sign in signs])
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


def fulfil_live(r: Resources, model: OpenModel, recipe: Recipe, title: str) -> Artifact:
    """Return what the recipe names, by the live model where it is not there; TooManyPrompts, NotReady, ComputationFailed."""
    prompts = require_prompts(r)
    if (held := prompts.store.results.load(recipe)) is not None:
        return held
    try:
        errand = prompts.queue.submit(model.header.slug, [recipe], title, "cheap")
    except Busy as busy:
        raise TooManyPrompts(str(busy)) from busy
    return prompts.queue.results(errand)[0][0]


def check_position(prompt: Prompt, at: int | None, name: str = "at") -> int:
    """Return the position of that option, the last one if there is none; BadOption naming the range."""
    last = len(prompt.ids) - 1
    if at is None:
        return last
    if not 0 <= at <= last:
        raise BadOption(f"{name} goes from 0 to {last} here: the prompt has {last + 1} tokens.")
    return at


def _find_token(model: OpenModel, text: str, name: str) -> TokenEntry | None:
    if not text:
        return None
    found = model.vocabulary.find(text)
    if found is None:
        raise unknown_token_error(model, text, name)
    return found


def parse_head(model: OpenModel, address: Address, text: str) -> Address | None:
    """Parse the head of an option, such as L5H3, None if there is none; BadOption or UnknownAddress."""
    if not text:
        return None
    try:
        head = parse_short(f"{text.strip()}.ov.0", _model_of(address)).address.matrix.parent
    except AddressError:
        raise BadOption("head is one such as L5H3.") from None
    assert head is not None
    check_place(model, head)
    return head


def _parse_direction(model: OpenModel, address: Address, text: str) -> Address:
    try:
        ray = parse_short(text.strip(), _model_of(address))
    except AddressError:
        raise BadOption("of names a direction of a head's OV, such as L25H6.ov.0.") from None
    if ray.address.circuit != "ov" or ray.address.basis != "svd":
        raise BadOption(
            "of names a singular direction of a head's OV, such as L25H6.ov.0: others are not followed on a text."
        )
    check_place(model, ray.address)
    return ray.address


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


def _read_written(
    r: Resources, model: OpenModel, shown: View, bank: Bank | None, rays: Sequence[Ray]
) -> list[tuple[TokenEntry, ...]]:
    """Read the first tokens that each of these ends writes, from the bank or what is kept of its matrix; else none."""
    return [_read_ray(r, model, shown, bank, ray) for ray in rays]


def _read_ray(r: Resources, model: OpenModel, shown: View, bank: Bank | None, ray: Ray) -> tuple[TokenEntry, ...]:
    address, end = ray.address, 0 if ray.sign == "p" else 1
    row = None if bank is None else bank.find(address, SIDE_PREFIXES.index("right"))
    if bank is not None and row is not None:
        ids = bank.rows.ids[row, end]
    else:
        recipe = orders.order_matrix(model, address, shown).recipe
        kept = r.store.load(recipe) if address.basis == "svd" and r.store.exists(recipe) else None
        if kept is None:
            return ()
        ids = kept.arrays["right_top_ids" if end == 0 else "right_bottom_ids"][address.index or 0]
    return tuple(model.vocabulary.entry(int(id_)) for id_ in ids[:TOKENS] if id_ >= 0)
