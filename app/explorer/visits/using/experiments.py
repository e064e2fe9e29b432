"""The visits to experiments: the form, and a change that is tried on many prompts.

Raises what `prompts` raises. Knows no HTTP and imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.address import Address
from app.explorer import recipes
from app.explorer.asking.changes import parse_edits, parse_steering
from app.explorer.asking.places import locate_model
from app.explorer.asking.prompts import PromptWish, most_tokens, normalise, require_live
from app.explorer.asking.views import Options, check_view
from app.explorer.changes import RULES, Change, Contrast, Steering
from app.explorer.errors import BadOption, Busy, ComputationFailed, NotReady, TooManyPrompts, UnknownPrompt
from app.explorer.library import OpenModel
from app.explorer.options import MOST_PUSHED
from app.explorer.pages.using.experiments import ExperimentFormPage, ExperimentPage
from app.explorer.reading import experiments as reading
from app.explorer.resources import Resources
from app.explorer.running.batches import RecipeBatch
from app.explorer.running.errand import PERCENT
from app.explorer.running.prompts import Prompts
from app.explorer.view import View
from app.explorer.visits import orders
from app.explorer.visits.using.changes import TOO_SHORT, SaraInquiry, find_odds, read_contrast, require_mean
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
    draws: int = 1

    def spell(self) -> dict[str, str]:
        """Spell the change as a link has it; BadOption where it is none, or several."""
        if sum(bool(each.strip()) for each in (self.edit, self.of, self.attract or self.repel)) != 1:
            raise BadOption(
                "Name edits, such as L27H8.ov.4:-1, or a direction to push along, such as L27H8.ov.4p, or a prompt that attracts "
                "and one that repels: one of these."
            )
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


def keep_experiment(r: Resources, address: Address, options: Options, wish: ExperimentWish) -> str:
    """Keep an experiment and its prompts, and return its key; BadOption where something of it means nothing."""
    store, model = require_prompts(r), locate_model(r, address)
    shown = check_view(model, Address(address.model), options, r.default_weights)
    change = wish.spell()
    prepared = _prepare(r, model, address, shown, change)
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
    """What runs them, or ran them and was stopped, or failed at some."""


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
        trials=trials,
        n_missing=found.n_missing,
        n_left=found.n_left,
        failure=(found.batch and found.batch.failure) or None,
        is_going_on=found.batch is not None and found.batch.state == "going on",
        **reading.sum_up(trials),
        n_beyond=sum(trial.is_beyond_random for trial in trials),
        n_raised=sum(trial.factor > 1 for trial in trials),
        n_turned=sum(trial.before.id != trial.after.id for trial in trials),
        kept_until=found.experiment.made + KEPT_SECONDS,
    )


def find_trials(r: Resources, address: Address, key: str, *, waits: bool = True) -> Trials:
    """Find what was computed of an experiment, and have the rest computed; else as `visit_experiment`."""
    live = require_prompts(r)
    model, found = _find_experiment(r, address, key)
    require_live(model)
    options = Options(weights="raw" if found.weights == "raw" else "folded")
    shown = check_view(model, Address(address.model), options, r.default_weights)
    prepared = _prepare(r, model, address, shown, found.change)
    prompts = [prompt for one in found.prompts if (prompt := live.store.get(model.fingerprint, one)) is not None]
    if not prompts:
        raise UnknownPrompt("All prompts of this experiment were deleted: write it again.")
    orders.fulfil_in_line(r, [orders.order_matrix(model, head, shown) for head in prepared.heads])
    asked = [_order_trial(model, shown, prompt, prepared, found.draws) for prompt in prompts]
    held = [live.store.results.load(recipe) for recipe in asked]
    missing = [recipe for recipe, artifact in zip(asked, held, strict=True) if artifact is None]
    batch = _find_batch(live, model, key, missing)
    is_none = len(missing) == len(asked)
    if batch is not None and batch.state == "going on" and (waits or is_none):
        pending = batch.ended if waits else batch.begun
        raise NotReady(batch.title, PERCENT * (len(asked) - len(missing)) // len(asked), PERCENT, (pending,))
    if is_none:
        resume_experiment(r, address, key)  # there is no page that could ask for it
        why = (
            batch and batch.failure
        ) or "It was stopped before the first prompt was run: it begins when you come back."
        raise ComputationFailed(why)
    pairs = [(prompt, artifact.arrays) for prompt, artifact in zip(prompts, held, strict=True) if artifact is not None]
    return Trials(model, shown, found, prepared, pairs, len(found.prompts) - len(prompts), len(missing), batch)


def _order_trial(model: OpenModel, shown: View, prompt: Prompt, prepared: PreparedChange, draws: int) -> Recipe:
    named = [token.id for token in prepared.odds]
    what = (len(prompt.ids) - 1, prepared.plain, named, prepared.statistics, draws)
    return recipes.outcome(model, prompt.key, shown.weights, *what)


def stop_experiment(r: Resources, address: Address, key: str) -> None:
    """Run no more of its prompts, until somebody has it go on; UnknownPrompt where it is not here."""
    model, _ = _find_experiment(r, address, key)
    require_prompts(r).batches.stop((model.fingerprint, key))


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
        return PreparedChange(plain, matrices, require_mean(r, model, shown, plain))
    if "of" in spelt:
        layer = _parse_layer(model, spelt.get("layer", ""))
        pushed = _parse_amount("c", spelt.get("c", DEFAULT_C), "it counts median lengths of the stream")
        ray, steering = parse_steering(model, address, spelt["of"], layer, pushed, shown.weights)
        return PreparedChange(steering, (ray.address.matrix,), find_statistics(r.store, model, shown.weights))
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


def _find_experiment(r: Resources, address: Address, key: str) -> tuple[OpenModel, Experiment]:
    store, model = require_prompts(r), locate_model(r, address)
    note_now()
    found = store.experiments.get(model.fingerprint, key)
    if found is None:
        raise UnknownPrompt(
            f"There is no experiment {key[:16]} here: it is older than 30 days, or never was. Make it again."
        )
    return model, found


def _find_batch(live: Prompts, model: OpenModel, key: str, missing: list[Recipe]) -> RecipeBatch | None:
    """Find the batch that makes what is missing, and begin one where there is none, and none was stopped or failed; Busy."""
    where = (model.fingerprint, key)
    batch = live.batches.find(where)
    if batch is not None or not missing:
        return batch
    n = f"{len(missing)} prompts" if len(missing) > 1 else "a prompt"
    title = f"{model.header.slug} is running {n} with what was changed."
    try:
        return live.batches.start(where, model.header.slug, title, missing)
    except Busy as busy:
        raise TooManyPrompts(f"Experiments wait for their turn: {busy}") from busy
