"""The visits to experiments: the form, and a change that is tried on many prompts.

Raises what `prompts` raises. Knows no HTTP and imports no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.core.address import Address
from app.explorer.asking.changes import parse_edits, parse_steering, spell_edits
from app.explorer.asking.places import locate_model
from app.explorer.asking.prompts import PromptWish, most_tokens, normalise, require_live
from app.explorer.asking.views import Options, check_view
from app.explorer.changes import RULES, Change, Contrast, Steering, spell_amount
from app.explorer.errors import BadOption, Busy, ComputationFailed, NotReady, UnknownPrompt
from app.explorer.library import OpenModel
from app.explorer.options import MOST_PUSHED
from app.explorer.pages.using.experiments import ExperimentFormPage, ExperimentPage, TriedDirection
from app.explorer.reading import experiments as reading
from app.explorer.resources import Resources
from app.explorer.running.batches import RecipeBatch
from app.explorer.running.errand import PERCENT
from app.explorer.running.prompts import Prompts
from app.explorer.view import View
from app.explorer.visits import orders
from app.explorer.visits.using.changes import (
    TOO_SHORT,
    ChangedPrompt,
    SaraInquiry,
    find_odds,
    read_contrast,
    require_mean,
)
from app.explorer.visits.using.prompts import choose_examples, keep_prompt, require_prompts
from app.explorer.visits.using.statistics import find_statistics
from app.models.vocabulary import TokenEntry
from app.store.artifacts import Arrays, Recipe
from app.store.experiments import Experiment
from app.store.grounds import note_now
from app.store.prompts import KEPT_SECONDS, Prompt

MOST_PROMPTS = 200
DEFAULT_C, DEFAULT_PULL = "0.2", "1"


@dataclass(frozen=True, slots=True)
class ExperimentWish:
    """What a visitor typed: edits, or a direction that streams are pushed along, or two texts that they are drawn between."""

    prompts: str = ""
    """A prompt a line."""
    edit: str = ""
    of: str = ""
    layer: str = ""
    c: str = ""
    attract: str = ""
    """The prompt that attracts, or its key."""
    repel: str = ""
    rule: str = ""
    pull: str = ""
    token: str = ""
    against: str = ""
    draws: int = 8

    def spell(self) -> dict[str, str]:
        """Spell the change as a link has it; BadOption where it is none, or several."""
        boxes = {
            "edits": self.edit,
            "a direction to push along": self.of,
            "texts to draw between": self.attract + self.repel,
        }
        filled = [name for name, value in boxes.items() if value.strip()]
        if len(filled) > 1:
            raise BadOption(f"{' and '.join(filled).capitalize()} are filled in: an experiment tries one of these.")
        if not filled:
            raise BadOption(
                "Name edits, such as L27H8.ov.4:-1, or a direction to push along, such as L27H8.ov.4p, or a text that attracts "
                "and one that repels: one of these."
            )
        for name, value in (("attracts", self.attract), ("repels", self.repel)):
            if not (self.edit + self.of).strip() and not value.strip():
                raise BadOption(f"Write what {name}, too: a text, or the key of a prompt.")
        if self.edit.strip():
            return {"edit": self.edit.strip()}
        if self.of.strip():
            return {"of": self.of.strip(), "layer": self.layer.strip(), "c": self.c.strip() or DEFAULT_C}
        said = {"attract": self.attract, "repel": self.repel, "layer": self.layer, "rule": self.rule or "fixed"}
        said |= {"pull": self.pull or DEFAULT_PULL, "token": self.token, "against": self.against}
        return {name: value.strip() for name, value in said.items()}


@dataclass(frozen=True, slots=True)
class PreparedChange:
    """A change that an experiment tries, as recipes need it."""

    plain: Change
    heads: tuple[Address, ...] = ()
    """The matrices whose tokens are followed."""
    statistics: Recipe | None = None
    directions: tuple[TriedDirection, ...] = ()
    others: tuple[Prompt, ...] = ()
    """The prompt that attracts and the one that repels."""
    odds: tuple[TokenEntry, ...] = ()
    """The token whose odds are told, and the one that it is held against."""

    @property
    def is_of_stream(self) -> bool:
        """Whether first positions are left as they are."""
        return isinstance(self.plain, Steering | Contrast)


def visit_form(
    r: Resources, address: Address, options: Options, wish: ExperimentWish, problem: str = ""
) -> ExperimentFormPage:
    """Make the form that asks for an experiment, with what was typed and why it is not run."""
    prompts, model = require_prompts(r), locate_model(r, address)
    shown = check_view(model, Address(address.model), options, r.default_weights)
    note_now()  # it may hold what a visitor typed
    why_not = ""
    try:
        require_live(model)
    except BadOption as reason:
        why_not = str(reason)
    return ExperimentFormPage(
        Address(address.model, address.pin),
        model.header,
        shown,
        prompts=normalise(wish.prompts),
        edit=wish.edit,
        of=wish.of,
        layer=wish.layer,
        c=wish.c,
        attract=_spell_other(prompts, model, wish.attract),
        repel=_spell_other(prompts, model, wish.repel),
        rule=wish.rule or "fixed",
        pull=wish.pull,
        token=wish.token,
        against=wish.against,
        draws=wish.draws,
        problem=problem,
        why_not=why_not,
        most_prompts=MOST_PROMPTS,
        most_tokens=most_tokens(model, prompts.limits),
        examples=() if why_not else choose_examples(model, prompts),
    )


def fill_in(r: Resources, address: Address, wish: ExperimentWish, like: str, first: str) -> ExperimentWish:
    """Fill in the form with what an experiment says that is here, or with the prompt to begin with; else as it is."""
    live, model = require_prompts(r), locate_model(r, address)
    note_now()
    found = live.experiments.get(model.fingerprint, like) if like else None
    if found is not None:
        kept = [live.store.get(model.fingerprint, key) for key in found.prompts]
        texts = [prompt.text for prompt in kept if prompt is not None and prompt.text is not None]
        return replace(wish, prompts="\n".join(texts), draws=found.draws, **found.change)
    prompt = live.store.get(model.fingerprint, first) if first else None
    if prompt is None or prompt.text is None:
        return wish
    texts = [prompt.text, *(text for text in choose_examples(model, live) if text != prompt.text)]
    return replace(wish, prompts="\n".join(text for text in texts if "\n" not in text))


def keep_experiment(r: Resources, address: Address, options: Options, wish: ExperimentWish) -> str:
    """Keep an experiment and its prompts, and return its key; BadOption where something of it means nothing."""
    store, model = require_prompts(r), locate_model(r, address)
    shown = check_view(model, Address(address.model), options, r.default_weights)
    change = wish.spell()
    prepared = _prepare(r, model, address, shown, change)
    if "edit" in change:  # one end for all prompts, whichever is written there
        change["edit"] = _name_ends(model, address, change["edit"], shown)
    if prepared.others:  # kept by now: a key names them in fewer words
        change |= {name: other.key for name, other in zip(("attract", "repel"), prepared.others, strict=True)}
    lines = [line for line in normalise(wish.prompts).split("\n") if line.strip()]
    if not 0 < len(lines) <= MOST_PROMPTS:
        raise BadOption(f"Write 1 to {MOST_PROMPTS} prompts, each in a line of its own; these are {len(lines)}.")
    keys = []
    for number, line in enumerate(lines, 1):
        try:
            if prepared.is_of_stream and len(model.tokenize_whole(line)) == 1:
                raise BadOption(TOO_SHORT)
            keys.append(keep_prompt(r, address, PromptWish(line)))
        except BadOption as problem:
            raise BadOption(f"Line {number}: {problem}") from None
    experiment = Experiment(change, shown.weights, wish.draws, tuple(dict.fromkeys(keys)))
    try:
        return store.experiments.put(model.fingerprint, experiment)
    except OSError as error:
        raise ComputationFailed("The disk of this server refused to keep the experiment.") from error


@dataclass(frozen=True, slots=True)
class Trials:
    """An experiment, and what was computed of its prompts."""

    model: OpenModel
    view: View
    experiment: Experiment
    prepared: PreparedChange
    held: list[tuple[Prompt, Arrays]]
    """Each prompt that was run, with what the change does to it."""
    n_missing: int
    """Prompts that were deleted since."""
    n_left: int
    """Prompts that were not run."""
    batch: RecipeBatch | None
    """What runs them, or ran them and was stopped, or failed at some; None where it waits for its turn, too."""
    waits_for: str | None
    """What is being done about those that are left, in words; None for nothing."""


def visit_experiment(r: Resources, address: Address, key: str, *, waits: bool = True) -> ExperimentPage:
    """Make the page of an experiment, which is run from now on whether it is looked at or not, until it is stopped.

    NotReady while prompts are being run, unless there is one to be shown already and it does not wait for the others.
    UnknownPrompt where it is not here.
    """
    found = find_trials(r, address, key, waits=waits)
    model, prepared = found.model, found.prepared
    trials = tuple(
        reading.read_trial(arrays, prompt, model.vocabulary, of_odds=bool(prepared.odds))
        for prompt, arrays in found.held
    )
    return ExperimentPage(
        address=Address(address.model, address.pin),
        model=model.header,
        view=found.view,
        key=key,
        change=dict(found.experiment.change),
        others=tuple(tuple(map(model.vocabulary.entry, other.ids)) for other in prepared.others),
        odds=prepared.odds,
        draws=found.experiment.draws,
        directions=prepared.directions,
        layer=None if isinstance(prepared.plain, Sequence) else prepared.plain.layer,
        size=find_size(model, prepared.plain, prepared.statistics, found.held[0][1]),
        own=reading.read_own(found.held[0][1], model.vocabulary),
        trials=trials,
        n_missing=found.n_missing,
        n_left=found.n_left,
        failure=(found.batch and found.batch.failure) or None,
        is_going_on=found.waits_for is not None,
        **reading.sum_up(trials),
        kept_until=found.experiment.made + KEPT_SECONDS,
    )


def find_trials(r: Resources, address: Address, key: str, *, waits: bool = True) -> Trials:
    """Find what was computed of an experiment, and have the rest computed; else as `visit_experiment`."""
    live = require_prompts(r)
    model, found = _find_experiment(r, address, key)
    require_live(model)
    options = Options(weights="raw" if found.weights == "raw" else "folded")
    shown = check_view(model, Address(address.model), options, r.default_weights)
    prepared = _prepare_kept(r, model, address, shown, found)
    prompts = [prompt for one in found.prompts if (prompt := live.store.get(model.fingerprint, one)) is not None]
    if not prompts:
        raise UnknownPrompt("All prompts of this experiment were deleted: write it again.")
    orders.fulfil_in_line(r, [orders.order_matrix(model, head, shown) for head in prepared.heads])
    asked = [_order_trial(model, shown, prompt, prepared, found.draws) for prompt in prompts]
    held = [live.store.results.load(recipe) for recipe in asked]
    missing = [recipe for recipe, artifact in zip(asked, held, strict=True) if artifact is None]
    batch, waits_for = _find_batch(live, model, key, missing)
    is_none = len(missing) == len(asked)
    if waits_for is not None and (waits or is_none):
        pending = () if batch is None else (batch.ended if waits else batch.begun,)
        raise NotReady(waits_for, PERCENT * (len(asked) - len(missing)) // len(asked), PERCENT, pending, goes_on=True)
    if is_none:
        resume_experiment(r, address, key)  # there is no page that could ask for it
        why = (
            batch and batch.failure
        ) or "It was stopped before the first prompt was run: it begins when you come back."
        raise ComputationFailed(why)
    pairs = [(prompt, artifact.arrays) for prompt, artifact in zip(prompts, held, strict=True) if artifact is not None]
    n_missing = len(found.prompts) - len(prompts)
    return Trials(model, shown, found, prepared, pairs, n_missing, len(missing), batch, waits_for)


def find_size(model: OpenModel, change: Change, statistics: Recipe | None, arrays: Arrays) -> float | None:
    """Find the length that a push counts in; None where it is each prompt's own, and for other changes."""
    is_of_text = statistics is not None and model.header.reads_normed
    return float(arrays["size"][0]) if isinstance(change, Steering) and is_of_text else None


