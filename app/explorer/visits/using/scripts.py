"""The scripts that repeat a change on one prompt or on an experiment's, gathered from what was computed for its page.

Raises what the pages raise. Knows no HTTP and imports no torch.
"""

from collections.abc import Sequence

from app.core.address import Address
from app.explorer.asking.views import Options
from app.explorer.changes import Change, Contrast, HeadEdit, Steering
from app.explorer.library import OpenModel
from app.explorer.pages.using.scripts import ChangeScript, ScriptPrompt
from app.explorer.recipes import CHANGE_SEED
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits.using.changes import ChangeInquiry, find_outcome
from app.explorer.visits.using.experiments import find_size, find_trials
from app.explorer.visits.using.statistics import find_statistics, load_statistics
from app.models.live.expressions import EXPRESSIONS
from app.store.artifacts import Arrays
from app.store.prompts import Prompt

SHOWN_TEXT = 200
"""Characters of a prompt that stand beside its ids."""


def write_prompt_script(
    r: Resources, address: Address, options: Options, key: str, inquiry: ChangeInquiry
) -> ChangeScript:
    """Gather what the script of a changed prompt holds; NotReady while the prompt is being run."""
    found = find_outcome(r, address, options, key, inquiry)
    asked = found.asked
    told = [(asked.prompt, found.at, found.arrays)]
    return _gather(
        r, asked.model, asked.view, asked.change, told, inquiry.draws, found.others, [token.id for token in found.odds]
    )


def write_experiment_script(r: Resources, address: Address, key: str) -> ChangeScript:
    """Gather what the script of an experiment holds, of the prompts that were run; NotReady while some are being run."""
    found = find_trials(r, address, key)
    told = [(prompt, len(prompt.ids) - 1, arrays) for prompt, arrays in found.held]
    prepared = found.prepared
    odds = [token.id for token in prepared.odds]
    return _gather(r, found.model, found.view, prepared.plain, told, found.experiment.draws, prepared.others, odds)


def _gather(
    r: Resources,
    model: OpenModel,
    view: View,
    change: Change,
    told: Sequence[tuple[Prompt, int, Arrays]],
    draws: int,
    others: Sequence[Prompt],
    odds: Sequence[int],
) -> ChangeScript:
    best = {int(arrays["top"][chances.argmax()]) for _, _, arrays in told for chances in arrays["chance"][:2]}
    return ChangeScript(
        model=model.header,
        view=view,
        family=EXPRESSIONS[model.manifest.architecture],
        change=change,
        own=tuple(id_ for id_ in told[0][2]["set_ids"][:1].flatten().tolist() if id_ >= 0),
        prompts=tuple(_write_prompt(model, prompt, at) for prompt, at, _ in told),
        draws=draws,
        seed=CHANGE_SEED,
        size=find_size(model, change, find_statistics(r.store, model, view.weights), told[0][2]),
        means=_find_means(r, model, view, change),
        others=tuple(tuple(other.ids) for other in others),
        odds=tuple(odds),
        names={id_: model.vocabulary.entry(id_).text for id_ in sorted(best)},
    )


def _write_prompt(model: OpenModel, prompt: Prompt, at: int) -> ScriptPrompt:
    text = "".join(model.vocabulary.entry(id_).text for id_ in prompt.ids)[:SHOWN_TEXT]
    return ScriptPrompt(text, tuple(prompt.ids), at)


def _find_means(r: Resources, model: OpenModel, view: View, change: Change) -> dict[tuple[int, int], tuple[float, ...]]:
    """Find what edited heads read along each direction on average, where an edit writes its mean."""
    edits: Sequence[HeadEdit] = () if isinstance(change, Steering | Contrast) else change
    heads = {(edit.layer, edit.head) for edit in edits if edit.kind == "mean"}
    statistics = load_statistics(r.store, model, view.weights) if heads else None
    if statistics is None:
        return {}
    return {head: tuple(statistics.arrays["mean"][head].tolist()) for head in sorted(heads)}