def _order_trial(model: OpenModel, shown: View, prompt: Prompt, prepared: PreparedChange, draws: int) -> Recipe:
    changed = ChangedPrompt(model, shown, prompt, prepared.plain, prepared.heads, prepared.statistics)
    return changed.order_outcome(len(prompt.ids) - 1, [token.id for token in prepared.odds], draws)


def stop_experiment(r: Resources, address: Address, key: str) -> None:
    """Run no more of its prompts, until somebody has it go on; UnknownPrompt where it is not here."""
    model, _ = _find_experiment(r, address, key)
    require_prompts(r).batches.stop((model.fingerprint, key))


def delete_experiment(r: Resources, address: Address, key: str) -> None:
    """Delete an experiment; its prompts stay, since others may hold them. UnknownPrompt where it is not here."""
    model, _ = _find_experiment(r, address, key)
    live = require_prompts(r)
    live.batches.stop((model.fingerprint, key))
    live.batches.forget((model.fingerprint, key))
    live.experiments.delete(model.fingerprint, key)


def resume_experiment(r: Resources, address: Address, key: str) -> None:
    """Have its page run the prompts that are left; UnknownPrompt where it is not here."""
    model, _ = _find_experiment(r, address, key)
    require_prompts(r).batches.forget((model.fingerprint, key))


def _prepare(r: Resources, model: OpenModel, address: Address, shown: View, spelt: Mapping[str, str]) -> PreparedChange:
    """Prepare a change as an experiment spells it; BadOption, UnknownAddress."""
    if "edit" in spelt:
        edits = parse_edits(model, address, spelt["edit"], shown.weights)
        plain = [edit.plain for edit in edits]
        matrices = tuple(dict.fromkeys(edit.address.matrix for edit in edits))
        tried = tuple(
            TriedDirection(edit.address, edit.sign or "p", spell_amount(edit.kind, edit.amount)) for edit in edits
        )
        return PreparedChange(plain, matrices, require_mean(r, model, shown, plain), tried)
    if "of" in spelt:
        layer = _parse_layer(model, spelt.get("layer", ""))
        pushed = _parse_amount("c", spelt.get("c", DEFAULT_C), "it counts median lengths of the stream")
        ray, steering = parse_steering(model, address, spelt["of"], layer, pushed, shown.weights)
        statistics = find_statistics(r.store, model, shown.weights)
        return PreparedChange(steering, (ray.address.matrix,), statistics, (TriedDirection(ray.address, ray.sign, ""),))
    rule = next((one for one in RULES if one == spelt.get("rule")), None)
    if rule is None:
        raise BadOption(f"rule is one of {', '.join(RULES)}.")
    inquiry = SaraInquiry(
        attract=spelt["attract"],
        repel=spelt["repel"],
        layer=_parse_layer(model, spelt.get("layer", "")),
        rule=rule,
        amount=_parse_amount("c", spelt.get("pull", DEFAULT_PULL), "it is that of the rule"),
    )
    contrast, others = read_contrast(r, address, model, inquiry)
    odds = find_odds(model, spelt.get("token", ""), spelt.get("against", ""), others)
    return PreparedChange(contrast, others=others, odds=odds)


def _prepare_kept(r: Resources, model: OpenModel, address: Address, shown: View, found: Experiment) -> PreparedChange:
    """Prepare the change of an experiment that was kept; UnknownPrompt where a text that it needs was deleted since."""
    store = require_prompts(r).store
    for name, what in (("attract", "attracts"), ("repel", "repels")):
        if name in found.change and store.get(model.fingerprint, found.change[name]) is None:
            raise UnknownPrompt(
                f"The text that {what} in this experiment was deleted, or is older than 30 days: make it again, at "
                f"{model.header.slug}/x."
            )
    return _prepare(r, model, address, shown, found.change)


def _parse_layer(model: OpenModel, text: str) -> int | None:
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 4):
        raise BadOption(
            f"layer goes from 0 to {model.header.n_layers - 1} here: it is the one whose stream is changed."
        )
    return int(text) if text else None


def _parse_amount(name: str, text: str, meaning: str) -> float:
    try:
        value = round(float(text), 3)
    except ValueError:
        value = float("nan")
    if not -MOST_PUSHED <= value <= MOST_PUSHED:
        raise BadOption(f"{name} goes from -{MOST_PUSHED} to {MOST_PUSHED}: {meaning}.")
    return value


def _spell_other(live: Prompts, model: OpenModel, said: str) -> str:
    """Spell a prompt that attracts or repels for whoever may change it: the text of a key, where it has one."""
    found = live.store.get(model.fingerprint, said) if said else None
    return said if found is None or found.text is None else found.text


def _name_ends(model: OpenModel, address: Address, text: str, shown: View) -> str:
    edits = parse_edits(model, address, text, shown.weights)
    return spell_edits([replace(edit, sign=edit.sign or "p") for edit in edits])


def _find_experiment(r: Resources, address: Address, key: str) -> tuple[OpenModel, Experiment]:
    store, model = require_prompts(r), locate_model(r, address)
    note_now()
    found = store.experiments.get(model.fingerprint, key)
    if found is None:
        raise UnknownPrompt(
            f"There is no experiment {key[:16]} here: it is older than 30 days, or never was. Make it again."
        )
    return model, found


def _find_batch(
    live: Prompts, model: OpenModel, key: str, missing: list[Recipe]
) -> tuple[RecipeBatch | None, str | None]:
    """Find the batch that makes what is missing, and begin one where there is none, and none was stopped or failed.

    Also says in words what is going on; None for nothing.
    """
    where = (model.fingerprint, key)
    batch = live.batches.find(where)
    if batch is None and missing:
        n = f"{len(missing)} prompts" if len(missing) > 1 else "a prompt"
        title = f"{model.header.slug} is running {n} with what was changed."
        try:
            batch = live.batches.start(where, model.header.slug, title, missing)
        except Busy as busy:
            return None, f"It waits for its turn: {busy}"
    return batch, batch.title if batch is not None and batch.state == "going on" else None
